"""Generated rasters of every kind, with a pattern that is known at every point of the ground.

The pattern is a smooth function of map coordinates in one ground CRS, evaluated at pixel centres. So what a
reader should see at any place on any grid is known exactly, and how far it is off is measured in hundredths
of a pixel (``offset_px``), whatever CRS, rotation or resolution the file has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine
from pyproj import Transformer
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp

from rsccli.geo.engine import TileFailure
from rsccli.geo.pair import PairOptions, PreparedPair, prepare_pair
from rsccli.types import Grid, PxWindow

F64 = npt.NDArray[np.float64]

UTM = "EPSG:32633"
# Somewhere in the middle of zone 33.
EAST, NORTH = 412_000.0, 5_411_000.0
#: Stored values of pattern 0 and 255.
STORED = {
    "uint8": (0.0, 255.0),
    "int8": (-100.0, 120.0),
    "uint16": (200.0, 2750.0),
    "int16": (-500.0, 3000.0),
    "uint32": (1000.0, 900_000.0),
    "int32": (-70_000.0, 900_000.0),
    "float32": (0.02, 0.6),
    "float64": (0.02, 0.6),
}


@dataclass(frozen=True)
class Pattern:
    """Three waves over the ground, another phase in each band; 8 to 248, mean 128.

    Attributes:
        crs: whose coordinates the waves run in. wave: length of the shortest, in its units.
        seed: other waves, for ground that has changed.
    """

    crs: str = UTM
    wave: float = 24.0
    seed: int = 0

    def at(self, xs: F64, ys: F64, band: int) -> F64:
        """Value at ground coordinates, float."""
        phase = 0.7 * band + 2.1 * self.seed
        k = 2 * math.pi / self.wave
        # Counted from a fixed corner, so that large coordinates cost no precision in the sine.
        x0, y0 = (EAST, NORTH) if abs(xs).max(initial=0) > 1000 else (0.0, 0.0)
        x, y = xs - x0, ys - y0
        waves = np.sin(k * x + phase) + np.sin(0.83 * k * y + 1.3 * phase) + np.sin(0.4 * k * (x + 0.7 * y) - phase)
        return np.asarray(128 + 40 * waves)

    def on(self, crs: str, xs: F64, ys: F64, band: int) -> F64:
        """Value at coordinates of any CRS."""
        if crs != self.crs:
            xs, ys = Transformer.from_crs(crs, self.crs, always_xy=True).transform(xs, ys)
        return self.at(np.asarray(xs, float), np.asarray(ys, float), band)


def centres(transform: Affine, width: int, height: int, col: int = 0, row: int = 0) -> tuple[F64, F64]:
    """Map coordinates of pixel centres, (height, width) each."""
    cols, rows = np.meshgrid(col + np.arange(width) + 0.5, row + np.arange(height) + 0.5)
    t = transform
    return t.a * cols + t.b * rows + t.c, t.d * cols + t.e * rows + t.f


def placed(
    bounds: tuple[float, float, float, float] | None,
    size: tuple[int, int],
    south_up: bool = False,
    rotated: float = 0.0,
    shear: float = 0.0,
) -> Affine:
    """A geotransform from bounds and size, perhaps flipped, rotated (degrees) or sheared about its middle."""
    left, bottom, right, top = bounds or (EAST, NORTH - size[1], EAST + size[0], NORTH)
    res_x, res_y = (right - left) / size[0], (top - bottom) / size[1]
    if south_up:
        plain = Affine(res_x, 0, left, 0, res_y, bottom)
    else:
        plain = Affine(res_x, 0, left, 0, -res_y, top)
    if not (rotated or shear):
        return plain
    middle = ((left + right) / 2, (bottom + top) / 2)
    turn = Affine.translation(*middle) @ Affine.rotation(rotated) @ Affine.shear(shear, 0)
    return turn @ Affine.translation(-middle[0], -middle[1]) @ plain


def make_raster(
    path: Path,
    *,
    crs: str | None = UTM,
    bounds: tuple[float, float, float, float] | None = None,
    transform: Affine | None = None,
    size: tuple[int, int] = (320, 288),
    dtype: str = "uint8",
    bands: int = 3,
    band_order: Sequence[int] | None = None,
    pattern: Pattern | None = None,
    values: npt.NDArray[Any] | None = None,
    stored: tuple[float, float] | None = None,
    gain: float = 1.0,
    nodata: float | None = None,
    alpha: npt.NDArray[Any] | None = None,
    mask: npt.NDArray[Any] | None = None,
    msk_sidecar: bool = False,
    photometric: str | None = None,
    interpretation: Sequence[ColorInterp] | None = None,
    palette: dict[int, tuple[int, int, int]] | None = None,
    gcps: Sequence[GroundControlPoint] | None = None,
    rpcs: Any = None,
    scale_offset: tuple[float, float] | None = None,
    area_or_point: str | None = None,
    compress: str | None = "deflate",
    blocksize: int | None = 128,
    south_up: bool = False,
    rotated: float = 0.0,
    shear: float = 0.0,
    overviews: Sequence[int] = (),
    descriptions: Sequence[str] = (),
    tags: dict[str, str] | None = None,
    **creation: Any,
) -> Path:
    """Write a GeoTIFF.

    Args:
        path: where to. crs: None for a file that has none.
        bounds: of the unrotated image, or ``transform`` as it is; the default is 1 m pixels in zone 33.
        size: (width, height) in pixels. bands: colour bands. band_order: which band of the pattern each is.
        pattern: what is on the ground. values: an array instead of it, (bands, height, width).
        stored: stored values of pattern 0 and 255. gain: factor on stored values (another light).
        alpha: an extra band, tagged alpha. mask: uint8 (height, width), 255 is data, internal or, with
            ``msk_sidecar``, beside the file. palette: value to red, green, blue.
        gcps, rpcs: instead of a geotransform. blocksize: None for strips.
        south_up, rotated (degrees), shear (degrees): see ``placed``.
    """
    width, height = size
    transform = transform if transform is not None else placed(bounds, size, south_up, rotated, shear)
    if values is None:
        xs, ys = centres(transform, width, height)
        low, high = stored or STORED[dtype]
        ground = pattern or Pattern()
        order = band_order or range(bands)
        layers = [gain * (low + ground.on(crs or ground.crs, xs, ys, band) / 255 * (high - low)) for band in order]
        values = np.stack(layers)
        if np.dtype(dtype).kind in "iu":
            limits = np.iinfo(dtype)
            values = np.clip(np.rint(values), limits.min, limits.max)
        values = values.astype(dtype)
    if alpha is not None:
        values = np.concatenate([values, alpha[np.newaxis].astype(values.dtype)])
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "width": width,
        "height": height,
        "count": len(values),
        "dtype": values.dtype.name,
        "nodata": nodata,
        **creation,
    }
    if compress:
        profile["compress"] = compress
    if blocksize:
        profile.update(tiled=True, blockxsize=blocksize, blockysize=blocksize)
    if photometric:
        profile["photometric"] = photometric
    elif palette is not None:
        profile["photometric"] = "palette"
    if crs is not None:
        profile["crs"] = crs
    if gcps is None and rpcs is None:
        profile["transform"] = transform
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=not msk_sidecar), rasterio.open(path, "w", **profile) as ds:
        if palette is not None:
            ds.write_colormap(1, palette)
        if gcps is not None:
            ds.gcps = (list(gcps), ds.crs or crs)
        if rpcs is not None:
            ds.rpcs = rpcs
        if interpretation is not None:
            ds.colorinterp = list(interpretation)
        elif alpha is not None and bands == 3:
            ds.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
        if scale_offset is not None:
            ds.scales, ds.offsets = [scale_offset[0]] * ds.count, [scale_offset[1]] * ds.count
        if area_or_point is not None:
            ds.update_tags(AREA_OR_POINT=area_or_point)
        if tags:
            ds.update_tags(**tags)
        ds.write(values)
        for i, text in enumerate(descriptions, 1):
            ds.set_band_description(i, text)
        if mask is not None:
            ds.write_mask(mask)
    if overviews:
        with rasterio.open(path, "r+") as ds:
            ds.build_overviews(list(overviews), rasterio.enums.Resampling.average)
    return path


def offset_px(
    seen: npt.NDArray[Any], valid: npt.NDArray[np.bool_], grid: Grid, window: PxWindow, pattern: Pattern, band: int = 0
) -> tuple[float, float]:
    """How far the content of an aligned tile lies right of and below where it belongs, in grid pixels.

    Least squares of what is seen on the pattern and its slopes: level and contrast do not matter.

    Args:
        seen: (height, width) of one band, any linear function of the pattern. valid: the same shape.
    """
    xs, ys = centres(grid.transform, window.width, window.height, window.col, window.row)

    def here(d_col: float, d_row: float) -> F64:
        t = grid.transform
        return pattern.on(grid.crs, xs + d_col * t.a, ys + d_row * t.e, band)

    right, down = here(0.5, 0) - here(-0.5, 0), here(0, 0.5) - here(0, -0.5)
    keep = valid.ravel()
    columns = [np.ones(keep.sum()), *(v.ravel()[keep] for v in (here(0, 0), right, down))]
    (_, level, slope_x, slope_y), *_ = np.linalg.lstsq(
        np.stack(columns, 1), np.asarray(seen, float).ravel()[keep], rcond=None
    )
    return float(-slope_x / level), float(-slope_y / level)


@dataclass(frozen=True)
class Seen:
    """What the engine made of a pair, put together from its tiles again.

    Attributes:
        pair: the prepared pair. pre, post: uint8 (3, H, W) on the grid. valid: bool (H, W).
        read: bool (H, W), False where a tile could not be read. failures: tile id to reason.
        notes: tile id to lines that GDAL logged. fractions: tile id to valid fraction, padding included.
    """

    pair: PreparedPair
    pre: npt.NDArray[np.uint8]
    post: npt.NDArray[np.uint8]
    valid: npt.NDArray[np.bool_]
    read: npt.NDArray[np.bool_]
    failures: dict[str, str]
    notes: dict[str, tuple[str, ...]]
    fractions: dict[str, float]

    def offsets_px(self, pattern: Pattern, part: int = 128) -> dict[str, float]:
        """Largest misplacement of each date in pixels, over the whole grid and over parts of it."""
        grid = self.pair.grid
        worst = {}
        for name, seen in (("pre", self.pre), ("post", self.post)):
            found = []
            for rows, cols in [(grid.height, grid.width), (part, part)]:
                for top in range(0, grid.height - rows + 1, rows):
                    for left in range(0, grid.width - cols + 1, cols):
                        box = np.s_[top : top + rows, left : left + cols]
                        if self.valid[box].mean() < 0.6:
                            continue
                        window = PxWindow(left, top, cols, rows)
                        for band in range(3):
                            off = offset_px(seen[band][box], self.valid[box], grid, window, pattern, band)
                            found.append(math.hypot(*off))
            assert found, f"{name}: too little is valid to measure ({self.valid.mean():.2f})"
            worst[name] = max(found)
        return worst


def see(pre: Path, post: Path, options: PairOptions | None = None) -> Seen:
    """Prepare a pair and read all of its tiles through the engine."""
    pair = prepare_pair(pre, post, options)
    grid = pair.grid
    shape = (grid.height, grid.width)
    dates = [np.zeros((3, *shape), np.uint8) for _ in range(2)]
    valid, read = np.zeros(shape, bool), np.zeros(shape, bool)
    failures: dict[str, str] = {}
    notes: dict[str, tuple[str, ...]] = {}
    fractions: dict[str, float] = {}
    with pair.env(), pair.aligner() as aligner:
        for block in pair.plan.blocks():
            for tile in aligner.read(block):
                if isinstance(tile, TileFailure):
                    failures[tile.tile.id] = tile.reason
                    continue
                col, row, width, height = tile.pair.tile.px_window
                box = np.s_[row : min(row + height, grid.height), col : min(col + width, grid.width)]
                inner = np.s_[: box[0].stop - row, : box[1].stop - col]
                for out, values in zip(dates, (tile.pair.pre, tile.pair.post), strict=True):
                    out[(slice(None), *box)] = values[(slice(None), *inner)]
                valid[box], read[box] = tile.pair.valid[inner], True
                fractions[tile.pair.tile.id] = float(tile.pair.valid.mean())
                if tile.notes:
                    notes[tile.pair.tile.id] = tile.notes
    return Seen(pair, dates[0], dates[1], valid, read, failures, notes, fractions)

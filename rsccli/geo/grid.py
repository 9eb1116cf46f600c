"""One pixel grid for both dates: which lattice, and how much of it both images cover."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from affine import Affine

from rsccli.errors import CrsError, InputError, NoOverlapError, UsageProblem
from rsccli.geo.geometry import (
    F64,
    WGS84,
    AffineGeometry,
    crs_text,
    outline_px,
    parse_crs,
    pixel_size_m,
    transform,
    wrap_lon,
)
from rsccli.geo.raster import RasterInfo
from rsccli.types import Grid

#: A source pixel may be stretched to this many grid pixels before a warning, and before an error.
UPSAMPLING_WARN, UPSAMPLING_ERROR = 4.0, 10.0
#: Largest round-trip error of a coordinate transformation, in pixels.
ROUND_TRIP_PX = 0.01


@dataclass(frozen=True)
class GridOptions:
    """What a user may say about the common grid.

    Attributes:
        dst_crs: CRS of the grid; the default is pre's. res: pixel size (x, y) in its units.
        like: a raster whose lattice is taken.
        lonlat_bbox: west, south, east, north in degrees (west > east across the antimeridian).
        aoi: area of interest in lon/lat.
        allow_upsampling: do not refuse a date that is far coarser than the grid.
        exact: the grid itself, as a series has it; everything else but ``allow_upsampling`` is then settled.
    """

    dst_crs: str | None = None
    res: tuple[float, float] | None = None
    like: RasterInfo | None = None
    lonlat_bbox: tuple[float, float, float, float] | None = None
    aoi: shapely.Geometry | None = None
    allow_upsampling: bool = False
    exact: Grid | None = None


@dataclass(frozen=True)
class Mapping:
    """From pixels of a grid to pixels of a source, shifted by a registration where one is applied.

    Attributes:
        grid: where from. source: where to.
        shift_px: (dx, dy) in grid pixels: content of the source lies so far right and below of where its
            georeference says, against the other date.
    """

    grid: Grid
    source: RasterInfo
    shift_px: tuple[float, float] = (0.0, 0.0)

    def to_source(self, cols: F64, rows: F64) -> tuple[F64, F64]:
        """Continuous, corner-based source pixels of grid pixels; not finite where there is no answer.

        Arrays of three dimensions are lattices (tile, row, column) that will be interpolated: no lattice jumps by a
        turn of the Earth, not even where the source's own seam (its left and right edge) runs through it.
        """
        t = self.grid.transform
        shape = np.shape(cols)
        xs = np.ravel(t.a * (cols + self.shift_px[0]) + t.c)
        ys = np.ravel(t.e * (rows + self.shift_px[1]) + t.f)
        xs, ys = transform(self.grid.crs, self.source.crs, xs, ys)
        xs, ys = xs.reshape(shape), ys.reshape(shape)
        if parse_crs(self.source.crs).is_geographic:
            centre, _ = self.source.geometry.to_map(
                np.array([self.source.width / 2]), np.array([self.source.height / 2])
            )
            xs = wrap_lon(xs, float(centre[0]))
            if xs.ndim == 3:
                xs = _continuous(xs)
        with np.errstate(invalid="ignore"):
            return self.source.geometry.to_px(xs, ys)

    def scale(self) -> tuple[float, float]:
        """Source pixels per grid pixel along x and y, at the middle of the common area."""
        c, r = self.grid.width / 2, self.grid.height / 2
        d = 0.5
        us, vs = self.to_source(np.array([[[c - d, c + d, c, c]]]), np.array([[[r, r, r - d, r + d]]]))
        us, vs = us.ravel(), vs.ravel()
        if not np.isfinite([us, vs]).all():
            return 1.0, 1.0
        return float(np.hypot(us[1] - us[0], vs[1] - vs[0])), float(np.hypot(us[3] - us[2], vs[3] - vs[2]))


def _continuous(lon: F64) -> F64:
    """Lattices (tile, row, column) of longitudes without a jump: each counts from its own middle."""
    with np.errstate(invalid="ignore", all="ignore"):
        jumps = np.maximum(
            np.abs(np.diff(lon, axis=1)).max(axis=(1, 2), initial=0),
            np.abs(np.diff(lon, axis=2)).max(axis=(1, 2), initial=0),
        )
    for i in np.flatnonzero(jumps > 180):
        middle = lon[i, lon.shape[1] // 2, lon.shape[2] // 2]
        if np.isfinite(middle):
            lon[i] = wrap_lon(lon[i], float(middle))
    return lon


def choose_grid(pre: RasterInfo, post: RasterInfo, options: GridOptions | None = None) -> tuple[Grid, tuple[str, ...]]:
    """The common grid, and warnings.

    By default pre's own lattice over the area that both images cover, so that pre is not resampled at all. A
    rotated or flipped pre gives a north-up lattice of the same pixel size.

    Raises:
        NoOverlapError: with both boxes in lon/lat. CrsError: a transformation that cannot be trusted.
        InputError: a date is more than 10 times coarser than the grid.
    """
    options = options or GridOptions()
    grid = options.exact or common_grid((pre, post), options)
    warnings = [_check(grid, info, which, options) for info, which in ((pre, "pre"), (post, "post"))]
    return grid, tuple(w for w in warnings if w)


def common_grid(dates: Sequence[RasterInfo], options: GridOptions | None = None) -> Grid:
    """The first date's lattice over the area that all dates cover.

    Args:
        dates: at least two: a pair, or a series.

    Raises:
        NoOverlapError: with boxes in lon/lat. CrsError: a date outside of the validity of the grid's CRS.
    """
    options = options or GridOptions()
    first, last = dates[0], dates[-1]
    lattice = _lattice(first, options)
    box = _box_on(lattice, first)
    for date in dates[1:]:
        box = _meet(box, _box_on(lattice, date, near=(box[0] + box[2]) / 2))
        if box[2] - box[0] <= 0 or box[3] - box[1] <= 0:
            raise NoOverlapError(_apart(dates, date))
    for name, limit in (("--bbox", _bbox_polygon(options.lonlat_bbox)), ("--aoi", options.aoi)):
        if limit is not None:
            box = _meet(box, _polygon_box(lattice, limit, name, near=(box[0] + box[2]) / 2))
            if box[2] - box[0] <= 0 or box[3] - box[1] <= 0:
                covered = "both images cover" if len(dates) == 2 else "all images cover"
                raise NoOverlapError(
                    f"{name} lies outside of the area that {covered}:\n"
                    f"  pre  {_lonlat_text(first)}\n  post {_lonlat_text(last)}"
                )
    # A thousandth of a pixel is rounding, not another row or column.
    left, top = math.floor(box[0] + 1e-3), math.floor(box[1] + 1e-3)
    right, bottom = math.ceil(box[2] - 1e-3), math.ceil(box[3] - 1e-3)
    return Grid(
        lattice.crs,
        lattice.transform @ Affine.translation(left, top),
        max(1, right - left),
        max(1, bottom - top),
    )


def _apart(dates: Sequence[RasterInfo], alone: RasterInfo) -> str:
    """What to say of dates that have no ground in common."""
    if len(dates) == 2:
        pre, post = dates
        return (
            f"{pre.path} and {post.path} do not overlap:\n"
            f"  pre  {_lonlat_text(pre)}\n  post {_lonlat_text(post)}\n"
            "Check that they show the same place; a wrong CRS can be overridden with --pre-crs / --post-crs"
        )
    before = dates[: dates.index(alone)]
    boxes = "".join(f"\n  {date.name}: {_lonlat_text(date)}" for date in (*before, alone))
    return (
        f"{alone.path} shares no ground with what the images before it have in common:{boxes}\n"
        "Leave it out, or caption the series in parts"
    )


def grid_gsd_m(grid: Grid) -> float:
    """Ground sampling distance at the middle of the grid: metres per pixel, geometric mean of both axes."""
    t = grid.transform
    x, y = t @ (grid.width / 2, grid.height / 2)
    across, down = pixel_size_m(grid.crs, (x, x + t.a, x), (y, y, y + t.e))
    return math.sqrt(across * down)


def grid_polygon(grid: Grid, lonlat: shapely.Geometry) -> shapely.Geometry:
    """A lon/lat geometry in the grid's CRS, edges densified first so that they stay where they were."""
    dense = shapely.segmentize(lonlat, 0.01)
    near = (grid.map_bounds.left + grid.map_bounds.right) / 2

    def move(points: F64) -> F64:
        xs, ys = transform(WGS84, grid.crs, points[:, 0], points[:, 1])
        if parse_crs(grid.crs).is_geographic:
            xs = wrap_lon(xs, near)
        return np.stack([xs, ys], axis=1)

    return shapely.transform(dense, move)


def _lattice(pre: RasterInfo, options: GridOptions) -> Grid:
    """A pixel lattice without bounds: CRS and north-up transform (width and height do not matter yet)."""
    if options.like is not None:
        if options.dst_crs or options.res:
            raise UsageProblem("--like gives the whole grid: leave out --dst-crs and --res")
        return _own_lattice(options.like)
    if options.dst_crs is None and options.res is None:
        return _own_lattice(pre)
    crs = crs_text(parse_crs(options.dst_crs)) if options.dst_crs else pre.crs
    if options.res:
        res_x, res_y = options.res
        if not (res_x > 0 and res_y > 0 and math.isfinite(res_x + res_y)):
            raise UsageProblem(f"--res {res_x:g},{res_y:g}: give positive sizes in units of {crs}")
    else:
        own = _own_lattice(pre)
        c, r = own.width / 2, own.height / 2
        xs, ys = zip(*(own.transform @ p for p in ((c, r), (c + 1, r), (c, r + 1))), strict=True)
        u, v = transform(own.crs, crs, np.array(xs), np.array(ys))
        with np.errstate(invalid="ignore"):
            area = abs((u[1] - u[0]) * (v[2] - v[0]) - (u[2] - u[0]) * (v[1] - v[0]))
        if not (math.isfinite(area) and area > 0):
            raise CrsError(f"{pre.path} lies outside of the validity of {crs}: choose another --dst-crs")
        res_x = res_y = math.sqrt(area)
    # Anchored at whole multiples of the pixel size (gdalwarp -tap), near pre so that numbers stay small.
    xs1, ys1 = pre.geometry.to_map(np.array([pre.width / 2]), np.array([pre.height / 2]))
    x0, y0 = transform(pre.crs, crs, xs1, ys1)
    if not np.isfinite([x0[0], y0[0]]).all():
        raise CrsError(f"{pre.path} lies outside of the validity of {crs}: choose another --dst-crs")
    left, top = math.floor(x0[0] / res_x) * res_x, math.ceil(y0[0] / res_y) * res_y
    return Grid(crs, Affine(res_x, 0, left, 0, -res_y, top), 1, 1)


def _own_lattice(info: RasterInfo) -> Grid:
    """The raster's own pixels where it is north-up or flipped; else north-up pixels of the same size."""
    geometry = info.geometry
    if isinstance(geometry, AffineGeometry) and geometry.is_axis_aligned:
        t = geometry.transform
        left = t.c if t.a > 0 else t.c + t.a * info.width
        top = t.f if t.e < 0 else t.f + t.e * info.height
        return Grid(info.crs, Affine(abs(t.a), 0, left, 0, -abs(t.e), top), info.width, info.height)
    xs, ys = geometry.to_map(*outline_px(info.width, info.height))
    middle = np.array([0.0, 1.0, 0.0]) + info.width / 2, np.array([0.0, 0.0, 1.0]) + info.height / 2
    us, vs = geometry.to_map(*middle)
    if isinstance(geometry, AffineGeometry):
        res_x, res_y = math.hypot(us[1] - us[0], vs[1] - vs[0]), math.hypot(us[2] - us[0], vs[2] - vs[0])
    else:  # RPCs: as fine as the finer of both axes, in degrees of the equator on both
        res_x = abs(us[1] - us[0]) + abs(us[2] - us[0])
        res_y = abs(vs[1] - vs[0]) + abs(vs[2] - vs[0])
    width, height = math.ceil((xs.max() - xs.min()) / res_x), math.ceil((ys.max() - ys.min()) / res_y)
    return Grid(info.crs, Affine(res_x, 0, float(xs.min()), 0, -res_y, float(ys.max())), width, height)


def _to_lattice(lattice: Grid, crs: str, xs: F64, ys: F64, near_px: float | None) -> tuple[F64, F64]:
    xs, ys = transform(crs, lattice.crs, xs, ys)
    ok = np.isfinite(xs) & np.isfinite(ys)
    xs, ys = xs[ok], ys[ok]
    if xs.size and parse_crs(lattice.crs).is_geographic:
        centre = float(np.median(xs)) if near_px is None else (lattice.transform @ (near_px, 0.0))[0]
        xs = wrap_lon(xs, centre)
    return AffineGeometry(lattice.transform).to_px(xs, ys)


def _box_on(lattice: Grid, info: RasterInfo, near: float | None = None) -> tuple[float, float, float, float]:
    """Bounds of a raster in lattice pixels: left, top, right, bottom."""
    xs, ys = info.geometry.to_map(*outline_px(info.width, info.height))
    if near is None and info.crs == lattice.crs:
        cols, rows = AffineGeometry(lattice.transform).to_px(xs, ys)
    else:
        cols, rows = _to_lattice(lattice, info.crs, xs, ys, near)
    cols, rows = cols[np.isfinite(cols)], rows[np.isfinite(rows)]
    if not cols.size or not rows.size:
        raise CrsError(
            f"{info.path} lies outside of the validity of the grid's CRS ({lattice.crs[:60]}): choose another with "
            "--dst-crs"
        )
    if (
        near is not None
        and all(parse_crs(c).is_geographic for c in (info.crs, lattice.crs))
        and np.ptp(xs) >= 360 - 1e-9
    ):
        # A whole turn covers every longitude, wherever it begins.
        half = 180.0 / lattice.transform.a
        return near - half, float(rows.min()), near + half, float(rows.max())
    return float(cols.min()), float(rows.min()), float(cols.max()), float(rows.max())


def _bbox_polygon(bbox: tuple[float, float, float, float] | None) -> shapely.Geometry | None:
    if bbox is None:
        return None
    west, south, east, north = bbox
    if not (-90 <= south < north <= 90) or not (-180 <= west <= 360) or not (-180 <= east <= 360) or west == east:
        raise UsageProblem(f"--bbox {west:g},{south:g},{east:g},{north:g}: give west,south,east,north in degrees")
    return shapely.box(west, south, east if east > west else east + 360, north)


def _polygon_box(lattice: Grid, polygon: shapely.Geometry, name: str, near: float) -> tuple[float, float, float, float]:
    points = shapely.get_coordinates(shapely.segmentize(polygon, 0.01))
    cols, rows = _to_lattice(lattice, WGS84, points[:, 0], points[:, 1], near)
    if not cols.size:
        raise UsageProblem(f"{name} lies outside of the validity of {lattice.crs[:60]}")
    return float(cols.min()), float(rows.min()), float(cols.max()), float(rows.max())


def _meet(
    a: tuple[float, float, float, float], b: tuple[float, float, float, float]
) -> tuple[float, float, float, float]:
    return max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])


def _lonlat_text(info: RasterInfo) -> str:
    west, south, east, north = info.lonlat_box
    return f"lon {west:.5f} to {east:.5f}, lat {south:.5f} to {north:.5f}  ({info.crs[:60]})"


def _check(grid: Grid, info: RasterInfo, which: str, options: GridOptions) -> str | None:
    """Round trip and upsampling of one date on the grid; a warning, or None."""
    mapping = Mapping(grid, info)
    cols, rows = outline_px(grid.width, grid.height, 8)
    us, vs = mapping.to_source(cols, rows)
    inside = (us >= 0) & (us <= info.width) & (vs >= 0) & (vs <= info.height)
    if inside.any():
        xs, ys = info.geometry.to_map(us[inside], vs[inside])
        back_c, back_r = _to_lattice(grid, info.crs, xs, ys, grid.width / 2)
        error = np.inf
        if back_c.size == inside.sum():
            off = back_c - cols[inside]
            if parse_crs(grid.crs).is_geographic:
                turn = 360.0 / grid.transform.a  # the same place, a turn of the Earth on
                off = off - turn * np.round(off / turn)
            error = np.hypot(off, back_r - rows[inside]).max()
        if not error < ROUND_TRIP_PX:
            raise CrsError(
                f"{info.path}: its coordinates leave the validity of a CRS: {grid.crs[:60]} to {info.crs[:60]} and "
                f"back misses by {error:.3g} px. Choose a CRS made for this place with --dst-crs, or correct the file "
                f"with --{which}-crs"
            )
    stretch = 1 / min(mapping.scale())
    if stretch > UPSAMPLING_ERROR and not options.allow_upsampling:
        raise InputError(
            f"{info.path}: its pixels would be stretched {stretch:.1f} times to fit the grid of "
            f"{grid_gsd_m(grid):.2g} m: it shows too little. Choose a coarser grid with --res, or force it with "
            "--allow-upsampling"
        )
    if stretch > UPSAMPLING_WARN:
        return f"{which} is {stretch:.1f} times coarser than the grid: small things cannot be compared"
    return None

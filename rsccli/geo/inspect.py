"""What can be told of one raster or of a pair, refused or not: the facts behind ``rsccli info``.

``describe_raster`` and ``prepare_pair`` decide and raise; this module gathers what led there, so that a person who
is refused sees the header, and what else would be refused, at once.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import rasterio
from rasterio.enums import MaskFlags

from rsccli.errors import InputError, RsccliError
from rsccli.geo.engine import COPY_PX, DECIMATE_FROM
from rsccli.geo.footprint import BBox, grid_footprint
from rsccli.geo.geometry import parse_crs
from rsccli.geo.grid import Mapping, grid_gsd_m
from rsccli.geo.identity import local_path
from rsccli.geo.lut import Lut
from rsccli.geo.pair import PairOptions, PreparedPair, match_pair, prepare_pair
from rsccli.geo.raster import RasterInfo, RasterOptions, describe_raster, gdal_options, open_dataset, raster_errors
from rsccli.types import Grid, Registration

#: Bands of a header that claims thousands that are worth telling.
MAX_BANDS_TOLD = 16


@dataclass(frozen=True)
class BandFacts:
    """One band as its file declares it; ``read_as`` is red, green, blue, grey, palette, alpha or None."""

    number: int
    dtype: str
    description: str | None
    interpretation: str
    nodata: float | None
    scale: float
    offset: float
    read_as: str | None


@dataclass(frozen=True)
class RasterFacts:
    """One raster, as far as it could be told.

    Attributes:
        path: as typed. bytes: size of a local file.
        size_px: (width, height). count: bands in the file; ``bands`` tells the first of them.
        crs: ``AUTHORITY:CODE`` or WKT; crs_name: for people. placed_by: what gives it its place.
        transform: a, b, c, d, e, f of the geotransform (or of the fit through ground control points).
        gsd_m: metres per pixel across and down. lonlat_box: west, south, east, north (east may exceed 180).
        bands_used: 1-based numbers read as red, green, blue or grey. bands_why: how they were found.
        mask: where validity comes from. nodata: in force (the option, else the tag).
        block_px: (width, height) of a block. layout: tiled or striped. block_bytes: of one block in memory.
        datetime: acquisition, ISO 8601. warnings: of the file.
        refused: why it would be refused, or None.
    """

    path: str
    bytes: int | None
    driver: str
    size_px: tuple[int, int]
    count: int
    bands: tuple[BandFacts, ...]
    crs: str | None
    crs_name: str | None
    placed_by: str
    transform: tuple[float, ...] | None
    gsd_m: tuple[float, float] | None
    lonlat_box: BBox | None
    bands_used: tuple[int, ...] | None
    bands_why: str | None
    mask: str
    nodata: float | None
    block_px: tuple[int, int]
    layout: Literal["tiled", "striped"]
    block_bytes: int
    compression: str | None
    interleave: str | None
    overviews: tuple[int, ...]
    datetime: str | None
    warnings: tuple[str, ...]
    refused: str | None


@dataclass(frozen=True)
class DateOnGrid:
    """How one date comes onto the common grid.

    Attributes:
        covered: share of its own pixels that the grid takes in, 0-1. resampling: in words.
        lut: how its values become 8 bit, in words, or None where that was not measured.
    """

    covered: float
    resampling: str
    lut: str | None


@dataclass(frozen=True)
class PairFacts:
    """A pair, as far as it could be told.

    Attributes:
        pre, post: both files. grid: common to both, None where they cannot be brought together.
        gsd_m: metres per pixel of the grid. lonlat_bbox: of the grid, RFC 7946 (west > east over the antimeridian).
        dates: how pre and post come onto the grid.
        tiles, superblocks, tile_size, stride, edge: the plan.
        registration: the measured shift. radiometry: a sentence.
        windows: full-resolution windows that both were measured in, of ``window_px`` a side.
        warnings: of files and pair. refused: what would be refused, in the order in which it is found.
    """

    pre: RasterFacts | None
    post: RasterFacts | None
    grid: Grid | None = None
    gsd_m: float | None = None
    lonlat_bbox: BBox | None = None
    dates: tuple[DateOnGrid, DateOnGrid] | None = None
    tiles: int | None = None
    superblocks: int | None = None
    tile_size: int | None = None
    stride: int | None = None
    edge: str | None = None
    registration: Registration | None = None
    radiometry: str | None = None
    windows: int | None = None
    window_px: int | None = None
    warnings: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


def inspect_raster(path: str, options: RasterOptions | None = None) -> tuple[RasterFacts, RsccliError | None]:
    """Facts of one raster, and the error that a run would stop with.

    Raises:
        InputError: the file cannot be opened at all, so that there is nothing to tell.
    """
    options = options or RasterOptions()
    info: RasterInfo | None = None
    refusal: RsccliError | None = None
    try:
        info = describe_raster(path, options)
    except InputError as error:
        refusal = error
    try:
        return _header(path, options, info, refusal), refusal
    except InputError as error:
        # The reason why it is refused says more than the reason why there is no more to tell.
        raise (refusal or error) from (refusal or error).__cause__


def inspect_pair(
    pre_path: str, post_path: str, options: PairOptions | None = None
) -> tuple[PairFacts, tuple[RsccliError, ...]]:
    """Facts of a pair, and the errors that a run would stop with, each in its turn."""
    options = options or PairOptions()
    refusals: list[RsccliError] = []
    files: list[RasterFacts | None] = []
    for path, asked in ((pre_path, options.pre), (post_path, options.post)):
        try:
            facts, refusal = inspect_raster(path, asked)
        except InputError as error:
            facts, refusal = None, error
        files.append(facts)
        if refusal is not None:
            refusals.append(refusal)
    facts_of_pair = PairFacts(files[0], files[1])
    if not refusals:
        facts_of_pair, refusals = _together(facts_of_pair, pre_path, post_path, options)
    told = tuple(str(error) for error in refusals)
    return replace(facts_of_pair, refused=told), tuple(refusals)


def _together(
    facts: PairFacts, pre_path: str, post_path: str, options: PairOptions
) -> tuple[PairFacts, list[RsccliError]]:
    """The pair as far as it goes: prepared; else without --coregister; else the grid alone."""
    try:
        return _prepared(facts, prepare_pair(pre_path, post_path, options)), []
    except RsccliError as error:
        refusals = [error]
    if options.coregister:
        try:
            return _prepared(facts, prepare_pair(pre_path, post_path, replace(options, coregister=False))), refusals
        except RsccliError as error:
            # Refused for another reason, too; what concerns the pair comes before its shift.
            if str(error) != str(refusals[0]):
                refusals.append(error)
    try:
        pre, post, grid, warnings = match_pair(pre_path, post_path, options)
    except RsccliError:
        return facts, refusals
    return replace(_on_grid(facts, grid, pre, post, (None, None)), warnings=warnings), refusals


def _prepared(facts: PairFacts, pair: PreparedPair) -> PairFacts:
    survey, plan = pair.survey, pair.plan
    luts = (survey.radiometry.pre, survey.radiometry.post)
    return replace(
        _on_grid(facts, pair.grid, pair.pre, pair.post, luts),
        tiles=len(plan),
        superblocks=plan.block_count,
        tile_size=plan.tile_size,
        stride=plan.stride,
        edge=plan.edge,
        registration=pair.registration,
        radiometry=survey.radiometry.text,
        windows=survey.windows,
        window_px=survey.window_px,
        warnings=pair.warnings,
    )


def _on_grid(
    facts: PairFacts, grid: Grid, pre: RasterInfo, post: RasterInfo, luts: tuple[Lut | None, Lut | None]
) -> PairFacts:
    dates = tuple(
        DateOnGrid(_covered(grid, info), _resampling(grid, info), None if lut is None else lut.describe())
        for info, lut in zip((pre, post), luts, strict=True)
    )
    return replace(
        facts,
        grid=grid,
        gsd_m=grid_gsd_m(grid),
        lonlat_bbox=grid_footprint(grid).bbox,
        dates=(dates[0], dates[1]),
    )


def _covered(grid: Grid, info: RasterInfo) -> float:
    """Share of a raster's pixels that lie on the grid, counted on a lattice over it."""
    steps = (np.arange(64) + 0.5) / 64
    cols, rows = np.meshgrid(steps * grid.width, steps * grid.height)
    us, vs = Mapping(grid, info).to_source(cols.ravel(), rows.ravel())
    with np.errstate(invalid="ignore"):
        inside = float(np.mean((us >= 0) & (us <= info.width) & (vs >= 0) & (vs <= info.height)))
    scale_x, scale_y = Mapping(grid, info).scale()
    return min(1.0, inside * grid.width * scale_x * grid.height * scale_y / (info.width * info.height))


def _resampling(grid: Grid, info: RasterInfo) -> str:
    mapping = Mapping(grid, info)
    scale_x, scale_y = mapping.scale()
    corners = np.array([0.0, grid.width, 0.0, grid.width]), np.array([0.0, 0.0, grid.height, grid.height])
    places = np.stack(mapping.to_source(*corners))
    whole = bool(np.isfinite(places).all() and np.abs(places - np.round(places)).max() <= COPY_PX)
    if whole and max(abs(scale_x - 1), abs(scale_y - 1)) < 1e-6:
        return "pixels are copied"
    text = f"{scale_x:.3g} x {scale_y:.3g} of its pixels per grid pixel"
    if max(scale_x, scale_y) >= DECIMATE_FROM:
        return f"averaged by area, then bilinear: {text}"
    return f"bilinear: {text}"


def _header(path: str, options: RasterOptions, info: RasterInfo | None, refusal: RsccliError | None) -> RasterFacts:
    with rasterio.Env(**gdal_options()), open_dataset(path) as ds, raster_errors(path, "read the header of"):
        local = local_path(path)
        rows, cols = ds.block_shapes[0] if ds.count else (0, 0)
        # The tags, as rasterio's own properties know only some of the values.
        structure = ds.tags(ns="IMAGE_STRUCTURE")
        interleave = str(structure.get("INTERLEAVE", "")).lower() or None
        depth = ds.count if interleave == "pixel" else 1
        item = np.dtype(ds.dtypes[0]).itemsize if ds.count and ds.dtypes[0] != "complex_int16" else 4
        nodata = options.nodata if options.nodata is not None else (ds.nodatavals[0] if ds.count else None)
        return RasterFacts(
            path=path,
            bytes=os.path.getsize(local) if local is not None else None,
            driver=ds.driver,
            size_px=(ds.width, ds.height),
            count=ds.count,
            bands=tuple(_band(ds, number, info) for number in range(1, min(ds.count, MAX_BANDS_TOLD) + 1)),
            crs=info.crs if info else (ds.crs.to_string() if ds.crs else None),
            crs_name=parse_crs(info.crs).name if info else None,
            placed_by=_placed_by(ds),
            transform=None if ds.transform.is_identity else tuple(ds.transform)[:6],
            gsd_m=info.gsd_m if info and all(map(math.isfinite, info.gsd_m)) else None,
            lonlat_box=info.lonlat_box if info and all(map(math.isfinite, info.lonlat_box)) else None,
            bands_used=info.bands if info else None,
            bands_why=info.bands_why if info else None,
            mask=_mask(ds, info),
            nodata=info.nodata if info else nodata,
            block_px=(cols, rows),
            layout="striped" if cols >= ds.width else "tiled",
            block_bytes=rows * cols * item * depth,
            compression=structure.get("COMPRESSION"),
            interleave=interleave,
            overviews=tuple(ds.overviews(1)) if ds.count else (),
            datetime=info.datetime if info else None,
            warnings=info.warnings if info else (),
            refused=None if refusal is None else str(refusal),
        )


def _band(ds: rasterio.DatasetReader, number: int, info: RasterInfo | None) -> BandFacts:
    i = number - 1
    read_as = None
    if info is not None and number in info.bands:
        colours = ("red", "green", "blue") if len(info.bands) == 3 else ("palette" if info.palette else "grey",)
        read_as = colours[info.bands.index(number)]
    elif info is not None and number == info.alpha_band:
        read_as = "alpha"
    return BandFacts(
        number=number,
        dtype=ds.dtypes[i],
        description=ds.descriptions[i] or None,
        interpretation=ds.colorinterp[i].name,
        nodata=ds.nodatavals[i],
        scale=ds.scales[i],
        offset=ds.offsets[i],
        read_as=read_as,
    )


def _placed_by(ds: rasterio.DatasetReader) -> str:
    if not ds.transform.is_identity:
        t = ds.transform
        if t.b or t.d:
            return "geotransform, rotated or sheared"
        return "geotransform, south-up" if t.e > 0 else "geotransform"
    points, _ = ds.gcps
    if points:
        return f"{len(points)} ground control points"
    try:
        return "RPCs" if ds.rpcs is not None else "nothing"
    except ValueError:  # damaged RPC tags
        return "nothing"


def _mask(ds: rasterio.DatasetReader, info: RasterInfo | None) -> str:
    if info is not None and info.alpha_band:
        return f"alpha, band {info.alpha_band}"
    flags = ds.mask_flag_enums[0] if ds.count else []
    if info is not None and info.mask == "dataset":
        local = local_path(info.path)
        return "mask beside the file (.msk)" if local and os.path.exists(f"{local}.msk") else "mask in the file"
    if MaskFlags.nodata in flags or (info is not None and info.nodata is not None):
        return "nodata value"
    return "none: every pixel of the footprint is data"

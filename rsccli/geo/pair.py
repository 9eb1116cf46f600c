"""Two rasters become one aligned pair: describe both, choose the grid, measure, plan tiles.

``match_pair`` reads headers only; ``prepare_pair`` also measures brightness and shift and lays the tiles. Nothing
here loads a model. ``PreparedPair`` is frozen and holds all that a reader thread needs (``aligner()``).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import rasterio

from rsccli.errors import CrsError, InputError
from rsccli.geo.aoi import read_aoi
from rsccli.geo.engine import PairAligner
from rsccli.geo.footprint import grid_footprint
from rsccli.geo.grid import GridOptions, choose_grid, grid_gsd_m, grid_polygon
from rsccli.geo.identity import local_path
from rsccli.geo.radiometry import RadiometryMode
from rsccli.geo.raster import RasterInfo, RasterOptions, describe_raster, gdal_options
from rsccli.geo.reader import listen_to_gdal
from rsccli.geo.survey import Survey, survey_pair
from rsccli.geo.tiles import Edge, TilePlan, plan_tiles
from rsccli.types import Grid, InputFacts, Registration


@dataclass(frozen=True)
class PairOptions:
    """Everything a user may say about geometry and values of a pair.

    Attributes:
        pre, post: about each date. dst_crs, res, like, bbox (lon/lat), aoi (a file): see ``GridOptions``.
        tile_size, stride (None: tile_size), edge: see ``plan_tiles``.
        radiometry: see ``fit_radiometry``.
        coregister: correct the measured shift, or refuse when it cannot be trusted.
        allow_same: compare a file with itself. allow_upsampling: do not refuse a much coarser date.
        cache_mb: GDAL's block cache, for all threads together.
        grid: the common grid itself, as a series has one for all its pairs; then what else says of it is settled.
    """

    pre: RasterOptions = field(default_factory=RasterOptions)
    post: RasterOptions = field(default_factory=RasterOptions)
    dst_crs: str | None = None
    res: tuple[float, float] | None = None
    like: str | None = None
    bbox: tuple[float, float, float, float] | None = None
    aoi: str | None = None
    tile_size: int = 256
    stride: int | None = None
    edge: Edge = "pad"
    radiometry: RadiometryMode = "auto"
    coregister: bool = False
    allow_same: bool = False
    allow_upsampling: bool = False
    cache_mb: int = 48
    grid: Grid | None = None


@dataclass(frozen=True, eq=False)
class PreparedPair:
    """An aligned pair, ready to be read tile by tile.

    Attributes:
        pre, post: the sources. grid: of both. plan: tiles. survey: what was measured.
        registration: the measured shift; ``applied`` where it is corrected. warnings: of everything.
    """

    pre: RasterInfo
    post: RasterInfo
    grid: Grid
    plan: TilePlan
    survey: Survey
    registration: Registration
    warnings: tuple[str, ...]
    cache_mb: int

    @property
    def shift_px(self) -> tuple[float, float]:
        """Shift that readers correct, pixels of the grid."""
        r = self.registration
        return (r.dx_px or 0.0, r.dy_px or 0.0) if r.applied else (0.0, 0.0)

    @property
    def identities(self) -> dict[str, str]:
        """By path, what each source was when it was described; see ``Watch``."""
        return {info.path: info.identity for info in (self.pre, self.post)}

    def aligner(self) -> PairAligner:
        """A reader for one thread; use it inside ``env()``."""
        luts = (self.survey.radiometry.pre, self.survey.radiometry.post)
        return PairAligner(self.grid, self.pre, self.post, luts, self.shift_px)

    def env(self) -> rasterio.Env:
        """GDAL settings; every thread that reads enters its own."""
        return rasterio.Env(**gdal_options(self.cache_mb))

    def facts(self) -> tuple[InputFacts, InputFacts]:
        """Both inputs for reports."""
        tables = self.survey.radiometry.pre, self.survey.radiometry.post
        return tuple(  # type: ignore[return-value]
            InputFacts(
                path=info.path,
                name=info.name,
                datetime=info.datetime,
                crs=info.crs,
                size_px=(info.width, info.height),
                dtype=info.dtype,
                bands=info.bands,
                gsd_m=(info.gsd_m[0] * info.gsd_m[1]) ** 0.5,
                lut=lut.describe(),
                identity=info.identity,
                warnings=info.warnings,
            )
            for info, lut in zip((self.pre, self.post), tables, strict=True)
        )


def match_pair(
    pre_path: str | Path, post_path: str | Path, options: PairOptions | None = None
) -> tuple[RasterInfo, RasterInfo, Grid, tuple[str, ...]]:
    """Both sources on one grid, from their headers alone, and warnings.

    Raises:
        InputError: a file that cannot be used, the same file twice, no overlap, too coarse.
    """
    options = options or PairOptions()
    _refuse_same(str(pre_path), str(post_path), options.allow_same)
    pre, post = describe_raster(pre_path, options.pre), describe_raster(post_path, options.post)
    grid, warnings = choose_grid(pre, post, grid_options(options))
    notes = [f"{which}: {note}" for which, info in (("pre", pre), ("post", post)) for note in info.warnings]
    if pre.datetime and post.datetime:
        length = min(len(pre.datetime), len(post.datetime), 10)
        if post.datetime[:length] < pre.datetime[:length]:
            notes.append(f"post ({post.datetime[:10]}) is older than pre ({pre.datetime[:10]}): is the order right?")
    return pre, post, grid, (*notes, *warnings)


def prepare_pair(pre_path: str | Path, post_path: str | Path, options: PairOptions | None = None) -> PreparedPair:
    """Match a pair, measure it, lay its tiles. Reads a few dozen windows of pixels."""
    options = options or PairOptions()
    listen_to_gdal()
    with rasterio.Env(**gdal_options(options.cache_mb)):
        pre, post, grid, warnings = match_pair(pre_path, post_path, options)
        # A grid that reaches off the Earth has tiles without a footprint: told now, not after hours of captioning.
        try:
            grid_footprint(grid)
        except CrsError as error:
            raise CrsError(f"{pre.path} and {post.path}: {error}") from error.__cause__
        aoi = read_aoi(options.aoi) if options.aoi else None
        plan = plan_tiles(
            grid,
            options.tile_size,
            stride=options.stride,
            edge=options.edge,
            striped=pre.striped or post.striped,
            aoi=grid_polygon(grid, aoi) if aoi is not None else None,
        )
        survey = survey_pair(grid, pre, post, options.radiometry)
    registration = survey.registration
    notes = [*warnings, *survey.warnings]
    shift = registration.shift_px
    if options.coregister:
        if not registration.trusted:
            raise InputError(
                f"--coregister: the shift between {pre.path} and {post.path} cannot be trusted: {registration.reason}. "
                "Run without --coregister, or coregister the images first (e.g. with AROSICS)"
            )
        registration = Registration(**{**registration.__dict__, "applied": True})
    elif registration.trusted and shift is not None and shift >= 1:
        notes.append(
            f"post lies {shift:.1f} px off pre ({registration.dx_px:+.1f} right, {registration.dy_px:+.1f} down): "
            "--coregister corrects that"
        )
    return PreparedPair(pre, post, grid, plan, survey, registration, tuple(dict.fromkeys(notes)), options.cache_mb)


def gsd_m(pair: PreparedPair) -> float:
    """Metres per pixel of the common grid."""
    return grid_gsd_m(pair.grid)


def grid_options(options: PairOptions) -> GridOptions:
    """What a user said of the common grid."""
    return GridOptions(
        dst_crs=options.dst_crs,
        res=options.res,
        like=describe_raster(options.like) if options.like else None,
        lonlat_bbox=options.bbox,
        aoi=read_aoi(options.aoi) if options.aoi else None,
        allow_upsampling=options.allow_upsampling,
        exact=options.grid,
    )


def _refuse_same(pre: str, post: str, allowed: bool) -> None:
    a, b = local_path(pre), local_path(post)
    same = pre == post or (
        a is not None and b is not None and os.path.exists(a) and os.path.exists(b) and os.path.samefile(a, b)
    )
    if same and not allowed:
        raise InputError(f"{post}: pre and post are the same file. Nothing can have changed; --allow-same compares it")

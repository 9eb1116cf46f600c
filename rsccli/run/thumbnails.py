"""Pre and post pixels of a few tiles, read again for a report: a run keeps no pixels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from rsccli.errors import InputError
from rsccli.geo.engine import PairAligner, TileFailure
from rsccli.geo.pair import PreparedPair
from rsccli.geo.raster import RasterOptions, describe_raster, gdal_options
from rsccli.geo.survey import survey_pair
from rsccli.geo.tiles import Superblock, TilePlan
from rsccli.types import U8, RunFacts, Tile

Thumbnails = Mapping[str, tuple[U8, U8]]

_TILE_ID = re.compile(r"r(\d+)c(\d+)")


def pair_thumbnails(pair: PreparedPair, tile_ids: Iterable[str]) -> Thumbnails:
    """Aligned pixels of tiles of a prepared pair; tiles that cannot be read are left out."""
    with pair.env():
        aligner = pair.aligner()
        try:
            return _read(aligner, [pair.plan.tile(*place) for place in _places(tile_ids)])
        finally:
            aligner.close()


def read_thumbnails(facts: RunFacts, tile_ids: Iterable[str]) -> Thumbnails:
    """The same from the facts of an output, for ``rsccli report``.

    Empty where the inputs are gone or are no longer the files that were captioned: a report without pictures is
    better than one with the wrong ones.
    """
    import rasterio

    with rasterio.Env(**gdal_options()):
        try:
            pre, post = (
                describe_raster(date.path, RasterOptions(bands=date.bands, crs=date.crs))
                for date in (facts.pre, facts.post)
            )
        except InputError:
            return {}
        if (pre.identity, post.identity) != (facts.pre.identity, facts.post.identity):
            return {}
        radiometry = survey_pair(facts.grid, pre, post).radiometry
        shift = facts.registration
        moved = (shift.dx_px or 0.0, shift.dy_px or 0.0) if shift.applied else (0.0, 0.0)
        edge = facts.edge if facts.edge in ("shift", "drop") else "pad"
        plan = TilePlan(facts.grid, facts.tile_size, facts.stride, edge, 1, 1, 1, 1)  # type: ignore[arg-type]
        with PairAligner(facts.grid, pre, post, (radiometry.pre, radiometry.post), moved) as aligner:
            return _read(aligner, [plan.tile(*place) for place in _places(tile_ids)])


def _places(tile_ids: Iterable[str]) -> list[tuple[int, int]]:
    found = [_TILE_ID.fullmatch(tile_id) for tile_id in tile_ids]
    return [(int(match[1]), int(match[2])) for match in found if match]


def _read(aligner: PairAligner, tiles: list[Tile]) -> dict[str, tuple[U8, U8]]:
    pictures = {}
    for tile in tiles:
        (read,) = aligner.read(Superblock(0, (tile,), tile.px_window))
        if not isinstance(read, TileFailure):
            pictures[tile.id] = (read.pair.pre, read.pair.post)
    return pictures

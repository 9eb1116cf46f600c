"""Pre and post pixels of a few tiles, and their masks, read again for a report: a run keeps no pixels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from rsccli.errors import InputError
from rsccli.geo.engine import PairAligner, TileFailure
from rsccli.geo.tiles import Superblock, TilePlan
from rsccli.output.report.pictures import TilePictures
from rsccli.run.masks import MaskRaster
from rsccli.types import U8, Tile

_TILE_ID = re.compile(r"r(\d+)c(\d+)")


def read_tiles(
    aligner: PairAligner, plan: TilePlan, tile_ids: Iterable[str], mask: MaskRaster | None = None
) -> Mapping[str, TilePictures]:
    """Aligned pixels of tiles; tiles that cannot be read are left out. Call it within GDAL's settings.

    Args:
        mask: where their masks are, or None.
    """
    found = {}
    for tile in tiles_of(plan, tile_ids):
        (read,) = aligner.read(Superblock(0, (tile,), tile.px_window))
        if not isinstance(read, TileFailure):
            # What a padded tile has beyond the grid is black and says nothing.
            wide = min(tile.px_window.width, plan.grid.width - tile.px_window.col)
            high = min(tile.px_window.height, plan.grid.height - tile.px_window.row)
            changed = _mask(mask, tile)
            found[tile.id] = TilePictures(
                read.pair.pre[:, :high, :wide],
                read.pair.post[:, :high, :wide],
                None if changed is None else changed[:high, :wide],
            )
    return found


def tiles_of(plan: TilePlan, tile_ids: Iterable[str]) -> list[Tile]:
    """Tiles by their ids, in this order; ids that are none of the plan's are left out."""
    matches = [_TILE_ID.fullmatch(tile_id) for tile_id in tile_ids]
    places = [(int(match[1]), int(match[2])) for match in matches if match]
    return [plan.tile(row, col) for row, col in places if row < plan.rows and col < plan.cols]


def _mask(mask: MaskRaster | None, tile: Tile) -> U8 | None:
    if mask is None:
        return None
    try:
        return mask.tile(tile.px_window)
    except InputError:
        return None

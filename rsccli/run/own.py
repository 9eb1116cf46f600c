"""Which pixels of a tile no other tile counts: where tiles overlap, sums over tiles count each pixel once."""

from __future__ import annotations

import numpy as np

from rsccli.geo.tiles import TilePlan
from rsccli.types import Bool, Tile


def own_pixels(plan: TilePlan, tile: Tile) -> Bool | None:
    """Pixels of a tile that belong to it, bool (H, W), or None where all of them do.

    A pixel belongs to the last tile in reading order that covers it.
    """
    if plan.stride == plan.tile_size and plan.edge != "shift":
        return None
    size, window = plan.tile_size, tile.px_window
    own = np.ones((size, size), bool)
    # A last tile that was moved back inside may reach one tile further.
    near = -(-size // plan.stride) + 1
    for row in range(tile.row, min(plan.rows, tile.row + near)):
        for col in range(max(0, tile.col - near), min(plan.cols, tile.col + near)):
            if (row, col) <= (tile.row, tile.col) or (plan.wanted is not None and not plan.wanted[row, col]):
                continue
            other = plan.tile(row, col).px_window
            top, left = other.row - window.row, other.col - window.col
            if -size < left < size and top < size:
                own[max(0, top) : max(0, top + size), max(0, left) : max(0, left + size)] = False
    return own

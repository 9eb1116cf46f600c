"""Each pixel of the plan belongs to one tile, whatever the overlap."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine

from rsccli.geo.tiles import Edge, TilePlan, plan_tiles
from rsccli.run.own import own_pixels
from rsccli.types import Grid


def counted(plan: TilePlan) -> np.ndarray:
    """How many tiles count each pixel of the grid."""
    grid, size = plan.grid, plan.tile_size
    total = np.zeros((grid.height + size, grid.width + size), int)
    for block in plan.blocks():
        for tile in block.tiles:
            own = own_pixels(plan, tile)
            at = np.s_[tile.px_window.row : tile.px_window.row + size, tile.px_window.col : tile.px_window.col + size]
            total[at] += np.ones((size, size), int) if own is None else own
    return total[: grid.height, : grid.width]


@pytest.mark.parametrize("edge", ["pad", "shift"])
@pytest.mark.parametrize("stride", [64, 63, 48, 32, 24, 16])
def test_every_pixel_is_counted_once(stride: int, edge: Edge) -> None:
    grid = Grid("EPSG:32633", Affine(1, 0, 500_000, 0, -1, 5_200_000), 230, 170)
    assert (counted(plan_tiles(grid, 64, stride=stride, edge=edge)) == 1).all()


def test_dropped_edges_are_counted_by_nobody() -> None:
    grid = Grid("EPSG:32633", Affine(1, 0, 500_000, 0, -1, 5_200_000), 230, 170)
    total = counted(plan_tiles(grid, 64, stride=48, edge="drop"))
    assert set(np.unique(total)) == {0, 1} and (total[:160, :208] == 1).all()


def test_tiles_that_an_area_of_interest_leaves_out_own_nothing() -> None:
    import shapely

    grid = Grid("EPSG:32633", Affine(1, 0, 500_000, 0, -1, 5_200_000), 256, 192)
    whole = plan_tiles(grid, 64, stride=32)
    plan = plan_tiles(grid, 64, stride=32, aoi=shapely.box(500_000, 5_199_900, 500_060, 5_200_000))
    assert len(plan) < len(whole)
    total = counted(plan)
    assert total.max() == 1 and (total[:100, :60] == 1).all()

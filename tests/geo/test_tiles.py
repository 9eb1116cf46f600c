"""Tiles cover the grid by one definition of overlap, whatever the sizes."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from rsccli.errors import InputError, UsageProblem
from rsccli.geo.tiles import plan_tiles
from rsccli.types import Grid


def grid(width: int, height: int) -> Grid:
    return Grid("EPSG:32633", Affine(0.5, 0, 400000, 0, -0.5, 5200000), width, height)


@settings(deadline=None, max_examples=150)
@given(
    width=st.integers(1, 3000),
    height=st.integers(1, 3000),
    size=st.integers(32, 700),
    part=st.floats(0.2, 1),
    edge=st.sampled_from(["pad", "shift", "drop"]),
    striped=st.booleans(),
)
def test_plan_covers_what_it_says(width, height, size, part, edge, striped) -> None:
    stride = max(1, int(size * part))
    if edge == "drop" and (width < size or height < size):
        with pytest.raises(InputError, match="no whole tile"):
            plan_tiles(grid(width, height), size, stride=stride, edge=edge)
        return
    plan = plan_tiles(grid(width, height), size, stride=stride, edge=edge, striped=striped)
    tiles = [tile for block in plan.blocks() for tile in block.tiles]
    assert len(tiles) == len(plan) == plan.rows * plan.cols
    assert len({tile.id for tile in tiles}) == len(tiles)
    assert sorted(tiles, key=lambda t: t.id) == sorted(tiles, key=lambda t: (t.row, t.col))
    covered = np.zeros((height, width), bool)
    for tile in tiles:
        left, top, across, down = tile.px_window
        assert across == down == size and left >= 0 and top >= 0
        if edge != "pad":
            assert left + size <= max(width, size) and top + size <= max(height, size)
        covered[top : top + size, left : left + size] = True
    if edge == "drop":
        assert covered[: (plan.rows - 1) * stride + size, : (plan.cols - 1) * stride + size].all()
    else:
        assert covered.all()
    # The last tile is needed: without it something would be missing.
    if edge == "pad" and plan.cols > 1:
        assert (plan.cols - 2) * stride + size < width


def test_neighbours_share_the_overlap() -> None:
    plan = plan_tiles(grid(1000, 1000), 256, stride=192)
    a, b = plan.tile(0, 0).px_window, plan.tile(0, 1).px_window
    assert a.col + a.width - b.col == 64


def test_shift_moves_only_the_last_tile() -> None:
    plan = plan_tiles(grid(600, 256), 256, edge="shift")
    assert [plan.tile(0, c).px_window.col for c in range(plan.cols)] == [0, 256, 344]


def test_striped_inputs_get_wide_flat_superblocks() -> None:
    tiled, striped = (plan_tiles(grid(20000, 20000), 512, striped=s) for s in (False, True))
    assert (tiled.block_rows, tiled.block_cols) == (4, 4)
    assert striped.block_rows == 1 and striped.block_cols >= 16


def test_area_of_interest_leaves_tiles_out_of_the_plan() -> None:
    whole = grid(1024, 1024)
    inside = plan_tiles(whole, 256).tile(1, 2).map_bounds
    plan = plan_tiles(whole, 256, aoi=shapely.box(*inside).buffer(-1))
    assert [t.id for b in plan.blocks() for t in b.tiles] == ["r00001c00002"]
    # A shared edge is no shared area.
    assert len(plan_tiles(whole, 256, aoi=shapely.box(*inside))) == 1
    with pytest.raises(InputError, match="no tile touches"):
        plan_tiles(whole, 256, aoi=shapely.box(0, 0, 1, 1))


@pytest.mark.parametrize(("size", "stride"), [(16, None), (256, 0), (256, 257), (9000, None)])
def test_sizes_out_of_range_are_told(size, stride) -> None:
    with pytest.raises(UsageProblem):
        plan_tiles(grid(500, 500), size, stride=stride)

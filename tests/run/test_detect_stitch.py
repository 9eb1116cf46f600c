"""Detections of overlapping tiles as one raster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from affine import Affine

from rsccli.errors import UsageProblem
from rsccli.geo.tiles import TilePlan, plan_tiles
from rsccli.run.detect.codes import NODATA, NOT_JUDGED, SCORE_STEPS
from rsccli.run.detect.stitch import Stitcher, check_overlap, taper
from rsccli.run.detect.sums import CarryStore
from rsccli.types import Detection, Grid, Tile

CLASSES = 3
Ask = Callable[[Tile], tuple[Detection | None, np.ndarray] | None]


def grid_of(width: int, height: int) -> Grid:
    return Grid("EPSG:32614", Affine(1, 0, 500_000, 0, -1, 5_000_000), width, height)


def inside(plan: TilePlan, tile: Tile) -> np.ndarray:
    """Pixels of a tile that lie on the grid."""
    window = tile.px_window
    rows = np.arange(window.row, window.row + window.height) < plan.grid.height
    cols = np.arange(window.col, window.col + window.width) < plan.grid.width
    return rows[:, None] & cols[None, :]


def stitched(plan: TilePlan, ask: Ask, folder: Path, classes: int = CLASSES) -> tuple[np.ndarray, np.ndarray]:
    """Scores and codes of the whole grid."""
    score = np.full((plan.grid.height, plan.grid.width), 77, np.uint8)
    kind = np.full_like(score, 77)
    carry = CarryStore(folder)
    stitcher = Stitcher(plan, classes, carry)
    across = -(-plan.cols // plan.block_cols)
    for index in range(plan.block_count):
        stitcher.begin(*divmod(index, across))
        for tile in plan.block(index).tiles:
            found = ask(tile)
            if found is not None:
                stitcher.add(tile, *found)
        piece = stitcher.end()
        col, row, width, height = piece.px_window
        place = np.s_[row : row + height, col : col + width]
        assert (score[place] == 77).all(), "a pixel was finished twice"
        score[place], kind[place] = piece.score, piece.kind
    return score, kind


def random_tiles(plan: TilePlan, seed: int = 0) -> Ask:
    """Tiles that disagree with each other about everything."""

    def ask(tile: Tile) -> tuple[Detection, np.ndarray]:
        rng = np.random.default_rng([seed, tile.row, tile.col])
        shape = (plan.tile_size, plan.tile_size)
        classes = rng.random((CLASSES, *shape)).astype(np.float32)
        return Detection(rng.random(shape).astype(np.float32), classes / classes.sum(0)), inside(plan, tile)

    return ask


def naive(plan: TilePlan, ask: Ask) -> np.ndarray:
    """The weighted mean in floating point, everything in memory."""
    shape = (plan.grid.height, plan.grid.width)
    above, below = np.zeros(shape), np.zeros(shape)
    profile = taper(plan.tile_size, plan.tile_size - plan.stride).astype(float)
    for row in range(plan.rows):
        for col in range(plan.cols):
            tile = plan.tile(row, col)
            found = ask(tile)
            assert found is not None and found[0] is not None
            left, top, size = tile.px_window.col, tile.px_window.row, plan.tile_size
            height, width = min(size, shape[0] - top), min(size, shape[1] - left)
            weight = (np.outer(profile, profile) * found[1])[:height, :width]
            above[top : top + height, left : left + width] += weight * found[0].probability[:height, :width]
            below[top : top + height, left : left + width] += weight
    return np.where(below > 0, above / np.maximum(below, 1), np.nan)


@pytest.mark.parametrize("overlap", [1, 2, 7, 16, 31, 32])
def test_weights_of_two_neighbours_add_up_to_one_weight_everywhere(overlap: int) -> None:
    weights = taper(64, overlap)
    assert weights.min() >= 1
    assert (weights[64 - overlap :] + weights[:overlap] == 64).all()
    assert (weights[overlap : 64 - overlap] == 64).all()
    assert (np.diff(weights[:overlap].astype(int)) >= 0).all()


def test_without_overlap_every_pixel_has_the_same_weight() -> None:
    assert (taper(64, 0) == 64).all()


@pytest.mark.parametrize("edge", ["pad", "shift"])
@pytest.mark.parametrize("stride", [64, 48, 33, 16])
def test_the_result_is_the_weighted_mean(edge: str, stride: int, tmp_path: Path) -> None:
    plan = plan_tiles(grid_of(230, 170), 64, stride=stride, edge=edge)  # type: ignore[arg-type]
    ask = random_tiles(plan)
    score, _ = stitched(plan, ask, tmp_path)
    wanted = naive(plan, ask)
    # A step is 0.004; the sums themselves are a hundred times finer.
    assert np.abs(score / SCORE_STEPS - wanted).max() <= 0.5 / SCORE_STEPS + 3e-4


@pytest.mark.parametrize("edge", ["pad", "shift", "drop"])
@pytest.mark.parametrize("stride", [64, 48, 33])
def test_the_size_of_superblocks_does_not_change_a_single_value(edge: str, stride: int, tmp_path: Path) -> None:
    whole = plan_tiles(grid_of(300, 210), 64, stride=stride, edge=edge)  # type: ignore[arg-type]
    ask = random_tiles(whole)
    one = stitched(replace(whole, block_rows=99, block_cols=99), ask, tmp_path)
    for rows, cols in ((1, 1), (1, 99), (2, 3), (3, 2)):
        folder = tmp_path / f"{rows}-{cols}"
        folder.mkdir()
        other = stitched(replace(whole, block_rows=rows, block_cols=cols), ask, folder)
        assert np.array_equal(one[0], other[0]) and np.array_equal(one[1], other[1])


def test_tiles_that_agree_leave_no_seam(tmp_path: Path) -> None:
    plan = replace(plan_tiles(grid_of(230, 170), 64, stride=40), block_rows=2, block_cols=2)
    ground = np.random.default_rng(1).random((400, 400)).astype(np.float32)

    def ask(tile: Tile) -> tuple[Detection, np.ndarray]:
        window = tile.px_window
        part = ground[window.row : window.row + window.height, window.col : window.col + window.width]
        return Detection(part), inside(plan, tile)

    score, kind = stitched(plan, ask, tmp_path, classes=0)
    assert np.abs(score / SCORE_STEPS - ground[:170, :230]).max() <= 0.5 / SCORE_STEPS + 1e-4
    assert (kind == 1).all()


def test_what_tiles_say_fades_from_one_to_the_next(tmp_path: Path) -> None:
    plan = plan_tiles(grid_of(220, 64), 64, stride=52)
    said = {0: 0.1, 1: 0.9, 2: 0.3, 3: 0.7}

    def ask(tile: Tile) -> tuple[Detection, np.ndarray]:
        return Detection(np.full((64, 64), said[tile.col], np.float32)), inside(plan, tile)

    score, _ = stitched(plan, ask, tmp_path, classes=0)
    row = score[30] / SCORE_STEPS
    assert row[0] == pytest.approx(0.1, abs=0.003) and row[-1] == pytest.approx(0.7, abs=0.003)
    # 0.8 over twelve pixels: a step of a raised cosine is at most pi / 24 of it, a border without overlap all of it.
    assert np.abs(np.diff(row)).max() < 0.8 * np.pi / 24 + 0.01


def test_a_pixel_without_data_is_none_and_does_not_darken_its_neighbours(tmp_path: Path) -> None:
    plan = plan_tiles(grid_of(120, 64), 64, stride=40)
    hole = np.zeros((64, 200), bool)
    hole[10:20, 50:60] = True

    def ask(tile: Tile) -> tuple[Detection, np.ndarray]:
        left = tile.px_window.col
        valid = inside(plan, tile) & ~hole[:, left : left + 64]
        return Detection(np.full((64, 64), 0.6, np.float32) * valid), valid

    score, kind = stitched(plan, ask, tmp_path, classes=0)
    assert (score[hole[:, :120]] == NODATA).all() and (kind[hole[:, :120]] == NODATA).all()
    assert (score[~hole[:, :120]] == round(0.6 * SCORE_STEPS)).all()


def test_a_tile_that_nobody_judged_is_told_only_where_no_other_covers_it(tmp_path: Path) -> None:
    plan = plan_tiles(grid_of(64 + 40 + 40, 64), 64, stride=40)

    def ask(tile: Tile) -> tuple[Detection | None, np.ndarray] | None:
        if tile.col == 2:
            return None  # could not be read
        found = None if tile.col == 1 else Detection(np.full((64, 64), 0.5, np.float32))
        return found, inside(plan, tile)

    score, kind = stitched(plan, ask, tmp_path, classes=0)
    assert (kind[:, :64] == 1).all() and (score[:, :64] == 125).all()
    assert (kind[:, 64:104] == NOT_JUDGED).all() and (score[:, 64:104] == NODATA).all()
    assert (kind[:, 104:] == NODATA).all()


def test_tiles_outside_of_an_area_of_interest_are_no_data(tmp_path: Path) -> None:
    plan = plan_tiles(grid_of(200, 200), 64, stride=48)
    wanted = np.zeros((plan.rows, plan.cols), bool)
    wanted[1, 1] = wanted[3, 3] = True
    plan = replace(plan, wanted=wanted, block_rows=1, block_cols=2)
    score, kind = stitched(plan, random_tiles(plan), tmp_path)
    assert (kind[48:112, 48:112] <= CLASSES).all()
    assert (kind[:48] == NODATA).all() and (kind[48:112, 112:] == NODATA).all()
    assert (score[kind == NODATA] == NODATA).all()


def test_the_likeliest_class_of_all_tiles_together_is_told(tmp_path: Path) -> None:
    plan = plan_tiles(grid_of(100, 64), 64, stride=36)

    def ask(tile: Tile) -> tuple[Detection, np.ndarray]:
        classes = np.zeros((CLASSES, 64, 64), np.float32)
        classes[tile.col] = 0.8
        classes[2] = 0.2
        return Detection(np.full((64, 64), 0.9, np.float32), classes), inside(plan, tile)

    _, kind = stitched(plan, ask, tmp_path)
    assert (kind[:, :40] == 1).all() and (kind[:, 64:] == 2).all()
    assert set(np.unique(kind)) == {1, 2}


def test_what_waits_on_the_disk_is_cleared_away(tmp_path: Path) -> None:
    carry = CarryStore(tmp_path)
    plan = replace(plan_tiles(grid_of(100, 200), 64, stride=48), block_rows=1, block_cols=1)
    stitched(plan, random_tiles(plan), tmp_path)
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept and all(carry.get(row, 0) is not None for row in range(1, plan.rows))
    for row in range(plan.rows + 1):
        carry.forget(row)
    assert list(tmp_path.iterdir()) == []


def test_too_much_overlap_is_refused() -> None:
    check_overlap(256, 32)
    with pytest.raises(UsageProblem, match="at most 224"):
        check_overlap(256, 31)

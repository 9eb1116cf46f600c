"""How work is told beforehand and dealt out: equal work, not equal counts, and the same in every process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsccli.geo.pair import PairOptions, PreparedPair, prepare_pair
from rsccli.run.shard.deal import deal
from rsccli.run.shard.work import EMPTY, HOLE, SEEN, block_tiles, block_work

SIZE = 1536


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 5000), max_size=60), st.integers(1, 20))
def test_each_superblock_goes_to_one_shard_and_loads_are_near_the_best(work: list[int], count: int) -> None:
    shares = deal(work, count)
    assert len(shares) == count
    assert sorted(block for share in shares for block in share) == [i for i, amount in enumerate(work) if amount]
    assert all(list(share) == sorted(share) for share in shares)
    largest = max((sum(work[i] for i in share) for share in shares), default=0)
    best = max(sum(work) / count, max(work, default=0))
    assert largest <= best * 4 / 3 + max(work, default=0) / 3 + 1


def test_equal_superblocks_go_round_in_turn() -> None:
    assert deal([7] * 7, 3) == ((0, 3, 6), (1, 4), (2, 5))
    assert deal([5], 3) == ((0,), (), ())


def wedge() -> np.ndarray:
    """Data below the diagonal, fill above: as a scene that was taken across the grid."""
    rows, cols = np.mgrid[:SIZE, :SIZE]
    image = np.random.default_rng(3).integers(60, 200, (3, SIZE, SIZE)).astype(np.uint8)
    return np.where(rows >= cols, image, 0)


def little_blocks(pair: PreparedPair) -> PreparedPair:
    """Superblocks of three by three tiles, so that a small image has many."""
    return replace(pair, plan=replace(pair.plan, block_rows=3, block_cols=3))


@pytest.fixture(params=["places", "overviews"])
def pair(request: pytest.FixtureRequest, raster_factory: Callable[..., Path]) -> PreparedPair:
    overviews = (2, 4, 8, 16) if request.param == "overviews" else ()
    pre = raster_factory("pre.tif", size=(SIZE, SIZE), values=wedge(), nodata=0, overviews=overviews)
    post = raster_factory("post.tif", size=(SIZE, SIZE), values=np.full((3, SIZE, SIZE), 90, np.uint8))
    return little_blocks(prepare_pair(pre, post, PairOptions(tile_size=64)))


def truth(pair: PreparedPair) -> np.ndarray:
    """Tiles of each superblock that have data, read whole."""
    with pair.env(), pair.aligner() as aligner:
        return np.array(
            [
                sum(read.pair.valid.mean() >= 0.1 for read in aligner.read(block) if not hasattr(read, "reason"))
                for block in pair.plan.blocks()
            ]
        )


def test_work_is_where_the_data_are(pair: PreparedPair) -> None:
    work, tiles, seen = block_work(pair), block_tiles(pair.plan), truth(pair)
    assert tiles.sum() == 24 * 24 and len(work) == 64
    estimated = (work - tiles * EMPTY) / (SEEN - EMPTY)
    assert np.abs(estimated - seen).max() <= 3  # of nine: along the diagonal a tile may count or not
    assert abs(estimated.sum() - seen.sum()) <= 0.1 * seen.sum()
    assert (block_work(pair) == work).all()


def test_shards_balance_work_and_not_counts(pair: PreparedPair) -> None:
    seen = truth(pair)
    for count in (2, 5, 8):
        dealt = [seen[list(share)].sum() for share in deal(block_work(pair).tolist(), count)]
        by_count = [part.sum() for part in np.array_split(seen, count)]
        assert max(dealt) <= 1.15 * seen.sum() / count
        assert max(by_count) >= 1.4 * seen.sum() / count


def test_area_of_interest_and_holes(raster_factory: Callable[..., Path]) -> None:
    image = np.full((3, SIZE, SIZE), 120, np.uint8)
    image[:, :, SIZE // 2 :] = 0
    pre = raster_factory("pre.tif", size=(SIZE, SIZE), values=image, SPARSE_OK="TRUE")
    post = raster_factory("post.tif", size=(SIZE, SIZE), values=np.full((3, SIZE, SIZE), 90, np.uint8))
    pair = little_blocks(prepare_pair(pre, post, PairOptions(tile_size=64)))
    wanted = np.zeros((24, 24), bool)
    wanted[:3, :] = True
    asked = replace(pair, plan=replace(pair.plan, wanted=wanted))
    work = block_work(asked)
    assert block_tiles(asked.plan).tolist() == [9] * 8 + [0] * 56
    assert work[8:].sum() == 0 and (work[:4] == 9 * SEEN).all()
    assert (work[4:8] <= 9 * EMPTY).all() and (work[4:8] >= 9 * HOLE).all()


def test_an_input_that_cannot_be_read_counts_as_data(raster_factory: Callable[..., Path]) -> None:
    """The run will try each of its tiles; and every shard must come to the same division."""
    pre = raster_factory("pre.tif", size=(SIZE, SIZE), values=wedge(), nodata=0)
    post = raster_factory("post.tif", size=(SIZE, SIZE), values=np.full((3, SIZE, SIZE), 90, np.uint8))
    pair = little_blocks(prepare_pair(pre, post, PairOptions(tile_size=64)))
    content = bytearray(pre.read_bytes())
    content[len(content) // 3 : 2 * len(content) // 3] = bytes(len(content) // 3)
    pre.write_bytes(content)
    assert (block_work(pair) >= block_tiles(pair.plan) * EMPTY).all()

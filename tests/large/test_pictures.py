"""Pixels of a pair as the images that a model looks at."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from rsccli.models.large.pictures import covered, pair_pictures
from rsccli.models.large.sample import sample_pairs
from rsccli.types import MapBounds, PxWindow, Tile, TilePair


def pair_of(valid: np.ndarray) -> TilePair:
    """Every pixel of it is another one: band, row and column can be told from a value."""
    height, width = valid.shape
    pre = (np.arange(3 * height * width) % 251).reshape(3, height, width).astype(np.uint8)
    tile = Tile("r00000c00000", 0, 0, PxWindow(0, 0, width, height), MapBounds(0, 0, width, height))
    return TilePair(tile, pre, 255 - pre, valid, 1.0)


def test_both_dates_whole() -> None:
    pair = pair_of(np.ones((6, 4), bool))
    pre, post = pair_pictures(pair)
    assert pre.shape == post.shape == (6, 4, 3) and pre.dtype == post.dtype == np.uint8
    assert pre.flags.c_contiguous and post.flags.c_contiguous
    assert (np.moveaxis(pre, -1, 0) == pair.pre).all() and (np.moveaxis(post, -1, 0) == pair.post).all()


def test_only_what_both_cover() -> None:
    valid = np.zeros((6, 5), bool)
    valid[2:5, 1:4] = True
    valid[3, 2] = False  # a hole does not cut
    pair = pair_of(valid)
    pre, post = pair_pictures(pair)
    assert pre.shape == (3, 3, 3)
    assert (np.moveaxis(pre, -1, 0) == pair.pre[:, 2:5, 1:4]).all()
    assert (np.moveaxis(post, -1, 0) == pair.post[:, 2:5, 1:4]).all()


def test_one_picture_of_both() -> None:
    valid = np.ones((4, 6), bool)
    valid[:, 3:] = False
    pair = pair_of(valid)
    (both,) = pair_pictures(pair, mosaic=True)
    pre, post = pair_pictures(pair)
    assert both.shape == (4, 6, 3) and both.flags.c_contiguous
    assert (both[:, :3] == pre).all() and (both[:, 3:] == post).all()


def test_nothing_valid_is_shown_whole() -> None:
    assert [each.shape for each in pair_pictures(pair_of(np.zeros((4, 5), bool)))] == [(4, 5, 3)] * 2


@given(valid=arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=8), elements=st.booleans()))
def test_the_cut_is_the_smallest_that_loses_nothing(valid: np.ndarray) -> None:
    rows, cols = covered(valid)
    inside = valid[rows, cols]
    assert inside.size
    if valid.any():
        assert inside.sum() == valid.sum()
        assert inside[0].any() and inside[-1].any() and inside[:, 0].any() and inside[:, -1].any()
    else:
        assert inside.shape == valid.shape


def test_the_pairs_that_exports_are_compared_on() -> None:
    """Real ground that changed; one of another shape and one that is covered in part."""
    whole, narrow, partly = sample_pairs()
    shapes = [[each.shape for each in pair_pictures(pair)] for pair in (whole, narrow, partly)]
    assert shapes == [[(160, 160, 3)] * 2, [(160, 112, 3)] * 2, [(130, 100, 3)] * 2]
    assert len({pair.tile.id for pair in (whole, narrow, partly)}) == 3
    pre, post = (each.astype(float) for each in pair_pictures(whole))
    assert pre.std() > 10 and post.std() > 10 and np.abs(pre - post).mean() > 5
    assert partly.pre[:, ~partly.valid].max() == 0 and (partly.pre[:, partly.valid] == whole.pre[:, partly.valid]).all()


@pytest.mark.parametrize("pair", sample_pairs())
def test_sample_pairs_are_tiles_of_a_plan(pair: TilePair) -> None:
    assert pair.valid.shape == pair.pre.shape[1:] == pair.post.shape[1:]
    assert (pair.tile.px_window.height, pair.tile.px_window.width) == pair.valid.shape
    bounds = pair.tile.map_bounds
    assert bounds.right - bounds.left == pytest.approx(pair.valid.shape[1] * pair.gsd_m)

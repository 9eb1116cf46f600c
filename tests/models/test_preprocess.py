from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tile_pairs import grey_pair

from rsccli.models.manifest import InputSpec
from rsccli.models.preprocess import encoder_batches, padded_size, prepare, restore_mask, scaled_size
from rsccli.types import TilePair

SPEC = InputSpec(("red", "green", "blue"), 64, 256, 32, (0.4, 0.5, 0.6), (0.2, 0.25, 0.3), None)


def with_valid(pair: TilePair, valid: np.ndarray) -> TilePair:
    """The pair with another mask; pixels that are not valid become 0, as the raster layer leaves them."""
    return dataclasses.replace(pair, pre=pair.pre * valid, post=pair.post * valid, valid=valid)


@pytest.mark.parametrize(
    ("height", "width", "scaled", "padded"),
    [
        (256, 256, (256, 256), (256, 256)),
        (128, 128, (128, 128), (128, 128)),
        (100, 200, (100, 200), (128, 224)),
        (512, 512, (256, 256), (256, 256)),
        (512, 100, (256, 50), (256, 64)),
        (1, 1, (1, 1), (64, 64)),
        (10000, 3, (256, 1), (256, 64)),
        (257, 256, (256, 255), (256, 256)),
    ],
)
def test_sizes(height: int, width: int, scaled: tuple[int, int], padded: tuple[int, int]) -> None:
    assert scaled_size(height, width, SPEC) == scaled
    assert padded_size(height, width, SPEC) == padded


@given(height=st.integers(1, 3000), width=st.integers(1, 3000))
def test_padded_sizes_keep_the_contract(height: int, width: int) -> None:
    rows, cols = padded_size(height, width, SPEC)
    scaled = scaled_size(height, width, SPEC)
    assert rows % 32 == 0 and cols % 32 == 0
    assert 64 <= rows <= 256 and 64 <= cols <= 256
    assert scaled[0] <= rows and scaled[1] <= cols


def test_values_are_normalised_and_padding_is_zero() -> None:
    pair = grey_pair(20, 100, 90)
    batch = prepare([pair], SPEC)
    assert batch.pre.shape == (1, 3, 128, 96) and batch.valid.shape == (1, 1, 128, 96)
    mean, std = np.array(SPEC.mean)[:, None, None], np.array(SPEC.std)[:, None, None]
    np.testing.assert_allclose(batch.post[0, :, :100, :90], (pair.post / 255 - mean) / std, atol=1e-5)
    assert batch.valid[0, 0].sum() == 100 * 90
    for values in (batch.pre, batch.post, batch.valid):
        assert values.dtype == np.float32
        assert not values[:, :, 100:].any() and not values[:, :, :, 90:].any()


def test_both_dates_are_zero_where_not_valid() -> None:
    valid = np.ones((128, 128), bool)
    valid[:, :40] = False
    batch = prepare([with_valid(grey_pair(0), valid)], SPEC)
    assert not batch.pre[0, :, :, :40].any() and not batch.post[0, :, :, :40].any()
    assert (batch.pre[0, :, :, 40:] != 0).mean() > 0.9
    np.testing.assert_array_equal(batch.valid[0, 0], valid)


def test_resampling_averages_areas() -> None:
    pair = grey_pair(10, 512, 512)
    batch = prepare([pair], SPEC)
    means = pair.pre.reshape(3, 256, 2, 256, 2).mean((2, 4))
    mean, std = np.array(SPEC.mean)[:, None, None], np.array(SPEC.std)[:, None, None]
    np.testing.assert_allclose(batch.pre[0], (means / 255 - mean) / std, atol=1e-4)


def test_nodata_does_not_darken_the_edge_when_resampled() -> None:
    flat = dataclasses.replace(grey_pair(0, 512, 512), pre=np.full((3, 512, 512), 100, np.uint8))
    valid = np.ones((512, 512), bool)
    valid[:, :101] = False
    batch = prepare([with_valid(flat, valid)], SPEC)
    column = batch.pre[0, 0, :, 50]  # half of it is nodata
    np.testing.assert_allclose(column, (100 / 255 - 0.4) / 0.2, atol=1e-4)
    assert batch.valid[0, 0, 0, 49] == 0 and batch.valid[0, 0, 0, 50] == 1


def test_batches_group_by_padded_size_and_keep_every_tile() -> None:
    sizes = [(128, 128), (64, 64), (128, 120), (300, 300), (128, 128), (256, 256), (128, 128)]
    pairs = [grey_pair(0, *size) for size in sizes]
    groups = encoder_batches(pairs, SPEC, 3)
    assert groups == [[0, 2, 4], [6], [1], [3, 5]]


@settings(deadline=None, max_examples=40)
@given(height=st.integers(1, 400), width=st.integers(1, 400), rows=st.integers(0, 63), cols=st.integers(0, 63))
def test_masks_come_back_at_the_tiles_own_size(height: int, width: int, rows: int, cols: int) -> None:
    pair = grey_pair(0, height, width)
    batch = prepare([pair], SPEC)
    cells = np.full((batch.valid.shape[2] // 4, batch.valid.shape[3] // 4), -9.0, np.float32)
    cells[: rows + 1, : cols + 1] = 9.0
    mask = restore_mask(cells, batch, 0, pair.valid, 0.5)
    assert mask.shape == (height, width) and mask.dtype == bool
    assert mask[0, 0]


def test_a_mask_lies_where_the_cells_lie() -> None:
    pair = grey_pair(0, 512, 512)
    batch = prepare([pair], SPEC)
    cells = np.full((64, 64), -9.0, np.float32)
    cells[16:32, 8:16] = 9.0
    mask = restore_mask(cells, batch, 0, pair.valid, 0.5)
    expected = np.zeros((512, 512), bool)
    expected[128:256, 64:128] = True
    assert (mask ^ expected).sum() <= 4 * (128 + 64)  # the edge may move by up to half a cell's interpolation
    assert mask[130:254, 66:126].all() and not mask[:120].any() and not mask[:, 140:].any()


def test_masks_stay_on_valid_pixels() -> None:
    pair = grey_pair(0)
    valid = np.ones((128, 128), bool)
    valid[40:] = False
    mask = restore_mask(np.full((32, 32), 9.0, np.float32), prepare([pair], SPEC), 0, valid, 0.5)
    np.testing.assert_array_equal(mask, valid)


@pytest.mark.parametrize(("threshold", "everything"), [(0.0, True), (0.7, True), (0.75, False), (1.0, False)])
def test_the_threshold_is_a_probability(threshold: float, everything: bool) -> None:
    pair = grey_pair(0)
    logits = np.full((32, 32), np.log(0.73 / 0.27), np.float32)
    assert restore_mask(logits, prepare([pair], SPEC), 0, pair.valid, threshold).all() == everything

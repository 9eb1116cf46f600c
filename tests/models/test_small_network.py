"""The network's parts do what they are said to do, whatever the weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rsccli.models.small.facts import EXTENTS, KEYWORDS, MAX_KEYWORDS, NOWHERE, PLACES, mask_facts
from rsccli.models.small.network import (
    ChangeEncoder,
    FactReader,
    Scores,
    SmallCaptioner,
    SmallConfig,
    area_matrix,
    difference_maps,
    mask_fact_tensors,
)

CONFIG = SmallConfig(vocab=50)


@pytest.fixture(scope="module")
def model() -> SmallCaptioner:
    torch.manual_seed(0)
    return SmallCaptioner(CONFIG).eval()


def test_it_is_as_small_as_it_says(model: SmallCaptioner):
    assert sum(parameter.numel() for parameter in model.parameters()) < 6_000_000


@pytest.mark.parametrize(("height", "width"), [(64, 64), (96, 224), (256, 256)])
def test_outputs_have_the_shapes_of_the_contract(model: SmallCaptioner, height: int, width: int):
    pre, post = torch.randn(2, 2, 3, height, width)
    valid = torch.ones(2, 1, height, width)
    with torch.no_grad():
        scores = model.encoder(pre, post, valid)
        tokens = model.image_tokens(scores, model.facts.read(scores, valid))
    assert tokens.shape == (2, CONFIG.image_tokens, CONFIG.width)
    assert scores.change.shape == (2,) and scores.keywords.shape == (2, len(KEYWORDS))
    assert scores.mask.shape == (2, 1, height // 4, width // 4)


def test_what_lies_outside_of_the_valid_pixels_does_not_count(model: SmallCaptioner):
    torch.manual_seed(1)
    pre, post = torch.randn(2, 1, 3, 128, 128)
    valid = torch.ones(1, 1, 128, 128)
    valid[..., 64:] = 0.0
    with torch.no_grad():
        half = model.encoder(pre * valid, post * valid, valid)
        dark = model.encoder(pre * 0, post * 0, valid * 0)
    assert (half.mask[..., 17:] < half.mask[..., :15].min()).all()
    assert all(torch.isfinite(part).all() for part in dark)


def test_difference_maps_are_zero_between_equal_dates_and_forgive_a_gain():
    torch.manual_seed(0)
    image = torch.randn(1, 3, 64, 64).repeat_interleave(2, 3)[..., :64]
    valid = torch.ones(1, 1, 64, 64)
    same = difference_maps(image, image, valid)
    brighter = difference_maps(image, image * 1.5 + 0.3, valid)
    raw, matched = 0, 1
    assert same[:, matched].max() < 0.02
    assert brighter[:, matched].mean() < 0.1 * brighter[:, raw].mean()


def test_shift_tolerant_maps_forgive_a_shift_of_one_cell():
    torch.manual_seed(0)
    cells = torch.randn(1, 3, 32, 32).repeat_interleave(4, 2).repeat_interleave(4, 3)
    shifted = torch.roll(cells, 4, 3)
    maps = difference_maps(cells, shifted, torch.ones(1, 1, 128, 128))[:, :, 2:-2, 2:-2]
    plain, tolerant = maps[:, 1].mean(), maps[:, 2].mean()
    assert tolerant < 0.05 * plain


@pytest.mark.parametrize("length", [2, 3, 5, 8, 16])
def test_area_matrix_averages_and_keeps_the_mean(length: int):
    matrix = area_matrix(4, torch.tensor(length))
    assert torch.allclose(matrix.sum(1), torch.ones(4))
    assert torch.allclose(matrix.mean(0), torch.full((length,), 1.0 / length))


def test_mask_facts_in_numpy_and_in_tensors_are_the_same():
    rng = np.random.default_rng(0)
    for _ in range(300):
        height, width = int(rng.integers(4, 20)), int(rng.integers(4, 20))
        valid = np.ones((height, width), bool)
        valid[int(rng.integers(2, height + 1)) :] = False
        valid[:, int(rng.integers(2, width + 1)) :] = False
        mask = np.zeros((height, width), bool)
        top, left = int(rng.integers(height)), int(rng.integers(width))
        mask[top : top + int(rng.integers(0, height)), left : left + int(rng.integers(0, width))] = True
        mask |= rng.random((height, width)) < rng.choice([0.0, 0.02])
        tensors = [torch.from_numpy(array).float()[None, None] for array in (mask & valid, valid)]
        extent, place = mask_fact_tensors(*tensors)
        assert (int(extent.argmax()), int(place.argmax())) == mask_facts(mask, valid)


@pytest.mark.parametrize(
    ("rows", "cols", "extent", "place"),
    [
        (slice(0, 4), slice(0, 4), "part", "upper left"),
        (slice(28, 32), slice(0, 32), "large", "bottom"),
        (slice(0, 32), slice(0, 10), "large", "left"),
        (slice(0, 32), slice(0, 32), "most", "spread"),
        (slice(15, 17), slice(15, 17), "spot", "centre"),
        (slice(0, 0), slice(0, 0), "none", "nowhere"),
    ],
)
def test_extent_and_place_are_those_that_a_person_would_say(rows: slice, cols: slice, extent: str, place: str):
    mask = np.zeros((32, 32), bool)
    mask[rows, cols] = True
    found = mask_facts(mask, np.ones_like(mask))
    assert (EXTENTS[found[0]], PLACES[found[1]]) == (extent, place)


def _scores(change: float, keywords: torch.Tensor, mask_on: bool = True) -> Scores:
    mask = torch.full((1, 1, 16, 16), -5.0)
    if mask_on:
        mask[..., :4, :4] = 5.0
    return Scores(torch.tensor([change]), keywords[None], mask, torch.zeros(1, 17, CONFIG.width), torch.zeros(1))


def test_facts_follow_thresholds_and_name_the_strongest_three():
    reader = FactReader(CONFIG.width)
    reader.change_changed.fill_(1.0)
    reader.change_unchanged.fill_(-1.0)
    reader.keyword_thresholds[5] = 3.0
    keywords = torch.full((len(KEYWORDS),), -4.0)
    keywords[[1, 2, 3, 4, 5]] = torch.tensor([0.5, 2.0, 1.0, 4.0, 2.9])
    facts = reader.read(_scores(1.5, keywords), torch.ones(1, 1, 64, 64))
    assert facts.status.argmax() == 2
    assert set(facts.keywords[0].nonzero().flatten().tolist()) == {2, 3, 4} and MAX_KEYWORDS == 3
    assert PLACES[int(facts.place.argmax())] == "upper left"


def test_unchanged_has_no_keyword_and_no_place():
    reader = FactReader(CONFIG.width)
    reader.change_unchanged.fill_(-1.0)
    facts = reader.read(_scores(-1.5, torch.full((len(KEYWORDS),), 9.0)), torch.ones(1, 1, 64, 64))
    assert facts.status.argmax() == 0 and facts.keywords.sum() == 0 and facts.place.argmax() == NOWHERE


def test_between_the_thresholds_it_is_unsure():
    reader = FactReader(CONFIG.width)
    reader.change_changed.fill_(1.0)
    reader.change_unchanged.fill_(-1.0)
    facts = reader.read(_scores(0.0, torch.full((len(KEYWORDS),), -9.0)), torch.ones(1, 1, 64, 64))
    assert facts.status.argmax() == 1


def test_the_order_of_the_dates_matters():
    torch.manual_seed(0)
    encoder = ChangeEncoder(CONFIG).eval()
    pre, post = torch.randn(2, 1, 3, 64, 64)
    valid = torch.ones(1, 1, 64, 64)
    with torch.no_grad():
        there, back = encoder(pre, post, valid), encoder(post, pre, valid)
    assert not torch.allclose(there.keywords, back.keywords, atol=1e-4)

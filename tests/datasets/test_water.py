"""Ponds come, grow and dry out."""

from __future__ import annotations

import numpy as np
import pytest
from small_stage import make_stage, suburb

from rsccli.datasets import water
from rsccli.datasets.canvas import Kind, Stage
from rsccli.models.small.facts import KEYWORDS

SIDE = 128


@pytest.fixture(scope="module")
def stage() -> Stage:
    return make_stage()


@pytest.mark.parametrize(("name", "kind"), water.KINDS.items())
def test_every_kind_changes_its_mask_and_is_repeatable(name: str, kind: Kind, stage: Stage) -> None:
    image = suburb()
    for seed in range(6):
        pair = []
        for _ in range(2):
            rng = np.random.default_rng(seed)
            if kind.render_pair is not None:
                before, after, drawn = kind.render_pair(image, image, rng, stage)
                assert np.array_equal(after, drawn.image)
            else:
                assert kind.render is not None
                before, drawn = image, kind.render(image, rng, stage)
            pair.append(drawn)
        assert np.array_equal(pair[0].image, pair[1].image) and np.array_equal(pair[0].mask, pair[1].mask)
        assert drawn.keyword in KEYWORDS and drawn.image.dtype == np.float32
        assert drawn.image.min() >= 0 and drawn.image.max() <= 255
        if drawn.mask.sum() > 30:
            assert np.abs(drawn.image - before).mean(2)[drawn.mask].mean() > 4, (name, seed)
    assert np.array_equal(image, suburb()), "a renderer wrote into its input"


def test_a_pond_grows_over_land_only(stage: Stage) -> None:
    y, x = np.mgrid[:SIDE, :SIDE]
    pond, land = np.hypot(x - 64, y - 64) < 20, x > 40
    image = suburb()
    image[pond] = (40, 50, 54)
    grown = water.grown_water(image, np.random.default_rng(0), stage, pond, land)
    assert grown is not None and grown.keyword == "water gain" and grown.mask.any()
    assert not (grown.mask & (pond | ~land)).any()
    assert water.grown_water(image, np.random.default_rng(0), stage, np.zeros_like(pond), land) is None


def test_dried_water_was_water_before(stage: Stage) -> None:
    image = suburb()
    for seed in range(8):
        before, after, drawn = water.dried_water(image, image, np.random.default_rng(seed), stage)
        if drawn.mask.sum() > 30:
            assert drawn.keyword == "water loss"
            assert np.abs(before - image).mean(2)[drawn.mask].mean() > 8
            assert np.abs(after - before).mean(2)[drawn.mask].mean() > 5

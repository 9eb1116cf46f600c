"""Drawn roads, lots, pools, fields, panels and boats: repeatable and true to their mask."""

from __future__ import annotations

import numpy as np
import pytest

from rsccli.datasets.canvas import F32, Rendered, Rng, Stage, Textures
from rsccli.datasets.facilities import KINDS, cars

WORDS = {"new road", "parking lot", "swimming pool", "sports field", "solar panels", "boats"}
SEEDS = range(6)


@pytest.fixture
def stage() -> Stage:
    rng = np.random.default_rng(0)
    colours = ([150, 125, 95], [80, 115, 60], [90, 90, 92], [50, 70, 40])
    soil, grass, asphalt, crowns = (
        (np.array(colour) + rng.normal(0, 4, (3, 40, 40, 3))).clip(0, 255).astype(np.uint8) for colour in colours
    )
    return Stage(0.8, (0.6, 0.8), np.ones(3, np.float32), Textures(soil, grass, asphalt, crowns))


@pytest.fixture
def ground() -> F32:
    rng = np.random.default_rng(1)
    return np.clip(np.array([150, 140, 120]) + rng.normal(0, 4, (128, 128, 3)), 0, 255).astype(np.float32)


def draw(name: str, image: F32, rng: Rng, stage: Stage) -> tuple[F32, Rendered]:
    """Earlier date and what was drawn into the later one."""
    kind = KINDS[name]
    if kind.render is not None:
        return image, kind.render(image, rng, stage)
    assert kind.render_pair is not None
    before, _, drawn = kind.render_pair(image, image, rng, stage)
    return before, drawn


@pytest.mark.parametrize("name", KINDS)
def test_the_same_seed_draws_the_same(name: str, ground: F32, stage: Stage):
    first, second, other = (draw(name, ground, np.random.default_rng(seed), stage) for seed in (3, 3, 4))
    assert np.array_equal(first[1].image, second[1].image) and np.array_equal(first[1].mask, second[1].mask)
    assert not np.array_equal(first[1].image, other[1].image)


@pytest.mark.parametrize("name", KINDS)
def test_the_change_lies_in_the_mask(name: str, ground: F32, stage: Stage):
    seen = 0
    for seed in SEEDS:
        before, drawn = draw(name, ground, np.random.default_rng(seed), stage)
        assert drawn.keyword in WORDS and drawn.count >= 1
        assert drawn.image.min() >= 0 and drawn.image.max() <= 255 and drawn.mask.dtype == bool
        if drawn.mask.any() and not drawn.mask.all():
            apart = np.abs(drawn.image - before).mean(2)
            seen += apart[drawn.mask].mean() > 2.0 * apart[~drawn.mask].mean()
    assert seen >= 4


def test_all_words_come_up(ground: F32, stage: Stage):
    assert {draw(name, ground, np.random.default_rng(0), stage)[1].keyword for name in KINDS} == WORDS


def test_pools_are_bluer_than_the_ground(ground: F32, stage: Stage):
    bluer = 0
    for seed in SEEDS:
        drawn = draw("swimming pool", ground, np.random.default_rng(seed), stage)[1]
        if drawn.mask.any():
            bluer += float((drawn.image[drawn.mask] @ np.array([-1, 0, 1])).max()) > 10
    assert bluer >= 4


def test_water_lies_under_boats_on_both_dates(ground: F32, stage: Stage):
    before, drawn = draw("boats", ground, np.random.default_rng(5), stage)
    water = np.abs(before - ground).mean(2) > 20
    assert water.mean() > 0.1
    assert water[drawn.mask].mean() > 0.8


def test_panels_on_roofs_are_dark(ground: F32, stage: Stage):
    drawn = draw("roof panels", ground, np.random.default_rng(1), stage)[1]
    assert drawn.mask.any()
    assert drawn.image[drawn.mask].mean() < ground[drawn.mask].mean() - 20


def test_cars_are_small(ground: F32, stage: Stage):
    drawn = cars(ground, np.random.default_rng(0), stage)
    touched = (np.abs(drawn - ground).mean(2) > 15).mean()
    assert 0.0002 < touched < 0.03

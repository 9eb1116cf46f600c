"""Drawn buildings: repeatable, true to their mask, and on the date where they belong."""

from __future__ import annotations

import numpy as np
import pytest

from rsccli.datasets.buildings import KINDS, NEGATIVES
from rsccli.datasets.canvas import F32, Rendered, Rng, Stage, Textures

WORDS = {"new house", "new building", "construction site", "debris", "building damage", "building removed"}
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
    return np.clip(110 + rng.normal(0, 6, (128, 128, 3)), 0, 255).astype(np.float32)


def draw(name: str, pre: F32, post: F32, rng: Rng, stage: Stage) -> tuple[F32, Rendered]:
    """Earlier date and what was drawn into the later one."""
    kind = KINDS[name]
    if kind.render is not None:
        return pre, kind.render(post, rng, stage)
    assert kind.render_pair is not None
    before, after, drawn = kind.render_pair(pre, post, rng, stage)
    assert np.array_equal(after, drawn.image)
    return before, drawn


@pytest.mark.parametrize("name", KINDS)
def test_the_same_seed_draws_the_same_and_leaves_the_input_alone(name: str, ground: F32, stage: Stage):
    kept = ground.copy()
    first, second = (draw(name, ground, ground, np.random.default_rng(3), stage) for _ in range(2))
    assert np.array_equal(first[0], second[0]) and np.array_equal(first[1].image, second[1].image)
    assert np.array_equal(first[1].mask, second[1].mask)
    assert np.array_equal(ground, kept)
    assert not np.array_equal(first[1].image, draw(name, ground, ground, np.random.default_rng(4), stage)[1].image)


@pytest.mark.parametrize("name", KINDS)
def test_the_change_lies_in_the_mask(name: str, ground: F32, stage: Stage):
    seen = 0
    for seed in SEEDS:
        before, drawn = draw(name, ground, ground, np.random.default_rng(seed), stage)
        assert drawn.keyword in WORDS and drawn.count >= 1
        assert drawn.image.dtype == np.float32 and drawn.image.min() >= 0 and drawn.image.max() <= 255
        assert drawn.mask.shape == ground.shape[:2] and drawn.mask.dtype == bool
        if not drawn.mask.any() or drawn.mask.all():
            continue
        apart = np.abs(drawn.image - before).mean(2)
        seen += apart[drawn.mask].mean() > 2.0 * apart[~drawn.mask].mean()
    assert seen >= 4


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.coarse])
def test_coarse_kinds_are_still_seen_at_six_metres(name: str, ground: F32, stage: Stage):
    coarse = Stage(6.0, stage.sun, stage.gain, stage.textures)
    sizes = [draw(name, ground, ground, np.random.default_rng(seed), coarse)[1].mask.mean() for seed in SEEDS]
    assert np.median(sizes) > 0.002


@pytest.mark.parametrize("name", ["damaged houses", "burned houses", "damaged hall", "demolished building"])
def test_what_is_lost_stands_on_the_earlier_date(name: str, ground: F32, stage: Stage):
    for seed in SEEDS:
        before, drawn = draw(name, ground, ground, np.random.default_rng(seed), stage)
        if drawn.mask.sum() > 30:
            assert np.abs(before - ground)[drawn.mask].mean() > 4.0


@pytest.mark.parametrize("name", NEGATIVES)
def test_a_leaning_building_is_no_change(name: str, ground: F32, stage: Stage):
    before, after, drawn = NEGATIVES[name](ground, ground, np.random.default_rng(2), stage)
    assert not drawn.mask.any() and drawn.count == 0
    stands = np.abs(before - ground).mean(2) > 8
    assert stands.sum() > 40
    # Its roof lies elsewhere, yet mostly over the same ground.
    assert np.abs(before - after).max() > 20
    assert (stands & (np.abs(after - ground).mean(2) > 8)).sum() > 0.5 * stands.sum()

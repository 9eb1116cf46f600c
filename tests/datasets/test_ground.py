"""Bare, buried, burnt and snowed-over ground: what is drawn, where, and in which colours."""

from __future__ import annotations

import numpy as np
import pytest
from small_stage import make_stage

from rsccli.datasets import ground
from rsccli.datasets.canvas import F32, Kind, Stage
from rsccli.models.small.facts import KEYWORDS

SIDE = 128


def scene() -> F32:
    """A green meadow left, a grey street in the middle, brown ground right; roofs in rows."""
    rng = np.random.default_rng(7)
    image = np.empty((SIDE, SIDE, 3), np.float32)
    image[:, :56], image[:, 56:68], image[:, 68:] = (70, 100, 60), (92, 92, 94), (150, 128, 100)
    for top in (16, 56, 96):
        image[top : top + 18, 84:104] = (178, 168, 160)
    return (image + rng.normal(0, 3, (SIDE, SIDE, 1))).astype(np.float32)


@pytest.fixture(scope="module")
def stage() -> Stage:
    return make_stage()


@pytest.mark.parametrize(("name", "kind"), ground.KINDS.items())
def test_every_kind_changes_its_mask_and_is_repeatable(name: str, kind: Kind, stage: Stage) -> None:
    assert kind.render is not None
    image = scene()
    seen = 0
    for seed in range(8):
        drawn = kind.render(image, np.random.default_rng(seed), stage)
        again = kind.render(image, np.random.default_rng(seed), stage)
        assert np.array_equal(drawn.image, again.image) and np.array_equal(drawn.mask, again.mask)
        assert drawn.image.shape == image.shape and drawn.image.dtype == np.float32
        assert drawn.mask.dtype == bool and drawn.image.min() >= 0 and drawn.image.max() <= 255
        assert drawn.keyword in KEYWORDS
        difference = np.abs(drawn.image - image).mean(2)
        if drawn.mask.sum() > 30:
            seen += 1
            assert difference[drawn.mask].mean() > 2.5, (name, seed)
            if not drawn.mask.all():
                assert difference[drawn.mask].mean() > 1.3 * difference[~drawn.mask].mean()
    assert seen >= 5
    assert np.array_equal(image, scene()), "a renderer wrote into its input"


def test_a_fresh_burn_is_darker_and_snow_is_brighter(stage: Stage) -> None:
    image = scene()
    burnt, white = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        fire, cold = ground.burn_scar(image, rng, stage), ground.snow(image, rng, stage)
        if fire.mask.any():
            burnt.append(float((fire.image - image)[fire.mask].mean()))
        if cold.mask.any():
            white.append(float((cold.image - image)[cold.mask].mean()))
    assert np.mean(burnt) < -15
    assert min(white) > 20


def test_bare_ground_on_a_meadow_is_no_longer_green(stage: Stage) -> None:
    meadow = np.broadcast_to(np.array([70, 104, 58], np.float32), (SIDE, SIDE, 3)).copy()
    for seed in range(6):
        drawn = ground.graded(meadow, np.random.default_rng(seed), stage)
        red, green, _ = drawn.image[drawn.mask].mean(0)
        assert red > green - 2


def test_a_landslide_is_a_tongue_longer_than_wide(stage: Stage) -> None:
    ratios = []
    for seed in range(8):
        rows, cols = np.nonzero(ground.landslide(scene(), np.random.default_rng(seed), stage).mask)
        spread = np.linalg.eigvalsh(np.cov(np.stack([cols, rows])))
        ratios.append(float(np.sqrt(spread[1] / spread[0])))
    assert np.median(ratios) > 1.8

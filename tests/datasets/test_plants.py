"""Greener and drier ground, new trees and felled ones."""

from __future__ import annotations

import numpy as np
import pytest
from small_stage import make_stage

from rsccli.datasets import plants
from rsccli.datasets.canvas import F32, Kind, Stage
from rsccli.datasets.regions import excess_green
from rsccli.models.small.facts import KEYWORDS

SIDE = 128


def scene() -> F32:
    """A green lawn left, dry ground right, a street between."""
    rng = np.random.default_rng(3)
    image = np.empty((SIDE, SIDE, 3), np.float32)
    image[:, :58], image[:, 58:68], image[:, 68:] = (84, 112, 66), (92, 92, 94), (156, 136, 108)
    return (image + rng.normal(0, 3, (SIDE, SIDE, 1))).astype(np.float32)


@pytest.fixture(scope="module")
def stage() -> Stage:
    return make_stage()


@pytest.mark.parametrize(("name", "kind"), plants.KINDS.items())
def test_every_kind_changes_its_mask_and_is_repeatable(name: str, kind: Kind, stage: Stage) -> None:
    image = scene()
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
        assert np.array_equal(pair[0].image, pair[1].image)
        assert drawn.keyword in KEYWORDS and drawn.image.dtype == np.float32
        assert drawn.image.min() >= 0 and drawn.image.max() <= 255
        if drawn.mask.sum() > 30:
            assert np.abs(drawn.image - before).mean(2)[drawn.mask].mean() > 1.5, (name, seed)
    assert np.array_equal(image, scene()), "a renderer wrote into its input"


@pytest.mark.parametrize(("name", "sign"), [("greener natural", 1), ("drier natural", -1)])
def test_greenness_moves_the_way_the_keyword_says(name: str, sign: int, stage: Stage) -> None:
    image, moved = scene(), []
    for seed in range(16):
        render = plants.KINDS[name].render
        assert render is not None
        drawn = render(image, np.random.default_rng(seed), stage)
        moved.append(float((excess_green(drawn.image) - excess_green(image))[drawn.mask].mean()) * sign)
    assert np.mean(moved) > 0.01
    assert np.mean(np.array(moved) > 0) > 0.7


def test_natural_drying_stays_on_the_lawn(stage: Stage) -> None:
    for seed in range(8):
        drawn = plants.KINDS["drier natural"].render
        assert drawn is not None
        mask = drawn(scene(), np.random.default_rng(seed), stage).mask
        assert mask[:, :60].sum() > 0.9 * mask.sum()


def test_crowns_are_taken_out_and_brighter_ground_comes_in(stage: Stage) -> None:
    image = scene()
    points = np.array([[90, 30], [100, 60], [88, 90], [110, 100]], np.float32)
    y, x = np.mgrid[:SIDE, :SIDE]
    for cx, cy in points:
        image[np.hypot(x - cx, y - cy) < 5] = (40, 60, 36)
    for seed in range(6):
        drawn = plants.without_trees(image, np.random.default_rng(seed), stage, points)
        assert drawn is not None and drawn.keyword == "tree loss"
        assert 1 <= drawn.count <= 4
        assert (drawn.image - image)[drawn.mask].mean() > 10


def test_no_trees_no_loss(stage: Stage) -> None:
    assert plants.without_trees(scene(), np.random.default_rng(0), stage, np.zeros((0, 2), np.float32)) is None


def test_new_trees_are_counted(stage: Stage) -> None:
    drawn = plants.trees(scene(), np.random.default_rng(1), stage)
    assert drawn.count >= 1 and drawn.mask.any()

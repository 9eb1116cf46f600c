"""Floods leave roofs and crowns dry; ponds come, grow and dry out."""

from __future__ import annotations

import numpy as np
import pytest
from small_stage import make_stage

from rsccli.datasets import flood, water
from rsccli.datasets.canvas import F32, Kind, Stage
from rsccli.models.small.facts import KEYWORDS

SIDE = 128


def suburb() -> F32:
    """Grey streets crossing pale yards, with bright roofs and rough dark crowns."""
    rng = np.random.default_rng(5)
    image = np.broadcast_to(np.array([150, 134, 112], np.float32), (SIDE, SIDE, 3)).copy()
    image[:, 58:70] = image[58:70] = (104, 104, 106)
    for top, left in roofs():
        image[top : top + 16, left : left + 16] = (196, 186, 180)
    for top, left in crowns():
        image[top : top + 10, left : left + 10] = np.array([38, 60, 34]) + rng.normal(0, 14, (10, 10, 1))
    return np.clip(image + rng.normal(0, 2, (SIDE, SIDE, 1)), 1, 250).astype(np.float32)


def roofs() -> list[tuple[int, int]]:
    return [(12, 12), (12, 90), (90, 12), (90, 90)]


def crowns() -> list[tuple[int, int]]:
    return [(38, 36), (38, 100), (76, 36), (110, 40)]


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


def test_streets_go_under_before_roofs_and_crowns(stage: Stage) -> None:
    street, roof, crown = [], [], []
    for seed in range(24):
        mask = flood.flood(suburb(), np.random.default_rng(seed), stage).mask
        street.append(mask[:, 60:68].mean())
        roof.append(np.mean([mask[top + 3 : top + 13, left + 3 : left + 13].mean() for top, left in roofs()]))
        crown.append(np.mean([mask[top + 2 : top + 8, left + 2 : left + 8].mean() for top, left in crowns()]))
    assert np.mean(street) > 0.4
    assert np.mean(roof) < 0.3 * np.mean(street)
    assert np.mean(crown) < 0.4 * np.mean(street)


def test_flood_water_is_smoother_than_what_it_covers(stage: Stage) -> None:
    rng = np.random.default_rng(2)
    rough = (suburb() + rng.normal(0, 20, (SIDE, SIDE, 1))).astype(np.float32)
    for seed in range(8):
        drawn = flood.flood(rough, np.random.default_rng(seed), stage)
        if drawn.mask.sum() > 200:
            steps = np.abs(np.diff(drawn.image.mean(2), axis=1))[drawn.mask[:, 1:]]
            before = np.abs(np.diff(rough.mean(2), axis=1))[drawn.mask[:, 1:]]
            assert steps.mean() < 0.75 * before.mean()


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


def test_a_dull_sky_fills_shadows_and_keeps_edges(stage: Stage) -> None:
    image = suburb()
    image[20:40, 40:50] = (20, 22, 26)
    dulled = flood.dull(image, np.random.default_rng(1))
    contrast = image[20:40, 52:58].mean() - image[20:40, 40:50].mean()
    after = dulled[20:40, 52:58].mean() - dulled[20:40, 40:50].mean()
    assert 0 < after < 0.95 * contrast

"""Floods leave roofs and crowns dry."""

from __future__ import annotations

import numpy as np
import pytest
from small_stage import SIDE, crowns, make_stage, roofs, suburb

from rsccli.datasets import flood
from rsccli.datasets.canvas import Stage


@pytest.fixture(scope="module")
def stage() -> Stage:
    return make_stage()


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


def test_a_dull_sky_fills_shadows_and_keeps_edges(stage: Stage) -> None:
    image = suburb()
    image[20:40, 40:50] = (20, 22, 26)
    dulled = flood.dull(image, np.random.default_rng(1))
    contrast = image[20:40, 52:58].mean() - image[20:40, 40:50].mean()
    after = dulled[20:40, 52:58].mean() - dulled[20:40, 40:50].mean()
    assert 0 < after < 0.95 * contrast

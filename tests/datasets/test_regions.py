"""Regions read from a scene: roofs and crowns where they are, the street grid, parcels of one colour."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from small_stage import SIDE, crowns, make_stage, roofs, suburb

from rsccli.datasets import regions


def test_roofs_and_crowns_are_found_and_streets_are_neither() -> None:
    parts = regions.scene_parts(suburb(), np.random.default_rng(0), make_stage())
    assert np.mean([parts.roofs[top + 3 : top + 13, left + 3 : left + 13].mean() for top, left in roofs()]) > 0.7
    assert np.mean([parts.crowns[top + 2 : top + 8, left + 2 : left + 8].mean() for top, left in crowns()]) > 0.7
    street = np.maximum(parts.roofs, parts.crowns)[:, 60:68]
    assert street.mean() < 0.1


@pytest.mark.parametrize("degrees", [0.0, 20.0, 55.0])
def test_the_street_grid_is_found_at_any_turn(degrees: float) -> None:
    turn = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), -degrees, 1.6)
    turned = cv2.warpAffine(suburb(), turn, (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT)
    off = (np.degrees(regions.grain_angle(turned)) - degrees + 45.0) % 90.0 - 45.0
    assert abs(off) < 8.0


def test_natural_stays_inside_what_is_wanted() -> None:
    wanted = np.zeros((SIDE, SIDE), bool)
    wanted[:60, :60] = True
    region = regions.natural(suburb(), np.random.default_rng(1), make_stage(), wanted)
    assert region is not None and region.any()
    assert region[70:, 70:].sum() == 0
    assert regions.natural(suburb(), np.random.default_rng(1), make_stage(), np.zeros_like(wanted)) is None


def test_a_faint_change_is_enlarged_only_where_it_is() -> None:
    image = suburb()
    region = np.zeros((SIDE, SIDE), np.float32)
    region[30:60, 30:60] = 1.0
    drawn = image + 3.5 * region[..., None]
    drawn[100:] += 2.0
    seen = regions.visible(image, drawn, region, least=6.0)
    assert np.abs(seen - image)[40:50, 40:50].mean() == pytest.approx(6.0, abs=0.6)
    assert np.array_equal(seen[100:], drawn[100:])
    strong = image + 40.0 * region[..., None]
    assert regions.visible(image, strong, region) is strong


def test_the_calmest_place_is_the_one_without_edges() -> None:
    image = np.full((SIDE, SIDE, 3), 120.0, np.float32)
    image[:, :64:4] = 200.0
    left, right = np.zeros((2, SIDE, SIDE), np.float32)
    left[40:60, 10:40] = 1.0
    right[40:60, 90:120] = 1.0
    assert regions.calmest(image, [left, right]) is right


def test_coarse_fill_does_not_repeat_a_patch() -> None:
    stage = make_stage(gsd_m=5.0)
    filled = regions.fill(np.random.default_rng(0), stage.textures.soil, SIDE, SIDE, stage)
    assert filled.shape == (SIDE, SIDE, 3)
    assert not np.allclose(filled[:10, :64], filled[20:10:-1, :64], atol=1.0)
    assert filled.mean(2).std() > 1.0

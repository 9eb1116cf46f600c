"""Nuisances: deterministic, within their bounds, and off where they are told to be off."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from rsccli.datasets import nuisance
from rsccli.datasets.canvas import F32, rough_noise

SIDE = 96


@pytest.fixture
def ground() -> F32:
    rng = np.random.default_rng(0)
    image = np.stack([110 + 22 * rough_noise(rng, SIDE, SIDE, 14.0) for _ in range(3)], 2)
    image[20:50, 30:70] = (190, 185, 180)
    image[60:80, 10:40] = (60, 95, 50)
    return np.clip(image, 0, 255).astype(np.float32)


def test_the_same_generator_gives_the_same_date(ground: F32) -> None:
    def draw() -> nuisance.Recorded:
        return nuisance.one_date(ground, np.random.default_rng(5), strength=1.0, most_px=3.0, clouds=1.0)

    assert np.array_equal(draw().counts, draw().counts)
    assert np.array_equal(draw().cloud, draw().cloud)


def test_one_date_leaves_its_input_alone(ground: F32) -> None:
    before = ground.copy()
    for seed in range(40):
        nuisance.one_date(ground, np.random.default_rng(seed), strength=1.0, most_px=3.0, clouds=0.5)
    assert np.array_equal(ground, before)


def test_without_strength_a_date_is_only_noisy_and_coded(ground: F32) -> None:
    for seed in range(30):
        date = nuisance.one_date(ground, np.random.default_rng(seed), strength=0.0, most_px=0.0)
        smooth = cv2.blur(date.counts.astype(np.float32), (9, 9)) - cv2.blur(ground, (9, 9))
        assert np.abs(smooth).mean() < 3.0
        assert not date.cloud.any()


def test_strength_is_the_size_of_the_difference(ground: F32) -> None:
    def difference(strength: float) -> float:
        dates = [
            nuisance.one_date(ground, np.random.default_rng(seed), strength=strength, most_px=0.0).counts
            for seed in range(40)
        ]
        return float(np.mean([np.abs(date - ground).mean() for date in dates]))

    assert difference(0.0) < 0.7 * difference(0.3) < 0.7 * difference(1.0)


@pytest.mark.parametrize("most_px", [0.5, 1.0, 4.0])
def test_displacement_stays_within_its_bound(most_px: float) -> None:
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    inside = slice(6, -6)
    moved_most = 0.0
    for seed in range(60):
        moved = nuisance.displaced(np.dstack([x, y, x]), np.random.default_rng(seed), most_px)
        distance = np.hypot(moved[..., 0] - x, moved[..., 1] - y)[inside, inside]
        assert distance.max() <= most_px + 0.05
        moved_most = max(moved_most, float(distance.max()))
    assert moved_most > 0.7 * most_px


def test_nothing_is_displaced_where_most_px_is_zero(monkeypatch: pytest.MonkeyPatch, ground: F32) -> None:
    def never(*_: object) -> F32:
        raise AssertionError("displaced")

    monkeypatch.setattr(nuisance, "displaced", never)
    monkeypatch.setattr(nuisance, "parallax", never)
    for seed in range(30):
        nuisance.one_date(ground, np.random.default_rng(seed), strength=1.0, most_px=0.0)
    with pytest.raises(AssertionError, match="displaced"):
        nuisance.one_date(ground, np.random.default_rng(0), strength=1.0, most_px=1.0)


def test_parallax_moves_some_of_the_ground_and_by_nine_pixels_at_most(ground: F32) -> None:
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    for seed in range(30):
        moved = nuisance.parallax(np.dstack([x, y, ground[..., 0]]), np.random.default_rng(seed), 0.6)
        distance = np.hypot(moved[..., 0] - x, moved[..., 1] - y)[8:-8, 8:-8]
        assert distance.max() <= 9.05
        assert 0.05 < (distance > 0.3).mean() < 1.0


def test_season_turns_plants_and_leaves_roofs(ground: F32) -> None:
    roof, lawn = [], []
    for seed in range(30):
        change = np.abs(nuisance.season(ground, np.random.default_rng(seed), 1.0) - ground).mean(2)
        roof.append(change[25:45, 35:65].mean())
        lawn.append(change[62:78, 12:38].mean())
    assert np.mean(lawn) > 4.0
    assert np.mean(roof) < 0.5


def test_looks_are_far_apart_at_full_strength(ground: F32) -> None:
    means = np.array([nuisance.look(ground, np.random.default_rng(seed), 1.0).mean((0, 1)) for seed in range(80)])
    assert np.ptp(means.mean(1)) > 50
    assert np.ptp(means[:, 0] - means[:, 2]) > 30


def test_no_look_at_no_strength(ground: F32) -> None:
    for seed in range(30):
        assert np.abs(nuisance.look(ground, np.random.default_rng(seed), 0.0) - ground).max() < 0.5


def test_missing_data_leaves_a_quarter_at_least() -> None:
    shares = [nuisance.missing(np.random.default_rng(seed), SIDE).mean() for seed in range(200)]
    assert min(shares) >= 0.25
    assert max(shares) < 1.0
    assert np.std(shares) > 0.1


def test_materials_change_with_their_colour_and_keep_the_scene(ground: F32) -> None:
    apart = []
    for seed in range(30):
        ratio = (nuisance.materials(ground, np.random.default_rng(seed), 1.0) / np.maximum(ground, 1)).mean(2)
        assert 0.4 < ratio.min() and ratio.max() < 2.5
        apart.append(abs(ratio[25:45, 35:65].mean() - ratio[62:78, 12:38].mean()))
    assert np.median(apart) > 0.05


def test_sun_changes_shadows_and_little_else() -> None:
    scene = np.full((SIDE, SIDE, 3), 130, np.float32)
    scene[30:60, 30:60] = 200
    scene[60:66, 30:66] = (35, 38, 40)
    far = np.ones((SIDE, SIDE), bool)
    far[15:80, 15:80] = False
    shade, elsewhere = [], []
    for seed in range(60):
        change = np.abs(nuisance.sun(scene, np.random.default_rng(seed), 1.0, 0.6) - scene).mean(2)
        shade.append(change[61:65, 32:64].mean())
        elsewhere.append(change[far].mean())
    assert np.mean(shade) > 3 * np.mean(elsewhere)

"""Clouds: bright where they hide, and the mask is of what cannot be seen."""

from __future__ import annotations

import numpy as np

from rsccli.datasets import clouds, nuisance

GROUND = np.full((96, 96, 3), 80.0, np.float32)


def test_ground_outside_of_the_mask_can_still_be_told_and_opaque_cloud_is_bright() -> None:
    for seed in range(60):
        cover = clouds.cloud_cover(np.random.default_rng(seed), 96)
        image, hidden = clouds.clouded(GROUND, np.random.default_rng(seed))
        seen = ~hidden
        assert (cover.cloud[seen] < clouds.HIDING_COVER).all()
        assert (cover.shade[seen] < clouds.HIDING_DARKNESS).all()
        assert (image[cover.cloud > 0.95] > 150).all()


def test_there_are_clear_thin_partly_and_mostly_hidden_scenes() -> None:
    shares = np.array([clouds.clouded(GROUND, np.random.default_rng(seed))[1].mean() for seed in range(120)])
    assert (shares < 0.02).mean() > 0.1
    assert ((shares > 0.1) & (shares < 0.5)).mean() > 0.2
    assert (shares > 0.5).any()


def test_shadows_darken_ground() -> None:
    darkest = [clouds.clouded(GROUND, np.random.default_rng(seed))[0].min() for seed in range(40)]
    assert np.median(darkest) < 65


def test_clouds_come_as_often_as_asked() -> None:
    def cloudy(probability: float) -> float:
        dates = [
            nuisance.one_date(GROUND, np.random.default_rng(seed), strength=0.0, most_px=0.0, clouds=probability)
            for seed in range(200)
        ]
        return float(np.mean([np.ptp(date.counts.astype(float).mean(2)) > 40 for date in dates]))

    assert cloudy(0.0) == 0.0
    assert 0.1 < cloudy(0.3) < 0.4
    assert cloudy(1.0) > 0.6

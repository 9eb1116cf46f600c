"""Thresholds come out where the score distributions say."""

from __future__ import annotations

import numpy as np
import pytest

from rsccli.datasets.generated import GeneratedPair
from rsccli.models.small.facts import KEYWORDS, Facts
from rsccli.training.calibrate import (
    FALSE_ALARMS,
    KEYWORD_FALSE_ALARMS,
    calibrate,
    fit_logistic,
    keyword_threshold,
    logistic,
)
from rsccli.training.development import HeldOut, RealPair, ScoredPairs, auc, average_precision

SIDE = 64


def _real(changed: bool) -> RealPair:
    blank = np.zeros((3, SIDE, SIDE), np.uint8)
    return RealPair("x", blank, blank, changed)


def _generated(keyword: int) -> GeneratedPair:
    blank = np.zeros((3, SIDE, SIDE), np.uint8)
    mask = np.zeros((SIDE, SIDE), bool)
    mask[:32] = True
    return GeneratedPair(blank, blank, mask, mask.astype(np.uint8), Facts(2, (keyword,), 3, 1), "", "")


@pytest.fixture
def scored() -> tuple[HeldOut, ScoredPairs, ScoredPairs]:
    """200 unchanged pairs around logit 1, 200 changed ones around 4: both far from a threshold of 0."""
    rng = np.random.default_rng(0)
    count = len(KEYWORDS)
    held_out = HeldOut(tuple(_real(False) for _ in range(200)), tuple(_generated(i % count) for i in range(200)))
    keywords = rng.normal(-6, 1, (200, count))
    keywords[np.arange(200), np.arange(200) % count] += 3.0
    mask = np.full((SIDE // 4, SIDE // 4), -2.0, np.float32)
    mask[:8] = -0.5
    real = ScoredPairs(rng.normal(1, 1, 200), rng.normal(-6, 1, (200, count)), [])
    return held_out, real, ScoredPairs(rng.normal(4, 1, 200), keywords, [mask] * 200)


def test_few_of_the_unchanged_pairs_are_called_changed(scored):
    held_out, real, generated = scored
    result = calibrate(held_out, real, generated)
    called = logistic(result.scale * real.change + result.bias) >= result.changed
    assert called.mean() == pytest.approx(FALSE_ALARMS, abs=0.02)
    assert result.unchanged < result.changed


def test_scores_are_probabilities_at_even_odds(scored):
    held_out, real, generated = scored
    result = calibrate(held_out, real, generated)
    # The two classes meet at a logit of 2.5.
    assert logistic(np.array([result.scale * 2.5 + result.bias]))[0] == pytest.approx(0.5, abs=0.08)


def test_a_keyword_that_never_reaches_a_half_is_found_all_the_same(scored):
    held_out, real, generated = scored
    result = calibrate(held_out, real, generated)
    wanted = np.array([pair.facts.keywords[0] for pair in held_out.generated])
    found = generated.keywords >= np.log(np.array(result.keywords) / (1 - np.array(result.keywords)))
    assert found[np.arange(200), wanted].mean() > 0.7
    alarms = real.keywords >= np.log(np.array(result.keywords) / (1 - np.array(result.keywords)))
    assert alarms.mean() <= KEYWORD_FALSE_ALARMS + 0.01


def test_the_mask_threshold_goes_where_the_overlap_is_best(scored):
    held_out, real, generated = scored
    # Changed cells stand at a probability of 0.38, others at 0.12.
    assert 0.12 < calibrate(held_out, real, generated).mask <= 0.38


def test_rare_keywords_fall_back_to_few_false_alarms():
    unchanged = np.linspace(-5, 5, 101)
    assert keyword_threshold(np.zeros(3), np.array([True, False, False]), unchanged) == pytest.approx(4.7, abs=0.2)


def test_a_logistic_is_recovered_from_its_own_draws():
    rng = np.random.default_rng(1)
    x = rng.normal(0, 2, 4000)
    y = rng.random(4000) < logistic(1.5 * x)
    scale, bias = fit_logistic(x[y], x[~y])
    assert scale == pytest.approx(1.5, abs=0.15) and bias == pytest.approx(0.0, abs=0.15)


def test_a_network_that_ranks_backwards_keeps_a_positive_scale():
    assert fit_logistic(np.array([-3.0, -2.0]), np.array([2.0, 3.0]))[0] > 0


def test_auc_and_average_precision_on_known_ranks():
    assert auc(np.array([2.0, 3.0]), np.array([1.0, 2.0])) == pytest.approx(0.875)
    assert np.isnan(auc(np.array([]), np.array([1.0])))
    assert average_precision(np.array([3.0, 2.0, 1.0]), np.array([True, False, True])) == pytest.approx(5 / 6)

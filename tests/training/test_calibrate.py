"""Thresholds come out where the score distributions say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rsccli.datasets.generated import GeneratedPair
from rsccli.models.small.facts import CHANGED, KEYWORDS, Facts, Finding
from rsccli.training.calibrate import (
    DOMAIN_MARGIN,
    FALSE_ALARMS,
    KEYWORD_FALSE_ALARMS,
    MASK_THRESHOLDS,
    MISSED_AS_UNCHANGED,
    calibrate,
    domain_limit,
    fit_logistic,
    fit_looks,
    fit_score,
    keyword_threshold,
    keyword_thresholds,
    logistic,
)
from rsccli.training.development import Figures, HeldOut, Measured, RealPair, ScoredPairs

SIDE = 64
CELLS = SIDE // 4
K = len(KEYWORDS)
WHOLE, QUARTERS, DRAWN = 200, 400, 200
# What most real pairs of the fixture show, and a kind that no real pair shows.
COMMON, RARE = KEYWORDS.index("new house"), KEYWORDS.index("flood")
NONE = Figures(*[float("nan")] * 7)


def _real(changed: bool) -> RealPair:
    blank = np.zeros((3, SIDE, SIDE), np.uint8)
    boxes = np.zeros((SIDE, SIDE), bool)
    boxes[:32] = changed
    return RealPair("x", blank, blank, 0.6, changed, (KEYWORDS[COMMON],) if changed else (), boxes)


def _drawn(keyword: int) -> GeneratedPair:
    blank = np.zeros((3, SIDE, SIDE), np.uint8)
    mask = np.zeros((SIDE, SIDE), bool)
    mask[:32] = True
    every, none = np.ones((SIDE, SIDE), bool), np.zeros((2, SIDE, SIDE), bool)
    layers = mask.astype(np.uint8) * np.uint8(keyword + 1)
    facts = Facts(CHANGED, (Finding(keyword),))
    return GeneratedPair(blank, blank, 0.6, every, none, mask, every, layers, True, (keyword,), facts, "", "x")


def _scored(rng: np.random.Generator, change: np.ndarray, keywords: np.ndarray, mask: np.ndarray) -> ScoredPairs:
    count = len(change)
    domain = rng.chisquare(8, (count, 2)) / 8
    looks = rng.normal(0, 1, (count, 2, 5)).astype(np.float32)
    return ScoredPairs(change, rng.normal(-2, 0.5, count), keywords, domain, [mask] * count, looks)


@pytest.fixture(scope="module")
def held_out() -> HeldOut:
    """Every second real pair is changed."""
    whole, quarters = (tuple(_real(i % 2 == 1) for i in range(count)) for count in (WHOLE, QUARTERS))
    return HeldOut(whole, quarters, tuple(_drawn(i % K) for i in range(DRAWN)))


@pytest.fixture(scope="module")
def measured() -> Measured:
    """Unchanged pairs around logit 1, changed ones around 4; named keywords stand out by 3, far below zero."""
    rng = np.random.default_rng(0)
    mask = np.full((CELLS, CELLS), -2.0, np.float32)
    mask[:8] = -0.5

    def real(count: int) -> ScoredPairs:
        changed = np.arange(count) % 2
        keywords = rng.normal(-6, 1, (count, K))
        keywords[:, COMMON] += 3.0 * changed
        return _scored(rng, rng.normal(1, 1, count) + 3.0 * changed, keywords, mask)

    whole, quarters = real(WHOLE), real(QUARTERS)
    keywords = rng.normal(-6, 1, (DRAWN, K))
    keywords[np.arange(DRAWN), np.arange(DRAWN) % K] += 4.0
    return Measured(NONE, whole, quarters, _scored(rng, rng.normal(4, 1, DRAWN), keywords, mask))


def _scores(held_out: HeldOut, measured: Measured) -> tuple[np.ndarray, np.ndarray]:
    """Calibrated scores of all real pairs, and which are changed."""
    result = calibrate(held_out, measured)
    change, vectors = (
        np.concatenate([getattr(part, name) for part in (measured.whole, measured.quarters)])
        for name in ("change", "vectors")
    )
    changed = np.array([pair.changed for pair in held_out.real])
    return logistic(result.scale * change + result.vectors * vectors + result.bias), changed


def test_the_promised_share_of_unchanged_pairs_is_called_changed(held_out: HeldOut, measured: Measured):
    scores, changed = _scores(held_out, measured)
    result = calibrate(held_out, measured)
    assert np.mean(scores[~changed] >= result.changed) == pytest.approx(FALSE_ALARMS, abs=0.006)
    assert np.mean(scores[changed] >= result.changed) > 0.7


def test_few_changed_chips_are_called_unchanged(held_out: HeldOut, measured: Measured):
    scores, changed = _scores(held_out, measured)
    result = calibrate(held_out, measured)
    assert result.unchanged < result.changed
    assert np.mean(scores[:WHOLE][changed[:WHOLE]] <= result.unchanged) <= MISSED_AS_UNCHANGED + 0.01


def test_scores_are_probabilities_at_even_odds(held_out: HeldOut, measured: Measured):
    result = calibrate(held_out, measured)
    # The two classes meet at a logit of 2.5.
    middle = result.scale * 2.5 + result.vectors * -2.0 + result.bias
    assert logistic(np.array([middle]))[0] == pytest.approx(0.5, abs=0.1)


def test_every_keyword_is_found_and_has_few_false_alarms(held_out: HeldOut, measured: Measured):
    result = calibrate(held_out, measured)
    assert len(result.keywords) == K and all(0 <= each <= 1 for each in result.keywords)
    limits = np.log(np.array(result.keywords) / (1 - np.array(result.keywords)))
    found = measured.generated.keywords >= limits
    assert found[np.arange(DRAWN), np.arange(DRAWN) % K].mean() > 0.7
    quiet = np.array([not pair.changed for pair in held_out.whole])
    alarms = (measured.whole.keywords >= limits)[quiet]
    assert alarms.mean() <= KEYWORD_FALSE_ALARMS + 0.015
    assert (measured.whole.keywords[~quiet, COMMON] >= limits[COMMON]).mean() > 0.7


def test_keywords_that_real_pairs_have_take_their_threshold_from_those(held_out: HeldOut, measured: Measured):
    base = keyword_thresholds(held_out, measured)
    lower = measured.whole.keywords.copy()
    lower[:, RARE] -= 1.0
    lower[1::2, COMMON] += 3.0
    other = keyword_thresholds(held_out, replace(measured, whole=replace(measured.whole, keywords=lower)))
    assert other[COMMON] > base[COMMON] + 0.5
    # The rare one has its best point on generated pairs, above where false alarms begin.
    assert other[RARE] == pytest.approx(base[RARE], abs=0.5)


def test_a_keyword_threshold_is_the_best_point_above_its_floor():
    scores = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    wanted = np.array([False, False, True, True, True])
    assert keyword_threshold(scores, wanted, 0.0) == 3.0
    assert keyword_threshold(scores, wanted, 3.5) == pytest.approx(3.5)
    assert keyword_threshold(scores, wanted, 9.0) == 9.0


def test_a_keyword_that_nobody_has_is_named_above_even_odds_alone(measured: Measured):
    held_out = HeldOut(
        tuple(_real(i % 2 == 1) for i in range(WHOLE)), tuple(_real(i % 2 == 1) for i in range(QUARTERS)), ()
    )
    assert keyword_thresholds(held_out, measured)[RARE] >= 0.0


def test_the_mask_threshold_goes_where_the_overlap_with_the_boxes_is_best(held_out: HeldOut, measured: Measured):
    # Marked cells stand at a probability of 0.38, others at 0.12.
    assert calibrate(held_out, measured).mask in MASK_THRESHOLDS
    assert 0.12 < calibrate(held_out, measured).mask <= 0.38


def test_a_logistic_is_recovered_from_its_own_draws():
    rng = np.random.default_rng(1)
    x = rng.normal(0, 2, (6000, 2))
    y = rng.random(6000) < logistic(1.5 * x[:, 0] + 0.5 * x[:, 1])
    first, second, bias = fit_logistic(x, y)
    assert first == pytest.approx(1.5, abs=0.15) and second == pytest.approx(0.5, abs=0.1)
    assert bias == pytest.approx(0.0, abs=0.12)


def test_both_classes_weigh_the_same_however_many_there_are():
    rng = np.random.default_rng(2)
    x = np.concatenate([rng.normal(-1, 1, 3000), rng.normal(1, 1, 100)])[:, None]
    scale, bias = fit_logistic(x, np.arange(3100) >= 3000)
    # Even odds lie midway between the classes, not towards the rare one.
    assert -bias / scale == pytest.approx(0.0, abs=0.15)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_the_weight_of_the_change_vector_is_never_negative(sign: float):
    rng = np.random.default_rng(3)
    changed = np.arange(400) % 2 == 1
    change, vectors = rng.normal(0, 1, 400) + changed, rng.normal(0, 1, 400) + 2.0 * sign * changed
    scored = ScoredPairs(change, vectors, np.zeros((400, K)), np.ones((400, 2)), [], np.zeros((400, 2, 1), np.float32))
    scale, weight, _ = fit_score(scored, changed)
    assert scale > 0
    assert weight > 0.5 if sign > 0 else weight == 0.0


def test_a_network_that_ranks_backwards_keeps_a_positive_scale():
    changed = np.arange(100) % 2 == 1
    change, none = np.where(changed, -3.0, 3.0), np.zeros(100)
    scored = ScoredPairs(change, none, np.zeros((100, K)), np.ones((100, 2)), [], np.zeros((100, 2, 1), np.float32))
    assert fit_score(scored, changed)[0] > 0


def test_nearly_all_real_dates_are_within_the_domain(measured: Measured):
    limit = domain_limit(measured.whole)
    assert np.mean(measured.whole.domain > limit) < 0.01
    assert limit < 2 * DOMAIN_MARGIN * np.quantile(measured.whole.domain, 0.99)
    further = replace(measured.whole, domain=3 * measured.whole.domain)
    assert domain_limit(further) == pytest.approx(3 * limit, rel=1e-3)


def test_whitened_training_dates_lie_at_distance_one_and_foreign_ones_far_out():
    rng = np.random.default_rng(4)
    looks = (rng.normal(0, 1, (3000, 12)) * np.geomspace(0.1, 30, 12) + 5.0).astype(np.float32)
    fitted = fit_looks(looks)

    def distance(x: np.ndarray) -> np.ndarray:
        squared: np.ndarray = (((x - fitted.mean) @ fitted.white) ** 2).mean(1)
        return squared

    assert distance(looks).mean() == pytest.approx(1.0, abs=0.03)
    assert distance(looks + 10 * looks.std(0)).min() > np.quantile(distance(looks), 0.99)


def test_looks_that_hang_together_are_foreign_where_they_do_not():
    rng = np.random.default_rng(5)
    common = rng.normal(0, 1, (3000, 1))
    looks = (common + 0.3 * rng.normal(0, 1, (3000, 4))).astype(np.float32)
    fitted = fit_looks(looks)
    together, apart = np.full((1, 4), 2.0), np.array([[2.0, -2.0, 2.0, -2.0]])
    near, far = ((((x - fitted.mean) @ fitted.white) ** 2).mean() for x in (together, apart))
    assert near < 2.0 and far > 10 * near

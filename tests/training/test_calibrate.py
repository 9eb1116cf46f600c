"""Thresholds come out where the score distributions say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rsccli.datasets.generated import GeneratedPair
from rsccli.models.small.export import Calibration
from rsccli.models.small.facts import CHANGED, KEYWORDS, Facts, Finding
from rsccli.training.calibrate import (
    DOMAIN_MARGIN,
    FALSE_ALARMS,
    KEYWORD_FALSE_ALARMS,
    MASK_THRESHOLDS,
    MISSED_AS_UNCHANGED,
    ScoreFit,
    answer_scores,
    both_orders,
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

SIDE = 256
CELLS = SIDE // 4
K = len(KEYWORDS)
WHOLE, QUARTERS, DRAWN = 800, 1000, 200
# What most real pairs of the fixture show, what these show in the other order, and a kind that no real pair shows.
COMMON, GONE, RARE = (KEYWORDS.index(name) for name in ("new house", "building removed", "flood"))
# Chips have twice the side of their quarters and score so much higher, changed or not.
LARGER = 1.5
NONE = Figures(*[float("nan")] * 7)


def _real(changed: bool, names: tuple[str, ...] = (KEYWORDS[COMMON],)) -> RealPair:
    blank = np.zeros((3, SIDE, SIDE), np.uint8)
    boxes = np.zeros((SIDE, SIDE), bool)
    boxes[: SIDE // 2] = changed
    return RealPair("x", blank, blank, 0.6, changed, names if changed else (), boxes)


def _drawn(keyword: int) -> GeneratedPair:
    blank = np.zeros((3, SIDE, SIDE), np.uint8)
    mask = np.zeros((SIDE, SIDE), bool)
    mask[: SIDE // 2] = True
    every, none = np.ones((SIDE, SIDE), bool), np.zeros((2, SIDE, SIDE), bool)
    layers = mask.astype(np.uint8) * np.uint8(keyword + 1)
    facts = Facts(CHANGED, (Finding(keyword),))
    return GeneratedPair(blank, blank, 0.6, every, none, mask, every, layers, True, (keyword,), facts, "", "x")


def _scored(rng: np.random.Generator, change: np.ndarray, keywords: np.ndarray, mask: np.ndarray) -> ScoredPairs:
    count = len(change)
    domain = rng.chisquare(8, (count, 2)) / 8
    looks = rng.normal(0, 1, (count, 2, 5)).astype(np.float32)
    return ScoredPairs(change, rng.normal(-2, 0.5, count), keywords, domain, [mask] * count, looks)


def _pairs(change: np.ndarray, sides: np.ndarray | int = 128, vectors: np.ndarray | float = 0.0) -> ScoredPairs:
    """Scores of pairs of these sides in pixels."""
    count = len(change)
    masks = [np.zeros((side // 4, side // 4), np.float32) for side in np.broadcast_to(sides, count)]
    looks = np.zeros((count, 2, 1), np.float32)
    return ScoredPairs(change, np.broadcast_to(vectors, count), np.zeros((count, K)), np.ones((count, 2)), masks, looks)


@pytest.fixture(scope="module")
def held_out() -> HeldOut:
    """Every second real pair is changed."""
    real, drawn = (_real(False), _real(True)), [_drawn(k) for k in range(K)]
    whole, quarters = (tuple(real[i % 2] for i in range(count)) for count in (WHOLE, QUARTERS))
    return HeldOut(whole, quarters, tuple(drawn[i % K] for i in range(DRAWN)))


@pytest.fixture(scope="module")
def measured() -> Measured:
    """Unchanged quarters around logit 1, changed ones around 4, chips above; keywords stand out by 3, far below 0."""
    rng = np.random.default_rng(0)
    mask = np.full((CELLS, CELLS), -2.0, np.float32)
    mask[: CELLS // 2] = -0.5

    def real(count: int, mask: np.ndarray, base: float, name: int = COMMON) -> ScoredPairs:
        changed = np.arange(count) % 2
        keywords = rng.normal(-6, 1, (count, K))
        keywords[:, name] += 3.0 * changed
        return _scored(rng, rng.normal(base, 1, count) + 3.0 * changed, keywords, mask)

    whole, quarters = real(WHOLE, mask, 1.0 + LARGER), real(QUARTERS, mask[::2, ::2], 1.0)
    swapped = real(WHOLE, mask, 1.0 + LARGER, GONE)
    keywords = rng.normal(-6, 1, (DRAWN, K))
    keywords[np.arange(DRAWN), np.arange(DRAWN) % K] += 4.0
    return Measured(NONE, whole, quarters, _scored(rng, rng.normal(4, 1, DRAWN), keywords, mask), swapped)


def _scores(held_out: HeldOut, measured: Measured) -> tuple[np.ndarray, np.ndarray]:
    """Calibrated scores of all real pairs, and which are changed."""
    result = calibrate(held_out, measured)
    change, vectors = (
        np.concatenate([getattr(part, name) for part in (measured.whole, measured.quarters)])
        for name in ("change", "vectors")
    )
    changed = np.array([pair.changed for pair in held_out.real])
    # Chips of the fixture have a side of 256 pixels, their quarters 128.
    octaves = np.repeat([1.0, 0.0], [WHOLE, QUARTERS])
    return logistic(result.scale * change + result.vectors * vectors + result.size * octaves + result.bias), changed


def _unchanged(scores: np.ndarray, changed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores of unchanged chips and of unchanged quarters."""
    return scores[:WHOLE][~changed[:WHOLE]], scores[WHOLE:][~changed[WHOLE:]]


def test_the_promised_share_of_unchanged_pairs_is_called_changed(held_out: HeldOut, measured: Measured):
    scores, changed = _scores(held_out, measured)
    result = calibrate(held_out, measured)
    chips, quarters = (np.mean(part >= result.changed) for part in _unchanged(scores, changed))
    assert max(chips, quarters) == pytest.approx(FALSE_ALARMS, abs=0.006)
    assert min(chips, quarters) > FALSE_ALARMS / 3
    assert np.mean(scores[changed] >= result.changed) > 0.7


@pytest.mark.parametrize("part", ["whole", "quarters"])
def test_the_size_with_more_false_alarms_sets_the_limit(held_out: HeldOut, measured: Measured, part: str):
    """Every tenth unchanged pair of one size scores as high as changed ones."""
    change = getattr(measured, part).change.copy()
    change[::20] += 4.0
    loud = replace(measured, **{part: replace(getattr(measured, part), change=change)})
    scores, changed = _scores(held_out, loud)
    limit = calibrate(held_out, loud).changed
    other, own = sorted(np.mean(each >= limit) for each in _unchanged(scores, changed))
    assert own == pytest.approx(FALSE_ALARMS, abs=0.006) and other < FALSE_ALARMS / 2


def test_few_changed_chips_are_called_unchanged(held_out: HeldOut, measured: Measured):
    scores, changed = _scores(held_out, measured)
    result = calibrate(held_out, measured)
    assert result.unchanged < result.changed
    assert np.mean(scores[:WHOLE][changed[:WHOLE]] <= result.unchanged) <= MISSED_AS_UNCHANGED + 0.01


def test_scores_are_probabilities_at_even_odds(held_out: HeldOut, measured: Measured):
    result = calibrate(held_out, measured)
    # The two classes of quarters meet at a logit of 2.5, those of chips above.
    for meet, octaves in ((2.5, 0.0), (2.5 + LARGER, 1.0)):
        middle = result.scale * meet + result.vectors * -2.0 + result.size * octaves + result.bias
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


def test_every_label_speaks_for_its_reverse_where_the_dates_are_exchanged():
    names = [("new house",), (), ("flood", "new road"), ("bare soil",)]
    whole = tuple(_real(bool(each), each) for each in names)
    first, second = _pairs(np.zeros(4)), _pairs(np.zeros(4))
    first, second = replace(first, keywords=first.keywords + 1.0), replace(second, keywords=second.keywords + 2.0)
    logits, wanted = both_orders(HeldOut(whole, (), ()), Measured(NONE, first, first, first, second))
    assert logits[:, 0].tolist() == [1.0] * 4 + [2.0] * 4
    assert [{KEYWORDS[k] for k in np.nonzero(row)[0]} for row in wanted] == [
        *map(set, names),
        {"building removed"},
        set(),
        {"water loss", "road removed"},
        {"greener vegetation"},
    ]


def test_chips_with_a_keyword_that_has_no_reverse_are_left_out_of_the_other_order():
    whole = tuple(_real(True, each) for each in [("solar panels",), ("new house",), ("new house", "debris")])
    first = _pairs(np.zeros(3))
    second = replace(first, keywords=first.keywords + np.arange(1.0, 4.0)[:, None])
    logits, wanted = both_orders(HeldOut(whole, (), ()), Measured(NONE, first, first, first, second))
    assert logits[:, 0].tolist() == [0.0, 0.0, 0.0, 2.0]
    assert wanted[3].nonzero()[0].tolist() == [GONE] and wanted[:3, KEYWORDS.index("debris")].tolist() == [0, 0, 1]


def test_a_reverse_keyword_takes_its_threshold_from_exchanged_dates(held_out: HeldOut, measured: Measured):
    base = keyword_thresholds(held_out, measured)
    higher = measured.swapped.keywords.copy()
    higher[1::2, GONE] += 3.0
    other = keyword_thresholds(held_out, replace(measured, swapped=replace(measured.swapped, keywords=higher)))
    assert other[GONE] > base[GONE] + 0.5 and other[COMMON] == base[COMMON]


def test_a_keyword_that_is_named_in_both_orders_needs_more(held_out: HeldOut, measured: Measured):
    base = keyword_thresholds(held_out, measured)
    both = measured.swapped.keywords.copy()
    both[1::2, COMMON] += 4.0
    other = keyword_thresholds(held_out, replace(measured, swapped=replace(measured.swapped, keywords=both)))
    assert other[COMMON] > base[COMMON] + 1.0 and other[GONE] == base[GONE]


def test_a_keyword_threshold_is_the_best_point_above_its_floor():
    scores = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    wanted = np.array([False, False, True, True, True])
    assert keyword_threshold(scores, wanted, 0.0) == 3.0
    assert keyword_threshold(scores, wanted, 3.5) == pytest.approx(3.5)
    assert keyword_threshold(scores, wanted, 9.0) == 9.0


def test_a_keyword_that_nobody_has_is_named_above_even_odds_alone(held_out: HeldOut, measured: Measured):
    assert keyword_thresholds(replace(held_out, generated=()), measured)[RARE] >= 0.0


def test_the_mask_threshold_goes_where_the_overlap_with_the_boxes_is_best(held_out: HeldOut, measured: Measured):
    # Marked cells stand at a probability of 0.38, others at 0.12.
    assert calibrate(held_out, measured).mask in MASK_THRESHOLDS
    assert 0.12 < calibrate(held_out, measured).mask <= 0.38


def test_a_logistic_is_recovered_from_its_own_draws():
    rng = np.random.default_rng(1)
    x = rng.normal(0, 2, (6000, 2))
    y = rng.random(6000) < logistic(1.5 * x[:, 0] + 0.5 * x[:, 1])
    first, second, bias = fit_logistic(x, y, np.full(6000, 1 / 6000))
    assert first == pytest.approx(1.5, abs=0.15) and second == pytest.approx(0.5, abs=0.1)
    assert bias == pytest.approx(0.0, abs=0.12)


def test_a_pair_of_twice_the_weight_counts_as_two():
    rng = np.random.default_rng(6)
    x, y = rng.normal(0, 1, (40, 2)), rng.random(40) < 0.4
    twice = np.repeat(np.arange(40), np.where(np.arange(40) < 10, 2, 1))
    weighted = fit_logistic(x, y, np.where(np.arange(40) < 10, 0.04, 0.02))
    assert weighted == pytest.approx(fit_logistic(x[twice], y[twice], np.full(50, 0.02)), abs=1e-6)
    assert weighted != pytest.approx(fit_logistic(x, y, np.full(40, 0.025)), abs=1e-2)


def test_both_classes_weigh_the_same_however_many_there_are():
    rng = np.random.default_rng(2)
    change = np.concatenate([rng.normal(-1, 1, 3000), rng.normal(1, 1, 100)])
    fit = fit_score(_pairs(change), np.arange(3100) >= 3000)
    # Even odds lie midway between the classes, not towards the rare one.
    assert -fit.bias / fit.scale == pytest.approx(0.0, abs=0.15)


def test_a_size_that_scores_higher_throughout_has_no_more_false_alarms():
    rng = np.random.default_rng(7)
    changed, large = np.arange(4000) % 2 == 1, np.arange(4000) < 1000
    scored = _pairs(rng.normal(0, 1, 4000) + 2.0 * changed + 1.5 * large, np.where(large, 256, 128))
    fit = fit_score(scored, changed)
    assert fit.size == pytest.approx(-1.5 * fit.scale, rel=0.1)
    alarms = answer_scores(scored, fit) >= 0.5
    assert alarms[~changed & large].mean() == pytest.approx(alarms[~changed & ~large].mean(), abs=0.05)
    assert alarms[changed & large].mean() == pytest.approx(alarms[changed & ~large].mean(), abs=0.05)


def test_a_sizes_share_of_changed_pairs_is_not_learnt():
    """Nearly all large pairs are changed and nearly all small ones are not, at the same scores."""
    rng = np.random.default_rng(8)
    changed = np.arange(6000) % 2 == 1
    large = changed == (np.arange(6000) % 20 < 18)
    assert changed[large].mean() > 0.85 and changed[~large].mean() < 0.15
    fit = fit_score(_pairs(rng.normal(0, 1, 6000) + 2.0 * changed, np.where(large, 256, 128)), changed)
    assert fit.size == pytest.approx(0.0, abs=0.25)
    assert -fit.bias / fit.scale == pytest.approx(1.0, abs=0.15)


def test_a_score_is_made_of_change_vector_and_doublings_of_the_side():
    scored = _pairs(np.array([0.5, 0.5, -1.0]), np.array([128, 256, 64]), np.array([1.0, 0.0, 2.0]))
    sums = np.array([2.0 * 0.5 + 0.3 - 0.1, 2.0 * 0.5 - 0.7 - 0.1, -2.0 + 0.6 + 0.7 - 0.1])
    for fit in (ScoreFit(2.0, 0.3, -0.7, -0.1), Calibration(scale=2.0, vectors=0.3, size=-0.7, bias=-0.1)):
        assert answer_scores(scored, fit) == pytest.approx(logistic(sums))


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_the_weight_of_the_change_vector_is_never_negative(sign: float):
    rng = np.random.default_rng(3)
    changed = np.arange(400) % 2 == 1
    large = np.arange(400) % 4 < 2
    change, vectors = rng.normal(0, 1, 400) + changed + large, rng.normal(0, 1, 400) + 2.0 * sign * changed
    fit = fit_score(_pairs(change, np.where(large, 256, 128), vectors), changed)
    assert fit.scale > 0.5 and fit.size < -0.5
    assert fit.vectors > 0.5 if sign > 0 else fit.vectors == 0.0


def test_a_network_that_ranks_backwards_keeps_a_positive_scale():
    changed = np.arange(100) % 2 == 1
    assert fit_score(_pairs(np.where(changed, -3.0, 3.0)), changed).scale > 0


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

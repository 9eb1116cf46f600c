"""Thresholds come out where the score distributions say."""

from __future__ import annotations

import itertools
from dataclasses import asdict, replace

import numpy as np
import pytest

from rsccli.datasets.generated import GeneratedPair
from rsccli.models.small.export import Calibration
from rsccli.models.small.facts import CHANGED, KEYWORDS, Facts, Finding
from rsccli.training.calibrate import (
    DOMAIN_MARGIN,
    FALSE_ALARMS,
    FEWEST_INNOCENT,
    FEWEST_POSITIVES,
    FOUND_BY_RANK,
    KEYWORD_FALSE_ALARMS,
    LEAST_SCALE,
    MASK_THRESHOLDS,
    MISSED_AS_UNCHANGED,
    RANKED_FROM,
    RARE_FALSE_ALARMS,
    Evidence,
    KeywordFit,
    ScoreFit,
    answer_scores,
    calibrate,
    domain_limit,
    fit_keywords,
    fit_logistic,
    fit_looks,
    fit_score,
    keyword_odds,
    keyword_threshold,
    logistic,
    quarter_evidence,
    whole_evidence,
)
from rsccli.training.development import Figures, HeldOut, Measured, RealPair, ScoredPairs

SIDE = 256
CELLS = SIDE // 4
K = len(KEYWORDS)
WHOLE, QUARTERS, DRAWN = 800, 1000, 200
# What most real pairs of the fixture show, what these show in the other order, and kinds that no real pair shows.
COMMON, GONE, RARE, FLOOD = (KEYWORDS.index(name) for name in ("new house", "building removed", "mud", "flood"))
# Kinds that are seen one way only: chips that have them are left out where the dates are exchanged.
PANELS, DEBRIS = (KEYWORDS.index(name) for name in ("solar panels", "debris"))
# Chips have twice the side of their quarters and score so much higher, changed or not.
LARGER = 1.5
NONE = Figures(*[float("nan")] * 7)


def _real(changed: bool, names: tuple[str, ...] = (KEYWORDS[COMMON],)) -> RealPair:
    blank = np.zeros((3, SIDE, SIDE), np.uint8)
    boxes = np.zeros((SIDE, SIDE), bool)
    boxes[: SIDE // 2] = changed
    seen = names if changed else ()
    return RealPair("x", blank, blank, 0.6, changed, seen, boxes, possible=seen)


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
    pixels = np.full(count, 16.0 * mask.size)
    return ScoredPairs(change, rng.normal(-2, 0.5, count), keywords, keywords, domain, [mask] * count, looks, pixels)


def _pairs(change: np.ndarray, sides: np.ndarray | int = 128, vectors: np.ndarray | float = 0.0) -> ScoredPairs:
    """Scores of pairs of these sides in pixels."""
    count = len(change)
    masks = [np.zeros((4, 4), np.float32)] * count
    pixels = np.broadcast_to(sides, count).astype(np.float64) ** 2
    each, looks, none = np.broadcast_to(vectors, count), np.zeros((count, 2, 1), np.float32), np.zeros((count, K))
    return ScoredPairs(change, each, none, none, np.ones((count, 2)), masks, looks, pixels)


def _with(scored: ScoredPairs, keywords: np.ndarray) -> ScoredPairs:
    """Other keywords, whose spots say the same."""
    return replace(scored, keywords=keywords, keyword_spots=keywords)


def _said(keywords: np.ndarray) -> ScoredPairs:
    return _with(_pairs(np.zeros(len(keywords))), keywords)


def _one_way(keywords: np.ndarray, kinds: np.ndarray) -> tuple[HeldOut, Measured]:
    """Chips of one kind each, of those that are seen one way only, -1: unchanged; no quarters, nothing drawn."""
    chips = {k: _real(k >= 0, (KEYWORDS[k],)) for k in np.unique(kinds).tolist()}
    scored, none = _said(keywords), _said(np.zeros((0, K)))
    return HeldOut(tuple(chips[k] for k in kinds.tolist()), (), ()), Measured(NONE, scored, none, none, scored)


def _odds(fit: KeywordFit, scored: ScoredPairs) -> np.ndarray:
    """Probabilities of keywords."""
    return logistic(keyword_odds(scored, Calibration(**asdict(fit))))


def _named(fit: KeywordFit, scored: ScoredPairs) -> np.ndarray:
    return _odds(fit, scored) >= np.array(fit.keywords)


def _cut(fit: KeywordFit, k: int, octaves: float = 0.0) -> float:
    """Logit, and as strong a spot, from which a keyword is named in pairs of a size."""
    odds = np.log(fit.keywords[k] / (1 - fit.keywords[k]))
    rest = odds - fit.keyword_bias[k] - fit.keyword_size[k] * octaves
    return float(rest / (fit.keyword_scale[k] + fit.keyword_spot[k]))


def _f1(named: np.ndarray, wanted: np.ndarray) -> float:
    return float(2 * (named & wanted).sum() / (named.sum() + wanted.sum()))


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
    change, vectors, spots = (
        np.concatenate([getattr(part, name) for part in (measured.whole, measured.quarters)])
        for name in ("change", "vectors", "spots")
    )
    changed = np.array([pair.changed for pair in held_out.real])
    # Chips of the fixture have a side of 256 pixels, their quarters 128.
    octaves = np.repeat([1.0, 0.0], [WHOLE, QUARTERS])
    sums = result.scale * change + result.vectors * vectors + result.spot * spots + result.size * octaves
    return logistic(sums + result.bias), changed


def _unchanged(scores: np.ndarray, changed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores of unchanged chips and of unchanged quarters."""
    return scores[:WHOLE][~changed[:WHOLE]], scores[WHOLE:][~changed[WHOLE:]]


def test_the_promised_share_of_unchanged_pairs_is_called_changed(held_out: HeldOut, measured: Measured):
    scores, changed = _scores(held_out, measured)
    result = calibrate(held_out, measured)
    chips, quarters = (np.mean(part >= result.changed) for part in _unchanged(scores, changed))
    assert (chips + quarters) / 2 == pytest.approx(FALSE_ALARMS, abs=0.004)
    assert min(chips, quarters) > FALSE_ALARMS / 5
    assert np.mean(scores[changed] >= result.changed) > 0.7


@pytest.mark.parametrize("part", ["whole", "quarters"])
def test_false_alarms_on_both_sizes_weigh_alike_however_many_pairs_there_are(
    held_out: HeldOut, measured: Measured, part: str
):
    """Every tenth unchanged pair of one size scores as high as changed ones; there are few quarters."""
    change = getattr(measured, part).change.copy()
    change[::20] += 4.0
    loud = replace(measured, **{part: replace(getattr(measured, part), change=change)})
    few = replace(held_out, quarters=held_out.quarters[:300])
    loud = replace(loud, quarters=loud.quarters.some(np.arange(QUARTERS) < 300))
    limit = calibrate(few, loud)
    whole, quarters = (
        (answer_scores(scored, limit)[[not pair.changed for pair in pairs]] >= limit.changed).mean()
        for scored, pairs in ((loud.whole, few.whole), (loud.quarters, few.quarters))
    )
    assert (whole + quarters) / 2 == pytest.approx(FALSE_ALARMS, abs=0.005)
    assert (whole > quarters) == (part == "whole")


def test_few_changed_chips_are_called_unchanged(held_out: HeldOut, measured: Measured):
    scores, changed = _scores(held_out, measured)
    result = calibrate(held_out, measured)
    assert result.unchanged < result.changed
    assert np.mean(scores[:WHOLE][changed[:WHOLE]] <= result.unchanged) <= MISSED_AS_UNCHANGED + 0.01


def test_scores_are_probabilities_at_even_odds(held_out: HeldOut, measured: Measured):
    result = calibrate(held_out, measured)
    # The two classes of quarters meet at a logit of 2.5, those of chips above.
    for meet, octaves in ((2.5, 0.0), (2.5 + LARGER, 1.0)):
        others = result.vectors * -2.0 + result.spot * float(measured.whole.spots[0]) + result.bias
        middle = result.scale * meet + result.size * octaves + others
        assert logistic(np.array([middle]))[0] == pytest.approx(0.5, abs=0.1)


def test_every_keyword_is_found_and_has_few_false_alarms(held_out: HeldOut, measured: Measured):
    result = calibrate(held_out, measured)
    assert len(result.keywords) == K and all(0 <= each <= 1 for each in result.keywords)
    limits = np.array(result.keywords)
    found = logistic(keyword_odds(measured.generated, result)) >= limits
    assert found[np.arange(DRAWN), np.arange(DRAWN) % K].mean() > 0.7
    quiet = np.array([not pair.changed for pair in held_out.whole])
    named = logistic(keyword_odds(measured.whole, result)) >= limits
    assert named[quiet].mean(0).max() <= KEYWORD_FALSE_ALARMS + 0.02
    assert named[~quiet, COMMON].mean() > 0.7


@pytest.mark.parametrize(("scale", "bias"), [(0.5, 0.7), (1.0, -1.0), (1.6, -0.6)])
def test_probabilities_of_a_keyword_are_the_shares_that_have_it(scale: float, bias: float):
    rng = np.random.default_rng(10)
    keywords = rng.normal(0, 2, (6000, K))
    has = rng.random(6000) < logistic(scale * keywords[:, PANELS] + bias)
    odds = _odds(fit_keywords(*_one_way(keywords, np.where(has, PANELS, DEBRIS))), _said(keywords))[:, PANELS]
    for low, high in itertools.pairwise((0.0, 0.2, 0.4, 0.6, 0.8, 1.0)):
        some = (odds >= low) & (odds < high)
        assert some.sum() > 100 and has[some].mean() == pytest.approx(odds[some].mean(), abs=0.05)


def test_a_keyword_that_ranks_backwards_keeps_a_positive_scale():
    kinds = np.where(np.arange(200) % 2, PANELS, DEBRIS)
    keywords = np.zeros((200, K))
    keywords[:, PANELS] = np.where(kinds == PANELS, -2.0, 2.0)
    fit = fit_keywords(*_one_way(keywords, kinds))
    assert (fit.keyword_scale[PANELS], fit.keyword_spot[PANELS]) == (LEAST_SCALE, 0.0)


@pytest.mark.parametrize(("share", "at_floor"), [(0.5, True), (0.01, False)])
def test_a_keyword_is_named_where_f1_is_best_but_not_below_its_floor(share: float, at_floor: bool):
    """Where half of the chips have it F1 would ask for more false alarms, where few have it for fewer."""
    rng = np.random.default_rng(11)
    has = rng.random(8000) < share
    keywords = np.zeros((8000, K))
    keywords[:, PANELS] = rng.normal(0, 1, 8000) + 2.0 * has
    fit = fit_keywords(*_one_way(keywords, np.where(has, PANELS, DEBRIS)))
    named = _named(fit, _said(keywords))[:, PANELS]
    alarms = named[~has].mean()
    assert alarms == pytest.approx(KEYWORD_FALSE_ALARMS, abs=0.002) if at_floor else alarms < KEYWORD_FALSE_ALARMS / 2
    cuts = keywords[has, PANELS]
    allowed = [cut for cut in cuts if (keywords[~has, PANELS] >= cut).mean() <= KEYWORD_FALSE_ALARMS]
    best = max(_f1(keywords[:, PANELS] >= cut, has) for cut in allowed)
    assert _f1(named, has) == pytest.approx(best, abs=0.015)
    if at_floor:
        assert max(_f1(keywords[:, PANELS] >= cut, has) for cut in cuts) > best + 0.05


def test_quarters_count_among_the_pairs_without_a_keyword(held_out: HeldOut, measured: Measured):
    """Unchanged ones, and changed ones of chips in which nobody saw it."""
    base = fit_keywords(held_out, measured)
    louder = measured.quarters.keywords.copy()
    louder[:, COMMON] += 3.0
    noisy = replace(measured, quarters=_with(measured.quarters, louder))
    cuts = []
    for changed, possible in ((False, ()), (True, ()), (True, (KEYWORDS[COMMON],))):
        quarters = tuple(replace(pair, changed=changed, possible=possible) for pair in held_out.quarters)
        fit = fit_keywords(replace(held_out, quarters=quarters), noisy)
        assert _cut(fit, GONE, 1.0) == pytest.approx(_cut(base, GONE, 1.0), abs=0.3)
        cuts.append(_cut(fit, COMMON))
    assert cuts[0] == cuts[1] > cuts[2] + 1.0


def test_keywords_that_real_pairs_have_do_not_look_at_drawn_ones(held_out: HeldOut, measured: Measured):
    base = fit_keywords(held_out, measured)
    other = fit_keywords(replace(held_out, generated=()), measured)
    for each in ("keyword_scale", "keyword_spot", "keyword_size", "keyword_bias", "keywords"):
        assert [getattr(other, each)[k] for k in (COMMON, GONE)] == [getattr(base, each)[k] for k in (COMMON, GONE)]


def _alarms(fit: KeywordFit, measured: Measured, k: int) -> float:
    """Share of real pairs that are named what none of them is: chips in both orders, and quarters."""
    parts = (measured.whole, measured.swapped, measured.quarters)
    return float(np.concatenate([_named(fit, part)[:, k] for part in parts]).mean())


def test_a_keyword_that_no_real_pair_has_is_named_on_few_of_them(held_out: HeldOut, measured: Measured):
    """Drawn pairs that score low do not pull it down to more false alarms; there its probability is even."""
    lower = replace(measured, generated=_with(measured.generated, measured.generated.keywords - 3.0))
    for pairs, scores in ((held_out, lower), (replace(held_out, generated=()), measured)):
        fit = fit_keywords(pairs, scores)
        assert _alarms(fit, scores, RARE) == pytest.approx(RARE_FALSE_ALARMS, abs=0.001)
        assert (fit.keyword_scale[RARE], fit.keyword_spot[RARE], fit.keywords[RARE]) == (0.0, 1.0, 0.5)


def test_a_keyword_that_no_real_pair_has_asks_for_more_where_drawn_ones_are_told_apart_higher(
    held_out: HeldOut, measured: Measured
):
    higher = measured.generated.keywords.copy()
    higher[:, RARE] += 5.0
    drawn = _with(measured.generated, higher)
    fit = fit_keywords(held_out, replace(measured, generated=drawn))
    has = np.arange(DRAWN) % K == RARE
    assert _alarms(fit, measured, RARE) == 0.0
    best = max(_f1(higher[:, RARE] >= cut, has) for cut in higher[has, RARE])
    assert _f1(_named(fit, drawn)[:, RARE], has) == pytest.approx(best, abs=0.1)


@pytest.mark.parametrize("more", [-3.0, 0.0, 5.0])
@pytest.mark.parametrize("name", FOUND_BY_RANK)
def test_a_flood_is_named_by_its_own_share_whatever_drawn_ones_score(
    held_out: HeldOut, measured: Measured, name: str, more: float
):
    k = KEYWORDS.index(name)
    drawn = replace(measured, generated=_with(measured.generated, measured.generated.keywords + more))
    fit = fit_keywords(held_out, drawn)
    alarms = _alarms(fit, drawn, k)
    assert alarms == pytest.approx(FOUND_BY_RANK[name], abs=0.001) and alarms > 2 * RARE_FALSE_ALARMS
    assert fit.keywords[k] == RANKED_FROM > 0.5


@pytest.mark.parametrize(("k", "count", "enough"), [(PANELS, -1, False), (PANELS, 0, True), (FLOOD, 20, False)])
def test_enough_real_chips_make_the_probability_of_a_keyword(k: int, count: int, enough: bool):
    """One less are too few, and of what is known by its rank there never are."""
    rng = np.random.default_rng(12)
    count += FEWEST_POSITIVES
    kinds = np.where(np.arange(500) < count, k, DEBRIS)
    keywords = rng.normal(0, 1, (500, K))
    keywords[:count, k] += 6.0
    held_out, measured = _one_way(keywords, kinds)
    fit = fit_keywords(held_out, measured)
    assert ((fit.keyword_scale[k], fit.keyword_spot[k]) != (0.0, 1.0)) == enough
    without = whole_evidence(held_out, measured)
    alarms = (without.logits[without.innocent[:, k], k] >= _cut(fit, k)).mean()
    share = FOUND_BY_RANK.get(KEYWORDS[k], RARE_FALSE_ALARMS)
    assert alarms == (0.0 if enough else pytest.approx(share, abs=0.003))


def test_odds_of_keywords_are_made_of_logit_spot_and_size_one_by_one():
    number = np.arange(K)
    weights = {"scale": number + 1.0, "spot": number / 4, "size": -number / 8, "bias": -number}
    fit = Calibration(**{f"keyword_{name}": tuple(values) for name, values in weights.items()})
    logits, spots = np.stack([np.ones(K), number / 2]), np.stack([np.zeros(K), np.full(K, -3.0)])
    scored = replace(_pairs(np.zeros(2), np.array([128, 512])), keywords=logits, keyword_spots=spots)
    # Two doublings.
    expected = np.stack([np.ones(K), number / 2 * (number + 1.0) - 3.0 * number / 4 - 2 * number / 8 - number])
    assert keyword_odds(scored, fit) == pytest.approx(expected)


def test_a_keyword_that_no_real_pair_has_follows_its_spot_alone(held_out: HeldOut, measured: Measured):
    """What is learnt on drawn pairs carries over better there."""
    base = fit_keywords(held_out, measured)
    parts = {name: getattr(measured, name) for name in ("whole", "swapped", "quarters", "generated")}
    noise = np.random.default_rng(19).normal(0, 9, K)
    other = replace(
        measured, **{name: replace(part, keywords=part.keywords[::-1] + noise) for name, part in parts.items()}
    )
    fit = fit_keywords(held_out, other)
    rare = [k for k in range(K) if k not in (COMMON, GONE)]
    assert [fit.keyword_bias[k] for k in rare] == [base.keyword_bias[k] for k in rare]
    assert {fit.keyword_scale[k] for k in rare} == {0.0} and {fit.keyword_spot[k] for k in rare} == {1.0}


@pytest.mark.parametrize(("logits", "spots"), [(1.0, -1.0), (-1.0, 1.0), (1.0, 1.0)])
def test_neither_logit_nor_spot_speaks_against_its_keyword(logits: float, spots: float):
    rng = np.random.default_rng(20)
    has = np.arange(1000) % 4 == 0
    held_out, measured = _one_way(np.zeros((1000, K)), np.where(has, PANELS, DEBRIS))
    each = [np.tile((rng.normal(0, 1, 1000) + 2.0 * sign * has)[:, None], K) for sign in (logits, spots)]
    scored = replace(measured.whole, keywords=each[0], keyword_spots=each[1])
    fit = fit_keywords(held_out, replace(measured, whole=scored, swapped=scored))
    for sign, weight in ((logits, fit.keyword_scale[PANELS]), (spots, fit.keyword_spot[PANELS])):
        assert weight > 1.0 if sign > 0 else weight == 0.0


def test_false_alarms_of_keywords_are_as_rare_on_chips_as_on_quarters(held_out: HeldOut, measured: Measured):
    louder = replace(
        measured,
        whole=_with(measured.whole, measured.whole.keywords + 2.0),
        swapped=_with(measured.swapped, measured.swapped.keywords + 2.0),
    )
    fit = fit_keywords(held_out, louder)
    weights = np.array(fit.keyword_scale) + np.array(fit.keyword_spot)
    assert np.array(fit.keyword_size) / weights == pytest.approx(-2.0, abs=1.0)
    for name, share in FOUND_BY_RANK.items():
        for part in (louder.whole, louder.swapped, louder.quarters):
            assert _named(fit, part)[:, KEYWORDS.index(name)].mean() == pytest.approx(share, abs=0.006)
    # A chip is larger, so that it is never asked for less, even where it is quieter.
    quiet = replace(louder, quarters=_with(measured.quarters, measured.quarters.keywords + 4.0))
    assert set(fit_keywords(held_out, quiet).keyword_size) == {0.0}


@pytest.mark.parametrize(("chips", "side"), [(FEWEST_INNOCENT // 2 - 1, 256), (400, 128)])
def test_the_size_has_no_weight_for_keywords_where_little_shows_it(chips: int, side: int):
    """Too few chips (they count in both orders), or chips of the size of their quarters; a few more weigh."""
    quarters = _pairs(np.zeros(400), 128)

    def sizes(count: int, side: int) -> set[float]:
        whole = _pairs(np.zeros(count), side)
        whole = _with(whole, whole.keywords + 2.0)
        held_out = HeldOut((_real(False),) * count, (_real(False),) * 400, ())
        return set(fit_keywords(held_out, Measured(NONE, whole, quarters, _said(np.zeros((0, K))), whole)).keyword_size)

    assert sizes(chips, side) == {0.0} and sizes(FEWEST_INNOCENT // 2, 256) == {-2.0}


def _kinds(rows: np.ndarray) -> list[set[str]]:
    return [{KEYWORDS[k] for k in np.nonzero(row)[0]} for row in rows]


def _evidence(whole: tuple[RealPair, ...]) -> Evidence:
    """Logits are the chip's number, and 10 more where the dates are exchanged."""
    first = _pairs(np.zeros(len(whole)), 256)
    first = replace(first, keywords=first.keywords + np.arange(len(whole))[:, None], keyword_spots=first.keywords - 5.0)
    second = replace(first, keywords=first.keywords + 10.0, pixels=first.pixels / 4)
    return whole_evidence(HeldOut(whole, (), ()), Measured(NONE, first, first, first, second))


def test_every_label_speaks_for_its_reverse_where_the_dates_are_exchanged():
    names = [("new house",), (), ("flood", "new road"), ("bare soil",)]
    found = _evidence(tuple(_real(bool(each), each) for each in names))
    back = [{"building removed"}, set(), {"water loss", "road removed"}, {"greener vegetation"}]
    assert found.logits[:, 0].tolist() == [0, 1, 2, 3, 10, 11, 12, 13]
    assert found.spots[:, 0].tolist() == [-5.0] * 8 and found.octaves.tolist() == [1.0] * 4 + [0.0] * 4
    assert _kinds(found.wanted) == [*map(set, names), *back]
    assert (found.innocent == ~found.wanted).all()


def test_chips_with_a_keyword_that_has_no_reverse_are_left_out_of_the_other_order():
    """Whether that is what changed, or minor beside it."""
    whole = [_real(True, each) for each in [("solar panels",), ("new house",), ("new house", "debris"), ("new road",)]]
    found = _evidence((*whole[:3], replace(whole[3], possible=("new road", "debris"))))
    assert found.logits[:, 0].tolist() == [0, 1, 2, 3, 11]
    assert found.wanted[4].nonzero()[0].tolist() == [GONE] and found.wanted[:3, DEBRIS].tolist() == [0, 0, 1]


def test_what_somebody_saw_beside_the_label_speaks_for_no_keyword_and_against_none():
    found = _evidence(
        (replace(_real(True), possible=("new house", "snow", "")), replace(_real(False), possible=("boats",)))
    )
    assert _kinds(found.wanted) == [{"new house"}, set(), {"building removed"}, set()]
    unknown = [{"new house", "snow"}, {"boats"}, {"building removed", "snow melted"}, {"boats"}]
    assert _kinds(~found.innocent) == unknown


def test_a_changed_quarter_may_have_what_anybody_saw_in_its_chip():
    quarters = tuple(replace(_real(each), possible=("mud", "snow")) for each in (True, False))
    scored = _pairs(np.zeros(2), np.array([128, 64]))
    found = quarter_evidence(HeldOut((), quarters, ()), Measured(NONE, scored, scored, scored, scored))
    assert not found.wanted.any() and _kinds(~found.innocent) == [{"mud", "snow"}, set()]
    assert found.octaves.tolist() == [0.0, -1.0]


def test_a_reverse_keyword_takes_its_threshold_from_exchanged_dates(held_out: HeldOut, measured: Measured):
    base = fit_keywords(held_out, measured)
    higher = measured.swapped.keywords.copy()
    higher[1::2, GONE] += 3.0
    other = fit_keywords(held_out, replace(measured, swapped=_with(measured.swapped, higher)))
    assert _cut(other, GONE) > _cut(base, GONE) + 0.5 and _cut(other, COMMON) == _cut(base, COMMON)


def test_a_keyword_that_is_named_in_both_orders_needs_more(held_out: HeldOut, measured: Measured):
    base = fit_keywords(held_out, measured)
    both = measured.swapped.keywords.copy()
    both[1::2, COMMON] += 4.0
    other = fit_keywords(held_out, replace(measured, swapped=_with(measured.swapped, both)))
    assert _cut(other, COMMON, 1.0) > _cut(base, COMMON, 1.0) + 1.0
    assert _cut(other, GONE, 1.0) == _cut(base, GONE, 1.0)


def test_a_keyword_threshold_is_the_best_point_above_its_floor():
    scores = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    wanted = np.array([False, False, True, True, True])
    # Midway between two scores: rounding moves no pair across.
    assert keyword_threshold(scores, wanted, 0.0) == 2.5
    assert keyword_threshold(scores, wanted, 3.2) == 3.5
    assert keyword_threshold(scores, wanted, 9.0) == 9.0


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
    assert fit.size == pytest.approx(-1.5 * fit.scale, rel=0.15)
    alarms = answer_scores(scored, fit) >= 0.5
    assert alarms[~changed & large].mean() == pytest.approx(alarms[~changed & ~large].mean(), abs=0.05)
    assert alarms[changed & large].mean() == pytest.approx(alarms[changed & ~large].mean(), abs=0.08)


def test_a_sizes_share_of_changed_pairs_is_not_learnt():
    """Nearly all large pairs are changed and nearly all small ones are not, at the same scores."""
    rng = np.random.default_rng(8)
    changed = np.arange(6000) % 2 == 1
    large = changed == (np.arange(6000) % 20 < 18)
    assert changed[large].mean() > 0.85 and changed[~large].mean() < 0.15
    fit = fit_score(_pairs(rng.normal(0, 1, 6000) + 2.0 * changed, np.where(large, 256, 128)), changed)
    assert fit.size == pytest.approx(0.0, abs=0.25)
    assert -fit.bias / fit.scale == pytest.approx(1.0, abs=0.15)


def test_the_weight_of_the_size_takes_false_alarms_of_large_pairs_off_and_adds_none():
    rng = np.random.default_rng(7)
    changed, large = np.arange(4000) % 2 == 1, np.arange(4000) < 1000
    for more, sign in ((1.5, -1.0), (0.0, 0.0), (-1.5, 0.0)):
        scored = _pairs(rng.normal(0, 1, 4000) + 2.0 * changed + more * large, np.where(large, 256, 128))
        fit, plain = fit_score(scored, changed), fit_score(scored, changed, 0.0)
        assert fit.size < -1.0 if sign < 0 else -0.2 < fit.size <= 0.0
        gaps = []
        for each in (fit, plain):
            alarms = answer_scores(scored, each) >= 0.5
            gaps.append(alarms[~changed & large].mean() - alarms[~changed & ~large].mean())
        assert gaps[0] < gaps[1] / 2 if sign < 0 else gaps[0] <= 0.05


def test_the_weight_of_the_size_is_learnt_from_unchanged_pairs_alone():
    """How much higher large changes score says nothing; nor do fewer unchanged pairs than it takes."""
    rng = np.random.default_rng(9)
    changed, large = np.arange(800) % 2 == 1, np.arange(800) % 4 < 2
    sides = np.where(large, 256, 128)
    change = rng.normal(0, 1, 800) + 2.0 * changed
    assert -0.3 < fit_score(_pairs(change + 2.0 * (large & changed), sides), changed).size <= 0.0
    for few, some in ((FEWEST_INNOCENT - 1, False), (FEWEST_INNOCENT + 1, True)):
        kept = changed | ~large | (np.cumsum(~changed & large) <= few)
        fit = fit_score(_pairs(change[kept] + 3.0 * large[kept], sides[kept]), changed[kept])
        assert (fit.size < -0.5) if some else fit.size == 0.0


@pytest.mark.parametrize("both", [True, False])
def test_the_size_has_no_weight_where_only_one_has_unchanged_pairs(both: bool):
    """One size alone, or a second one that is changed throughout."""
    rng = np.random.default_rng(14)
    changed = np.arange(1000) % 2 == 1
    sides = np.where(changed & (np.arange(1000) < 500) & both, 256, 128)
    fit = fit_score(_pairs(rng.normal(0, 1, 1000) + 2.0 * changed, sides), changed)
    assert fit.size == 0.0 and -fit.bias / fit.scale == pytest.approx(1.0, abs=0.15)


def test_a_weight_of_the_size_that_is_given_stays():
    """The other weights are fitted to it: classes still meet at even odds, though one size cannot show it."""
    rng = np.random.default_rng(15)
    changed = np.arange(3000) % 3 == 1
    scored = _pairs(rng.normal(0, 1, 3000) + 2.0 * changed, 256)
    for size in (-0.7, 0.0, 1.5):
        fit = fit_score(scored, changed, size)
        assert fit.size == size
        assert -(fit.bias + size) / fit.scale == pytest.approx(1.0, abs=0.1)
    large = np.arange(3000) < 1000
    mixed = fit_score(_pairs(scored.change + 5.0 * large, np.where(large, 256, 128)), changed, -0.25)
    assert mixed.size == -0.25


def test_what_is_added_to_the_log_odds_is_not_learnt_again():
    rng = np.random.default_rng(16)
    x, offset = rng.normal(0, 1, (5000, 1)), rng.normal(0, 2, 5000)
    y = rng.random(5000) < logistic(1.2 * x[:, 0] + offset - 0.5)
    scale, bias = fit_logistic(x, y, np.full(5000, 1 / 5000), offset=offset)
    assert scale == pytest.approx(1.2, abs=0.15) and bias == pytest.approx(-0.5, abs=0.12)


def test_a_score_is_made_of_change_vector_spot_and_doublings_of_the_side():
    scored = _pairs(np.array([0.5, 0.5, -1.0]), np.array([128, 256, 64]), np.array([1.0, 0.0, 2.0]))
    scored = replace(scored, mask=[np.full((4, 4), value, np.float32) for value in (0.0, 2.0, -1.0)])
    sums = np.array([2.0 * 0.5 + 0.3 - 0.1, 2.0 * 0.5 - 0.7 - 0.1 + 0.8, -2.0 + 0.6 + 0.7 - 0.1 - 0.4])
    weights = {"scale": 2.0, "vectors": 0.3, "spot": 0.4, "size": -0.7, "bias": -0.1}
    for fit in (ScoreFit(**weights), Calibration(**weights)):
        assert answer_scores(scored, fit) == pytest.approx(logistic(sums))


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_the_weight_of_the_strongest_spot_is_never_negative(sign: float):
    rng = np.random.default_rng(18)
    changed = np.arange(400) % 2 == 1
    scored = _pairs(rng.normal(0, 1, 400) + changed)
    spots = rng.normal(0, 1, 400) + 2.0 * sign * changed
    fit = fit_score(replace(scored, mask=[np.full((4, 4), spot, np.float32) for spot in spots]), changed)
    assert fit.scale > 0.5 and fit.vectors == 0.0
    assert fit.spot > 0.5 if sign > 0 else fit.spot == 0.0


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

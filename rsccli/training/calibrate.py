"""Scores to answers: the logistic of the change score and every threshold, from real development pairs.

A keyword that too few real pairs have takes the point of best F1 from generated pairs, but never below what
keeps false alarms on real pairs rare. What a foreign image is follows from what real training dates look like.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rsccli.models.small.export import Calibration
from rsccli.models.small.facts import KEYWORDS, REVERSED
from rsccli.training.development import (
    F64,
    HeldOut,
    Measured,
    ScoredPairs,
    cells,
    intersection_over_union,
    wanted_keywords,
)

Wanted = npt.NDArray[np.bool_]

FALSE_ALARMS = 0.04
MISSED_AS_UNCHANGED = 0.08
KEYWORD_FALSE_ALARMS = 0.03
# Of keywords that no real chip has. What is drawn carries the flood's look over as a ranking, not as a level
# (it was so in every network that was tried), and a flood that is missed costs more than another word.
RARE_FALSE_ALARMS = 0.004
FOUND_BY_RANK = {"flood": 0.015, "water gain": 0.015}
FEWEST_INNOCENT = 50
KEYWORD_RIDGE, LEAST_SCALE = 1e-2, 0.3
# A guess should be right more often than not.
GUESS_PRECISION = 0.5
FEWEST_POSITIVES = 5
MASK_THRESHOLDS = tuple(float(t) for t in np.linspace(0.1, 0.7, 13))
# Real dates of held-out places may lie this much further out than all but a few of them do.
DOMAIN_QUANTILE, DOMAIN_MARGIN = 0.99, 1.3
SHRINKAGE = 0.1


def logistic(values: F64) -> F64:
    """1 / (1 + exp(-x))."""
    return 1.0 / (1.0 + np.exp(-values))


def fit_logistic(
    features: F64, changed: Wanted, weight: F64, ridge: float = 1e-3, offset: F64 | float = 0.0, steps: int = 80
) -> F64:
    """Weights of a logistic regression, the bias last (Newton's method).

    Args:
        features: (n, f). changed: bool (n,). weight: of each pair (n,). ridge: pull towards the first weight 1 and the
            others 0. offset: added to every pair's log-odds.
    """
    design = np.concatenate([features, np.ones((len(features), 1))], 1)
    start = np.zeros(design.shape[1])
    start[0] = 1.0
    theta = start.copy()
    for _ in range(steps):
        p = logistic(design @ theta + offset)
        gradient = design.T @ (weight * (p - changed)) + ridge * (theta - start)
        curvature = design.T @ (design * (weight * p * (1 - p))[:, None]) + ridge * np.eye(len(theta))
        step = np.linalg.solve(curvature, gradient)
        theta = theta - step / max(1.0, float(np.abs(step).max()))
    return theta


@dataclass(frozen=True)
class ScoreFit:
    """The part of a `Calibration` that makes the score."""

    scale: float
    vectors: float
    size: float
    bias: float


def fit_score(scored: ScoredPairs, changed: Wanted, size: float | None = None) -> ScoreFit:
    """How change logit, change vector and size make the score.

    A negative weight of the change vector would turn an answer round, so it is 0.

    Args:
        scored: pairs of one window each. changed: bool (n,).
        size: weight of the size; None: learnt from the sizes that both changed and unchanged pairs have, where each
            of the two weighs the same, so that neither their number nor a size's share of them is learnt.
    """
    octave = scored.octaves
    if size is None:
        groups = [(octave == value) & (changed == flag) for value in np.unique(octave) for flag in (False, True)]
        both = [one | other for one, other in zip(groups[::2], groups[1::2], strict=True) if one.any() and other.any()]
        weight = sum(((group & np.any(both, 0)) / max(1, group.sum()) for group in groups), np.zeros(len(octave)))
        if len(both) < 2:
            return fit_score(scored, changed, 0.0)
        extra, offset = octave[:, None], np.zeros(len(octave))
    else:
        weight = np.where(changed, 1.0 / max(1, changed.sum()), 1.0 / max(1, (~changed).sum()))
        extra, offset = np.zeros((len(octave), 0)), size * octave
    weight = weight / weight.sum()
    features = np.concatenate([scored.change[:, None], scored.vectors[:, None], extra], 1)
    theta = fit_logistic(features, changed, weight, offset=offset)
    if theta[1] <= 0:
        theta = np.insert(fit_logistic(np.delete(features, 1, 1), changed, weight, offset=offset), 1, 0.0)
    learnt = float(theta[2]) if size is None else size
    return ScoreFit(max(float(theta[0]), 0.05), float(theta[1]), learnt, float(theta[-1]))


def answer_scores(scored: ScoredPairs, fit: ScoreFit | Calibration) -> F64:
    """Calibrated scores (n,), 0-1, of pairs that are one window each."""
    return logistic(fit.scale * scored.change + fit.vectors * scored.vectors + fit.size * scored.octaves + fit.bias)


def keyword_threshold(scores: F64, wanted: Wanted, floor: float) -> float:
    """Logit at which a keyword is named: best F1, not below ``floor``.

    Args:
        scores: logits (n,). wanted: bool (n,), which pairs have it.
    """
    candidates = np.unique(np.concatenate([scores[wanted], [floor]]))
    best, best_f1 = floor, -1.0
    for candidate in candidates[candidates >= floor]:
        named = scores >= candidate
        f1 = 2.0 * (named & wanted).sum() / (named.sum() + wanted.sum())
        if f1 > best_f1:
            best, best_f1 = float(candidate), f1
    return best


class Evidence(NamedTuple):
    """Keyword logits of real pairs: (n, K), with doublings of their side over 128 px (n,).

    Attributes:
        wanted: bool (n, K), which keywords each pair has. innocent: bool (n, K), which it has for certain not.
    """

    logits: F64
    octaves: F64
    wanted: Wanted
    innocent: Wanted


def whole_evidence(held_out: HeldOut, measured: Measured) -> Evidence:
    """Of real chips in both orders of time.

    What was built was demolished where the dates are exchanged, so that every label speaks for a keyword and for its
    reverse. Chips with a keyword that has none are left out of the second half.
    """
    forward = [(pair.keywords or (), pair.possible) for pair in held_out.whole]
    kept = np.array([set(REVERSED) >= {*named, *seen} - {""} for named, seen in forward], bool)
    backward = [
        tuple(tuple(REVERSED[name] for name in names if name) for names in pair)
        for pair, keep in zip(forward, kept, strict=True)
        if keep
    ]
    every = [*forward, *backward]
    return Evidence(
        np.concatenate([measured.whole.keywords, measured.swapped.keywords[kept]]),
        np.concatenate([measured.whole.octaves, measured.swapped.octaves[kept]]),
        np.array([[name in named for name in KEYWORDS] for named, _ in every], bool).reshape(-1, len(KEYWORDS)),
        np.array([[name not in {*named, *seen} for name in KEYWORDS] for named, seen in every], bool).reshape(
            -1, len(KEYWORDS)
        ),
    )


def quarter_evidence(held_out: HeldOut, measured: Measured) -> Evidence:
    """Of quarters, of which it is only known what they do not have."""
    innocent = [[not pair.changed or name not in pair.possible for name in KEYWORDS] for pair in held_out.quarters]
    none = np.zeros((len(innocent), len(KEYWORDS)), bool)
    return Evidence(
        measured.quarters.keywords, measured.quarters.octaves, none, np.array(innocent, bool).reshape(none.shape)
    )


@dataclass(frozen=True)
class KeywordFit:
    """The part of a `Calibration` that makes keywords: of each logit scale, bias, size and threshold, and the guess."""

    keyword_scale: tuple[float, ...]
    keyword_bias: tuple[float, ...]
    keyword_size: tuple[float, ...]
    keywords: tuple[float, ...]
    guess: float | None


def fit_keywords(held_out: HeldOut, measured: Measured) -> KeywordFit:
    """How keyword logits become probabilities and words.

    The size of a pair is weighed so that false alarms are as rare on chips as on their quarters. A keyword that enough
    real chips have gets its probability from them (Platt 1999), and is named from where F1 is best. One that too few
    have is named where few real pairs without it are, and where F1 is best on generated pairs unless `FOUND_BY_RANK`
    knows it better; there its probability is even.
    """
    whole, quarters = whole_evidence(held_out, measured), quarter_evidence(held_out, measured)
    on_drawn, drawn = wanted_keywords(held_out.generated), measured.generated
    even = np.full(len(whole.logits), 1.0 / len(whole.logits))
    scales, biases, sizes, thresholds = [], [], [], []
    for k, name in enumerate(KEYWORDS):
        real, wanted = whole.logits[:, k], whole.wanted[:, k]
        enough = wanted.sum() >= FEWEST_POSITIVES
        alarms = KEYWORD_FALSE_ALARMS if enough else FOUND_BY_RANK.get(name, RARE_FALSE_ALARMS)
        size = _size_weight(whole, quarters, k, alarms)
        real = real + size * whole.octaves
        innocent = np.concatenate(
            [
                real[whole.innocent[:, k]],
                (quarters.logits[:, k] + size * quarters.octaves)[quarters.innocent[:, k]],
            ]
        )
        floor = float(np.quantile(innocent, 1.0 - alarms))
        if enough:
            scale, bias = fit_logistic(real[:, None], wanted, even, KEYWORD_RIDGE)
            scale = max(float(scale), LEAST_SCALE)
            threshold = scale * keyword_threshold(real, wanted, floor) + float(bias)
        else:
            if name not in FOUND_BY_RANK and on_drawn[:, k].any():
                floor = keyword_threshold(drawn.keywords[:, k] + size * drawn.octaves, on_drawn[:, k], floor)
            scale, bias, threshold = 1.0, -floor, 0.0
        scales.append(round(scale, 4))
        biases.append(round(float(bias), 4))
        sizes.append(round(size, 4))
        thresholds.append(round(float(logistic(np.array([threshold]))[0]), 5))
    fit = KeywordFit(tuple(scales), tuple(biases), tuple(sizes), tuple(thresholds), None)
    odds = np.array(scales) * (whole.logits + np.array(sizes) * whole.octaves[:, None]) + np.array(biases)
    return replace(fit, guess=_guess(logistic(odds), whole.wanted, fit))


def _size_weight(whole: Evidence, quarters: Evidence, k: int, alarms: float) -> float:
    """What a doubling of the side takes off a keyword's logit, 0 or less."""
    large, small = (part.logits[part.innocent[:, k], k] for part in (whole, quarters))
    if len(large) < FEWEST_INNOCENT or len(small) < FEWEST_INNOCENT:
        return 0.0
    doublings = float(whole.octaves.mean() - quarters.octaves.mean())
    if doublings < 0.5:
        return 0.0
    gap = float(np.quantile(small, 1.0 - alarms) - np.quantile(large, 1.0 - alarms))
    return min(0.0, gap / doublings)


def _guess(odds: F64, wanted: Wanted, fit: KeywordFit) -> float | None:
    """Least probability from which the strongest keyword of changed chips that reach no threshold is mostly right."""
    some = wanted.any(1) & ~(odds >= np.array(fit.keywords)).any(1)
    best = odds.argmax(1)
    rows = np.flatnonzero(some)
    order = rows[np.argsort(-odds[rows, best[rows]], kind="stable")]
    right = wanted[order, best[order]]
    good = np.flatnonzero(np.cumsum(right) >= GUESS_PRECISION * np.arange(1, len(right) + 1))
    return round(float(odds[order[good[-1]], best[order[good[-1]]]]), 4) if len(good) else None


def keyword_odds(scored: ScoredPairs, fit: Calibration) -> F64:
    """Calibrated log-odds of keywords (n, K)."""
    sized = scored.keywords + scored.octaves[:, None] * np.array(fit.keyword_size)
    return np.asarray(sized * np.array(fit.keyword_scale) + np.array(fit.keyword_bias), np.float64)


def mask_threshold(held_out: HeldOut, whole: ScoredPairs) -> float:
    """Probability whose masks overlap best with the marked boxes of real changed chips."""
    changed = [i for i, pair in enumerate(held_out.whole) if pair.changed]
    boxes = [cells(held_out.whole[i].boxes) for i in changed]
    if not changed:
        return 0.5
    overlaps = []
    for threshold in MASK_THRESHOLDS:
        edge = np.log(threshold / (1.0 - threshold))
        overlaps.append(intersection_over_union([whole.mask[i] >= edge for i in changed], boxes))
    return round(MASK_THRESHOLDS[int(np.argmax(overlaps))], 3)


@dataclass(frozen=True)
class Looks:
    """What training dates look like: mean (D,) and whitening matrix (D, D), so that an average date has distance 1."""

    mean: npt.NDArray[np.float32]
    white: npt.NDArray[np.float32]


def fit_looks(looks: npt.NDArray[np.float32]) -> Looks:
    """Gaussian of looks (n, D), its covariance shrunk towards its diagonal (Lee et al. 2018 use the distance so)."""
    x = looks.astype(np.float64)
    mean = x.mean(0)
    covariance = np.cov(x - mean, rowvar=False)
    spread = np.diag(np.diag(covariance))
    values, vectors = np.linalg.eigh((1.0 - SHRINKAGE) * covariance + SHRINKAGE * spread + 1e-6 * np.eye(len(mean)))
    white = vectors / np.sqrt(values)
    return Looks(mean.astype(np.float32), white.astype(np.float32))


def domain_limit(scored: ScoredPairs) -> float:
    """Squared distance above which a date is foreign, from dates of held-out places."""
    return round(DOMAIN_MARGIN * float(np.quantile(scored.domain, DOMAIN_QUANTILE)), 3)


def calibrate(held_out: HeldOut, measured: Measured) -> Calibration:
    """All thresholds of a network from its scores on development pairs.

    A pair is called changed where few of the real unchanged pairs of its size score as high (``FALSE_ALARMS``),
    unchanged where at most ``MISSED_AS_UNCHANGED`` of the real changed chips score as low; between the two, unsure.

    Args:
        held_out: the pairs. measured: what the network scored.
    """
    changed = np.array([pair.changed for pair in held_out.real], bool)
    real = ScoredPairs(
        change=np.concatenate([measured.whole.change, measured.quarters.change]),
        vectors=np.concatenate([measured.whole.vectors, measured.quarters.vectors]),
        keywords=np.concatenate([measured.whole.keywords, measured.quarters.keywords]),
        domain=np.concatenate([measured.whole.domain, measured.quarters.domain]),
        mask=measured.whole.mask + measured.quarters.mask,
        looks=np.concatenate([measured.whole.looks, measured.quarters.looks]),
        pixels=np.concatenate([measured.whole.pixels, measured.quarters.pixels]),
    )
    fit = fit_score(real, changed)
    scores = answer_scores(real, fit)
    chips = len(held_out.whole)
    high = max(
        float(np.quantile(part[~wanted], 1.0 - FALSE_ALARMS))
        for part, wanted in ((scores[:chips], changed[:chips]), (scores[chips:], changed[chips:]))
        if (~wanted).any()
    )
    low = float(np.quantile(scores[:chips][changed[:chips]], MISSED_AS_UNCHANGED))
    return Calibration(
        **asdict(fit),
        changed=round(high, 4),
        unchanged=round(min(low, 0.9 * high), 4),
        **asdict(fit_keywords(held_out, measured)),
        mask=mask_threshold(held_out, measured.whole),
        domain=domain_limit(real),
    )

"""Scores to answers: the logistic of the change score and every threshold, from real development pairs.

A keyword that too few real pairs have takes the point of best F1 from generated pairs, but never below what
keeps false alarms on real pairs rare. What a foreign image is follows from what real training dates look like.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rsccli.models.small.export import Calibration
from rsccli.models.small.facts import BUILT, KEYWORDS, REVERSED
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
BUILT_FALSE_ALARMS = 0.06
# Of keywords that hardly any real chip has. What is drawn carries the look of water over as a ranking, not as a level
# (it was so in every network that was tried), and a flood that is missed costs more than another word.
RARE_FALSE_ALARMS = 0.001
FOUND_BY_RANK = {"flood": 0.014, "water gain": 0.014, "water loss": 0.015}
# Water is told before grass: the probability that such a keyword has at its threshold.
RANKED_FROM = 0.9
FEWEST_INNOCENT = 20
SIZE_STEPS = 8
# Innocent pairs of two sizes are compared where so many of them score higher.
ALARM_SHARES = (0.05, 0.1, 0.15, 0.2)
KEYWORD_RIDGE, LEAST_SCALE = 1e-3, 0.3
FEWEST_POSITIVES = 5
MASK_THRESHOLDS = tuple(float(t) for t in np.linspace(0.1, 0.7, 13))
# Real dates of held-out places may lie this much further out than all but a few of them do.
DOMAIN_QUANTILE, DOMAIN_MARGIN = 0.99, 1.3
SHRINKAGE = 0.1


def logistic(values: F64) -> F64:
    """1 / (1 + exp(-x))."""
    return 1.0 / (1.0 + np.exp(-values))


def log_odds(probabilities: F64) -> F64:
    """Inverse of `logistic`, kept finite."""
    kept = np.clip(probabilities, 1e-9, 1.0 - 1e-9)
    return np.asarray(np.log(kept / (1.0 - kept)), np.float64)


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
    spot: float
    size: float
    bias: float


def fit_score(scored: ScoredPairs, changed: Wanted, size: float | None = None) -> ScoreFit:
    """How change logit, change vector, strongest spot of the mask and size make the score.

    Changed and unchanged pairs weigh the same, however many there are.

    Args:
        scored: pairs of one window each. changed: bool (n,).
        size: weight of the size; None: what makes false alarms as frequent on large as on small pairs.
    """
    if size is not None:
        return _fit_score(scored, changed, size)
    fit = _fit_score(scored, changed, 0.0)
    small, large = (~changed & side for side in (scored.octaves < 0.25, scored.octaves >= 0.75))
    if min(small.sum(), large.sum()) < FEWEST_INNOCENT:
        return fit
    doublings = float(scored.octaves[large].mean() - scored.octaves[small].mean())
    for _ in range(SIZE_STEPS):
        # The weight changes the fit, and the fit what the weight has to even out.
        odds = log_odds(answer_scores(scored, fit))
        fit = _fit_score(scored, changed, min(0.0, fit.size + _gap(odds[small], odds[large], ALARM_SHARES) / doublings))
    return fit


def _fit_score(scored: ScoredPairs, changed: Wanted, size: float) -> ScoreFit:
    """The fit for a given weight of the size; what would turn an answer round (a negative weight) is left out."""
    weight = np.where(changed, 0.5 / max(1, changed.sum()), 0.5 / max(1, (~changed).sum()))
    features = np.stack([scored.change, scored.vectors, scored.spots], 1)
    used = np.array([True, True, True])
    while True:
        theta = np.zeros(len(used) + 1)
        theta[[*used, True]] = fit_logistic(features[:, used], changed, weight, offset=size * scored.octaves)
        wrong = used & (theta[:-1] < 0) & [False, True, True]
        if not wrong.any():
            return ScoreFit(max(float(theta[0]), 0.05), float(theta[1]), float(theta[2]), size, float(theta[3]))
        used &= ~wrong


def _gap(small: F64, large: F64, shares: tuple[float, ...]) -> float:
    """How much higher small pairs score than large ones where these shares of them lie beyond."""
    levels = 1.0 - np.array(shares)
    return float((np.quantile(small, levels) - np.quantile(large, levels)).mean())


def answer_scores(scored: ScoredPairs, fit: ScoreFit | Calibration) -> F64:
    """Calibrated scores (n,), 0-1, of pairs that are one window each."""
    network = fit.scale * scored.change + fit.spot * scored.spots
    return logistic(network + fit.vectors * scored.vectors + fit.size * scored.octaves + fit.bias)


def keyword_threshold(scores: F64, wanted: Wanted, floor: float) -> float:
    """Logit at which a keyword is named: best F1, not below ``floor``.

    Args:
        scores: logits (n,). wanted: bool (n,), which pairs have it.
    """
    order = np.unique(scores)
    # Midway between two scores, so that rounding what is written moves no pair across.
    candidates = np.concatenate([(order[1:] + order[:-1]) / 2, [floor]])
    best, best_f1 = floor, -1.0
    for candidate in candidates[candidates >= floor]:
        named = scores >= candidate
        f1 = 2.0 * (named & wanted).sum() / (named.sum() + wanted.sum())
        if f1 > best_f1:
            best, best_f1 = float(candidate), f1
    return best


class Evidence(NamedTuple):
    """What speaks for keywords on real pairs.

    Attributes:
        logits, spots: (n, K). octaves: doublings of their side over 128 px (n,).
        wanted: bool (n, K), which keywords each pair has. innocent: bool (n, K), which it has for certain not.
    """

    logits: F64
    spots: F64
    octaves: F64
    wanted: Wanted
    innocent: Wanted

    def mixed(self, k: int, weights: F64) -> F64:
        """Log-odds of a keyword (n,) by the weights of logit, spot and size, without bias."""
        network = weights[0] * self.logits[:, k] + weights[1] * self.spots[:, k]
        return np.asarray(network + weights[2] * self.octaves, np.float64)


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
    first, second = measured.whole, measured.swapped.some(kept)
    shape = (-1, len(KEYWORDS))
    return Evidence(
        np.concatenate([first.keywords, second.keywords]),
        np.concatenate([first.keyword_spots, second.keyword_spots]),
        np.concatenate([first.octaves, second.octaves]),
        np.array([[name in named for name in KEYWORDS] for named, _ in every], bool).reshape(shape),
        np.array([[name not in {*named, *seen} for name in KEYWORDS] for named, seen in every], bool).reshape(shape),
    )


def quarter_evidence(held_out: HeldOut, measured: Measured) -> Evidence:
    """Of quarters, of which it is only known what they do not have."""
    innocent = [[not pair.changed or name not in pair.possible for name in KEYWORDS] for pair in held_out.quarters]
    none = np.zeros((len(innocent), len(KEYWORDS)), bool)
    scored = measured.quarters
    known = np.array(innocent, bool).reshape(none.shape)
    return Evidence(scored.keywords, scored.keyword_spots, scored.octaves, none, known)


def drawn_evidence(held_out: HeldOut, measured: Measured) -> Evidence:
    """Of generated pairs, all of whose keywords are known."""
    scored, wanted = measured.generated, wanted_keywords(held_out.generated)
    return Evidence(scored.keywords, scored.keyword_spots, scored.octaves, wanted, ~wanted)


@dataclass(frozen=True)
class KeywordFit:
    """The part of a `Calibration` that makes keywords."""

    keyword_scale: tuple[float, ...]
    keyword_spot: tuple[float, ...]
    keyword_size: tuple[float, ...]
    keyword_bias: tuple[float, ...]
    keywords: tuple[float, ...]


def fit_keywords(held_out: HeldOut, measured: Measured) -> KeywordFit:
    """How keyword logits and spots become probabilities and words.

    A keyword that enough real chips have gets its probability from them (Platt 1999), and is named from where F1 is
    best. One that too few have follows its spot alone, and is named where few real pairs without it are, and where F1
    is best on generated pairs; its probability is even there. Those of `FOUND_BY_RANK` do so by real pairs alone, and
    are told first. The size of a pair is weighed so that false alarms are as rare on chips as on their quarters.
    """
    whole, quarters = whole_evidence(held_out, measured), quarter_evidence(held_out, measured)
    drawn = drawn_evidence(held_out, measured)
    rows = []
    for k, name in enumerate(KEYWORDS):
        wanted = whole.wanted[:, k]
        enough = wanted.sum() >= FEWEST_POSITIVES and name not in FOUND_BY_RANK
        often = BUILT_FALSE_ALARMS if name in BUILT else KEYWORD_FALSE_ALARMS
        alarms = often if enough else FOUND_BY_RANK.get(name, RARE_FALSE_ALARMS)
        scale, spot, bias = platt(whole.logits[:, k], whole.spots[:, k], wanted) if enough else (0.0, 1.0, 0.0)
        weights = np.array([scale, spot, 0.0])
        large, small = (part.mixed(k, weights)[part.innocent[:, k]] for part in (whole, quarters))
        doublings = float(whole.octaves.mean() - quarters.octaves.mean()) if len(small) else 0.0
        if min(len(large), len(small)) >= FEWEST_INNOCENT and doublings >= 0.5:
            weights[2] = min(0.0, _gap(small, large, (alarms,)) / doublings)
        innocent = np.concatenate([part.mixed(k, weights)[part.innocent[:, k]] for part in (whole, quarters)])
        threshold = float(np.quantile(innocent, 1.0 - alarms))
        if enough:
            # The size was not known when the bias was fitted.
            bias -= float(weights[2] * whole.octaves.mean())
            threshold = keyword_threshold(whole.mixed(k, weights), wanted, threshold)
        elif name not in FOUND_BY_RANK and drawn.wanted[:, k].any():
            threshold = keyword_threshold(drawn.mixed(k, weights), drawn.wanted[:, k], threshold)
        if not enough:
            first = RANKED_FROM if name in FOUND_BY_RANK else 0.5
            bias = float(log_odds(np.array(first))) - threshold
        rows.append((*(round(float(weight), 4) for weight in weights), round(bias, 4), threshold + bias))
    scales, spots, sizes, biases, limit = zip(*rows, strict=True)
    limits = tuple(round(float(p), 5) for p in logistic(np.array(limit)))
    return KeywordFit(scales, spots, sizes, biases, limits)


def platt(logits: F64, spots: F64, wanted: Wanted, offset: F64 | float = 0.0) -> tuple[float, float, float]:
    """Weights of a keyword's logit and spot, neither of which speaks against it, and bias (Platt 1999).

    Args:
        logits, spots: (n,). wanted: bool (n,). offset: log-odds that are there already.
    """
    features = np.stack([logits, spots], 1)
    even = np.full(len(features), 1.0 / len(features))
    used = np.array([True, True])
    while True:
        theta = fit_logistic(features[:, used], wanted, even, KEYWORD_RIDGE, offset)
        weights = np.zeros(2)
        weights[used] = theta[:-1]
        if weights.min() >= 0:
            return float(weights[0]), float(weights[1]), float(theta[-1])
        if used.sum() == 1:
            return LEAST_SCALE, 0.0, float(theta[-1])
        used = weights >= 0 if (weights >= 0).any() else np.array([True, False])


def keyword_odds(scored: ScoredPairs, fit: Calibration) -> F64:
    """Calibrated log-odds of keywords (n, K)."""
    network = np.array(fit.keyword_scale) * scored.keywords + np.array(fit.keyword_spot) * scored.keyword_spots
    return np.asarray(
        network + np.array(fit.keyword_size) * scored.octaves[:, None] + np.array(fit.keyword_bias), np.float64
    )


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

    A pair is called changed where few of the real unchanged pairs score as high (``FALSE_ALARMS``, sizes weigh alike),
    unchanged where at most ``MISSED_AS_UNCHANGED`` of the real changed chips score as low; between the two, unsure.

    Args:
        held_out: the pairs. measured: what the network scored.
    """
    changed = np.array([pair.changed for pair in held_out.real], bool)
    real = ScoredPairs(
        change=np.concatenate([measured.whole.change, measured.quarters.change]),
        vectors=np.concatenate([measured.whole.vectors, measured.quarters.vectors]),
        keywords=np.concatenate([measured.whole.keywords, measured.quarters.keywords]),
        keyword_spots=np.concatenate([measured.whole.keyword_spots, measured.quarters.keyword_spots]),
        domain=np.concatenate([measured.whole.domain, measured.quarters.domain]),
        mask=measured.whole.mask + measured.quarters.mask,
        looks=np.concatenate([measured.whole.looks, measured.quarters.looks]),
        pixels=np.concatenate([measured.whole.pixels, measured.quarters.pixels]),
    )
    fit = fit_score(real, changed)
    scores = answer_scores(real, fit)
    chips = len(held_out.whole)
    quiet = [part[~wanted] for part, wanted in zip(np.split(scores, [chips]), np.split(changed, [chips]), strict=True)]
    shares = np.concatenate([np.full(len(part), 1.0 / max(1, len(part))) for part in quiet])
    high = float(np.quantile(np.concatenate(quiet), 1.0 - FALSE_ALARMS, weights=shares, method="inverted_cdf"))
    low = float(np.quantile(scores[:chips][changed[:chips]], MISSED_AS_UNCHANGED))
    return Calibration(
        **asdict(fit),
        changed=round(high, 4),
        unchanged=round(min(low, 0.9 * high), 4),
        **asdict(fit_keywords(held_out, measured)),
        mask=mask_threshold(held_out, measured.whole),
        domain=domain_limit(real),
    )

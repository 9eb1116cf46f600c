"""Scores to answers: the logistic of the change score and every threshold, from real development pairs.

A keyword that too few real pairs have takes the point of best F1 from generated pairs, but never below what
keeps false alarms on real pairs rare. What a foreign image is follows from what real training dates look like.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rsccli.models.small.export import Calibration
from rsccli.models.small.facts import KEYWORDS
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
FEWEST_POSITIVES = 5
MASK_THRESHOLDS = tuple(float(t) for t in np.linspace(0.1, 0.7, 13))
# Real dates of held-out places may lie this much further out than all but a few of them do.
DOMAIN_QUANTILE, DOMAIN_MARGIN = 0.99, 1.3
SHRINKAGE = 0.1


def logistic(values: F64) -> F64:
    """1 / (1 + exp(-x))."""
    return 1.0 / (1.0 + np.exp(-values))


def fit_logistic(features: F64, changed: Wanted, ridge: float = 1e-3, steps: int = 80) -> F64:
    """Weights of a logistic regression, the bias last; both classes weigh the same (Newton's method).

    Args:
        features: (n, f). changed: bool (n,). ridge: pull towards the first weight 1 and the others 0.
    """
    design = np.concatenate([features, np.ones((len(features), 1))], 1)
    weight = np.where(changed, 0.5 / max(1, changed.sum()), 0.5 / max(1, (~changed).sum()))
    start = np.zeros(design.shape[1])
    start[0] = 1.0
    theta = start.copy()
    for _ in range(steps):
        p = logistic(design @ theta)
        gradient = design.T @ (weight * (p - changed)) + ridge * (theta - start)
        curvature = design.T @ (design * (weight * p * (1 - p))[:, None]) + ridge * np.eye(len(theta))
        step = np.linalg.solve(curvature, gradient)
        theta = theta - step / max(1.0, float(np.abs(step).max()))
    return theta


def fit_score(scored: ScoredPairs, changed: Wanted) -> tuple[float, float, float]:
    """Scale, weight of the change vector, and bias; a negative weight would turn an answer round, so it is 0."""
    both = fit_logistic(np.stack([scored.change, scored.vectors], 1), changed)
    if both[1] <= 0:
        alone = fit_logistic(scored.change[:, None], changed)
        return max(float(alone[0]), 0.05), 0.0, float(alone[1])
    return max(float(both[0]), 0.05), float(both[1]), float(both[2])


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


def keyword_thresholds(held_out: HeldOut, measured: Measured) -> list[float]:
    """Logits for every keyword."""
    on_real, on_drawn = wanted_keywords(held_out.whole), wanted_keywords(held_out.generated)
    whole, drawn = measured.whole.keywords, measured.generated.keywords
    quarter_negative = np.array([not pair.changed for pair in held_out.quarters], bool)
    thresholds = []
    for k in range(len(KEYWORDS)):
        innocent = np.concatenate([whole[~on_real[:, k], k], measured.quarters.keywords[quarter_negative, k]])
        floor = float(np.quantile(innocent, 1.0 - KEYWORD_FALSE_ALARMS))
        if on_real[:, k].sum() >= FEWEST_POSITIVES:
            thresholds.append(keyword_threshold(whole[:, k], on_real[:, k], floor))
        elif on_drawn[:, k].any():
            thresholds.append(keyword_threshold(drawn[:, k], on_drawn[:, k], floor))
        else:
            thresholds.append(max(floor, 0.0))
    return thresholds


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

    A pair is called changed where few of the real unchanged pairs score as high (``FALSE_ALARMS``), unchanged where
    at most ``MISSED_AS_UNCHANGED`` of the real changed chips score as low; between the two it is unsure.

    Args:
        held_out: the pairs. measured: what the network scored.
    """
    changed = np.array([pair.changed for pair in held_out.real], bool)
    real = ScoredPairs(
        change=np.concatenate([measured.whole.change, measured.quarters.change]),
        vectors=np.concatenate([measured.whole.vectors, measured.quarters.vectors]),
        keywords=measured.whole.keywords,
        domain=np.concatenate([measured.whole.domain, measured.quarters.domain]),
        mask=[],
        looks=measured.whole.looks,
    )
    scale, vectors, bias = fit_score(real, changed)
    scores = logistic(scale * real.change + vectors * real.vectors + bias)
    high = float(np.quantile(scores[~changed], 1.0 - FALSE_ALARMS))
    low = float(np.quantile(scores[: len(held_out.whole)][changed[: len(held_out.whole)]], MISSED_AS_UNCHANGED))
    return Calibration(
        scale=scale,
        bias=bias,
        vectors=vectors,
        changed=round(high, 4),
        unchanged=round(min(low, 0.9 * high), 4),
        keywords=tuple(round(float(p), 5) for p in logistic(np.array(keyword_thresholds(held_out, measured)))),
        mask=mask_threshold(held_out, measured.whole),
        domain=domain_limit(real),
    )

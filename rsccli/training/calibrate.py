"""Scores to answers: the logistic of the change score and every threshold, from development pairs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rsccli.models.small.export import Calibration
from rsccli.models.small.facts import KEYWORDS
from rsccli.models.small.network import MASK_STRIDE
from rsccli.training.development import F64, HeldOut, ScoredPairs, wanted_keywords

Wanted = npt.NDArray[np.bool_]

FALSE_ALARMS = 0.06
MISSED_AS_UNCHANGED = 0.10
KEYWORD_FALSE_ALARMS = 0.03
FEWEST_POSITIVES = 4
MASK_THRESHOLDS = tuple(float(t) for t in np.linspace(0.2, 0.8, 13))


def logistic(values: F64) -> F64:
    """1 / (1 + exp(-x))."""
    return 1.0 / (1.0 + np.exp(-values))


def fit_logistic(positive: F64, negative: F64, steps: int = 60) -> tuple[float, float]:
    """Scale and bias of Platt's logistic, both classes weighing the same (Newton's method, mild ridge).

    Args:
        positive: logits of changed pairs. negative: of unchanged pairs.
    """
    x = np.concatenate([positive, negative])
    y = np.concatenate([np.ones(len(positive)), np.zeros(len(negative))])
    weight = np.where(y > 0, 0.5 / len(positive), 0.5 / len(negative))
    design = np.stack([x, np.ones_like(x)], 1)
    theta = np.array([1.0, 0.0])
    ridge = np.diag([1e-3, 1e-3])
    for _ in range(steps):
        p = logistic(design @ theta)
        gradient = design.T @ (weight * (p - y)) + ridge @ (theta - np.array([1.0, 0.0]))
        curvature = design.T @ (design * (weight * p * (1 - p))[:, None]) + ridge
        theta = theta - np.linalg.solve(curvature, gradient)
    # A negative scale would turn the answers round; a network that needs one has learnt nothing.
    return max(float(theta[0]), 0.05), float(theta[1])


def keyword_threshold(scores: F64, wanted: Wanted, unchanged: F64) -> float:
    """Logit at which a keyword is named: best F1, among those that few unchanged pairs reach.

    Args:
        scores: logits of changed pairs (n,). wanted: bool (n,). unchanged: logits of unchanged pairs.
    """
    floor = float(np.quantile(unchanged, 1.0 - KEYWORD_FALSE_ALARMS))
    if wanted.sum() < FEWEST_POSITIVES:
        return max(floor, 0.0)
    candidates = np.unique(np.concatenate([scores[wanted], [floor]]))
    best, best_f1 = floor, -1.0
    for candidate in candidates[candidates >= floor]:
        named = scores >= candidate
        alarms = (unchanged >= candidate).sum()
        f1 = 2.0 * (named & wanted).sum() / (named.sum() + alarms + wanted.sum())
        if f1 > best_f1:
            best, best_f1 = float(candidate), f1
    return best


def mask_threshold(held_out: HeldOut, generated: ScoredPairs) -> float:
    """Probability with the best intersection over union on generated pairs."""
    best, best_iou = 0.5, -1.0
    for threshold in MASK_THRESHOLDS:
        edge = float(np.log(threshold / (1.0 - threshold)))
        overlap = union = 0
        for pair, mask in zip(held_out.generated, generated.mask, strict=True):
            height, width = mask.shape
            truth = pair.mask.reshape(height, MASK_STRIDE, width, MASK_STRIDE).mean((1, 3)) >= 0.5
            seen = mask >= edge
            overlap += int((truth & seen).sum())
            union += int((truth | seen).sum())
        if overlap / max(union, 1) > best_iou:
            best, best_iou = threshold, overlap / max(union, 1)
    return round(best, 3)


def calibrate(held_out: HeldOut, real: ScoredPairs, generated: ScoredPairs) -> Calibration:
    """All thresholds of a network from its scores on development pairs.

    A pair is called changed where few of the real unchanged pairs score as high (``FALSE_ALARMS``), unchanged where
    at most a tenth of the changed pairs score as low; between the two it is unsure.

    Args:
        held_out: the pairs. real, generated: what the network scored, in the same order.
    """
    changed = np.array([pair.changed for pair in held_out.real])
    negative, positive = real.change[~changed], np.concatenate([real.change[changed], generated.change])
    scale, bias = fit_logistic(positive, negative)
    high = float(logistic(np.array([scale * np.quantile(negative, 1.0 - FALSE_ALARMS) + bias]))[0])
    low = float(logistic(np.array([scale * np.quantile(positive, MISSED_AS_UNCHANGED) + bias]))[0])
    wanted = wanted_keywords(held_out.generated)
    unchanged_keywords = real.keywords[~changed]
    thresholds = [
        keyword_threshold(generated.keywords[:, k], wanted[:, k], unchanged_keywords[:, k])
        for k in range(len(KEYWORDS))
    ]
    return Calibration(
        scale=scale,
        bias=bias,
        changed=round(high, 4),
        unchanged=round(min(low, 0.8 * high), 4),
        keywords=tuple(round(float(p), 5) for p in logistic(np.array(thresholds))),
        mask=mask_threshold(held_out, generated),
    )

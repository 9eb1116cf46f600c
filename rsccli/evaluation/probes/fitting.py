"""Thresholds and logistics of a change score, fitted on one set of pairs and used on another.

The score is a captioner's own; nothing of the captioner is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
Bool1 = npt.NDArray[np.bool_]
FOLDS = 5
RIDGE = 1e-3
STEPS = 60


@dataclass(frozen=True)
class Logistic:
    """Probability of change from log-odds of a score: 1 / (1 + exp(-(scale x + bias)))."""

    scale: float
    bias: float

    def probabilities(self, scores: F64) -> F64:
        """From scores 0-1."""
        return np.asarray(0.5 * (1 + np.tanh(0.5 * (self.scale * log_odds(scores) + self.bias))), np.float64)


def log_odds(scores: F64) -> F64:
    """Of scores 0-1, kept finite."""
    kept = np.clip(scores, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(kept / (1 - kept)), np.float64)


def both_classes(changed: Bool1) -> bool:
    """Whether there are changed and unchanged pairs."""
    return bool(changed.any() and not changed.all())


def fit_threshold(scores: F64, changed: Bool1) -> float:
    """The score from which to call change: of best balanced accuracy, in the middle where several are as good.

    Args:
        scores: (n,). changed: bool (n,), both classes among them.
    """
    steps = np.unique(scores)
    cuts = np.concatenate([[steps[0] - 1e-6], (steps[1:] + steps[:-1]) / 2, [steps[-1] + 1e-6]])
    recall = (scores[changed][None, :] >= cuts[:, None]).mean(1)
    alarms = (scores[~changed][None, :] >= cuts[:, None]).mean(1)
    value = recall - alarms
    best = np.flatnonzero(value >= value.max() - 1e-12)
    # The longest run of equally good cuts would be the safest; the middle one of all is simple and does not jump.
    return float(cuts[best[len(best) // 2]])


def fit_logistic(scores: F64, changed: Bool1) -> Logistic:
    """Scale and bias of best likelihood (Platt), by Newton's method, with a little pull towards the score itself."""
    design = np.stack([log_odds(scores), np.ones(len(scores))], 1)
    start = np.array([1.0, 0.0])
    theta = start.copy()
    for _ in range(STEPS):
        p = 0.5 * (1 + np.tanh(0.5 * (design @ theta)))
        gradient = design.T @ (p - changed) + RIDGE * (theta - start)
        curvature = design.T @ (design * (p * (1 - p))[:, None]) + RIDGE * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        theta = theta - step / max(1.0, float(np.abs(step).max()))
    return Logistic(float(theta[0]), float(theta[1]))


def folds_of(places: Sequence[str]) -> npt.NDArray[np.intp]:
    """A fold for each pair; a place is in one fold alone, and folds are about equally many places."""
    names = sorted(set(places))
    order = np.random.default_rng(len(names)).permutation(len(names))
    fold = {names[place]: at % min(FOLDS, len(names)) for at, place in enumerate(order)}
    return np.array([fold[place] for place in places], np.intp)


def cross_fitted(
    scores: F64, changed: Bool1, places: Sequence[str], use: Callable[[F64, Bool1, F64], F64]
) -> F64 | None:
    """What each pair gets from a fit that has not seen its place; None where a fold leaves one class alone.

    Args:
        use: scores and labels to fit on, scores to use the fit on; gives a value for each of the latter.
    """
    fold = folds_of(places)
    values = np.zeros(len(scores))
    for at in range(int(fold.max()) + 1):
        out = fold == at
        if out.all() or not both_classes(changed[~out]):
            return None
        values[out] = use(scores[~out], changed[~out], scores[out])
    return values


def balanced(called: F64, changed: Bool1) -> Callable[[F64], F64]:
    """A measure for `rsccli.evaluation.probes.estimates.figure`: mean of recall and of one less false alarms.

    Args:
        called: (n,), 1 where change is called. changed: bool (n,).
    """
    right = np.where(changed, called, 1 - called)

    def measure(weights: F64) -> F64:
        with np.errstate(invalid="ignore", divide="ignore"):
            parts = [(weights[:, kind] @ right[kind]) / weights[:, kind].sum(1) for kind in (changed, ~changed)]
        return np.asarray((parts[0] + parts[1]) / 2, np.float64)

    return measure

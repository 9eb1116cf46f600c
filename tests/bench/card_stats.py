"""Numbers of the model card: shares, areas under curves and overlaps, with intervals resampled by place.

Pairs of one place are not independent, so a bootstrap draws places, and takes all pairs of each that it draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
DRAWS = 1000
SEED = 20
CELL_PX = 4


@dataclass(frozen=True)
class Measured:
    """A figure with its 95 % interval and the number of pairs and places behind it."""

    value: float
    low: float
    high: float
    n: int
    places: int

    def text(self, percent: bool = False, digits: int = 3) -> str:
        """``0.941 (0.920-0.962)``, or in per cent."""
        if not self.n or np.isnan(self.value):
            return "-"
        if percent:
            return f"{100 * self.value:.0f} % ({100 * self.low:.0f}-{100 * self.high:.0f})"
        return f"{self.value:.{digits}f} ({self.low:.{digits}f}-{self.high:.{digits}f})"


def place_weights(*groups: Sequence[str], draws: int = DRAWS, seed: int = SEED) -> list[F64]:
    """How often each item of each group is drawn, (draws, n): groups that share places are drawn together."""
    rng = np.random.default_rng(seed)
    together = any(set(a) & set(b) for i, a in enumerate(groups) for b in groups[i + 1 :])
    pools = [sorted(set().union(*groups))] * len(groups) if together else [sorted(set(group)) for group in groups]
    drawn: dict[int, F64] = {}
    weights = []
    for group, pool in zip(groups, pools, strict=True):
        if id(pool) not in drawn:
            drawn[id(pool)] = rng.multinomial(len(pool), np.full(len(pool), 1 / max(1, len(pool))), draws).astype(float)
        at = {name: index for index, name in enumerate(pool)}
        weights.append(drawn[id(pool)][:, [at[name] for name in group]])
    return weights


def measured(value: float, drawn: F64, places: Sequence[str]) -> Measured:
    fine = drawn[~np.isnan(drawn)]
    low, high = np.percentile(fine, (2.5, 97.5)) if len(fine) else (np.nan, np.nan)
    return Measured(float(value), float(low), float(high), len(places), len(set(places)))


def share(flags: Sequence[bool] | npt.NDArray[np.bool_], places: Sequence[str]) -> Measured:
    """Share of items that are so."""
    return ratio(np.asarray(flags, float), np.ones(len(places)), places)


def ratio(above: F64, below: F64, places: Sequence[str]) -> Measured:
    """Sum over items of one quantity by that of another, as an overlap is."""
    if len(places) == 0 or not below.sum():
        return Measured(float("nan"), float("nan"), float("nan"), len(places), len(set(places)))
    (weights,) = place_weights(places)
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = (weights @ above) / (weights @ below)
    return measured(float(above.sum() / below.sum()), drawn, places)


@dataclass(frozen=True)
class Ranking:
    """Area under the curve of the score, of change vectors, and of the first less the second."""

    score: Measured
    vectors: Measured
    gain: Measured


def ranking(
    positive: tuple[F64, F64, Sequence[str]], negative: tuple[F64, F64, Sequence[str]], draws: int = DRAWS
) -> Ranking:
    """Changed against unchanged pairs, each as (scores, change vectors, places)."""
    above, below = place_weights(positive[2], negative[2], draws=draws)
    values, each = [], []
    for column in (0, 1):
        first, second = (np.asarray(side[column], np.float64) for side in (positive, negative))
        gaps = first[:, None] - second[None, :]
        wins = (gaps > 0) + 0.5 * (gaps == 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            each.append(((above @ wins) * below).sum(1) / (above.sum(1) * below.sum(1)))
        values.append(float(wins.mean()) if wins.size else float("nan"))
    places = [*positive[2], *negative[2]]
    return Ranking(
        measured(values[0], each[0], places),
        measured(values[1], each[1], places),
        measured(values[0] - values[1], each[0] - each[1], places),
    )


def ranks(values: F64) -> F64:
    """Ranks from 1; equal values share their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def spearman(first: F64, second: F64) -> float:
    """Rank correlation; nan where one of them is constant."""
    a, b = ranks(first), ranks(second)
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum() / size) if size else float("nan")


def correlation(first: F64, second: F64, places: Sequence[str], draws: int = 400) -> Measured:
    """Rank correlation with its interval."""
    names = sorted(set(places))
    members = [np.flatnonzero(np.asarray(places) == name) for name in names]
    rng = np.random.default_rng(SEED)
    drawn = []
    for _ in range(draws):
        chosen = np.concatenate([members[i] for i in rng.integers(len(names), size=len(names))])
        drawn.append(spearman(first[chosen], second[chosen]))
    return measured(spearman(first, second), np.array(drawn), places)


def vector_map(pre: npt.NDArray[np.uint8], post: npt.NDArray[np.uint8]) -> F64:
    """Change vectors: (h/4, w/4), difference of 4 px cells after matching mean and deviation of every band."""
    cells = []
    for image in (pre, post):
        x = image.astype(np.float64)
        x = (x - x.mean((1, 2), keepdims=True)) / (x.std((1, 2), keepdims=True) + 2.0)
        rows, cols = x.shape[1] // CELL_PX, x.shape[2] // CELL_PX
        x = x[:, : rows * CELL_PX, : cols * CELL_PX].reshape(3, rows, CELL_PX, cols, CELL_PX)
        cells.append(x.mean((2, 4)))
    return np.asarray(np.sqrt(((cells[0] - cells[1]) ** 2).mean(0)))


def calibration_error(
    scores: F64, changed: npt.NDArray[np.bool_], bins: int = 10
) -> tuple[float, list[tuple[int, float, float]]]:
    """Expected calibration error, and (n, mean score, share changed) of each bin of equal width that is not empty."""
    at = np.minimum((scores * bins).astype(int), bins - 1)
    rows = [
        (int((at == b).sum()), float(scores[at == b].mean()), float(changed[at == b].mean()))
        for b in range(bins)
        if (at == b).any()
    ]
    return sum(n * abs(mean - seen) for n, mean, seen in rows) / max(1, len(scores)), rows

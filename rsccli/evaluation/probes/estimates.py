"""Figures with 95 % intervals: shares by Wilson, everything else by a bootstrap over places.

Pairs of one place are not independent: two years of one street share their houses. A bootstrap draws places, with
all pairs of each that it draws. A share of 0 or 1 has no spread that could be drawn from, so shares have Wilson's
interval, of fewer pairs where pairs of one place answer alike (Kish's effective sample size).

E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
DRAWS, SEED = 1000, 20
Z = 1.959964


@dataclass(frozen=True)
class Estimate:
    """A figure, its 95 % interval, and how many pairs and places are behind it; None where there is nothing to tell."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    places: int = 0

    def text(self, digits: int = 3) -> str:
        """``0.941 (0.920-0.962)``."""
        return self._text(1.0, digits, "")

    def percent(self) -> str:
        """``94 % (92-96)``."""
        return self._text(100.0, 0, " %")

    def hundred(self) -> str:
        """``94.1 (92.0-96.2)``, for text scores that are 0-1 here."""
        return self._text(100.0, 1, "")

    def _text(self, scale: float, digits: int, unit: str) -> str:
        if self.value is None:
            return "-"
        value = f"{_number(scale * self.value, digits)}{unit}"
        if self.low is None or self.high is None:
            return value
        # A minus sign beside a dash cannot be read.
        until = " to " if self.low < 0 else "-"
        return f"{value} ({_number(scale * self.low, digits)}{until}{_number(scale * self.high, digits)})"


NOTHING = Estimate(None)


def _number(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    # Not "-0".
    return text.removeprefix("-") if float(text) == 0 else text


def share(flags: Sequence[bool] | npt.NDArray[np.bool_], places: Sequence[str]) -> Estimate:
    """Share of pairs that are so.

    Args:
        flags: one for each pair. places: of the same pairs.
    """
    hits = np.asarray(flags, np.float64)
    n = len(hits)
    if n == 0:
        return NOTHING
    groups = _groups(places)
    p = float(hits.mean())
    effective = float(len(groups))
    if 0 < p < 1:
        # Variance of the mean where whole places are drawn.
        spread = sum(float((hits[members] - p).sum()) ** 2 for members in groups) / n**2
        effective = min(float(n), max(effective, p * (1 - p) / spread)) if spread > 0 else float(n)
    low, high = wilson(p, effective)
    return Estimate(p, low, high, n, len(groups))


def wilson(p: float, n: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a share.

    Args:
        p: the share, 0-1. n: pairs, above 0; need not be whole.
    """
    middle = p + Z**2 / (2 * n)
    half = Z * np.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))
    below = 1 + Z**2 / n
    return max(0.0, float((middle - half) / below)), min(1.0, float((middle + half) / below))


def mean(values: Sequence[float] | F64, places: Sequence[str]) -> Estimate:
    """Mean over pairs."""
    each = np.asarray(values, np.float64)
    return figure(lambda weights: _ratio(weights @ each, weights.sum(-1)), places)


def figure(measure: Callable[[F64], F64], places: Sequence[str]) -> Estimate:
    """Any figure that can be measured from weights of pairs.

    Args:
        measure: weights (draws, n) to figures (draws,); nan where a draw has nothing to measure.
        places: of the n pairs.
    """
    if not places:
        return NOTHING
    value = float(measure(np.ones((1, len(places))))[0])
    return _estimate(value, measure(place_weights(places)), len(places), len(set(places)))


def difference(
    first: tuple[Callable[[F64], F64], Sequence[str]],
    second: tuple[Callable[[F64], F64], Sequence[str]],
    together: bool,
) -> Estimate:
    """One figure less another.

    Args:
        first, second: a measure, as in `figure`, and the places of its pairs.
        together: both are of the same pairs, which are then drawn once for both.
    """
    if not first[1] or not second[1]:
        return NOTHING
    value = float(first[0](np.ones((1, len(first[1]))))[0] - second[0](np.ones((1, len(second[1]))))[0])
    drawn = first[0](place_weights(first[1])) - second[0](place_weights(second[1], SEED if together else SEED + 1))
    return _estimate(value, drawn, len(second[1]), len(set(second[1])))


def place_weights(places: Sequence[str], seed: int = SEED, draws: int = DRAWS) -> F64:
    """How often each pair is drawn, (draws, n): whole places, with replacement."""
    names = sorted(set(places))
    at = {name: index for index, name in enumerate(names)}
    drawn = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), draws)
    return np.asarray(drawn[:, [at[place] for place in places]], np.float64)


def auc(scores: F64, changed: npt.NDArray[np.bool_]) -> Callable[[F64], F64]:
    """A measure for `figure`: probability that a changed pair scores above an unchanged one, ties half.

    Args:
        scores: (n,). changed: bool (n,).
    """
    gaps = scores[changed][:, None] - scores[~changed][None, :]
    wins = (gaps > 0) + 0.5 * (gaps == 0)

    def measure(weights: F64) -> F64:
        above, below = weights[:, changed], weights[:, ~changed]
        return _ratio(((above @ wins) * below).sum(1), above.sum(1) * below.sum(1))

    return measure


def _groups(places: Sequence[str]) -> list[npt.NDArray[np.intp]]:
    names = np.asarray(places)
    return [np.flatnonzero(names == name) for name in sorted(set(places))]


def _ratio(above: F64, below: F64) -> F64:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(above / below, np.float64)


def _estimate(value: float, drawn: F64, n: int, places: int) -> Estimate:
    if not np.isfinite(value):
        return Estimate(None, n=n, places=places)
    fine = drawn[np.isfinite(drawn)]
    if places < 2 or len(fine) == 0:
        return Estimate(value, n=n, places=places)
    low, high = np.percentile(fine, (2.5, 97.5))
    return Estimate(value, float(low), float(high), n, places)

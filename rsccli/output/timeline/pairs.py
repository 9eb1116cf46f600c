"""Which dates of a series are compared."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Literal, get_args

from rsccli.output.timeline.dates import Moment, days_between, interval_text, years_between

PairChoice = Literal["consecutive", "first-last", "both", "all"]
PAIR_CHOICES: tuple[PairChoice, ...] = get_args(PairChoice)
PairKind = Literal["consecutive", "first-last", "other"]


@dataclass(frozen=True)
class SeriesPair:
    """Two dates of a series.

    Attributes:
        pre, post: indices of the images in the order of their dates.
        pre_date, post_date: of them. label: e.g. ``2009-08-18_2010-06-29``, the name of its files.
        kind: neighbours in time, the first and the last, or others.
    """

    pre: int
    post: int
    pre_date: Moment
    post_date: Moment
    label: str
    kind: PairKind

    @property
    def days(self) -> int | None:
        """Whole days between, or None where a day is not known."""
        return days_between(self.pre_date, self.post_date)

    @property
    def years(self) -> float:
        """Years between."""
        return years_between(self.pre_date, self.post_date)

    @property
    def interval(self) -> str:
        """The time between in words."""
        return interval_text(self.pre_date, self.post_date)


def choose_pairs(dates: list[Moment], labels: list[str], choice: PairChoice) -> tuple[SeriesPair, ...]:
    """The pairs of a choice: neighbours in the order of time, then the first and the last, then others.

    Args:
        dates: at least two, in order. labels: a name for each, all different.
    """
    last = len(dates) - 1
    near = list(pairwise(range(len(dates))))
    far = [(0, last)] if last > 1 else []
    rest = [pair for pair in combinations(range(len(dates)), 2) if pair not in near and pair not in far]
    chosen = {"consecutive": near, "first-last": [(0, last)], "both": near + far, "all": near + far + rest}[choice]
    return tuple(
        SeriesPair(a, b, dates[a], dates[b], f"{labels[a]}_{labels[b]}", _kind((a, b), near, far)) for a, b in chosen
    )


def _kind(pair: tuple[int, int], near: list[tuple[int, int]], far: list[tuple[int, int]]) -> PairKind:
    return "consecutive" if pair in near else "first-last" if pair in far else "other"

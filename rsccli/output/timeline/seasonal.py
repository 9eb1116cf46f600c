"""Which changes come and go with the season.

A change of a kind between two dates of different times of year is seasonal where the series itself shows that it does
not last:

- *absent*: a pair around both dates, whose own dates are of the same time of year in different years, was judged at
  that tile and does not show the kind. What lasts would still be there.
- *returned*: a later pair shows the contrary kind at that tile and ends at the time of year at which the change began
  (or an earlier one shows it and began at the time of year at which the change ended), in another year.

What is built, and trees, stay whatever the season: such kinds are never seasonal. Two dates of the same time of year
cannot differ by season. Where a month is not known, or no other pair can tell, nobody says anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rsccli.models.small.facts import CONTRARY, REVERSED
from rsccli.output.timeline.dates import OTHER_YEAR, Moment, same_season, years_between
from rsccli.output.timeline.pairs import SeriesPair
from rsccli.types import Status

#: Kinds that do not come and go.
LASTING: frozenset[str] = frozenset(
    (
        "new house",
        "new building",
        "building removed",
        "building damage",
        "debris",
        "construction site",
        "new road",
        "road removed",
        "parking lot",
        "new trees",
        "tree loss",
        "burn scar",
        "swimming pool",
        "sports field",
        "solar panels",
    )
)


@dataclass(frozen=True, slots=True)
class Judged:
    """What one pair says of one tile."""

    status: Status
    keywords: tuple[str, ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of change; one without a name where it is called changed and no kind is named."""
        return (self.keywords or ("",)) if self.status == "changed" else ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a change is seasonal.

    Attributes:
        seasonal: True where every kind that it shows is; None where nobody can tell.
        keywords: kinds that are. reason: in words, or None for what is no change.
    """

    seasonal: bool | None
    keywords: tuple[str, ...] = ()
    reason: str | None = None


NO_CHANGE = Verdict(None)

#: What each pair of a series says of a place, or None where it has no such tile.
Look = Callable[[int], Judged | None]


def contrary(kind: str) -> frozenset[str]:
    """Kinds that undo a kind."""
    found = {other for other, back in REVERSED.items() if back == kind} | {REVERSED.get(kind, "")}
    found |= {other for pair in CONTRARY if kind in pair for other in pair}
    return frozenset(found - {kind, ""})


def judge(own: int, pairs: Sequence[SeriesPair], look: Look) -> Verdict:
    """Judge one tile of one pair.

    Args:
        own: index of the pair. pairs: of the series. look: what a pair says of the tile, by the pair's index.
    """
    here = look(own)
    if here is None or here.status != "changed":
        return NO_CHANGE
    pair = pairs[own]
    same = same_season(pair.pre_date, pair.post_date)
    if same is None:
        return Verdict(None, reason="the month of a date is not known")
    if same:
        return Verdict(False, reason="both dates are of the same time of year")
    seasonal, reasons, could_tell = [], [], False
    for kind in here.kinds:
        if kind in LASTING:
            could_tell = True
            continue
        told, why = _evidence(kind, own, pairs, look)
        could_tell |= told
        if why is not None:
            seasonal.append(kind)
            reasons.append(f"{kind or 'change'}: {why}")
    if not seasonal:
        if not could_tell:
            return Verdict(None, reason="no other pair of the series can tell")
        return Verdict(False, reason="nothing in the series shows that it comes and goes")
    return Verdict(len(seasonal) == len(here.kinds), tuple(seasonal), "; ".join(reasons))


def _evidence(kind: str, own: int, pairs: Sequence[SeriesPair], look: Look) -> tuple[bool, str | None]:
    """Whether any pair could tell, and the first that shows that the kind does not last, in words."""
    pair, undone, could_tell = pairs[own], contrary(kind), False
    for index, other in enumerate(pairs):
        if index == own:
            continue
        there = look(index)
        if there is None or there.status not in ("changed", "unchanged"):
            continue
        span = f"between {other.pre_date.label} and {other.post_date.label}"
        if _around(other, pair):
            could_tell = True
            if kind not in there.kinds:
                return True, f"not there {span}, the same time of year"
        elif undone and _returns(other, pair):
            could_tell = True
            if undone & set(there.kinds):
                return True, f"undone {span}"
    return could_tell, None


def _around(other: SeriesPair, pair: SeriesPair) -> bool:
    """Whether a pair lies around another one, from one time of year to the same in another year."""
    return (
        other.pre <= pair.pre
        and pair.post <= other.post
        and bool(same_season(other.pre_date, other.post_date))
        and _another_year(other.pre_date, other.post_date)
    )


def _returns(other: SeriesPair, pair: SeriesPair) -> bool:
    """Whether a pair may show the way back to the time of year of another one."""
    if other.pre >= pair.post:
        return bool(same_season(other.post_date, pair.pre_date)) and _another_year(pair.pre_date, other.post_date)
    if other.post <= pair.pre:
        return bool(same_season(other.pre_date, pair.post_date)) and _another_year(other.pre_date, pair.post_date)
    return False


def _another_year(one: Moment, other: Moment) -> bool:
    return abs(years_between(one, other)) >= OTHER_YEAR

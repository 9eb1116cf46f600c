"""Sentences of the timeline: made of counts, areas and dates, never by a model."""

from __future__ import annotations

from rsccli.output import numbers
from rsccli.output.timeline.dates import SEASON_DAYS
from rsccli.output.timeline.pairs import SeriesPair
from rsccli.output.timeline.summary import PairSummary, Timeline

SEASON_RULE = (
    "A change between two different times of year is marked seasonal where the series shows that it does not last: a "
    "pair around both dates, from one time of year to the same in another year, does not show it at that tile; or the "
    "contrary change is seen there when that time of year comes round again. Days of the year no more than "
    f"{SEASON_DAYS} days apart are the same time of year. Buildings, roads and trees are never called seasonal. Where "
    "a month is not known, or no other pair can tell, nothing is said."
)


def headline(timeline: Timeline) -> str:
    """What the page is about."""
    images = timeline.facts.images
    return f"What changed from {numbers.day(images[0].date)} to {numbers.day(images[-1].date)}"


def lead(timeline: Timeline) -> str:
    """The main result."""
    facts = timeline.facts
    text = f"{len(facts.images)} images of one place, compared in {len(facts.pairs)} "
    text += "pair" if len(facts.pairs) == 1 else "pairs"
    text += f" on one grid of {numbers.count(facts.tiles)} tiles. "
    near = any(pair.kind == "consecutive" for pair in facts.pairs)
    between = "from one date to the next" if near else "in a pair"
    if not timeline.ever_changed:
        text += f"No tile is called changed {between}."
    else:
        text += f"{_tiles(timeline.ever_changed)} called changed {between} at least once, "
        text += f"{numbers.count(timeline.more_than_once)} of them more than once."
    seasonal = sum(pair.seasonal for pair in timeline.pairs)
    if seasonal:
        text += f" Over all pairs {numbers.count(seasonal)} changes of a tile are marked seasonal."
    if timeline.failed:
        text += f" {numbers.count(timeline.failed)} tiles of all pairs failed."
    return text


def pair_name(pair: SeriesPair) -> str:
    """A pair for people."""
    return f"{numbers.day(pair.pre_date.iso)} to {numbers.day(pair.post_date.iso)}"


def pair_kind(pair: SeriesPair) -> str:
    """How a pair lies in the series."""
    return {"consecutive": "next date", "first-last": "first to last", "other": "further pair"}[pair.kind]


def rate(pair: PairSummary) -> str:
    """Changed ground for each year between the dates."""
    return "unknown" if pair.area_per_year_m2 is None else numbers.area(pair.area_per_year_m2)


def season(pair: PairSummary) -> str:
    """Seasonal tiles of a pair, and of how many nobody can tell."""
    if not pair.changed:
        return "none"
    if pair.undecided == pair.changed:
        return "cannot be told"
    text = numbers.count(pair.seasonal)
    return f"{text} ({numbers.count(pair.undecided)} cannot be told)" if pair.undecided else text


def _tiles(number: int) -> str:
    return "1 tile is" if number == 1 else f"{numbers.count(number)} tiles are"

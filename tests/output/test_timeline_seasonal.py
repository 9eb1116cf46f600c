"""The rule of the season, case by case."""

from __future__ import annotations

import pytest

from rsccli.models.small.facts import KEYWORDS
from rsccli.output.timeline.dates import parse_moment
from rsccli.output.timeline.pairs import choose_pairs
from rsccli.output.timeline.seasonal import LASTING, Judged, Verdict, contrary, judge

CHANGED = "changed"


def verdicts(dates: str, says: dict[str, str | None], choice: str = "all") -> dict[str, Verdict]:
    """Verdicts by pair of one tile.

    Args:
        says: by the label of a pair: keywords joined by ``;``, ``-`` for unchanged, ``?`` for unsure, None for no such
            tile; pairs that are not named are unchanged.
    """
    moments = [parse_moment(text) for text in dates.split()]
    labels = dates.split()
    pairs = choose_pairs(moments, labels, choice)

    def look(index: int) -> Judged | None:
        said = says.get(pairs[index].label, "-")
        if said is None:
            return None
        if said in "-?":
            return Judged("unchanged" if said == "-" else "unsure", ())
        return Judged("changed", tuple(word for word in said.split(";") if word != "*"))

    return {pair.label: judge(index, pairs, look) for index, pair in enumerate(pairs)}


# Spring 2010, summer 2010, spring 2011.
YEAR = "2010-04-10 2010-08-10 2011-04-10"
UP, DOWN, ROUND = "2010-04-10_2010-08-10", "2010-08-10_2011-04-10", "2010-04-10_2011-04-10"


def test_what_is_not_there_a_year_later_is_seasonal() -> None:
    found = verdicts(YEAR, {UP: "greener vegetation"})[UP]
    assert found.seasonal and found.keywords == ("greener vegetation",)
    assert found.reason == ("greener vegetation: not there between 2010-04-10 and 2011-04-10, the same time of year")


def test_what_is_still_there_a_year_later_is_not() -> None:
    found = verdicts(YEAR, {UP: "greener vegetation", ROUND: "greener vegetation"})[UP]
    assert found.seasonal is False and found.keywords == ()


def test_what_is_undone_by_the_same_time_of_year_is_seasonal() -> None:
    says = {UP: "greener vegetation", DOWN: "drier vegetation"}
    found = verdicts(YEAR, says, "consecutive")
    assert found[UP].seasonal and found[UP].reason == "greener vegetation: undone between 2010-08-10 and 2011-04-10"
    assert found[DOWN].seasonal, "spring is as it was the spring before"
    alone = verdicts(YEAR, {UP: "greener vegetation", DOWN: "water loss"}, "consecutive")
    assert alone[UP].seasonal is False, "summer to spring was judged, and shows no way back"


def test_the_way_back_is_seasonal_too_where_an_earlier_way_there_is_seen() -> None:
    dates = "2009-08-10 2010-04-10 2010-08-10"
    says = {"2009-08-10_2010-04-10": "drier vegetation", "2010-04-10_2010-08-10": "greener vegetation"}
    found = verdicts(dates, says, "consecutive")
    assert found["2010-04-10_2010-08-10"].seasonal is True


def test_without_another_pair_nobody_can_tell() -> None:
    found = verdicts("2010-04-10 2010-08-10", {UP: "greener vegetation"})[UP]
    assert found.seasonal is None and "no other pair" in str(found.reason)


@pytest.mark.parametrize("around", ["?", None])
def test_a_pair_around_that_does_not_judge_is_no_evidence(around: str | None) -> None:
    found = verdicts(YEAR, {UP: "greener vegetation", ROUND: around, DOWN: "?"})[UP]
    assert found.seasonal is None


@pytest.mark.parametrize("keyword", sorted(LASTING))
def test_what_is_built_stays(keyword: str) -> None:
    assert keyword in KEYWORDS
    assert verdicts(YEAR, {UP: keyword})[UP].seasonal is False


def test_partly_seasonal_is_not_seasonal_and_says_which() -> None:
    found = verdicts(YEAR, {UP: "water gain;new house"})[UP]
    assert found.seasonal is False and found.keywords == ("water gain",)


def test_a_change_without_a_name_may_be_seasonal() -> None:
    found = verdicts(YEAR, {UP: "*"})[UP]
    assert found.seasonal and found.keywords == ("",) and str(found.reason).startswith("change: not there")


def test_dates_of_one_time_of_year_differ_by_no_season() -> None:
    found = verdicts(YEAR, {ROUND: "greener vegetation"})[ROUND]
    assert found.seasonal is False and "same time of year" in str(found.reason)


def test_an_unknown_month_is_said() -> None:
    found = verdicts("1985 1990 1995", {"1985_1990": "water gain"})["1985_1990"]
    assert found.seasonal is None and "month" in str(found.reason)


def test_what_is_no_change_has_no_season() -> None:
    found = verdicts(YEAR, {UP: "-", DOWN: "?", ROUND: None})
    assert all(verdict == Verdict(None) for verdict in found.values())


def test_two_dates_of_one_season_of_one_year_are_no_other_year() -> None:
    # 10 April and 5 May 2010 are the same time of year, and of the same year: they show nothing of a season.
    dates = "2010-04-10 2010-04-20 2010-08-10 2010-08-20"
    found = verdicts(dates, {"2010-04-20_2010-08-10": "greener vegetation"}, "all")
    assert found["2010-04-20_2010-08-10"].seasonal is None


@pytest.mark.parametrize(
    ("kind", "undone"),
    [
        ("greener vegetation", "drier vegetation"),
        ("water gain", "water loss"),
        ("water loss", "flood"),
        ("snow", "snow melted"),
    ],
)
def test_kinds_that_undo_each_other(kind: str, undone: str) -> None:
    assert undone in contrary(kind) and kind not in contrary(kind) and "" not in contrary(kind)
    assert contrary("something of a plug-in") == frozenset()

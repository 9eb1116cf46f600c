"""Dates as precise as they are known, and what may be said of two of them."""

from __future__ import annotations

import pytest

from rsccli.output.timeline.dates import Moment, days_between, interval_text, parse_moment, same_season, years_between
from rsccli.output.timeline.pairs import choose_pairs


def moment(text: str) -> Moment:
    found = parse_moment(text)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("1985", "1985"),
        ("1985-07", "1985-07"),
        ("2009-08-18", "2009-08-18"),
        ("20090818", "2009-08-18"),
        ("2009:08:18 10:20:30", "2009-08-18T10:20:30"),
        ("2020-05-17T18:21:09Z", "2020-05-17T18:21:09"),
        ("2020-05-17T23:30:00-05:00", "2020-05-18T04:30:00"),
        ("2020-05-17T18:21:09.123456Z", "2020-05-17T18:21:09"),
        (" 2020-05 ", "2020-05"),
    ],
)
def test_dates_are_read(text: str, iso: str) -> None:
    assert moment(text).iso == iso


@pytest.mark.parametrize(
    "text", ["", "spring", "2009-13", "2009-02-30", "85", "2009-8-18", "2020-05-17T29:00", "12345"]
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert parse_moment(text) is None


def test_order_is_that_of_time() -> None:
    texts = ["1985", "1985-07", "1985-07-02", "1985-07-02T01:00", "1985-07-03", "1986"]
    assert sorted(map(moment, texts[::-1]), key=lambda m: m.order) == [moment(text) for text in texts]


@pytest.mark.parametrize(
    ("pre", "post", "text"),
    [
        ("2009-08-18", "2010-06-29", "315 days"),
        ("2010-06-29", "2010-06-30", "1 day"),
        ("2012-07-31", "2014-07-20", "2.0 years"),
        ("2012-07", "2014-08", "25 months"),
        ("2012-07-31", "2012-08", "1 month"),
        ("1985", "1990", "5 years"),
        ("1985", "1986-07-01", "1 year"),
    ],
)
def test_intervals_are_no_more_precise_than_dates(pre: str, post: str, text: str) -> None:
    assert interval_text(moment(pre), moment(post)) == text


def test_years_between_dates() -> None:
    assert years_between(moment("1985"), moment("1990")) == 5
    assert years_between(moment("2012-07-31"), moment("2014-07-31")) == pytest.approx(2, abs=0.01)
    assert days_between(moment("1985"), moment("1990")) is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2012-07-31", "2014-07-20", True),
        ("2009-08-18", "2014-07-20", True),  # 29 days apart
        ("2010-06-29", "2012-07-31", False),  # 32
        ("2010-12-28", "2012-01-05", True),  # over the turn of the year
        ("2012-02-29", "2013-03-01", True),
        ("2010-01-15", "2012-07-15", False),
        ("2010-07", "2012-07", True),
        ("2010-07-31", "2012-08", False),
        ("1985", "1990", None),
        ("1985-07-01", "1990", None),
    ],
)
def test_the_same_time_of_year(one: str, other: str, same: bool | None) -> None:
    assert same_season(moment(one), moment(other)) is same
    assert same_season(moment(other), moment(one)) is same


def test_pairs_of_a_choice() -> None:
    dates = [moment(str(year)) for year in (1985, 1990, 1995, 2000)]
    labels = [date.label for date in dates]

    def chosen(choice: str, count: int = 4) -> list[str]:
        return [pair.label for pair in choose_pairs(dates[:count], labels[:count], choice)]

    assert chosen("consecutive") == ["1985_1990", "1990_1995", "1995_2000"]
    assert chosen("first-last") == ["1985_2000"]
    assert chosen("both") == [*chosen("consecutive"), "1985_2000"]
    assert chosen("all") == [*chosen("both"), "1985_1995", "1990_2000"]
    assert [chosen(choice, 2) for choice in ("consecutive", "first-last", "both", "all")] == [["1985_1990"]] * 4
    kinds = [pair.kind for pair in choose_pairs(dates, labels, "all")]
    assert kinds == ["consecutive"] * 3 + ["first-last"] + ["other"] * 2

"""Dates of a series, as precise as they are known: a year, a month, a day, or a moment."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime

#: Two days of the year that are no further apart are the same time of year.
SEASON_DAYS = 31
YEAR_DAYS = 365.25
#: Two dates that are no further apart are of one season of one year, whatever the calendar says.
OTHER_YEAR = 0.5

_DATE = re.compile(
    r"(?P<y>\d{4})(?:(?P<s>[-:/.]?)(?P<m>\d{2})(?:(?P=s)(?P<d>\d{2})"
    r"(?:[T ](?P<t>\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)\s*(?P<z>Z|[+-]\d{2}:?\d{2})?)?)?)?"
)


@dataclass(frozen=True, slots=True)
class Moment:
    """A date; None: not known so precisely.

    Attributes:
        clock: ``HH:MM:SS``, UTC where the text has a zone.
    """

    year: int
    month: int | None = None
    day: int | None = None
    clock: str | None = None

    @property
    def label(self) -> str:
        """``2009-08-18``, ``2009-08`` or ``2009``."""
        text = f"{self.year:04d}"
        if self.month is not None:
            text += f"-{self.month:02d}"
        return text if self.day is None else f"{text}-{self.day:02d}"

    @property
    def iso(self) -> str:
        """ISO 8601, as precise as it is known."""
        return f"{self.label}T{self.clock}" if self.clock else self.label

    @property
    def order(self) -> tuple[int, int, int, str]:
        """For sorting; what is not known comes first."""
        return (self.year, self.month or 0, self.day or 0, self.clock or "")

    @property
    def decimal_year(self) -> float:
        """Middle of what is known, e.g. 1985.5."""
        if self.month is None:
            return self.year + 0.5
        start = date(self.year, self.month, self.day or 15)
        return self.year + (start.timetuple().tm_yday - 0.5) / YEAR_DAYS


def parse_moment(text: str) -> Moment | None:
    """A date from ISO 8601 or what is like it (``2009:08:18 10:20:30``, ``20090818``); None where there is none."""
    match = _DATE.fullmatch(text.strip())
    if match is None:
        return None
    year, month, day = int(match["y"]), match["m"], match["d"]
    try:
        start = date(year, int(month or 1), int(day or 1))
        clock = match["t"]
        if clock is None:
            return Moment(year, int(month) if month else None, int(day) if day else None)
        moment = datetime.fromisoformat(f"{start.isoformat()}T{clock}{match['z'] or ''}")
    except ValueError:
        return None
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC)
    return Moment(moment.year, moment.month, moment.day, moment.strftime("%H:%M:%S"))


def days_between(pre: Moment, post: Moment) -> int | None:
    """Whole days, or None where a day is not known."""
    if pre.day is None or post.day is None or pre.month is None or post.month is None:
        return None
    return (date(post.year, post.month, post.day) - date(pre.year, pre.month, pre.day)).days


def years_between(pre: Moment, post: Moment) -> float:
    """Years, as well as they are known."""
    days = days_between(pre, post)
    return post.decimal_year - pre.decimal_year if days is None else days / YEAR_DAYS


def interval_text(pre: Moment, post: Moment) -> str:
    """How long, in words, no more precise than the dates."""
    days = days_between(pre, post)
    if days is not None:
        return _count(days, "day") if abs(days) < 365 else f"{days / YEAR_DAYS:.1f} years"
    if pre.month is not None and post.month is not None:
        return _count((post.year - pre.year) * 12 + post.month - pre.month, "month")
    return _count(post.year - pre.year, "year")


def same_season(one: Moment, other: Moment) -> bool | None:
    """Whether two dates are of the same time of year; None where a month is not known.

    Days of the year no more than ``SEASON_DAYS`` apart, over the turn of the year, too; where only months are known,
    the same month.
    """
    if one.month is None or other.month is None:
        return None
    if one.day is None or other.day is None:
        return one.month == other.month
    # In a year without 29 February, so that a date is the same day of every year.
    first, second = (date(2001, m.month or 1, min(m.day or 1, 28 if m.month == 2 else 31)) for m in (one, other))
    apart = abs((first - second).days)
    return min(apart, 365 - apart) <= SEASON_DAYS


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}" if abs(number) == 1 else f"{number} {unit}s"

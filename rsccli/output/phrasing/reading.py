"""What a sentence says that can be checked, ours or a model's, read the same way."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal

from rsccli.output.phrasing.amounts import amounts, parts, vague_amounts

MONTHS = "january february march april may june july august september october november december".split()
_NAME = f"(?P<name>{'|'.join(f'{month}|{month[:3]}' for month in MONTHS)})"
_DAY, _YEAR = r"(?P<d>\d{1,2})(?:st|nd|rd|th)?", r"(?:\s+(?P<y>\d{4})\b)"

_TILE = re.compile(r"\br\d{3,}c\d{3,}\b")
_AREA = re.compile(r"\bA\d+\b")
_DATES = (
    re.compile(r"\b(?P<y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)\b"),
    re.compile(rf"\b{_DAY}\s+(?:of\s+)?{_NAME}\b,?{_YEAR}?", re.I),
    re.compile(rf"\b{_NAME}\s+{_DAY}\b,?{_YEAR}?", re.I),
    re.compile(rf"\b{_NAME}{_YEAR}", re.I),
    re.compile(r"(?<![\d.,])(?P<y>(?:19|20)\d\d)(?![\d.,]*\d|\s*(?:tiles?|areas?|ha\b|hectares?|m²|%|square))"),
)
_DIRECTION = re.compile(
    r"\b(?:(?P<a>north|south)(?:[ -]?(?P<b>east|west))?|(?P<c>east|west)|(?P<m>central|centre|center|middle))"
    r"(?:ern|wards?|erly)?\b",
    re.I,
)


@dataclass(frozen=True)
class Day:
    """A date as far as a text gives it; None: not given."""

    year: int | None
    month: int | None
    day: int | None

    def fits(self, other: Day) -> bool:
        """Whether it says nothing that the other denies, and nothing that the other does not say."""
        pairs = ((self.year, other.year), (self.month, other.month), (self.day, other.day))
        return all(mine is None or mine == theirs for mine, theirs in pairs)


@dataclass(frozen=True)
class Read:
    """What a sentence says that can be checked.

    Attributes:
        numbers: (value, what it counts) with how often; see `rsccli.output.phrasing.amounts`.
        days: dates in order. tiles: ids. areas: ids of change areas. directions: e.g. ``north-west``.
        parts: (7, 48) for each "7 of 48". vague: amounts without a number.
    """

    numbers: Counter[tuple[Decimal, str]]
    days: tuple[Day, ...]
    tiles: tuple[str, ...]
    areas: tuple[str, ...]
    directions: tuple[str, ...]
    parts: tuple[tuple[Decimal, Decimal], ...]
    vague: tuple[str, ...]


def read(text: str) -> Read:
    """Read one sentence, or more."""
    tiles, areas = tuple(_TILE.findall(text)), tuple(_AREA.findall(text))
    rest = _AREA.sub(" ", _TILE.sub(" ", text))
    days: list[tuple[int, Day]] = []
    for pattern in _DATES:
        days += [(match.start(), _day(match)) for match in pattern.finditer(rest)]
        rest = pattern.sub(lambda match: " " * len(match.group()), rest)
    return Read(
        numbers=amounts(rest),
        days=tuple(day for _, day in sorted(days, key=lambda found: found[0])),
        tiles=tiles,
        areas=areas,
        directions=tuple(_direction(match) for match in _DIRECTION.finditer(rest)),
        parts=parts(rest),
        vague=vague_amounts(rest),
    )


def sentences(text: str) -> list[str]:
    """Sentences, each with what stands in brackets behind it; a point within a number ends none."""
    pieces = re.findall(r".+?(?:[.!?]+(?:\s*\[[^\]]*\][.!?]?)?(?=\s|$)|$)", " ".join(text.split()))
    return [piece.strip() for piece in pieces if piece.strip()]


def _day(match: re.Match[str]) -> Day:
    groups = match.groupdict()
    month = int(groups["m"]) if groups.get("m") else None
    if groups.get("name"):
        month = 1 + next(i for i, name in enumerate(MONTHS) if name.startswith(groups["name"].lower()))
    year, day = groups.get("y"), groups.get("d")
    return Day(int(year) if year else None, month, int(day) if day else None)


def _direction(match: re.Match[str]) -> str:
    if match["m"]:
        return "centre"
    first = (match["a"] or match["c"]).lower()
    return f"{first}-{match['b'].lower()}" if match["b"] else first

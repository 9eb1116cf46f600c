"""Numbers of a sentence with what they count, in digits or in words."""

from __future__ import annotations

import re
from collections import Counter
from decimal import Decimal, InvalidOperation

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = dict(zip("twenty thirty forty fifty sixty seventy eighty ninety".split(), range(20, 100, 10), strict=True))
_WORDS = {word: value for value, word in enumerate(_SMALL)} | _TENS
_WORDS |= {f"{ten}-{_SMALL[one]}": value + one for ten, value in _TENS.items() for one in range(1, 10)}

_DIGITS = r"\d+(?:[ ,\u00a0\u202f]\d{3})*(?:\.\d+)?"
_WORD = "|".join(sorted(_WORDS, key=len, reverse=True))
_BEHIND = r"(?P<behind>[^.;:!?\[\]]*)"
_NUMBER = re.compile(rf"(?<![\w.])(?:(?P<digits>{_DIGITS})|(?P<word>(?:{_WORD})\b)){_BEHIND}", re.I)
_PART = re.compile(
    rf"(?<![\w.])(?P<a>{_DIGITS}|{_WORD})\s+(?:out\s+)?of\s+(?:the\s+|all\s+)?(?P<b>{_DIGITS}|{_WORD})\b", re.I
)
_UNIT = re.compile(
    r"(?:-|\s)*(?:(?P<ha>ha|hectares?)|(?P<km2>km²|km2|square kilomet\w+)|(?P<m2>m²|m2|square met\w+)"
    r"|(?P<share>%|per ?cent))(?!\w)",
    re.I,
)
# Before a number: it is a bound, or no longer the number itself.
_AT_MOST = re.compile(r"\b(?:up to|at most|no more than|not more than)\s*$", re.I)
_HEDGED = re.compile(
    r"\b(?:more than|less than|fewer than|over|above|under|below|at least|about|around|roughly|nearly|almost|circa|"
    r"approximately|approx|some|another)\s*$|[~<>≈±-]\s*$",
    re.I,
)
# What may stand between a number and what it counts, and what may stand behind one that counts nothing more.
_BETWEEN = frozenset(
    "neighbouring neighboring adjacent adjoining contiguous connected change changed unchanged unsure uncertain failed "
    "more other further additional such different separate distinct remaining total of the these all in".split()
)
_COUNTED = {"tile": "tiles", "tiles": "tiles", "area": "areas", "areas": "areas", "kind": "kinds", "kinds": "kinds"}
_BARE = frozenset("and or to are is was were have has had which that with as by at from on also being could".split())
_NONE = re.compile(rf"\b(?:no|none|not one)\b{_BEHIND}", re.I)
#: Words that tell an amount and no number: nothing in the facts says so.
_VAGUE = re.compile(
    r"\b(?:half|halves|thirds?|quarters?|doubl\w+|tripl\w+|twice|thrice|dozens?|hundreds?|thousands?|millions?|"
    r"majority|minority|most of|nearly all|almost all|all of|several|many|numerous|a few|few|couple|average|per year|"
    r"annual\w*)\b",
    re.I,
)


def amounts(text: str) -> Counter[tuple[Decimal, str]]:
    """Every number with what it counts, and how often.

    Args:
        text: without dates and ids.

    Returns:
        Keys are (value, unit): ``ha``, ``m2``, ``km2``, ``%``, ``tiles``, ``areas``, ``kinds``, empty where it is bare,
        or the word that it counts; with ``up to `` or ``hedged `` before it where the text says so.
    """
    found: Counter[tuple[Decimal, str]] = Counter()
    place = 0
    while match := _NUMBER.search(text, place):
        # What is behind may hold the next number.
        place = match.start("behind")
        unit = _unit(match["behind"])
        if match["word"] and match["word"].lower() == "one" and unit not in _COUNTED.values():
            continue  # "the one that", "one of"
        before = text[: match.start()]
        if _AT_MOST.search(before):
            unit = f"up to {unit}"
        elif _HEDGED.search(before):
            unit = f"hedged {unit}"
        found[_value(match["word"] or match["digits"]).normalize(), unit] += 1
    place = 0
    while match := _NONE.search(text, place):
        place = match.start("behind")
        unit = _unit(match["behind"])
        if unit in _COUNTED.values():
            found[Decimal(0), unit] += 1
    return found


def parts(text: str) -> tuple[tuple[Decimal, Decimal], ...]:
    """(7, 48) for each "7 of 48"."""
    return tuple((_value(match["a"]), _value(match["b"])) for match in _PART.finditer(text))


def vague_amounts(text: str) -> tuple[str, ...]:
    """Amounts without a number, e.g. ``half``."""
    return tuple(match.group().lower() for match in _VAGUE.finditer(text))


def _value(text: str) -> Decimal:
    if text.lower() in _WORDS:
        return Decimal(_WORDS[text.lower()])
    try:
        return Decimal(re.sub(r"[ ,\u00a0\u202f]", "", text))
    except InvalidOperation:
        return Decimal("NaN")


def _unit(behind: str) -> str:
    """What a number counts, from the words behind it."""
    measure = _UNIT.match(behind)
    if measure:
        return {"ha": "ha", "km2": "km2", "m2": "m2", "share": "%"}[str(measure.lastgroup)]
    if re.match(r"\w", behind):
        return behind.split()[0]  # glued to it: 3rd, 12x
    for word in re.findall(r"[\w²%-]+|[,()]", behind.lower())[:6]:
        if word in _COUNTED:
            return _COUNTED[word]
        if word in _BETWEEN or word.isdecimal():
            continue
        return "" if word in _BARE or word in ",()" else word
    return ""

"""Whether a model's paragraph says what the facts say, as far as that can be checked.

Each sentence is held against the claims that share a tile or an area with it: its numbers with what they count, kinds
of change, directions, states and dates must be theirs. What cannot be read off a text so (a cause, a tone) is not
checked. Where in doubt the paragraph is not let through: the rule-based one is always there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from rsccli.models.small.grammar import named_keywords
from rsccli.output.phrasing.prompt import plain
from rsccli.output.phrasing.reading import Day, Read, read, sentences
from rsccli.output.scene import Claim, Scene

#: A paragraph may be so many times as long as ours.
LONGEST = 2.0

_STATES = {
    "changed": re.compile(r"\bchanged\b", re.I),
    "unchanged": re.compile(r"\bunchanged\b|\bno changes?\b|\bstayed the same\b|\bremain\w* the same\b", re.I),
    "unsure": re.compile(r"\bunsure\b|\buncertain\w*\b|\bunclear\b|\bambiguous\b", re.I),
    "failed": re.compile(r"\bfail\w*\b|\bcould not be\b|\berrors?\b", re.I),
}
_DENIAL = re.compile(r"\b(?:not|never|neither|nor|cannot|hardly|without)\b|n['’]t\b", re.I)


@dataclass(frozen=True)
class _Fact:
    """A claim as it is read."""

    claim: Claim
    read: Read
    text: str


def objection(text: str, scene: Scene) -> str | None:
    """Why a paragraph is not let through, in words; None where nothing speaks against it.

    Args:
        text: what a model made of the facts. scene: with the claims.
    """
    words = " ".join(text.split())
    if not words:
        return "it is empty"
    if len(words) > LONGEST * len(scene.paragraph):
        return f"it is more than {LONGEST:g} times as long as the facts"
    if words[-1] not in ".!?]":
        return "it ends in the middle of a sentence"
    facts = [_Fact(claim, read(plain(claim.text)), plain(claim.text)) for claim in scene.claims]
    told = [(sentence, read(sentence)) for sentence in sentences(words)]
    for sentence, said in told:
        found = _sentence(sentence, said, facts, scene)
        if found is not None:
            return f"{found} ({_short(sentence)!r})"
    return _whole([said for _, said in told], facts)


def _sentence(sentence: str, said: Read, facts: Sequence[_Fact], scene: Scene) -> str | None:
    """What speaks against one sentence."""
    tiles = {tile for fact in facts for tile in fact.claim.tile_ids}
    areas = {area for fact in facts for area in fact.read.areas}
    unknown = [name for name in (*said.tiles, *said.areas) if name not in tiles | areas]
    if unknown:
        return f"it names {unknown[0]}, which the facts do not"
    if not said.tiles and not said.areas:
        return "it says something without citing a tile"
    own = [fact for fact in facts if _shares(said, fact)]
    named = {word for fact in facts for word in fact.claim.keywords if _names(sentence, word)}
    if named:
        own = [fact for fact in own if not fact.claim.keywords or named & set(fact.claim.keywords)]
    carried = {word for fact in own for word in (*fact.claim.keywords, *named_keywords(fact.text))}
    foreign = sorted((named | named_keywords(sentence)) - carried)
    if foreign:
        return f"it names {foreign[0]!r}, which the tiles that it cites do not carry"
    if said.vague:
        return f"it says {said.vague[0]!r}, which is no number of the facts"
    return _numbers(said, own) or _places(said, own) or _states(sentence, own) or _days(said, scene)


def _numbers(said: Read, own: Sequence[_Fact]) -> str | None:
    there: Counter[tuple[Decimal, str]] = Counter()
    for fact in own:
        there.update(fact.read.numbers)
    missing = said.numbers - there
    if not missing:
        parts = {part for fact in own for part in fact.read.parts}
        wrong = [part for part in said.parts if part not in parts]
        return f"it says '{wrong[0][0]} of {wrong[0][1]}', which the facts do not" if wrong else None
    value, unit = min(missing)
    return f"it says {f'{value:f} {unit}'.strip()!r}, which the facts about the tiles that it cites do not"


def _places(said: Read, own: Sequence[_Fact]) -> str | None:
    there = {place for fact in own for place in fact.read.directions}
    wrong = [place for place in said.directions if place not in there]
    return f"it says {wrong[0]!r}, which is not where the tiles that it cites are" if wrong else None


def _states(sentence: str, own: Sequence[_Fact]) -> str | None:
    text = " ".join(fact.text for fact in own)
    for state, pattern in _STATES.items():
        if pattern.search(sentence) and not pattern.search(text):
            return f"it calls tiles {state} that the facts do not call so"
    if _DENIAL.search(sentence) and not _DENIAL.search(text):
        return "it denies something that the facts do not deny"
    return None


def _days(said: Read, scene: Scene) -> str | None:
    pre, post = (_first_day(day) for day in (scene.pre_day, scene.post_day))
    for day in said.days:
        if not any(known is not None and day.fits(known) for known in (pre, post)):
            return "it names a date that is neither of the two"
    if len(said.days) > 1 and pre is not None and post is not None and pre != post:
        if not said.days[0].fits(pre) or not said.days[-1].fits(post):
            return "it names the dates in the wrong order"
    return None


def _whole(told: Sequence[Read], facts: Sequence[_Fact]) -> str | None:
    """What speaks against the paragraph as a whole: a number told too often, a fact that must not be left out."""
    said: Counter[tuple[Decimal, str]] = Counter()
    there: Counter[tuple[Decimal, str]] = Counter()
    for each in told:
        said.update(each.numbers)
    for fact in facts:
        there.update(fact.read.numbers)
    more = said - there
    if more:
        value, unit = min(more)
        return f"it says {f'{value:f} {unit}'.strip()!r} more often than the facts"
    for fact in facts:
        if fact.claim.needed:
            needed = Counter({number: count for number, count in fact.read.numbers.items() if number[1] == "tiles"})
            if needed - said:
                return f"it leaves out what must be told: {_short(fact.text)!r}"
    return None


def _shares(said: Read, fact: _Fact) -> bool:
    return bool(set(said.tiles) & set(fact.claim.tile_ids) or set(said.areas) & set(fact.read.areas))


def _names(sentence: str, keyword: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(keyword)}s?(?!\w)", sentence, re.I) is not None


def _first_day(text: str | None) -> Day | None:
    days = read(plain(text)).days if text else ()
    return days[0] if days else None


def _short(text: str, most: int = 80) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."

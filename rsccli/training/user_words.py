"""What a user's own words say: keywords of the network, and whether a caption tells of change at all."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rsccli.models.small.facts import KEYWORDS
from rsccli.models.small.grammar import named_keywords

# How people say it who do not know the grammar: patterns over lower-case sentences.
_SAID: tuple[tuple[str, str], ...] = (
    (r"\b(villas?|residences?|dwellings?|new homes?)\b", "new house"),
    (r"\b(warehouses?|factor(y|ies)|new buildings?|buildings? (is|are|has been|have been) (built|constructed))\b",
     "new building"),
    (r"\b(demolition|razed|torn down|buildings? (is|are|was|were) (removed|demolished))\b", "building removed"),
    (r"\b(damaged?|destroyed|collapsed|destruction)\b", "building damage"),
    (r"\b(rubble|wreckage|debris)\b", "debris"),
    (r"\b(under construction|construction sites?|building sites?)\b", "construction site"),
    (r"\b(roads? (is|are|was|were|has been|have been) (built|paved|constructed)|new (roads?|streets?))\b", "new road"),
    (r"\b(car parks?|parking (lots?|areas?))\b", "parking lot"),
    (r"\b(trees? (is|are|was|were|has been|have been) (removed|cut|felled|cleared)|deforest\w*|logged|logging)\b",
     "tree loss"),
    (r"\b(deforest\w*|cleared land|land clear\w*|bare (land|ground|soil))\b", "bare soil"),
    (r"\b(inundat\w*|submerged|flood\w*)\b", "flood"),
    (r"\b(wild ?fires?|burn(t|ed) (area|scar|land)s?|charred)\b", "burn scar"),
    (r"\b(mud ?slides?|land ?slides?|mud ?flows?|debris flows?)\b", "mud"),
    (r"\b(swimming pools?)\b", "swimming pool"),
    (r"\b(football fields?|soccer fields?|tennis courts?|playgrounds?)\b", "sports field"),
    (r"\b(solar (farms?|panels?|plants?)|photovoltaic\w*)\b", "solar panels"),
    (r"\b(ships?|vessels?|yachts?)\b", "boats"),
)  # fmt: skip
_PATTERNS = tuple((re.compile(pattern), keyword) for pattern, keyword in _SAID)
_NOTHING = re.compile(
    r"\bno ((lasting|significant|visible|obvious|major|real|other) )*(changes?|differences?)\b"
    r"|\bnothing (of note )?(has )?changed\b|\bnot changed\b|\bunchanged\b|\b(look|looks|seem|seems|is|are) (almost )?"
    r"(identical|alike|the same)\b|\b(remains?|stays?|stayed) the same\b|\bshow the same ground\b|\balmost nothing\b"
)


def keyword_of(word: str) -> int | None:
    """Index of a keyword that a user wrote, also as a near synonym; None where the network has no such keyword."""
    if word in KEYWORDS:
        return KEYWORDS.index(word)
    named = _named(word)
    return next(iter(named)) if len(named) == 1 else None


def caption_facts(captions: Iterable[str]) -> tuple[bool | None, tuple[int, ...]]:
    """What captions of one pair say.

    Returns:
        Whether it changed (None where they do not tell), and indices of the keywords that they name.
    """
    sentences = [caption.lower() for caption in captions]
    denied = sum(bool(_NOTHING.search(sentence)) for sentence in sentences)
    told = [_named(sentence) for sentence in sentences if not _NOTHING.search(sentence)]
    named = sorted(set().union(*told))
    if denied > sum(map(bool, told)):
        return False, ()
    return (True if named else None), tuple(named)


def _named(text: str) -> set[int]:
    said = {keyword for pattern, keyword in _PATTERNS if pattern.search(text)}
    # "a debris flow" is mud, "demolished" no damage: the more special finding stands alone.
    if "mud" in said:
        said.discard("debris")
    return {KEYWORDS.index(keyword) for keyword in said | named_keywords(text)}

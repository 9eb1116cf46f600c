"""Seventeen things that captions of change name, found by their words: the oracle of the keyword floor.

The list was written for LEVIR-CC's sentences (houses and roads in Texas) and covers what they talk about: what appears,
on what, in place of what, how many and where. It asks what an ideal classifier of the pair could hand to a captioner
that never sees the pair.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

# Keyword and the words that name it, as regular expressions for whole words in lower case.
KEYWORDS: tuple[tuple[str, str], ...] = (
    ("house", r"houses?|villas?|residen\w+|dwellings?|homes?|cottages?"),
    ("building", r"buildings?|factory|factories|workshops?|structures?"),
    ("road", r"roads?|streets?|lanes?|highways?"),
    ("path", r"paths?|tracks?|trails?|driveways?"),
    ("crossroad", r"cross ?roads?|intersections?|junctions?|roundabouts?"),
    ("tree", r"trees?|woods?|forests?|jungles?|woodlands?"),
    ("vegetation", r"vegetations?|grass\w*|meadows?|lawns?|green\w*|plants"),
    ("bare land", r"barelands?|bare|lands?|open space|ground|wastelands?|clearings?"),
    ("desert", r"deserts?|sand\w*"),
    ("parking lot", r"parking|car parks?"),
    ("water", r"pools?|ponds?|lakes?|waters?"),
    ("sports field", r"playgrounds?|courts?|fields?|stadiums?"),
    ("removal", r"removed?|removes|disappears?|disappeared|demolished|cut|cleared|gone"),
    ("replacement", r"replaces?|replaced|instead|in place|turns?|becomes?"),
    ("row", r"rows?|sides|lines?"),
    ("place", r"left|right|top|bottom|upper|lower|corners?|middle|center|centre"),
    ("many", r"many|massive|lots|dense|numerous|several|a number"),
)
_PATTERNS = tuple((name, re.compile(rf"\b(?:{words})\b")) for name, words in KEYWORDS)
# One annotator's own word is chance; two of five agree on what is there.
_AGREED = 2


def keywords_of(captions: Sequence[str]) -> frozenset[str]:
    """Keywords that at least two captions of the pair name, or the only one where there is only one."""
    needed = max(1, min(_AGREED, len(captions)))
    named = [_named(caption) for caption in captions]
    return frozenset(name for name, _ in KEYWORDS if sum(name in each for each in named) >= needed)


@lru_cache(maxsize=100_000)
def _named(caption: str) -> frozenset[str]:
    text = caption.lower()
    return frozenset(name for name, pattern in _PATTERNS if pattern.search(text))

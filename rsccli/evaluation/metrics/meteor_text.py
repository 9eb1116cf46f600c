"""Texts as METEOR 1.5 parts them into words (its option ``-norm``), for texts with few kinds of marks.

The jar normalises every text of every question with two dozen patterns, a fifth of its time. Change captions hold
letters, digits, hyphens, commas and a rare apostrophe; what becomes of these is done here once a text, and the jar is
asked with ``-lower``. Any other text is left to the jar itself.
"""

from __future__ import annotations

import re
from functools import lru_cache

WORD = r"[a-z0-9]+(?:-[a-z0-9]+|(?<=[a-z])'(?=[a-z])[a-z0-9]+)*"
UNDERSTOOD = re.compile(rf"(?:{WORD},?(?: {WORD},?)*)?")
COMMA = re.compile(r",(?![0-9])|(?<![0-9]),")
APOSTROPHE = re.compile(r"([a-z])'([a-z])")
# The characters at both sides are used up, as in the jar: "a-b-c" keeps its second hyphen.
HYPHEN = re.compile(r"([a-z0-9])-([a-z0-9])")


@lru_cache(1 << 16)
def normalised(text: str) -> str | None:
    """The text's words as the jar's normaliser parts them, in lower case; None for a text that is left to the jar."""
    lower = text.lower()
    if not UNDERSTOOD.fullmatch(lower):
        return None
    if lower.isalnum():
        return lower
    apart = APOSTROPHE.sub(r"\1 '\2", COMMA.sub(" , ", lower))
    return " ".join(HYPHEN.sub(r"\1 \2", apart).split())

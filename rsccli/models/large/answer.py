"""What a caption in free words says of change: models of this kind give no score."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rsccli.types import CaptionStatus

# Up to four words between a denial and what it denies; a comma or an "and" ends its reach.
_FEW = r"(?:(?!and\b)[\w-]+\s+){0,4}?"
_NONE = rf"(?:no(?!\s+longer)|without|(?:not|cannot)\s+{_FEW}any|hardly\s+any|barely\s+any)"
_BE = r"(?:is|are|was|were|remain|remains|remained|stay|stays|stayed|look|looks|seem|seems|appear|appears|appeared)"
_DONE = (
    r"(?:built|constructed|erected|demolished|destroyed|damaged|removed|replaced|added|cleared|flooded|inundated|burnt|"
    r"burned|changed|altered|affected|converted|gone|missing|expanded|collapsed|grown|become|disappeared|appeared)"
)

#: Says of the whole scene that it is as before, LEVIR-CC's five sentences among them.
_SAME = re.compile(
    rf"\b{_NONE}\s+{_FEW}(?:changes?|differences?|alterations?|modifications?)\b"
    rf"|\bnothing\s+{_FEW}(?:changed|different)\b|\bthe\s+same\s+as\s+before\b|\bidentical\b",
    re.IGNORECASE,
)
#: Says it of something; the rest may have changed.
_SPARED = re.compile(
    rf"\b{_NONE}\s+{_FEW}(?:damages?|new|signs?\s+of|evidence\s+of|(?:is|are|was|were|been)\s+{_DONE})\b"
    rf"|\b(?:none|not(?!\s+(?:only|all|every)))\s+{_FEW}(?:change|differ|different|{_DONE})\b"
    rf"|\b{_BE}\s+(?:to\s+be\s+)?(?:\w+ly\s+|almost\s+|the\s+|very\s+|much\s+)*"
    r"(?:unchanged|intact|undamaged|unaffected|same(?=\s*[.,;!]|\s*$|\s+(?:as|in|on|at|and|with|for|between|across)\b))",
    re.IGNORECASE,
)
#: Says that something is not as it was.
_OTHER = re.compile(
    rf"\b(?:has|have|had|is|are|was|were|been|being)\s+(?:\w+ly\s+|been\s+|now\s+)*{_DONE}\b"
    r"|\b(?:new|newly|no\s+longer|became|disappeared|vanished|more|less|fewer|greener|browner|drier|larger|smaller|wider"
    r"|denser|brighter|darker|higher|lower)\b",
    re.IGNORECASE,
)
_TURN = re.compile(r"[,;]?\s*\b(but|however|although|though|except|while|whereas|yet)\b,?\s*", re.IGNORECASE)


def status_of(text: str) -> tuple[CaptionStatus, str | None]:
    """Status that the words of a caption state, and why where it is ``unsure``.

    ``unchanged``: they deny change and tell of none. ``changed``: they tell of one first, or deny nothing. ``unsure``:
    they deny change and then tell of one (or turn, as with "but"), deny it only of a part further on, or say nothing.
    """
    if not re.search(r"\w", text):
        return "unsure", "the model said nothing"
    denials: list[bool | None] = []
    for words, turned in _clauses(text):
        same = bool(_SAME.search(words))
        if same or _SPARED.search(words):
            denials.append(same)
        elif turned or _OTHER.search(words):
            if any(each is not None for each in denials):
                return "unsure", "the caption says both that something changed and that nothing did"
            return "changed", None
        else:
            denials.append(None)
    if all(each is None for each in denials):
        return "changed", None
    if denials[0] is not None or True in denials:
        return "unchanged", None
    return "unsure", "the caption says of a part alone that it did not change"


def _clauses(text: str) -> Iterator[tuple[str, bool]]:
    """Sentences, cut again at semicolons, "with", and words like "but"; and whether such a word stands before each."""
    plain = re.sub(r"(?i)n['’]t\b", " not", text)
    for sentence in re.split(r"(?i)(?<=[.!?])\s+|;\s*|,\s*(?=with\b)", plain.strip()):
        pieces = _TURN.split(sentence)
        yield pieces[0], False
        for words in pieces[2::2]:
            yield words, True


def stop_note(stopped: str, max_new_tokens: int) -> str | None:
    """What a reader should know of how a caption ended, or None.

    Args:
        stopped: see `rsccli.models.decoding.tokens.Decoded`. max_new_tokens: that were allowed.
    """
    return {
        "loop": "the caption began to repeat itself and was stopped",
        "length": f"the caption was cut at {max_new_tokens} tokens",
    }.get(stopped)

"""What a caption in free words says of change: models of this kind give no score."""

from __future__ import annotations

import re

from rsccli.types import CaptionStatus

#: What captioners say where nothing changed, LEVIR-CC's five sentences among them.
_UNCHANGED = re.compile(
    r"\b(no|not any|without|little or no)\s+(\w+\s+){0,3}?(change|changes|difference|differences|alteration|damage)\b"
    r"|\b(the\s+same\s+as\s+before|almost\s+nothing\s+has\s+changed|nothing\s+has\s+changed|remain(s|ed)?\s+unchanged"
    r"|(are|is|seem|seems|look|looks|appear|appears)\s+(almost\s+|nearly\s+|virtually\s+)?(identical|unchanged))\b"
    r"|\b(has|have)\s+not\s+changed\b",
    re.IGNORECASE,
)
_TURN = re.compile(r"\b(but|however|although|though|except|while|whereas|yet)\b", re.IGNORECASE)


def status_of(text: str) -> tuple[CaptionStatus, str | None]:
    """Status that the words of a caption state, and why where it is ``unsure``.

    A caption whose first sentence denies change, with no "but" after it, is ``unchanged``; one that says anything else
    is ``changed``. An empty one, or one that denies change only further on, is ``unsure``.
    """
    if not text.strip():
        return "unsure", "the model said nothing"
    sentences = [each for each in re.split(r"(?<=[.!?])\s+", text.strip()) if each]
    denies = [bool(_UNCHANGED.search(each)) for each in sentences]
    if not any(denies):
        return "changed", None
    if all(denies) or (denies[0] and not _TURN.search(text)):
        return "unchanged", None
    return "unsure", "the caption says both that something changed and that nothing did"


def stop_note(stopped: str, max_new_tokens: int) -> str | None:
    """What a reader should know of how a caption ended, or None.

    Args:
        stopped: see `rsccli.models.decoding.tokens.Decoded`. max_new_tokens: that were allowed.
    """
    return {
        "loop": "the caption began to repeat itself and was stopped",
        "length": f"the caption was cut at {max_new_tokens} tokens",
    }.get(stopped)

"""What a caption in free words says of change: models of this kind give no score."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rsccli.types import CaptionStatus

# Up to four words between a denial and what it denies; a comma or an "and" ends its reach.
_FEW = r"(?:(?!and\b)[\w-]+\s+){0,4}?"
_NO = r"no(?!\s+(?:longer|fewer|less|doubt)\b)"
_NONE = rf"(?:{_NO}|without|(?:not|cannot|neither)\s+{_FEW}any|(?:hardly|barely|scarcely)\s+any)"
_BE = r"(?:is|are|was|were|remain|remains|remained|stay|stays|stayed|look|looks|seem|seems|appear|appears|appeared)"
_DONE = (
    r"(?:built|constructed|erected|created|established|demolished|dismantled|destroyed|damaged|removed|replaced|added|"
    r"cleared|felled|flooded|inundated|submerged|burnt|burned|changed|altered|affected|converted|transformed|gone|"
    r"missing|expanded|extended|widened|narrowed|enlarged|rebuilt|collapsed|grown|become|disappeared|appeared)"
)
_HAS_DONE = rf"(?:has|have|had|is|are|was|were|been|being)\s+(?:\w+ly\s+|been\s+|now\s+)*{_DONE}"
_SCENES = r"(?:scenes?|images?|pictures?|photos?|views?|areas?|places?)"
# What may follow where "same" and "identical" speak of the scene and not of "identical houses".
_ENDS = r"(?=\s*[.,;:!]|\s*$|\s+(?:as|in|on|at|to|and|with|for|between|across)\b)"
_LY = r"(?:\w+ly\s+|almost\s+|the\s+|very\s+|much\s+)*"

#: Says of the whole scene that it is as before, LEVIR-CC's five sentences among them.
_SAME = re.compile(
    rf"\b(?:{_NONE}|(?<!\ba\s)(?:little|few))\s+{_FEW}(?:changes?|differences?|alterations?|modifications?|variations?)\b"
    rf"|\b(?:nothing|(?<!\ba\s)little)\s+{_FEW}(?:changed|different|happened|occurred)\b"
    rf"|\bnothing\s+(?:new\b|to\s+(?:mention|report)\b)|\bsame\s+(?:{_SCENES}\s+)?as\s+before\b"
    rf"|\b{_BE}\s+(?:to\s+be\s+)?{_LY}(?:identical{_ENDS}|indistinguishable\b|alike\b)|\bidentical\s+{_SCENES}\b"
    r"|^\W*(?:no|none|nothing|unchanged|identical|(?:the\s+)?same)\W*$",
    re.IGNORECASE,
)
#: Says it of something; the rest may have changed.
_SPARED = re.compile(
    rf"\b{_NONE}\s+{_FEW}(?:damages?|new|signs?\s+of|evidence\s+of)\b"
    rf"|\b{_NO}\s+{_FEW}(?:(?:is|are|was|were|been)\s+{_DONE}|constructions?|developments?|demolitions?|destruction)\b"
    rf"|\b(?:none|not(?!\s+(?:only|all|every)))\s+{_FEW}(?:change|differ|different|{_DONE})\b"
    rf"|\b{_BE}\s+(?:to\s+be\s+)?{_LY}"
    rf"(?:unchanged|unaltered|intact|undamaged|undisturbed|untouched|unaffected|stable|same{_ENDS})",
    re.IGNORECASE,
)
#: Says that something is not as it was.
_OTHER = re.compile(
    rf"\b{_HAS_DONE}\b"
    r"|\b(?:new|newly|no\s+longer|became|disappeared|vanished|more|less|fewer|greener|browner|drier|larger|smaller|wider"
    r"|denser|brighter|darker|higher|lower)\b",
    re.IGNORECASE,
)
#: Says it by denying the contrary.
_NOT_SAME = re.compile(
    rf"\b(?:not|never|no\s+longer)\s+{_FEW}(?:same|identical|alike|stable|intact|un(?:changed|altered|damaged|affected))\b",
    re.IGNORECASE,
)
#: Says in the words before a denial that something was done, and not that it stood there at both dates.
_FIRST = re.compile(
    rf"^(?!.*\b(?:that|which|who|both|already|previously|before|existing)\b).*\b{_HAS_DONE}\b", re.I | re.S
)
#: Says it in the words after a denial of the whole, in a clause with a subject of its own.
_THEN = re.compile(
    r"(?:[,:]|\band\b)\s*(?:only\s+|also\s+|just\s+)?(?:a|an|the|one|two|three|some|several|many|few)\s+"
    rf"(?:(?!(?:not?|that|which)\b)[\w-]+\s+){{1,6}}?(?:{_HAS_DONE}\b|(?:replaced?s?|emerge[sd]?)\b"
    r"|(?:dis)?appear(?:s|ed)?(?=\s*[.,;]|\s*$|\s+(?:on|in|at|along|beside|near|next|around|by|where|between)\b))",
    re.IGNORECASE,
)
_EXCEPT = (
    r"except(?:ing)?|apart\s+from|aside\s+from|other\s+than|besides|excluding|save\s+for|with\s+the\s+exception\s+of"
)
_TURN = re.compile(rf"[,;]?\s*\b(but|however|although|though|while|whereas|yet|{_EXCEPT})\b,?\s*", re.IGNORECASE)
_LEADS = re.compile(rf"(?P<except>{_EXCEPT})|although|though|while|whereas", re.IGNORECASE)


def status_of(text: str) -> tuple[CaptionStatus, str | None]:
    """Status that the words of a caption state, and why where it is ``unsure``.

    ``unchanged``: they deny change and tell of none. ``changed``: they tell of one first, or deny nothing. ``unsure``:
    they deny change and then tell of one (or turn, as with "but"), deny it only of a part further on, or say nothing.
    """
    if not re.search(r"\w", text):
        return "unsure", "the model said nothing"
    first: bool | None = None
    whole = part = False
    for number, (words, turned) in enumerate(_clauses(text)):
        denied, told = _said(words)
        first = denied if number == 0 else first
        whole, part = whole or denied is True, part or denied is False
        if told or (turned and denied is None and (whole or part)):
            if whole or part:
                return "unsure", "the caption says both that something changed and that nothing did"
            return "changed", None
    if first is not None or whole:
        return "unchanged", None
    if part:
        return "unsure", "the caption says of a part alone that it did not change"
    return "changed", None


def _said(words: str) -> tuple[bool | None, bool]:
    """What one clause denies (True: any change; False: that of a part; None: nothing), and whether it tells of one."""
    if _NOT_SAME.search(words):
        return None, True
    same = _SAME.search(words)
    denial = same or _SPARED.search(words)
    if denial is None:
        return None, _OTHER.search(words) is not None
    if _FIRST.search(words[: denial.start()]):
        return None, True
    return same is not None, same is not None and _THEN.search(words, same.end()) is not None


def _clauses(text: str) -> Iterator[tuple[str, bool]]:
    """Sentences, cut again at semicolons, "with", and words like "but"; and whether such a word stands before each."""
    plain = re.sub(r"(?i)n['’]t\b", " not", text)
    for sentence in re.split(r"(?i)(?<=[.!?])\s+|;\s*|,\s*(?=with\b)", plain.strip()):
        pieces = _TURN.split(sentence)
        lead = _LEADS.fullmatch(pieces[1]) if len(pieces) > 1 and not pieces[0] else None
        first, comma, rest = pieces[2].partition(",") if lead else ("", "", "")
        if lead and comma:
            # "Except for a house, nothing changed" is "nothing changed except for a house".
            yield from [(rest, False), (first, True)] if lead["except"] else [(first, True), (rest, False)]
        else:
            yield pieces[0], False
            if len(pieces) > 1:
                yield pieces[2], True
        for words in pieces[4::2]:
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

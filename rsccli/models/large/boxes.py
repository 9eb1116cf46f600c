"""Boxes that a large model writes as text: read strictly, or not at all.

| scale | numbers | published for |
|---|---|---|
| absolute | pixels of the picture as the model sees it, resized | Qwen2.5-VL |
| thousand | 0 to 1000 of the picture's sides | Qwen2-VL, Qwen3-VL, InternVL |
| normalised | 0 to 1 of the picture's sides | LLaVA 1.5 |
| percent | 0 to 100 of the picture's sides | TEOChat, GeoChat |

| form | example |
|---|---|
| JSON | ``[{"bbox_2d": [x1, y1, x2, y2], "label": "road"}]``, bare or in a fence |
| tags | ``<ref>road</ref><box>[[x1, y1, x2, y2], ...]</box>``, or what a tokenizer leaves: ``road[[x1, y1, x2, y2]]`` |
| brackets | ``[x1, y1, x2, y2], [x1, y1, x2, y2]``, or in a sentence: ``It is at [x1, y1, x2, y2].`` |
| pairs | ``road(x1,y1),(x2,y2)``, with or without the marks of Qwen2-VL |

All numbers are x1, y1 (upper left) and x2, y2 (lower right). Which scale is meant cannot be read off the numbers, so it
is told. One wrong box spoils the whole answer: what a model meant by the rest of it would be a guess.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import orjson

Scale = Literal["absolute", "normalised", "percent", "thousand"]
SCALES: tuple[Scale, ...] = get_args(Scale)
#: Longer answers, and answers with more boxes, are no answers: a model that repeats itself writes them.
LONGEST_TEXT, MOST_BOXES = 20_000, 200
LONGEST_LABEL = 120
#: A box may reach over the picture's edge by this share of its side, and is cut there. What lies further out was meant
#: on another scale.
OVER_THE_EDGE = 0.1

_FULL: dict[Scale, float] = {"normalised": 1.0, "percent": 100.0, "thousand": 1000.0}
_FENCE = "```"
_NOTHING = re.compile(
    r"(?:none|nothing|no|not (?:found|present|visible)|there (?:is|are) no[^\[\](){}<>|\d]*)[.!]?", re.IGNORECASE
)
_NUMBER = r"\s*[-+]?\d{1,12}(?:\.\d{1,12})?\s*"
_PAIRS = re.compile(
    r"(?:<\|object_ref_start\|>)?([^<>()\[\]{}|]*)(?:<\|object_ref_end\|>)?"
    rf"(?:<\|box_start\|>)?\(({_NUMBER}),({_NUMBER})\)\s*,\s*\(({_NUMBER}),({_NUMBER})\)(?:<\|box_end\|>)?"
)
_TAGS = re.compile(r"[\s,;]*(?:<ref>([^<>]*)</ref>\s*)?<box>([^<>]*)</box>[\s,;.]*")
_WORDS = re.compile(r"[^\[\](){}<>|\d]*")
_DENIED = re.compile(r"\b(?:no|not|none|never|neither|nor|without|cannot|nothing)\b|n['’]t\b", re.IGNORECASE)


@dataclass(frozen=True)
class BoxRule:
    """How a family writes boxes.

    Attributes:
        scale: of its numbers. form: what its answer is to look like, words for the prompt; ``{phrase}`` in it is what
            is looked for.
    """

    scale: Scale
    form: str


#: Forms to ask for where a family has none of its own.
FORMS: dict[Scale, str] = {
    "absolute": 'JSON: [{"bbox_2d": [x1, y1, x2, y2], "label": "{phrase}"}], in pixels',
    "thousand": 'JSON: [{"bbox_2d": [x1, y1, x2, y2], "label": "{phrase}"}], with numbers from 0 to 1000',
    "normalised": "[x1, y1, x2, y2] for each place, with numbers from 0 to 1",
    "percent": "[x1, y1, x2, y2] for each place, with numbers from 0 to 100",
}
#: What a model is asked. The pictures stand before it.
PROMPT = (
    "These two images show the same place from above, the first at an earlier and the second at a later date. "
    "Find every place in the second image that shows this and did not show it in the first: {phrase}. "
    "Answer with boxes alone, as {form}. If there is none, answer []."
)


@dataclass(frozen=True)
class View:
    """The part of a picture that a model sees, and its size there.

    Attributes:
        left, top, width, height: of that part, pixels of the picture. seen_width, seen_height: of it after resizing,
            pixels to which absolute coordinates belong.
    """

    left: float
    top: float
    width: float
    height: float
    seen_width: int
    seen_height: int


@dataclass(frozen=True)
class Box:
    """A place in a view.

    Attributes:
        left, top, right, bottom: shares of the view's sides, 0-1, left < right, top < bottom. label: as the model calls
            it, or empty.
    """

    left: float
    top: float
    right: float
    bottom: float
    label: str = ""


@dataclass(frozen=True)
class Malformed:
    """An answer that holds no boxes that can be trusted. reason: why, for a person."""

    reason: str


class _WrongError(Exception):
    """What is wrong with an answer."""


def grounding_prompt(phrase: str, form: str) -> str:
    """What a model is asked to find a phrase."""
    return PROMPT.replace("{form}", form).replace("{phrase}", phrase)


def parse_boxes(text: str, scale: Scale, view: View) -> tuple[Box, ...] | Malformed:
    """Boxes of an answer; none where it says that there are none.

    Args:
        text: as the model wrote it. scale: of its numbers. view: for absolute ones.
    """
    if len(text) > LONGEST_TEXT:
        return Malformed(f"it is longer than {LONGEST_TEXT:,} characters")
    try:
        found: list[Box] = []
        for label, numbers in _found(text.strip()):
            box = _box(label, numbers, scale, view)
            if box not in found:
                found.append(box)
            if len(found) > MOST_BOXES:
                return Malformed(f"it holds more than {MOST_BOXES} boxes")
    except _WrongError as error:
        return Malformed(str(error))
    return tuple(found)


def _found(text: str) -> Iterator[tuple[str, list[float]]]:
    """Labels and numbers in order, in whichever form they are written."""
    if not text:
        raise _WrongError("the model said nothing")
    if text == "[]" or _NOTHING.fullmatch(text):
        return
    if text.startswith(_FENCE) or text[0] == "{" or '"bbox_2d"' in text:
        yield from _of_json(_unfenced(text))
    elif "<box>" in text or "<ref>" in text:
        yield from _of_tags(text)
    elif "(" in text or "<|box_start|>" in text:
        yield from _of_pairs(text)
    else:
        yield from _of_brackets(text)


def _unfenced(text: str) -> str:
    if not text.startswith(_FENCE):
        return text
    if not text.endswith(_FENCE) or len(text) < 2 * len(_FENCE):
        raise _WrongError("its fence is not closed: the answer was cut")
    return text[len(_FENCE) : -len(_FENCE)].removeprefix("json").strip()


def _of_json(text: str) -> Iterator[tuple[str, list[float]]]:
    value = _json(text)
    for each in value if isinstance(value, list) else [value]:
        if not isinstance(each, dict) or "bbox_2d" not in each:
            raise _WrongError("an entry of its JSON has no bbox_2d")
        label = each.get("label", "")
        if not isinstance(label, str):
            raise _WrongError("a label of its JSON is no text")
        yield label, _four(each["bbox_2d"])


def _of_tags(text: str) -> Iterator[tuple[str, list[float]]]:
    at = 0
    while at < len(text):
        found = _TAGS.match(text, at)
        if found is None:
            raise _WrongError("its tags are not <ref>..</ref><box>[[x1, y1, x2, y2]]</box>")
        for numbers in _lists(found[2]):
            yield found[1] or "", numbers
        at = found.end()


def _of_pairs(text: str) -> Iterator[tuple[str, list[float]]]:
    at = 0
    while at < len(text):
        found = _PAIRS.match(text, at)
        if found is None:
            if text[at:].strip(" \t\n.,;"):
                raise _WrongError("its boxes are not (x1,y1),(x2,y2)")
            return
        _check_words(found[1])
        yield found[1].strip(" \t\n,;:"), [float(found[place]) for place in range(2, 6)]
        at = found.end()


def _of_brackets(text: str) -> Iterator[tuple[str, list[float]]]:
    """Groups in square brackets, with words between them that hold no number."""
    at, any_group = 0, False
    while at < len(text):
        words = _WORDS.match(text, at)
        assert words is not None
        _check_words(words[0])
        at = words.end()
        if at == len(text):
            break
        end = _closing(text, at)
        # "road[[..]]" names its box as the tags did; words of a sentence are no name.
        label = words[0].strip(" \t\n,;:") if text.startswith("[[", at) else ""
        for numbers in _lists(text[at:end]):
            yield label, numbers
        at, any_group = end, True
    if not any_group:
        raise _WrongError("it holds no box")


def _closing(text: str, at: int) -> int:
    """Behind the bracket that closes the one at a place; two deep at most."""
    if text[at] != "[":
        raise _WrongError("its boxes are not [x1, y1, x2, y2]")
    depth = 0
    for place in range(at, len(text)):
        depth += {"[": 1, "]": -1}.get(text[place], 0)
        if depth > 2:
            raise _WrongError("its brackets are nested too deep")
        if depth == 0:
            return place + 1
    raise _WrongError("a bracket is not closed: the answer was cut")


def _check_words(words: str) -> None:
    if _DENIED.search(words):
        raise _WrongError("it denies something and gives boxes")


def _lists(text: str) -> list[list[float]]:
    """``[[..], [..]]`` or ``[..]``."""
    value = _json(text)
    if not isinstance(value, list) or not value:
        raise _WrongError("its boxes are not [x1, y1, x2, y2]")
    return [_four(each) for each in (value if all(isinstance(each, list) for each in value) else [value])]


def _json(text: str) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise _WrongError("its boxes are no JSON, or it was cut") from error


def _four(value: object) -> list[float]:
    if not isinstance(value, list) or len(value) != 4:
        raise _WrongError("a box has not four numbers")
    if not all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in value):
        raise _WrongError("a box holds something that is no number")
    return [float(each) for each in value]


def _box(label: str, numbers: list[float], scale: Scale, view: View) -> Box:
    """A box in shares of the view, cut at its edge."""
    full = _FULL.get(scale)
    across, down = (full, full) if full else (float(view.seen_width), float(view.seen_height))
    sides = [number / (across if place % 2 == 0 else down) for place, number in enumerate(numbers)]
    if not all(map(math.isfinite, sides)):
        raise _WrongError("a box holds a number that is not finite")
    if any(not -OVER_THE_EDGE <= side <= 1 + OVER_THE_EDGE for side in sides):
        raise _WrongError(f"a box lies outside of the picture: its numbers may not be {scale} (--boxes)")
    left, top, right, bottom = (min(max(side, 0.0), 1.0) for side in sides)
    if sides[0] >= sides[2] or sides[1] >= sides[3]:
        raise _WrongError("a box has its corners in the wrong order, or no area")
    if left >= right or top >= bottom:
        raise _WrongError("a box lies beyond the picture's edge")
    return Box(left, top, right, bottom, " ".join(label.split())[:LONGEST_LABEL])

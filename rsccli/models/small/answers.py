"""Answers to questions about one tile, from the numbers of a captioner that gives scores, keywords and a mask.

Nothing here says more than the numbers do: where keywords and mask disagree the answer is "not sure", and where two
kinds of change of one class cannot be told apart in the mask no area is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from rsccli.models.small.facts import PLACES
from rsccli.models.small.questions import Asked, Unit
from rsccli.types import CaptionStatus

AnswerStatus = Literal["answered", "unsure", "cannot_answer", "skipped", "nodata", "read_error", "model_error"]
ANSWER_STATUSES: tuple[AnswerStatus, ...] = (
    "answered",
    "unsure",
    "cannot_answer",
    "skipped",
    "nodata",
    "read_error",
    "model_error",
)
Verdict = Literal["yes", "no"]
#: Places of `rsccli.models.small.facts` on a grid that is north-up, as every grid here is.
COMPASS: dict[str, str] = dict(
    zip(
        PLACES,
        (
            *("north-west", "north", "north-east", "west", "middle", "east", "south-west", "south", "south-east"),
            "in several parts",
            "nowhere",
        ),
        strict=True,
    )
)
_PER: dict[Unit, float] = {"m2": 1.0, "ha": 1e4, "km2": 1e6, "%": 1.0}


@dataclass(frozen=True)
class Measured:
    """Pixels of a mask.

    Attributes:
        area_m2: on the ellipsoid. own_m2: of it what no other tile counts, so that sums over tiles are right.
        fraction: share of the tile's valid pixels, 0-1. parts: separate ones. place: see `COMPASS`.
    """

    area_m2: float
    own_m2: float
    fraction: float
    parts: int
    place: str


NOTHING = Measured(0.0, 0.0, 0.0, 0, "nowhere")


@dataclass(frozen=True)
class Evidence:
    """What is known of one tile.

    Attributes:
        status, score, keywords, reason: as in ``Caption``.
        mask: changed pixels, or None without a mask. classes: of them by class, or None where nobody tells classes.
        keyword_classes: which class each keyword belongs to.
        source: name of who says so.
    """

    status: CaptionStatus
    score: float | None
    keywords: tuple[str, ...]
    reason: str | None
    mask: Measured | None
    classes: Mapping[str, Measured] | None
    keyword_classes: Mapping[str, str]
    source: str


@dataclass(frozen=True, slots=True)
class TileAnswer:
    """The answer to one question about one tile.

    Attributes:
        text: for a person, or None where there is no answer. verdict: of yes/no questions, and of "how much" and the
            like: whether there is any. value, unit: the number that was asked for.
        total: what the tile adds to the scene's number, in square metres or in things. kinds: keywords that say so.
        place: where in the tile, e.g. ``in the north-west``; of "where" alone.
        logprob: of words. source: where it comes from. reason: why there is no answer, or no sure one.
    """

    status: AnswerStatus
    text: str | None = None
    verdict: Verdict | None = None
    value: float | None = None
    unit: str | None = None
    total: float | None = None
    kinds: tuple[str, ...] = ()
    place: str | None = None
    logprob: float | None = None
    source: str = ""
    reason: str | None = None


def cannot_answer(asked: Asked, name: str, keywords: tuple[str, ...]) -> str | None:
    """Why a captioner can answer a question of no tile, or None.

    Args:
        name: of the captioner. keywords: all that it may give.
    """
    if asked.subject is not None and not set(asked.keywords) & set(keywords):
        return f"{name} has no keyword for {asked.subject.name}"
    if asked.form == "kind" and not keywords:
        return f"{name} names no kinds of change"
    return None


def answer_tile(asked: Asked, seen: Evidence) -> TileAnswer:
    """The answer about one tile."""
    if seen.status == "unsure":
        reason = seen.reason or "the captioner does not call it changed or unchanged"
        return TileAnswer("unsure", f"Not sure: {reason}.", kinds=seen.keywords, source=seen.source, reason=reason)
    if asked.subject is None:
        return _of_anything(asked, seen)
    return _of_subject(asked, seen)


def _of_anything(asked: Asked, seen: Evidence) -> TileAnswer:
    score = "" if seen.score is None else f" (change score {seen.score:.2f})"
    if seen.status == "unchanged":
        return _none(asked, seen, f"No{score}." if asked.form == "change" else None)
    if asked.form == "change":
        return TileAnswer(
            "answered",
            f"Yes{score}.",
            "yes",
            seen.score,
            "score",
            kinds=seen.keywords,
            source=f"score of {seen.source}",
        )
    if asked.form == "kind":
        return _kinds(seen, seen.keywords, "Something changed that has no name here.")
    if asked.form == "count" and asked.counted == "tiles":
        return TileAnswer("answered", f"Changed{score}.", "yes", 1, "tiles", 1.0, source=f"score of {seen.source}")
    if seen.mask is None:
        return _no_mask(seen)
    return _measured(asked, seen, seen.mask, seen.keywords, f"mask of {seen.source}")


def _of_subject(asked: Asked, seen: Evidence) -> TileAnswer:
    assert asked.subject is not None
    subject = asked.subject
    named = tuple(word for word in seen.keywords if word in asked.keywords)
    others = tuple(
        word for word in seen.keywords if seen.keyword_classes.get(word) == subject.class_name and word not in named
    )
    own = None if seen.classes is None else seen.classes.get(subject.class_name, NOTHING)
    source = f"keywords of {seen.source}"
    if seen.status == "unchanged" or (not named and others):
        return _none(asked, seen, f"No: {_listed(others)} instead." if others else None)
    if not named:
        if own is None or own.parts == 0:
            return _none(asked, seen, None)
        reason = f"{area_text(own.area_m2)} of the change mask look like {subject.class_name}, but no keyword names it"
        return TileAnswer("unsure", f"Not sure: {reason}.", source=f"mask of {seen.source}", reason=reason)
    if own is not None and own.area_m2 == 0:
        reason = f"{_listed(named)} is named, but no part of the change mask looks like {subject.class_name}"
        return TileAnswer("unsure", f"Not sure: {reason}.", kinds=named, source=source, reason=reason)
    if asked.form == "kind":
        return _kinds(seen, named, "")
    if asked.form == "count" and asked.counted == "tiles":
        return TileAnswer("answered", f"Yes: {_listed(named)}.", "yes", 1, "tiles", 1.0, named, source=source)
    if asked.form == "change":
        area = "" if own is None or others else f", {area_text(own.area_m2)}"
        return TileAnswer("answered", f"Yes: {_listed(named)}{area}.", "yes", kinds=named, source=source)
    if own is None:
        reason = "the captioner tells no classes per pixel, so parts of its mask have no name"
        return replace(_no_mask(seen), reason=reason)
    if others and asked.form != "where":
        reason = f"{_listed((*named, *others))} are both named here, and their parts of the mask cannot be told apart"
        return TileAnswer("unsure", f"Not sure: {reason}.", "yes", kinds=named, source=source, reason=reason)
    return _measured(asked, seen, own, named, f"mask and keywords of {seen.source}")


def _measured(asked: Asked, seen: Evidence, mask: Measured, kinds: tuple[str, ...], source: str) -> TileAnswer:
    """The number of a mask that was asked for."""
    if asked.form == "where":
        place = mask.place if mask.place == "in several parts" else f"in the {mask.place}"
        what = f": {_listed(kinds)}" if kinds else ""
        text = f"{place[0].upper()}{place[1:]} of the tile{what}."
        return TileAnswer(
            "answered", text, "yes", round(mask.area_m2, 2), "m2", mask.own_m2, kinds, place, source=source
        )
    if asked.form == "count" and mask.parts == 0:
        reason = "no part of the change mask is large enough to be counted"
        return TileAnswer("unsure", f"Not sure: {reason}.", "yes", kinds=kinds, source=source, reason=reason)
    if asked.form == "count":
        things = "part" if mask.parts == 1 else "parts"
        text = f"{mask.parts} separate {things} of the change mask."
        return TileAnswer("answered", text, "yes", mask.parts, "parts", float(mask.parts), kinds, source=source)
    value = 100 * mask.fraction if asked.unit == "%" else mask.area_m2 / _PER[asked.unit]
    text = f"{area_text(mask.area_m2)}, {100 * mask.fraction:.1f} % of the tile."
    return TileAnswer("answered", text, "yes", round(value, 6), asked.unit, round(mask.own_m2, 2), kinds, source=source)


def _none(asked: Asked, seen: Evidence, text: str | None) -> TileAnswer:
    """No, none, nowhere."""
    words = {"change": "No.", "kind": "None.", "amount": "None.", "where": "Nowhere.", "count": "None."}
    source = f"score of {seen.source}" if seen.status == "unchanged" else f"keywords of {seen.source}"
    said = TileAnswer("answered", text or words[asked.form], "no", source=source)
    if asked.form == "change" and asked.subject is None:
        return replace(said, value=seen.score, unit=None if seen.score is None else "score")
    units: dict[str, str] = {"amount": asked.unit, "count": asked.counted, "where": "m2"}
    unit = units.get(asked.form)
    return said if unit is None else replace(said, value=0.0, unit=unit, total=0.0)


def _kinds(seen: Evidence, named: tuple[str, ...], otherwise: str) -> TileAnswer:
    text = f"{_listed(named).capitalize()}." if named else otherwise
    return TileAnswer("answered", text, "yes", kinds=named, source=f"keywords of {seen.source}")


def _no_mask(seen: Evidence) -> TileAnswer:
    return TileAnswer("cannot_answer", source=seen.source, reason="the captioner gives no mask of what changed")


def _listed(words: tuple[str, ...]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def area_text(area_m2: float) -> str:
    """``1,234 m2``, with hectares where these are easier to read."""
    if area_m2 >= 1e6:
        return f"{area_m2 / 1e6:,.2f} km2"
    return f"{area_m2:,.0f} m2 ({area_m2 / 1e4:,.1f} ha)" if area_m2 >= 1e4 else f"{area_m2:,.0f} m2"

"""Who answers: a captioner's numbers, read by rules, or a large model's words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from rsccli.errors import ModelError
from rsccli.geo.footprint import window_areas_m2
from rsccli.geo.tiles import TilePlan
from rsccli.models.answering import Answers
from rsccli.models.captioner import Captioner, CaptionsAndDetects
from rsccli.models.small.answers import TileAnswer, answer_tile, cannot_answer
from rsccli.models.small.questions import Asked, Refused
from rsccli.run.ask.evidence import evidence_of
from rsccli.run.own import own_pixels
from rsccli.types import Bool, Caption, Detection, TilePair

#: What a large model is asked; the pictures stand before it.
FRAME = (
    "These two images show the same place from above at an earlier and at a later date. {question} "
    "Answer in a few plain words. Tell only what can be seen."
)


class Answerer(Protocol):
    """Answers all questions of a batch."""

    def answers(self, pairs: Sequence[TilePair]) -> list[tuple[TileAnswer, ...]]:
        """For each pair one answer for each question.

        Raises:
            ModelError: the model failed on this batch.
        """
        ...


class NumbersAnswerer:
    """Answers from scores, keywords and masks; see `rsccli.models.small.answers`.

    Args:
        captioner: loaded, or None where no question can be answered. questions: as they were read. plan: of the run.
        name, keywords: of the captioner.
    """

    def __init__(
        self,
        captioner: Captioner | None,
        questions: Sequence[Asked | Refused],
        plan: TilePlan,
        name: str,
        keywords: tuple[str, ...],
    ) -> None:
        self._captioner, self._plan, self._name = captioner, plan, name
        self._questions = [refused_or_asked(each, name, keywords) for each in questions]
        self._classes = any(isinstance(each, Asked) and each.needs_classes for each in self._questions)

    def answers(self, pairs: Sequence[TilePair]) -> list[tuple[TileAnswer, ...]]:
        """See `Answerer.answers`."""
        if self._captioner is None:
            return [tuple(self._refusal(each) for each in self._questions) for _ in pairs]
        looks = self._look(self._captioner, pairs)
        areas = window_areas_m2(self._plan.grid, [pair.tile.px_window for pair in pairs])
        found = []
        for pair, (caption, detection), area in zip(pairs, looks, areas, strict=True):
            two = self._captioner if isinstance(self._captioner, CaptionsAndDetects) else None
            seen = evidence_of(
                pair,
                caption,
                detection,
                class_names=two.class_names if two else (),
                keyword_classes=two.keyword_classes if two else {},
                pixel_m2=float(area) / pair.valid.size,
                own=own_pixels(self._plan, pair.tile),
                source=self._name,
            )
            found.append(
                tuple(
                    answer_tile(each, seen) if isinstance(each, Asked) else self._refusal(each)
                    for each in self._questions
                )
            )
        return found

    def _look(
        self, captioner: Captioner, pairs: Sequence[TilePair]
    ) -> list[tuple[Caption, Detection]] | list[tuple[Caption, None]]:
        """One look at each pair, whatever the number of questions."""
        if self._classes and isinstance(captioner, CaptionsAndDetects):
            return captioner.caption_and_detect(pairs)
        return [(caption, None) for caption in captioner.caption(pairs)]

    def _refusal(self, question: Asked | Refused) -> TileAnswer:
        reason = question.reason if isinstance(question, Refused) else "nobody looked"
        return TileAnswer("cannot_answer", source=f"question reader of {self._name}", reason=reason)


class WordsAnswerer:
    """Asks a large model; the pictures of a tile go through its encoder once for all questions, where it allows that.

    Args:
        captioner: loaded. questions: plain text. name: of the captioner.

    Raises:
        ModelError: it cannot be asked questions.
    """

    def __init__(self, captioner: Captioner, questions: Sequence[str], name: str) -> None:
        if not isinstance(captioner, Answers):
            raise ModelError(
                f"{name} captions, but takes no questions: give the bundle of a large model with -m "
                "(rsccli export-onnx)"
            )
        self._captioner: Answers = captioner
        self._framed = [FRAME.replace("{question}", question) for question in questions]
        self._name = name

    def answers(self, pairs: Sequence[TilePair]) -> list[tuple[TileAnswer, ...]]:
        """See `Answerer.answers`."""
        by_question = self._captioner.answer(pairs, self._framed)
        return [tuple(self._one(answers[index]) for answers in by_question) for index in range(len(pairs))]

    def _one(self, said: Caption) -> TileAnswer:
        words, source = " ".join(said.text.split()), f"words of {self._name}"
        logprob = None if said.logprob is None else round(float(said.logprob), 4)
        if not words:
            return TileAnswer("unsure", logprob=logprob, source=source, reason="the model said nothing")
        return TileAnswer("answered", words, logprob=logprob, source=source, reason=_of_the_words(said.reason))


def refused_or_asked(question: Asked | Refused, name: str, keywords: tuple[str, ...]) -> Asked | Refused:
    """The question, or why this captioner cannot answer it."""
    if isinstance(question, Refused):
        return question
    reason = cannot_answer(question, name, keywords)
    return question if reason is None else Refused(reason)


def own_m2(plan: TilePlan, pairs: Sequence[TilePair]) -> list[float]:
    """Ground of each tile that both dates cover and that no other tile counts, square metres."""
    areas = window_areas_m2(plan.grid, [pair.tile.px_window for pair in pairs])
    return [
        round(float(area) * int(np.count_nonzero(_own(plan, pair))) / pair.valid.size, 2)
        for pair, area in zip(pairs, areas, strict=True)
    ]


def _own(plan: TilePlan, pair: TilePair) -> Bool:
    own = own_pixels(plan, pair.tile)
    return pair.valid if own is None else pair.valid & own


def _of_the_words(reason: str | None) -> str | None:
    """What a caption's reason tells of its words; whether they deny change is no matter for an answer."""
    kept = [part for part in (reason or "").split("; ") if part.startswith("the caption was cut") or "repeat" in part]
    return "; ".join(part.replace("caption", "answer") for part in kept) or None

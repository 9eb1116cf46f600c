"""Captioners for the tests of `ask` and `ground`: real ones that keep the whole contract, without any weights.

`ColourFactory` sees changes of colour and gives scores, keywords, masks and classes, as the bundled captioner does, so
that areas and counts can be worked out by hand. `ScriptedFactory` is asked in words, and answers from a JSON file.
Environment variables steer both, so that tests of another process can:

- ``ASKED_LOG``: file that gets one line for each look: tiles, and the number of questions.
- ``ASKED_SLEEP_S``: seconds to sleep for each tile (to kill a run in its middle).
- ``ASKED_FAIL_TILE``: id of a tile whose batch raises `ModelError`.
- ``SCRIPTED_ANSWERS``: the file: {part of a question or "*": {tile id or "*": text}}.
- ``SCRIPTED_TILES``: how many tiles fit into memory at once.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from rsccli.errors import ModelError, OutOfMemoryError
from rsccli.models.captioner import CaptionerInfo, CaptionerOptions
from rsccli.models.small.detect import CLASSES, KEYWORD_CLASSES
from rsccli.types import Bool, Caption, Detection, TilePair

GROUND, ROOF, WATER, GREY = (90, 110, 70), (200, 40, 40), (30, 60, 160), (128, 128, 128)
KEYWORDS = ("new building", "building removed", "water gain", "water loss")


def of_colour(pair: TilePair, colour: tuple[int, int, int]) -> tuple[Bool, Bool]:
    """Where a colour is at both dates."""
    wanted = np.array(colour, np.int16)[:, None, None]
    pre, post = (np.abs(date.astype(np.int16) - wanted).max(axis=0) < 8 for date in (pair.pre, pair.post))
    return pre & pair.valid, post & pair.valid


def look(pairs: Sequence[TilePair], questions: int = 0) -> None:
    """What every look does, for tests that watch."""
    if log := os.environ.get("ASKED_LOG"):
        with Path(log).open("a", encoding="utf-8") as stream:
            stream.write(f"{','.join(pair.tile.id for pair in pairs)} {questions}\n")
    if os.environ.get("ASKED_FAIL_TILE") in [pair.tile.id for pair in pairs]:
        raise ModelError(f"the batch with tile {os.environ['ASKED_FAIL_TILE']} fails, as the test asked")
    time.sleep(float(os.environ.get("ASKED_SLEEP_S", "0")) * len(pairs))


class ColourFactory:
    """Makes `ColourCaptioner`."""

    def describe(self, options: CaptionerOptions) -> CaptionerInfo:
        """Describe."""
        return CaptionerInfo("colours", "1", "colours", "MIT", "None.", keywords=KEYWORDS, batch_size=4)

    def open(self, options: CaptionerOptions) -> ColourCaptioner:
        """Open; nothing to load."""
        return ColourCaptioner(self.describe(options))


class ColourCaptioner:
    """Roofs and water that came or went, by colour; grey of both dates alike makes it unsure."""

    class_names = CLASSES
    longest_tile_px = None

    def __init__(self, info: CaptionerInfo) -> None:
        self.info = info

    @property
    def keyword_classes(self) -> Mapping[str, str]:
        """As of the bundled captioner."""
        return KEYWORD_CLASSES

    def caption(self, pairs: Sequence[TilePair]) -> list[Caption]:
        """Captions alone."""
        look(pairs)
        return [self._one(pair)[0] for pair in pairs]

    def detect(self, pairs: Sequence[TilePair]) -> list[Detection]:
        """Pixels alone."""
        look(pairs)
        return [self._one(pair)[1] for pair in pairs]

    def caption_and_detect(self, pairs: Sequence[TilePair]) -> list[tuple[Caption, Detection]]:
        """Both of one look."""
        look(pairs)
        return [self._one(pair) for pair in pairs]

    def close(self) -> None:
        """Nothing to give back."""

    def _one(self, pair: TilePair) -> tuple[Caption, Detection]:
        classes = np.zeros((len(CLASSES), *pair.valid.shape), np.float32)
        classes[CLASSES.index("other")] = 0.5
        keywords: list[str] = []
        mask = np.zeros(pair.valid.shape, bool)
        for colour, name, came, went in ((ROOF, "building", *KEYWORDS[:2]), (WATER, "water", *KEYWORDS[2:])):
            pre, post = of_colour(pair, colour)
            keywords += [word for word, there in ((came, post & ~pre), (went, pre & ~post)) if there.any()]
            classes[CLASSES.index(name)][pre ^ post] = 1.0
            mask |= pre ^ post
        found = Detection(mask.astype(np.float32), classes)
        if all(date.any() for date in of_colour(pair, GREY)):
            return Caption("Not judged: grey.", "unsure", 0.5, None, tuple(keywords), mask, "grey"), found
        if not keywords:
            return Caption("The scene is the same.", "unchanged", 0.1, None, (), np.zeros_like(mask)), found
        return Caption(f"There is {', '.join(keywords)}.", "changed", 0.9, None, tuple(keywords), mask), found


class ScriptedFactory:
    """Makes `ScriptedCaptioner`, which is asked in words."""

    family = "scripted"

    def describe(self, options: CaptionerOptions) -> CaptionerInfo:
        """Describe."""
        return CaptionerInfo("scripted", "1", self.family, "MIT", "None.", batch_size=4, prompt="naive")

    def open(self, options: CaptionerOptions) -> ScriptedCaptioner:
        """Open the file of answers."""
        path = os.environ.get("SCRIPTED_ANSWERS")
        answers = json.loads(Path(path).read_text(encoding="utf-8")) if path else {"*": {"*": "Yes."}}
        return ScriptedCaptioner(self.describe(options), answers)


class ScriptedQwenFactory(ScriptedFactory):
    """The same under the name of a family whose boxes are published."""

    family = "qwen3-vl"


class MuteFactory(ScriptedFactory):
    """Says that it is asked in words, but takes no questions."""

    def open(self, options: CaptionerOptions) -> ColourCaptioner:  # type: ignore[override]
        """Open."""
        return ColourCaptioner(self.describe(options))


class ScriptedCaptioner:
    """Answers what the file says for the question and the tile."""

    def __init__(self, info: CaptionerInfo, answers: Mapping[str, Mapping[str, str]]) -> None:
        self.info = info
        self._answers = answers

    def caption(self, pairs: Sequence[TilePair]) -> list[Caption]:
        """Nobody asks for captions here."""
        raise ModelError("the scripted captioner only answers")

    def answer(self, pairs: Sequence[TilePair], questions: Sequence[str]) -> list[list[Caption]]:
        """The file's answers."""
        most = int(os.environ.get("SCRIPTED_TILES", "1000"))
        if len(pairs) > most:
            raise OutOfMemoryError(f"not enough memory for {len(pairs)} tiles, as the test asked")
        look(pairs, len(questions))
        return [
            [Caption(self._said(question, pair), "changed", logprob=-0.25) for pair in pairs] for question in questions
        ]

    def close(self) -> None:
        """Nothing to give back."""

    def _said(self, question: str, pair: TilePair) -> str:
        for part, by_tile in self._answers.items():
            if part == "*" or part in question:
                return by_tile.get(pair.tile.id, by_tile.get("*", ""))
        return ""

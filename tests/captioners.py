"""Captioners for tests: real ones that keep the whole contract, without any weights.

`BrightnessFactory` needs no model file and no onnxruntime; ``-m tests/captioners.py:BrightnessFactory`` loads
it in the command line. Environment variables steer it, so that tests of another process can:

- ``BRIGHTNESS_SLEEP_S``: seconds to sleep for each tile (to kill a run in its middle);
- ``BRIGHTNESS_FAIL_TILE``: id of a tile whose batch raises `ModelError`;
- ``BRIGHTNESS_REVISION``: another revision (to resume with another model);
- ``BRIGHTNESS_LOG``: file that gets one line for each batch, the ids of its tiles separated by commas.

`LimitedFactory` is the same with little memory: ``LIMITED_TILES`` fit at once, the tile ``LIMITED_NEVER`` does not even
alone, and ``LIMITED_FITS`` is what it says of how many fit. `EchoFactory` is asked in words, and says what it was told.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from rsccli.errors import ModelError, OutOfMemoryError
from rsccli.models.captioner import CaptionerInfo, CaptionerOptions
from rsccli.models.prompts import load_template
from rsccli.types import Caption, TilePair

CHANGED, UNCHANGED, PIXEL = 24.0, 6.0, 40


class BrightnessFactory:
    """Makes `BrightnessCaptioner`."""

    def describe(self, options: CaptionerOptions) -> CaptionerInfo:
        """Describe; reads nothing but the environment."""
        return CaptionerInfo(
            name="brightness",
            revision=os.environ.get("BRIGHTNESS_REVISION", "1"),
            family="brightness",
            licence="MIT",
            training_data="None: a difference of means, for tests.",
            provider="numpy",
            gsd_m=(0.1, 100.0),
            limits=("Sees brightness only.",),
            keywords=("brighter", "darker"),
            batch_size=4,
        )

    def open(self, options: CaptionerOptions) -> BrightnessCaptioner:
        """Open; nothing to load."""
        return BrightnessCaptioner(self.describe(options))


class BrightnessCaptioner:
    """Says by how many grey levels the mean of the valid pixels differs; score: that difference over 48."""

    def __init__(self, info: CaptionerInfo) -> None:
        self.info = info
        self.closed = False

    def caption(self, pairs: Sequence[TilePair]) -> list[Caption]:
        """Caption each pair on its own."""
        if self.closed:
            raise ModelError("captioner 'brightness' is closed: load it again")
        ids = [pair.tile.id for pair in pairs]
        if log := os.environ.get("BRIGHTNESS_LOG"):
            with Path(log).open("a", encoding="utf-8") as stream:
                stream.write(",".join(ids) + "\n")
        if os.environ.get("BRIGHTNESS_FAIL_TILE") in ids:
            raise ModelError(f"the batch with tile {os.environ['BRIGHTNESS_FAIL_TILE']} fails, as the test asked")
        time.sleep(float(os.environ.get("BRIGHTNESS_SLEEP_S", "0")) * len(pairs))
        return [caption_of(pair) for pair in pairs]

    def close(self) -> None:
        """Refuse further batches."""
        self.closed = True


def caption_of(pair: TilePair) -> Caption:
    """Caption one pair."""
    difference = pair.post.astype(np.int16).mean(axis=0) - pair.pre.astype(np.int16).mean(axis=0)
    level = float(difference[pair.valid].mean()) if pair.valid.any() else 0.0
    word = "brighter" if level > 0 else "darker"
    score = min(1.0, abs(level) / (2 * CHANGED))
    mask = (np.abs(difference) >= PIXEL) & pair.valid
    if abs(level) >= CHANGED:
        return Caption(f"The scene is {abs(level):.1f} levels {word}.", "changed", score, -0.1, (word,), mask)
    if abs(level) <= UNCHANGED:
        return Caption("The scene is the same.", "unchanged", score, -0.1, (), np.zeros_like(mask))
    return Caption(f"The scene may be {word}.", "unsure", score, -1.0, (word,), mask)


class LimitedFactory(BrightnessFactory):
    """Makes `LimitedCaptioner`, and says how many tiles fit."""

    def open(self, options: CaptionerOptions) -> LimitedCaptioner:
        """Open; nothing to load."""
        return LimitedCaptioner(self.describe(options))

    def fitting_batch_size(self, options: CaptionerOptions, tile_px: int) -> int | None:
        """What the environment says."""
        told = os.environ.get("LIMITED_FITS")
        return None if told is None else int(told)


class LimitedCaptioner(BrightnessCaptioner):
    """Says what `BrightnessCaptioner` says where the batch fits; its log has the batches that did not, too."""

    def caption(self, pairs: Sequence[TilePair]) -> list[Caption]:
        """Caption each pair on its own, unless there are too many."""
        captions = super().caption(pairs)
        most = int(os.environ.get("LIMITED_TILES", "1000000"))
        if len(pairs) > most or os.environ.get("LIMITED_NEVER") in [pair.tile.id for pair in pairs]:
            raise OutOfMemoryError(f"not enough memory for {len(pairs)} tiles, as the test asked")
        return captions


class EchoFactory:
    """Makes `EchoCaptioner`; asked in the regime of its options, naive by default."""

    def describe(self, options: CaptionerOptions) -> CaptionerInfo:
        """Describe; reads a prompt from a file where one is given."""
        template = load_template("naive" if options.prompt == "auto" else options.prompt, options.counts_from)
        return CaptionerInfo(
            "echo", "1", "echo", "MIT", "None: it repeats what it is told.", batch_size=4, prompt=template.regime
        )

    def open(self, options: CaptionerOptions) -> EchoCaptioner:
        """Open; nothing to load."""
        return EchoCaptioner(self.describe(options))


class EchoCaptioner:
    """Its caption is JSON: the context that it got with a pair, and the pair's ``gsd_m``; outlines as their number."""

    def __init__(self, info: CaptionerInfo) -> None:
        self.info = info
        self.seen: list[str] = []
        self.closed = False

    def caption(self, pairs: Sequence[TilePair]) -> list[Caption]:
        """Say what came with each pair."""
        self.seen += [pair.tile.id for pair in pairs]
        told = [None if pair.context is None else asdict(pair.context) for pair in pairs]
        for each in told:
            if each is not None:
                each["outlines"] = len(each["outlines"])
        return [
            Caption(json.dumps({"context": each, "gsd_m": pair.gsd_m}), "changed", logprob=-0.5)
            for each, pair in zip(told, pairs, strict=True)
        ]

    def close(self) -> None:
        """Remember it."""
        self.closed = True


class QueuedFactory:
    """Makes a captioner that hands out prepared captions (or raises prepared errors) in order."""

    def __init__(self, answers: Sequence[Caption | Exception]) -> None:
        self.answers = list(answers)

    def describe(self, options: CaptionerOptions) -> CaptionerInfo:
        """Describe."""
        return CaptionerInfo("queued", "1", "queued", "MIT", "None: prepared answers, for tests.", provider="queue")

    def open(self, options: CaptionerOptions) -> QueuedCaptioner:
        """Open."""
        return QueuedCaptioner(self.describe(options), self.answers)


class QueuedCaptioner:
    """Takes one answer for each tile from the queue."""

    def __init__(self, info: CaptionerInfo, answers: list[Caption | Exception]) -> None:
        self.info = info
        self.seen: list[str] = []
        self._answers = answers

    def caption(self, pairs: Sequence[TilePair]) -> list[Caption]:
        """Next answers."""
        captions = []
        for pair in pairs:
            self.seen.append(pair.tile.id)
            answer = self._answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            captions.append(answer)
        return captions

    def close(self) -> None:
        """Nothing to give back."""

"""Detectors for tests: real ones that keep the whole contract, without any weights.

`MarkedFactory` makes a detector that reads its answer off the later image, pixel by pixel: red less 1, in steps of
1/250, is the probability of change, green the number of the class, and a tile with a blue pixel of 250 or more is one
that it should not judge. ``-m tests/detectors.py:MarkedFactory`` loads it in the command line. Environment variables
steer it, so that tests of another process can:

- ``DETECTOR_SLEEP_S``: seconds to sleep for each tile (to stop a run in its middle);
- ``DETECTOR_FAIL_TILE``: id of a tile whose batch raises `ModelError`.

`SlopedFactory` makes one whose answer depends on where in the tile a pixel lies, as a network's does: 0.2 at the left
edge of a tile to 0.8 at its right.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from rsccli.errors import ModelError
from rsccli.models.captioner import CaptionerInfo, CaptionerOptions
from rsccli.models.registry import register, unregister
from rsccli.types import Caption, Detection, TilePair

CLASSES = ("building", "road", "vegetation", "water")
STEPS = 250


class MarkedFactory:
    """Makes `MarkedDetector`."""

    def describe(self, options: CaptionerOptions) -> CaptionerInfo:
        return CaptionerInfo("marked", "1", "marked", "MIT", "None.", keywords=CLASSES, batch_size=4, classes=CLASSES)

    def open(self, options: CaptionerOptions) -> MarkedDetector:
        return MarkedDetector(self.describe(options))


class MarkedDetector:
    """Its caption names the classes of its changed pixels, and ``water`` besides where the first pixel is class 9."""

    class_names = CLASSES
    longest_tile_px: int | None = 300
    keyword_classes: Mapping[str, str] = dict(zip(CLASSES, CLASSES, strict=True))

    def __init__(self, info: CaptionerInfo) -> None:
        self.info = info

    def detect(self, pairs: Sequence[TilePair]) -> list[Detection]:
        time.sleep(float(os.environ.get("DETECTOR_SLEEP_S", "0")) * len(pairs))
        if os.environ.get("DETECTOR_FAIL_TILE") in [pair.tile.id for pair in pairs]:
            raise ModelError("this batch fails, as the test asked")
        return [self._detection(pair) for pair in pairs]

    def caption_and_detect(self, pairs: Sequence[TilePair]) -> list[tuple[Caption, Detection]]:
        return [(self._caption(pair, found), found) for pair, found in zip(pairs, self.detect(pairs), strict=True)]

    def caption(self, pairs: Sequence[TilePair]) -> list[Caption]:
        return [caption for caption, _ in self.caption_and_detect(pairs)]

    def close(self) -> None:
        """Nothing to give back."""

    def _detection(self, pair: TilePair) -> Detection:
        probability = np.clip(pair.post[0].astype(np.float32) - 1, 0, STEPS) / STEPS * pair.valid
        classes = np.zeros((len(CLASSES), *pair.valid.shape), np.float32)
        np.put_along_axis(classes, np.minimum(pair.post[1], len(CLASSES) - 1)[None].astype(int), 1.0, 0)
        foreign = bool((pair.post[2] >= 250).any())
        return Detection(probability, classes, "too blue (a test)" if foreign else None)

    def _caption(self, pair: TilePair, found: Detection) -> Caption:
        if found.reason is not None:
            return Caption("Not judged.", "unsure", reason=found.reason)
        assert found.classes is not None
        mask = (found.probability >= 0.5) & pair.valid
        words = [CLASSES[index] for index in np.unique(found.classes[:, mask].argmax(0))] if mask.any() else []
        if int(pair.post[1, 0, 0]) == 9 and "water" not in words:
            words.append("water")
        status = "changed" if words else "unchanged"
        return Caption(f"Changed: {', '.join(words)}.", status, float(mask.mean()), None, tuple(words), mask)


class SlopedFactory(MarkedFactory):
    """Makes `SlopedDetector`."""

    def describe(self, options: CaptionerOptions) -> CaptionerInfo:
        return CaptionerInfo("sloped", "1", "sloped", "MIT", "None.", batch_size=4)

    def open(self, options: CaptionerOptions) -> SlopedDetector:
        return SlopedDetector(self.describe(options))


class SlopedDetector(MarkedDetector):
    """Tells no classes."""

    class_names = ()

    def _detection(self, pair: TilePair) -> Detection:
        size = pair.valid.shape[1]
        return Detection(np.broadcast_to(np.linspace(0.2, 0.8, size, dtype=np.float32), pair.valid.shape) * pair.valid)


def known() -> Iterator[None]:
    """Both by name, ``marked`` and ``sloped``, for as long as a test runs."""
    register("marked", MarkedFactory)
    register("sloped", SlopedFactory)
    yield
    for name in ("marked", "sloped"):
        unregister(name)

"""Captioners for the probes' tests: real ones that keep the whole contract, whose answers can be worked out by hand.

`RoofFactory` counts roofs (bright red pixels), so that dates exchanged turn its words round exactly; `BlindFactory`
does not look at its images; `SentenceFactory` says what `RoofCaptioner` says in sentences alone, without keywords or
scores. `FussyFactory` fails on what is moved or relit: on any pair whose name is in ``FUSSY_TILES``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from rsccli.errors import ModelError
from rsccli.models.captioner import CaptionerInfo, CaptionerOptions
from rsccli.types import U8, Caption, TilePair

ROOF = (200, 40, 40)
SAME = "the scene is the same as before"


def roofs(image: U8) -> int:
    """Pixels that are much more red than green."""
    return int((image[0].astype(np.int16) - image[1] > 100).sum())


class RoofCaptioner:
    """New building where there are more roofs, building removed where there are fewer; score: 0.1, 0.9 or 0.8."""

    info = CaptionerInfo(
        "roofs", "1", "roofs", "MIT", "None.", keywords=("new building", "building removed"), batch_size=3
    )

    def caption(self, pairs: Sequence[TilePair]) -> list[Caption]:
        """Count."""
        return [self._one(pair) for pair in pairs]

    def close(self) -> None:
        """Nothing to give back."""

    def _one(self, pair: TilePair) -> Caption:
        more = roofs(pair.post) - roofs(pair.pre)
        if more == 0:
            return Caption(SAME, "unchanged", 0.1)
        if more > 0:
            return Caption("a large building has been built", "changed", 0.9, keywords=("new building",))
        return Caption("a building has been demolished", "changed", 0.8, keywords=("building removed",))


class SentenceCaptioner(RoofCaptioner):
    """The same in sentences alone, as large models answer."""

    info = CaptionerInfo("sentences", "1", "roofs", "MIT", "None.", batch_size=3)

    def _one(self, pair: TilePair) -> Caption:
        said = super()._one(pair)
        return Caption(said.text, said.status)


class BlindCaptioner(RoofCaptioner):
    """The same answer whatever is shown."""

    info = CaptionerInfo("blind", "1", "blind", "MIT", "None.", keywords=("new building",), batch_size=5)

    def _one(self, pair: TilePair) -> Caption:
        return Caption("many houses are built along the road", "changed", 0.7, keywords=("new building",))


class FussyCaptioner(RoofCaptioner):
    """Fails on the batches of some tiles."""

    info = CaptionerInfo("fussy", "1", "roofs", "MIT", "None.", batch_size=2)

    def caption(self, pairs: Sequence[TilePair]) -> list[Caption]:
        """Count, or fail."""
        for pair in pairs:
            if pair.tile.id in os.environ.get("FUSSY_TILES", "").split(","):
                raise ModelError(f"tile {pair.tile.id} is refused, as the test asked")
        return super().caption(pairs)


class RoofFactory:
    """Makes `RoofCaptioner`."""

    made: type[RoofCaptioner] = RoofCaptioner

    def describe(self, options: CaptionerOptions) -> CaptionerInfo:
        """Describe."""
        return self.made.info

    def open(self, options: CaptionerOptions) -> RoofCaptioner:
        """Open."""
        return self.made()


class SentenceFactory(RoofFactory):
    """Makes `SentenceCaptioner`."""

    made = SentenceCaptioner


class BlindFactory(RoofFactory):
    """Makes `BlindCaptioner`."""

    made = BlindCaptioner


class FussyFactory(RoofFactory):
    """Makes `FussyCaptioner`."""

    made = FussyCaptioner

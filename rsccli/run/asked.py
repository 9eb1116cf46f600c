"""A captioner that is told more than pixels, and spared tiles where nothing changed.

It wraps another one: each tile gets its context (dates, place, counts) before it is captioned, and with a screen (a
captioner with scores) tiles that this calls unchanged are not captioned at all. Every tile still gets its caption.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rsccli.models.captioner import Captioner, CaptionerInfo
from rsccli.run.context import labels_context, mask_context
from rsccli.run.labels import Labels
from rsccli.types import Caption, TileContext, TilePair


@dataclass(frozen=True)
class Asking:
    """What is told, and who is asked first.

    Attributes:
        context: dates and place, the same for all tiles but for what ``place`` says. place: of a tile.
        labels: counts from a file, or None. counts_from_mask: counts from the screen's mask.
        disaster: type that the user names. skip_unchanged: leave out tiles that the screen calls unchanged.
    """

    context: TileContext
    place: Callable[[TilePair], str] | None = None
    labels: Labels | None = None
    counts_from_mask: bool = False
    disaster: str | None = None
    skip_unchanged: bool = False

    @property
    def needs_screen(self) -> bool:
        """Whether another captioner must look first."""
        return self.counts_from_mask or self.skip_unchanged


class AskedCaptioner:
    """The wrapper.

    Args:
        captioner: who captions. asking: what it is told. screen: who looks first, or None.
    """

    def __init__(self, captioner: Captioner, asking: Asking, screen: Captioner | None) -> None:
        self._captioner, self._asking, self._screen = captioner, asking, screen

    @property
    def info(self) -> CaptionerInfo:
        """Of the captioner inside."""
        return self._captioner.info

    def caption(self, pairs: Sequence[TilePair]) -> list[Caption]:
        """Caption a batch; see `rsccli.models.captioner.Captioner`."""
        looks: list[Caption | None] = list(self._screen.caption(pairs)) if self._screen else [None] * len(pairs)
        captions: list[Caption | None] = [None] * len(pairs)
        left = []
        for index, (pair, look) in enumerate(zip(pairs, looks, strict=True)):
            if self._asking.skip_unchanged and look is not None and look.status == "unchanged":
                captions[index] = self._spared(look)
            else:
                left.append((index, replace(pair, context=self._context(pair, look))))
        said = self._captioner.caption([pair for _, pair in left]) if left else []
        for (index, _), caption in zip(left, said, strict=True):
            look = looks[index]
            if self._asking.skip_unchanged and look is not None and caption.change_score is None:
                caption = replace(caption, change_score=look.change_score)
            captions[index] = caption
        return [caption for caption in captions if caption is not None]

    def close(self) -> None:
        """Close both."""
        self._captioner.close()
        if self._screen is not None:
            self._screen.close()

    def _spared(self, look: Caption) -> Caption:
        assert self._screen is not None
        score = "" if look.change_score is None else f" (score {look.change_score:.2f})"
        reason = f"not captioned by {self.info.name}: {self._screen.info.name} sees no change{score}"
        return replace(look, reason=reason, logprob=None)

    def _context(self, pair: TilePair, look: Caption | None) -> TileContext:
        asking = self._asking
        counted = TileContext(disaster=asking.disaster)
        if asking.labels is not None:
            counted = labels_context(asking.labels.of(pair.tile), asking.disaster)
        elif asking.counts_from_mask and look is not None and self._screen is not None:
            name = self._screen.info.name
            counted = mask_context(look, name, valid=pair.valid, disaster=asking.disaster)
        return replace(
            counted,
            pre_date=asking.context.pre_date,
            post_date=asking.context.post_date,
            place=asking.context.place or (asking.place(pair) if asking.place else None),
        )

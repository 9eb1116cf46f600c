"""One of our captioners as teacher: the bundled one, a bundle, or a plugin."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rsccli.datasets.collection.images import PairPixels, read_colours, read_pair
from rsccli.datasets.collection.pair import LabelledPair
from rsccli.datasets.collection.prompts import prompt_of
from rsccli.datasets.teacher.outcome import Outcome
from rsccli.errors import InputError, ModelError, UsageProblem
from rsccli.models.captioner import Captioner, CaptionerInfo, CaptionerOptions
from rsccli.models.prompts import Regime
from rsccli.models.registry import DEFAULT_CAPTIONER, describe_captioner, load_captioner
from rsccli.output.text import storable
from rsccli.types import Caption, MapBounds, PxWindow, Tile, TilePair

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LocalOptions:
    """How a captioner is run.

    Attributes:
        model: name, bundle folder or object path.
        regime: of the prompts; None: ``textual`` for a model that is asked in words, else ``naive``.
        captioner: see `CaptionerOptions`; its prompt is the regime's.
        batch_size: pairs at once, or None for what the model likes.
        gsd_m: metres per pixel of pairs that do not say.
    """

    model: str = DEFAULT_CAPTIONER
    regime: Regime | None = None
    captioner: CaptionerOptions = field(default_factory=CaptionerOptions)
    batch_size: int | None = None
    gsd_m: float = 0.5

    def __post_init__(self) -> None:
        if self.batch_size is not None and self.batch_size < 1:
            raise UsageProblem(f"--batch-size {self.batch_size}: at least 1")
        if self.gsd_m <= 0:
            raise UsageProblem(f"--gsd {self.gsd_m:g}: give metres per pixel, above 0")


class LocalTeacher:
    """The teacher; see `rsccli.datasets.teacher.outcome.Teacher`. Nothing is loaded before it is asked.

    Args:
        options: how. folder: of the data set.

    Raises:
        ModelError: no such model. UsageProblem: a regime with counts for a model that is not asked in words.
    """

    def __init__(self, options: LocalOptions, folder: Path) -> None:
        self._folder = folder
        asked_in_words = bool(describe_captioner(options.model, options.captioner).prompt)
        self.regime: Regime = options.regime or ("textual" if asked_in_words else "naive")
        captioner = replace(options.captioner, prompt=self.regime) if asked_in_words else options.captioner
        self._options = replace(options, captioner=captioner)
        info = describe_captioner(options.model, captioner)
        if not asked_in_words and self.regime != "naive":
            raise UsageProblem(
                f"{info.name} is not asked in words: it sees neither counts nor outlines. Leave --regime out, or "
                "take a large model (rsccli export-onnx) or --endpoint"
            )
        self.model, self.revision = info.name, info.revision
        self._info: CaptionerInfo = info

    def teach(self, pairs: Sequence[LabelledPair], stopped: Callable[[], bool]) -> Iterator[Outcome]:
        """Caption pairs, a batch at a time, in order."""
        if not pairs:
            return
        captioner = load_captioner(self._options.model, self._options.captioner)
        size = self._options.batch_size or self._info.batch_size
        try:
            for start in range(0, len(pairs), size):
                if stopped():
                    return
                yield from self._batch(captioner, pairs[start : start + size])
        finally:
            captioner.close()

    def _batch(self, captioner: Captioner, pairs: Sequence[LabelledPair]) -> Iterator[Outcome]:
        seen: list[TilePair] = []
        for pair in pairs:
            try:
                seen.append(self.tile_pair(pair))
            except InputError as error:
                yield Outcome(pair.id, None, str(error), tries=0)
        for tile_pair, caption in zip(seen, _captions(captioner, seen), strict=True):
            if isinstance(caption, ModelError):
                yield Outcome(tile_pair.tile.id, None, str(caption))
            elif not (text := storable(" ".join(caption.text.split()))):
                yield Outcome(tile_pair.tile.id, None, "the caption is empty", malformed=1)
            else:
                yield Outcome(tile_pair.tile.id, text)

    def tile_pair(self, pair: LabelledPair) -> TilePair:
        """What the captioner is shown of a pair, and told."""
        prompt = prompt_of(pair, self.regime)
        found: PairPixels = read_pair(self._folder / pair.pre, self._folder / pair.post)
        post = found.post if prompt.post_image == pair.post else read_colours(self._folder / prompt.post_image)
        height, width = found.valid.shape
        col, row = pair.px_window.col, pair.px_window.row
        tile = Tile(pair.id, row, col, PxWindow(0, 0, width, height), MapBounds(0, height, width, 0))
        return TilePair(tile, found.pre, post, found.valid, pair.gsd_m or self._options.gsd_m, pair.context)


def _captions(captioner: Captioner, pairs: Sequence[TilePair]) -> list[Caption | ModelError]:
    """Captions of a batch; one by one where the model fails, so that one pair costs only itself."""
    if not pairs:
        return []
    try:
        return list(captioner.caption(pairs))
    except (ModelError, MemoryError) as error:
        problem = str(error) or "not enough memory"
    if len(pairs) == 1:
        return [ModelError(problem)]
    logger.warning("%s: going on one by one", problem)
    return [caption for pair in pairs for caption in _captions(captioner, [pair])]

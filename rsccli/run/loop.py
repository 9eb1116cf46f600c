"""The one loop: superblocks come from reader threads, are cut into batches, captioned, and committed.

What decides a tile's result is fixed by the plan: tables, shift, and which tiles share a batch (the tiles of one
superblock that have enough valid pixels, in order, ``batch_size`` at a time).
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from rsccli.errors import ModelError, OutOfMemoryError
from rsccli.geo.engine import TileFailure, TileRead
from rsccli.geo.footprint import window_areas_m2
from rsccli.geo.identity import Watch
from rsccli.geo.pair import PreparedPair
from rsccli.geo.tiles import Superblock
from rsccli.models.captioner import Captioner
from rsccli.run.checked import asked, checked_caption, checked_detection
from rsccli.run.detect.caption_mask import caption_legend, contradiction, detecting, pack, tile_codes
from rsccli.run.prefetch import read_blocks
from rsccli.stages import stage
from rsccli.types import Caption, Detection, Grid, TilePair, TileRecord

logger = logging.getLogger(__name__)

#: A caption, and what was seen of single pixels.
Look: TypeAlias = tuple[Caption, Detection | None]


@dataclass(frozen=True)
class FinishedBatch:
    """Tiles that are done together: the unit that is committed."""

    block: int
    batch: int
    records: tuple[TileRecord, ...]


@dataclass
class Room:
    """How many tiles at once proved to fit, once a batch did not."""

    at_most: int | None = None


def caption_tiles(
    pair: PreparedPair,
    captioner: Captioner,
    *,
    batch_size: int,
    min_valid: float = 0.1,
    jobs: int = 1,
    done: tuple[int, int] = (-1, -1),
    masks: bool = False,
    blocks: Sequence[int] | None = None,
) -> Generator[FinishedBatch]:
    """Caption every tile of the plan, batch by batch.

    Args:
        pair: what to read. captioner: what describes it.
        batch_size: tiles that the model sees at once.
        min_valid: tiles with a smaller share of valid pixels are ``skipped``.
        jobs: reader threads; they do not change the result.
        done: (superblock, batch) committed last: everything up to it is left out.
        masks: keep the mask of every tile in its record, and hold its caption against it.
        blocks: superblocks of a shard, ascending; None for all of the plan.

    Yields:
        Batches in the plan's order.

    Raises:
        UsageProblem: masks that the captioner does not tell.
        InputChangedError: an input was replaced while it was being read.
    """
    watch, look = Watch(pair.identities), _Look(captioner, masks)
    chosen = pair.plan.blocks() if blocks is None else map(pair.plan.block, blocks)
    for block, reads in read_blocks(pair, (block for block in chosen if block.index >= done[0]), jobs):
        # After reading and before committing: what was read is known to come from the file that was opened.
        watch.check()
        batches = _batches(block, reads, batch_size, min_valid, masks)
        for number, (given, pairs) in enumerate(batches):
            if (block.index, number) <= done:
                continue
            records = given + _caption(look, pairs, pair.grid)
            records.sort(key=lambda r: (r.row, r.col))
            yield FinishedBatch(block.index, number, tuple(records))
        watch.check()


class _Look:
    """How a captioner looks at tiles: for captions alone, or for captions and masks."""

    def __init__(self, captioner: Captioner, masks: bool) -> None:
        self.room, self.masks = Room(), masks
        self._name = captioner.info.name
        self.legend = caption_legend(captioner.info)
        self._captioner = captioner
        self._detecting = detecting(captioner) if masks else None
        self.keyword_classes = {} if self._detecting is None else self._detecting.keyword_classes

    def __call__(self, pairs: Sequence[TilePair]) -> list[Look]:
        """Captions, and what the model says of single pixels where that is wanted and it says so."""
        if self._detecting is None:
            captions = asked(self._captioner.caption, pairs, self._name)
            return [(checked_caption(said, pair, self._name), None) for said, pair in zip(captions, pairs, strict=True)]
        both = asked(self._detecting.caption_and_detect, pairs, self._name)
        kinds = len(self._detecting.class_names)
        return [
            (checked_caption(said, pair, self._name), checked_detection(seen, pair, self._name, kinds))
            for (said, seen), pair in zip(both, pairs, strict=True)
        ]


def _batches(
    block: Superblock, reads: Sequence[TileRead | TileFailure], size: int, min_valid: float, masks: bool
) -> list[tuple[list[TileRecord], list[TileRead]]]:
    """Batches of a superblock; what needs no model goes with the first."""
    given: list[TileRecord] = []
    pairs: list[TileRead] = []
    for read in reads:
        if isinstance(read, TileFailure):
            tile = read.tile
            given.append(TileRecord(tile.id, tile.row, tile.col, "read_error", 0.0, reason=read.reason))
            continue
        tile = read.pair.tile
        share = float(read.pair.valid.mean())
        if share == 0:
            reason = "; ".join(read.notes) or "no pixel that both dates cover"
            given.append(TileRecord(tile.id, tile.row, tile.col, "nodata", 0.0, reason=reason))
        elif share < min_valid:
            reason = f"{share:.1%} of its pixels are valid at both dates, less than --min-valid {min_valid:g}"
            mask = pack(tile_codes(None, None, read.pair.valid)) if masks else None
            given.append(TileRecord(tile.id, tile.row, tile.col, "skipped", round(share, 6), reason=reason, mask=mask))
        else:
            pairs.append(read)
    chunks = [pairs[i : i + size] for i in range(0, len(pairs), size)] or [[]]
    return [(given if i == 0 else [], chunk) for i, chunk in enumerate(chunks)]


def _caption(look: _Look, reads: list[TileRead], grid: Grid) -> list[TileRecord]:
    """Caption one batch; where the model fails on it, tile by tile, so that one bad tile costs only itself."""
    if not reads:
        return []
    pairs = [read.pair for read in reads]
    with stage("model"):
        looks = _looks(look, pairs, look.room)
    areas = window_areas_m2(grid, [pair.tile.px_window for pair in pairs])
    records = [_record(read, found, float(area)) for read, found, area in zip(reads, looks, areas, strict=True)]
    if not look.masks:
        return records
    return [_with_mask(record, read, found, look) for record, read, found in zip(records, reads, looks, strict=True)]


def _looks(look: _Look, pairs: Sequence[TilePair], room: Room) -> list[Look | ModelError]:
    """Captions of a batch; halves of it where it does not fit into memory, single tiles where the model fails.

    Later batches are not tried larger than what fitted.
    """
    if room.at_most is not None and len(pairs) > room.at_most:
        parts = [pairs[i : i + room.at_most] for i in range(0, len(pairs), room.at_most)]
        return [found for part in parts for found in _looks(look, part, room)]
    try:
        return list(look(pairs))
    except (ModelError, MemoryError) as error:
        too_large = isinstance(error, (OutOfMemoryError, MemoryError))
        problem = str(error) or "not enough memory"
    # Out of the handler, where the error and with it the arrays of the failed batch are gone.
    if len(pairs) == 1:
        # It is this tile that is too much, not the number: others go on as before.
        room.at_most = None
        return [ModelError(problem)]
    if not too_large:
        return [found for pair in pairs for found in _looks(look, [pair], room)]
    room.at_most = -(-len(pairs) // 2)
    logger.warning("%s: going on with %d tiles at once", problem, room.at_most)
    return _looks(look, pairs, room)


def _with_mask(record: TileRecord, read: TileRead, found: Look | ModelError, look: _Look) -> TileRecord:
    """The record with the codes of its pixels; where its caption says what they do not show, it says so."""
    caption, detection = (None, None) if isinstance(found, ModelError) else found
    codes = tile_codes(caption, detection, read.pair.valid)
    told = None if caption is None else contradiction(caption, codes, look.legend, look.keyword_classes)
    return replace(record, mask=pack(codes), reason="; ".join(filter(None, (told, record.reason))) or None)


def _record(read: TileRead, found: Look | ModelError, area_m2: float) -> TileRecord:
    pair: TilePair = read.pair
    tile = pair.tile
    share = round(float(pair.valid.mean()), 6)
    notes = "; ".join(f"reading: {note}" for note in read.notes) or None
    if isinstance(found, ModelError):
        return TileRecord(tile.id, tile.row, tile.col, "model_error", share, reason=str(found))
    caption, _ = found
    fraction = area = None
    if caption.status == "unchanged":
        fraction = area = 0.0
    elif caption.mask is not None:
        changed = int(np.count_nonzero(caption.mask & pair.valid))
        fraction = round(changed / int(np.count_nonzero(pair.valid)), 6)
        area = round(area_m2 * changed / pair.valid.size, 2)
    return TileRecord(
        tile_id=tile.id,
        row=tile.row,
        col=tile.col,
        status=caption.status,
        valid_fraction=share,
        caption=caption.text,
        change_score=None if caption.change_score is None else round(float(caption.change_score), 4),
        logprob=None if caption.logprob is None else round(float(caption.logprob), 4),
        keywords=caption.keywords,
        changed_area_m2=area,
        changed_fraction=fraction,
        reason="; ".join(filter(None, (caption.reason, notes))) or None,
    )

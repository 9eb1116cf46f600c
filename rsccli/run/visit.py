"""Every tile of a plan, batch by batch, for what is done with pixels beside captions.

Tiles of one superblock that have enough valid pixels come in order, ``batch_size`` at a time; what needs no model comes
with the first batch of its superblock. That is the order of `rsccli.run.loop`, too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from rsccli.errors import ModelError, OutOfMemoryError
from rsccli.geo.engine import TileFailure, TileRead
from rsccli.geo.identity import Watch
from rsccli.geo.pair import PreparedPair
from rsccli.run.checked import asked
from rsccli.run.loop import Room
from rsccli.run.prefetch import read_blocks
from rsccli.stages import stage
from rsccli.types import Tile, TilePair

logger = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class Unlooked:
    """A tile that no model sees.

    Attributes:
        valid_fraction: share of its pixels that both dates cover. reason: in a few words.
    """

    tile: Tile
    status: Literal["read_error", "nodata", "skipped"]
    valid_fraction: float
    reason: str


@dataclass(frozen=True)
class Visit:
    """Tiles that are done together.

    Attributes:
        block, batch: place in the plan. unlooked: tiles without a model. reads: tiles for it.
    """

    block: int
    batch: int
    unlooked: tuple[Unlooked, ...]
    reads: tuple[TileRead, ...]


def visit_tiles(
    pair: PreparedPair,
    *,
    batch_size: int,
    min_valid: float,
    jobs: int,
    done: tuple[int, int] = (-1, -1),
) -> Generator[Visit]:
    """Read every tile of the plan.

    Args:
        batch_size: tiles for the model at once. min_valid: see `rsccli.run.loop.caption_tiles`. jobs: reader threads.
        done: (superblock, batch) that was finished last: everything up to it is left out.

    Raises:
        InputChangedError: an input was replaced while it was being read.
    """
    watch = Watch(pair.identities)
    blocks = (block for block in pair.plan.blocks() if block.index >= done[0])
    for block, reads in read_blocks(pair, blocks, jobs):
        # After reading and before anything is kept: what was read is known to come from the file that was opened.
        watch.check()
        unlooked: list[Unlooked] = []
        looked: list[TileRead] = []
        for read in reads:
            found = _without_model(read, min_valid)
            if isinstance(found, Unlooked):
                unlooked.append(found)
            else:
                looked.append(found)
        chunks = [looked[i : i + batch_size] for i in range(0, len(looked), batch_size)] or [[]]
        for number, chunk in enumerate(chunks):
            if (block.index, number) > done:
                yield Visit(block.index, number, tuple(unlooked) if number == 0 else (), tuple(chunk))
        watch.check()


def _without_model(read: TileRead | TileFailure, min_valid: float) -> Unlooked | TileRead:
    if isinstance(read, TileFailure):
        return Unlooked(read.tile, "read_error", 0.0, read.reason)
    share = float(read.pair.valid.mean())
    if share == 0:
        reason = "; ".join(read.notes) or "no pixel that both dates cover"
        return Unlooked(read.pair.tile, "nodata", 0.0, reason)
    if share < min_valid:
        reason = f"{share:.1%} of its pixels are valid at both dates, less than --min-valid {min_valid:g}"
        return Unlooked(read.pair.tile, "skipped", round(share, 6), reason)
    return read


def in_parts(
    call: Callable[[Sequence[TilePair]], Sequence[T]], pairs: Sequence[TilePair], room: Room
) -> list[T | ModelError]:
    """Results of a batch: of halves of it where it does not fit into memory, of single tiles where the model fails.

    Args:
        call: gives one result for each pair. room: how many fit, kept from batch to batch.
    """
    if not pairs:
        return []
    if room.at_most is not None and len(pairs) > room.at_most:
        parts = [pairs[i : i + room.at_most] for i in range(0, len(pairs), room.at_most)]
        return [each for part in parts for each in in_parts(call, part, room)]
    try:
        with stage("model"):
            return asked(call, pairs, "the model")
    except (ModelError, MemoryError) as error:
        too_large = isinstance(error, (OutOfMemoryError, MemoryError))
        problem = str(error) or "not enough memory"
    # Out of the handler, where the error and with it the arrays of the failed batch are gone.
    if len(pairs) == 1:
        room.at_most = None
        return [ModelError(problem)]
    if not too_large:
        return [each for pair in pairs for each in in_parts(call, [pair], room)]
    room.at_most = -(-len(pairs) // 2)
    logger.warning("%s: going on with %d tiles at once", problem, room.at_most)
    return in_parts(call, pairs, room)

"""Aligned pixels of the tiles of an earlier run, read again by the facts in its output: a run keeps no pixels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rsccli.geo.engine import PairAligner, TileFailure
from rsccli.geo.tiles import Superblock, TilePlan, plan_tiles
from rsccli.run.opened import opened_inputs
from rsccli.types import RunFacts, Tile, TilePair

_TILE_ID = re.compile(r"r(\d+)c(\d+)")


@dataclass(frozen=True, eq=False)
class RunPixels:
    """Both dates of a run, open.

    Attributes:
        plan: its tiles. aligner: reads them. notes: what a reader should know.
    """

    plan: TilePlan
    aligner: PairAligner
    notes: tuple[str, ...] = ()

    def pairs(self, tile_ids: Iterable[str]) -> Iterator[TilePair | TileFailure]:
        """Pixels of tiles, or why they cannot be read; superblock by superblock, so that no block is decoded twice."""
        blocks: dict[int, list[Tile]] = {}
        across = -(-self.plan.cols // self.plan.block_cols)
        for tile_id in tile_ids:
            found = _TILE_ID.fullmatch(tile_id)
            if found is None:
                continue
            tile = self.plan.tile(int(found[1]), int(found[2]))
            block = tile.row // self.plan.block_rows * across + tile.col // self.plan.block_cols
            blocks.setdefault(block, []).append(tile)
        for index in sorted(blocks):
            tiles = tuple(blocks[index])
            for read in self.aligner.read(Superblock(index, tiles, self.plan.block(index).px_window)):
                yield read if isinstance(read, TileFailure) else read.pair


@contextmanager
def open_run_pixels(facts: RunFacts) -> Iterator[RunPixels]:
    """Open the inputs of a run as it read them.

    Args:
        facts: of its output. Paths are those that were typed then, relative to the folder of that time.

    Raises:
        InputError: an input is gone. InputChangedError: it is no longer the file that was captioned.
    """
    with opened_inputs(facts) as inputs:
        edge = facts.edge if facts.edge in ("shift", "drop") else "pad"
        plan = plan_tiles(
            facts.grid,
            facts.tile_size,
            stride=facts.stride,
            edge=edge,  # type: ignore[arg-type]
            striped=inputs.pre.striped or inputs.post.striped,
        )
        tables = (inputs.radiometry.pre, inputs.radiometry.post)
        with PairAligner(facts.grid, inputs.pre, inputs.post, tables, inputs.shift_px) as aligner:
            yield RunPixels(plan, aligner, inputs.notes)

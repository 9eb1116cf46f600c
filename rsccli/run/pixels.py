"""Aligned pixels of the tiles of an earlier run, read again by the facts in its output: a run keeps no pixels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import get_args

import rasterio

from rsccli.errors import InputChangedError, InputError
from rsccli.geo.engine import PairAligner, TileFailure
from rsccli.geo.radiometry import Radiometry, RadiometryMode
from rsccli.geo.raster import RasterInfo, RasterOptions, describe_raster, gdal_options
from rsccli.geo.survey import survey_pair
from rsccli.geo.tiles import Superblock, TilePlan, plan_tiles
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
    with rasterio.Env(**gdal_options()):
        pre, post = (
            _described(path, bands, crs, identity)
            for path, bands, crs, identity in (
                (date.path, date.bands, date.crs, date.identity) for date in (facts.pre, facts.post)
            )
        )
        radiometry, notes = _radiometry(facts, pre, post)
        shift = facts.registration
        moved = (shift.dx_px or 0.0, shift.dy_px or 0.0) if shift.applied else (0.0, 0.0)
        edge = facts.edge if facts.edge in ("shift", "drop") else "pad"
        plan = plan_tiles(
            facts.grid,
            facts.tile_size,
            stride=facts.stride,
            edge=edge,  # type: ignore[arg-type]
            striped=pre.striped or post.striped,
        )
        with PairAligner(facts.grid, pre, post, (radiometry.pre, radiometry.post), moved) as aligner:
            yield RunPixels(plan, aligner, notes)


def _described(path: str, bands: tuple[int, ...], crs: str, identity: str) -> RasterInfo:
    try:
        info = describe_raster(path, RasterOptions(bands=bands, crs=crs))
    except InputError as error:
        raise InputError(
            f"{path}: the image that was captioned cannot be read again: call from the folder where rsccli caption was "
            "called, and put the file back if it was moved"
        ) from error
    if info.identity != identity:
        raise InputChangedError(
            f"{path}: it is no longer the file that was captioned ({info.identity}, not {identity}): run rsccli "
            "caption again, then this command"
        )
    return info


def _radiometry(facts: RunFacts, pre: RasterInfo, post: RasterInfo) -> tuple[Radiometry, tuple[str, ...]]:
    """Lookup tables of the run: facts name them in words, and the rule that gives these words is the run's."""
    wanted = (facts.pre.lut, facts.post.lut)
    first: Radiometry | None = None
    for mode in get_args(RadiometryMode):
        found = survey_pair(facts.grid, pre, post, mode).radiometry
        if (found.pre.describe(), found.post.describe()) == wanted:
            return found, ()
        first = first or found
    assert first is not None
    return first, ("the values of the images could not be brought to 8 bit exactly as the run did (--nodata?)",)

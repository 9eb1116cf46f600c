"""How much work each superblock is, told before anything is captioned.

Most of a run's time goes into tiles that the model sees. Those are the tiles of the plan (an area of interest leaves
some out) in which both dates have pixels. Where these lie is read off as cheaply as each file allows: from its header
and block index, from an overview, or from a few hundred small windows spread over the grid. Every shard does this by
itself and comes to the same numbers, as it depends on the two files and the plan alone.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from affine import Affine

from rsccli.errors import InputError
from rsccli.geo.engine import SourceAligner
from rsccli.geo.grid import Mapping
from rsccli.geo.identity import is_remote
from rsccli.geo.pair import PreparedPair
from rsccli.geo.tiles import TilePlan
from rsccli.types import Bool, Grid, PxWindow, Tile

I64: TypeAlias = npt.NDArray[np.int64]

#: Work of a tile that the model sees; of one that is read and found empty; of one that no file has a block for. With
#: the bundled captioner 42, 3 and 0.09 ms were measured (docs/shards.md); a large model makes the first larger still.
SEEN, EMPTY, HOLE = 500, 35, 1
#: Places that are looked at in a file without overviews: each costs the decoding of a block.
MOST_PLACES = 512
#: Tiles that are told apart; of more, some speak for their neighbours.
MOST_TOLD = 2**14
#: Pixels of an overview that may be decoded for a tile: a quarter of its side is one pixel of ours.
_OVERVIEW_PX = 32
_PER_TILE, _PART_PX, _PLACE_PX = 4, 256, 4


def block_tiles(plan: TilePlan) -> I64:
    """Tiles of each superblock, shape (block_count,)."""
    if plan.wanted is not None:
        return _by_block(plan, plan.wanted.astype(np.int64))
    rows = np.diff([*range(0, plan.rows, plan.block_rows), plan.rows])
    cols = np.diff([*range(0, plan.cols, plan.block_cols), plan.cols])
    return np.asarray(np.outer(rows, cols).ravel(), np.int64)


def block_work(pair: PreparedPair) -> I64:
    """Estimated work of each superblock, whole numbers, shape (block_count,); 0 where it has no tiles."""
    plan = pair.plan
    covered = np.ones((plan.rows, plan.cols), bool)
    seen = covered.copy()
    with pair.env():
        for info, shift_px in ((pair.pre, (0.0, 0.0)), (pair.post, pair.shift_px)):
            mapping = Mapping(pair.grid, info, shift_px)
            covered &= _covered(mapping, plan)
            seen &= _has_data(mapping, plan, covered)
    return _by_block(plan, np.where(covered, np.where(seen, SEEN, EMPTY), HOLE))


def _by_block(plan: TilePlan, values: I64) -> I64:
    if plan.wanted is not None:
        values = np.where(plan.wanted, values, 0)
    rows = np.arange(0, plan.rows, plan.block_rows)
    cols = np.arange(0, plan.cols, plan.block_cols)
    sums: I64 = np.add.reduceat(np.add.reduceat(values, rows, axis=0), cols, axis=1)
    return sums.ravel()


def _step(tiles: int, most: int) -> int:
    """Side of a square of tiles of which one speaks for all."""
    return max(1, math.ceil(math.sqrt(tiles / most)))


def _spread(plan: TilePlan, told: Bool, step: int) -> Bool:
    """What some tiles say, for their neighbours too."""
    return np.asarray(told.repeat(step, axis=0).repeat(step, axis=1)[: plan.rows, : plan.cols])


def _covered(mapping: Mapping, plan: TilePlan) -> Bool:
    """Whether the file has blocks in the middle of each tile, (rows, cols); from its header alone."""
    step = _step(plan.rows * plan.cols, MOST_TOLD)
    rows, cols = (np.minimum(np.arange(0, n, step) + step // 2, n - 1) for n in (plan.rows, plan.cols))
    tiles = [plan.tile(int(row), int(col)) for row in rows for col in cols]
    aligner = SourceAligner(mapping, None)
    try:
        told = [found for start in range(0, len(tiles), 64) for found in aligner.may_hold(tiles[start : start + 64])]
    finally:
        aligner.close()
    return _spread(plan, np.array(told, bool).reshape(len(rows), len(cols)), step)


def _has_data(mapping: Mapping, plan: TilePlan, covered: Bool) -> Bool:
    """Whether a date has data in each tile that is covered, (rows, cols)."""
    info = mapping.source
    # Without a mask, a value for no data or NaN, what a file covers it has data in.
    if info.mask == "none" and info.nodata is None and not info.dtype.startswith("float"):
        return covered
    if plan.stride / max(info.overviews, default=1) <= _OVERVIEW_PX:
        return covered & _by_overview(mapping, plan)
    return covered if is_remote(info.path) else _by_places(mapping, plan, covered)


def _by_places(mapping: Mapping, plan: TilePlan, covered: Bool) -> Bool:
    """Of the tiles that are covered, one in each square is looked at and speaks for the others."""
    wanted = covered if plan.wanted is None else covered & plan.wanted
    side = _step(int(wanted.sum()), MOST_PLACES)
    squares: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for row, col in np.argwhere(wanted).tolist():
        squares.setdefault((row // side, col // side), []).append((row, col))
    found = np.zeros_like(covered)
    aligner = SourceAligner(mapping, None)
    try:
        for members in squares.values():
            row, col = members[len(members) // 2]
            if _valid(aligner, _middle(plan.tile(row, col), plan.grid)).any():
                found[tuple(zip(*members, strict=True))] = True
    finally:
        aligner.close()
    return found


def _by_overview(mapping: Mapping, plan: TilePlan) -> Bool:
    """The whole image, as its overviews show it, some pixels a tile."""
    step = _step(plan.rows * plan.cols, MOST_TOLD)
    scale = plan.stride * step / _PER_TILE
    rows, cols = (-(-n // step) for n in (plan.rows, plan.cols))
    coarse = Grid(plan.grid.crs, plan.grid.transform @ Affine.scale(scale, scale), cols * _PER_TILE, rows * _PER_TILE)
    dx, dy = mapping.shift_px
    aligner = SourceAligner(Mapping(coarse, mapping.source, (dx / scale, dy / scale)), None)
    pixels = np.zeros((-(-coarse.height // _PART_PX) * _PART_PX, -(-coarse.width // _PART_PX) * _PART_PX), bool)
    try:
        for top in range(0, coarse.height, _PART_PX):
            for left in range(0, coarse.width, _PART_PX):
                part = _window(coarse, left, top, _PART_PX)
                pixels[top : top + _PART_PX, left : left + _PART_PX] = _valid(aligner, part)
    finally:
        aligner.close()
    told = pixels[: coarse.height, : coarse.width].reshape(rows, _PER_TILE, cols, _PER_TILE).any(axis=(1, 3))
    return _spread(plan, np.asarray(told), step)


def _valid(aligner: SourceAligner, part: Tile) -> Bool:
    """Which pixels of a part have data; all of them where it cannot be read: then the run will try hard, too."""
    nodes = aligner.nodes((part,))
    try:
        _, valid = aligner.cut(aligner.fetch(nodes), nodes[0], part.px_window.width)
    except InputError:
        return np.ones((part.px_window.height, part.px_window.width), bool)
    return valid


def _middle(tile: Tile, grid: Grid) -> Tile:
    """A few pixels in the middle of that part of a tile that lies on the grid."""
    left, top, width, height = tile.px_window
    right, bottom = min(left + width, grid.width), min(top + height, grid.height)
    return _window(grid, (left + right - _PLACE_PX) // 2, (top + bottom - _PLACE_PX) // 2, _PLACE_PX)


def _window(grid: Grid, left: int, top: int, side: int) -> Tile:
    window = PxWindow(left, top, side, side)
    return Tile(f"{top}/{left}", top, left, window, grid.window_bounds(window))

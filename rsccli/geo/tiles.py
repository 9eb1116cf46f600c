"""Tiles: a deterministic plan of squares over a grid, gathered into superblocks.

Overlap has one definition here: the pixels that two neighbours share. Stride = tile size - overlap.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import shapely

from rsccli.errors import InputError, UsageProblem
from rsccli.types import Bool, Grid, PxWindow, Tile

Edge = Literal["pad", "shift", "drop"]

#: Side of a superblock in pixels: decoded once, warped tile by tile from memory.
SUPERBLOCK_PX = 2048
#: Pixels of a superblock over files in full-width strips: one row of tiles, as wide as the image where that fits.
#: Two reader threads then read different strips; side by side both would decode the same ones.
STRIPED_BLOCK_PX = 10 * 2**20


@dataclass(frozen=True)
class Superblock:
    """Tiles that are read, batched and journalled together.

    Attributes:
        index: position in the plan. tiles: in reading order. px_window: pixels that they cover together.
    """

    index: int
    tiles: tuple[Tile, ...]
    px_window: PxWindow


@dataclass(frozen=True, eq=False)
class TilePlan:
    """All tiles of a grid.

    Attributes:
        grid: the pixels. tile_size: side in pixels. stride: from one tile to the next.
        edge: what happens where the grid ends: ``pad`` (the tile reaches beyond), ``shift`` (the last tile moves
            back inside), ``drop`` (it is left out).
        cols, rows: tiles across and down. block_cols, block_rows: tiles in a superblock.
        wanted: bool (rows, cols), False where an area of interest leaves a tile out; or None for all.
    """

    grid: Grid
    tile_size: int
    stride: int
    edge: Edge
    cols: int
    rows: int
    block_cols: int
    block_rows: int
    wanted: Bool | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return self.cols * self.rows if self.wanted is None else int(self.wanted.sum())

    @property
    def block_count(self) -> int:
        """Superblocks, empty ones included."""
        return math.ceil(self.rows / self.block_rows) * math.ceil(self.cols / self.block_cols)

    def tile(self, row: int, col: int) -> Tile:
        """The tile at one place."""
        left = self._start(col, self.grid.width)
        top = self._start(row, self.grid.height)
        window = PxWindow(left, top, self.tile_size, self.tile_size)
        return Tile(f"r{row:05d}c{col:05d}", row, col, window, self.grid.window_bounds(window))

    def _start(self, index: int, size: int) -> int:
        start = index * self.stride
        if self.edge == "shift" and start + self.tile_size > size:
            return max(0, size - self.tile_size)
        return start

    def block(self, index: int) -> Superblock:
        """The superblock at one position; its ``tiles`` may be empty where an area of interest misses it."""
        blocks_across = math.ceil(self.cols / self.block_cols)
        block_row, block_col = divmod(index, blocks_across)
        tiles = tuple(
            self.tile(row, col)
            for row in range(block_row * self.block_rows, min((block_row + 1) * self.block_rows, self.rows))
            for col in range(block_col * self.block_cols, min((block_col + 1) * self.block_cols, self.cols))
            if self.wanted is None or self.wanted[row, col]
        )
        if not tiles:
            return Superblock(index, (), PxWindow(0, 0, 0, 0))
        left = min(t.px_window.col for t in tiles)
        top = min(t.px_window.row for t in tiles)
        right = max(t.px_window.col for t in tiles) + self.tile_size
        bottom = max(t.px_window.row for t in tiles) + self.tile_size
        return Superblock(index, tiles, PxWindow(left, top, right - left, bottom - top))

    def blocks(self) -> Iterator[Superblock]:
        """Every superblock with tiles, in order."""
        for index in range(self.block_count):
            block = self.block(index)
            if block.tiles:
                yield block


def plan_tiles(
    grid: Grid,
    tile_size: int = 256,
    *,
    stride: int | None = None,
    edge: Edge = "pad",
    striped: bool = False,
    aoi: shapely.Geometry | None = None,
) -> TilePlan:
    """Lay tiles over a grid.

    Args:
        grid: what to cover. tile_size: 32 to 4096 pixels. stride: 1 to ``tile_size``; the default is ``tile_size``.
        edge: see ``TilePlan``.
        striped: an input is stored in full-width strips: superblocks become wide and flat, so that each strip is
            decoded once without a cache that holds a whole band of rows.
        aoi: area of interest in the grid's CRS: tiles that do not touch it are left out of the plan.
    """
    stride = tile_size if stride is None else stride
    if not 32 <= tile_size <= 4096:
        raise UsageProblem(f"--tile-size {tile_size}: give 32 to 4096 pixels")
    if not 1 <= stride <= tile_size:
        raise UsageProblem(
            f"a stride of {stride} does not fit tiles of {tile_size} pixels: --overlap must be 0 to {tile_size - 1}"
        )
    cols, rows = (_count(size, tile_size, stride, edge) for size in (grid.width, grid.height))
    if cols == 0 or rows == 0:
        raise InputError(
            f"the common area of {grid.width}x{grid.height} pixels holds no whole tile of {tile_size}: use --edge pad "
            "or a smaller --tile-size"
        )
    side = max(1, SUPERBLOCK_PX // stride)
    block_rows, block_cols = (1, max(1, STRIPED_BLOCK_PX // stride**2)) if striped else (side, side)
    plan = TilePlan(grid, tile_size, stride, edge, cols, rows, block_cols, block_rows)
    if aoi is None:
        return plan
    wanted = _touching(plan, aoi)
    if not wanted.any():
        raise InputError("no tile touches the area of interest: it lies outside of the common area of both images")
    return TilePlan(grid, tile_size, stride, edge, cols, rows, block_cols, block_rows, wanted)


def _count(size: int, tile: int, stride: int, edge: Edge) -> int:
    if edge == "drop":
        return 0 if size < tile else (size - tile) // stride + 1
    return max(1, math.ceil((size - (tile - stride)) / stride))


def _touching(plan: TilePlan, aoi: shapely.Geometry) -> Bool:
    """Which tiles share area with ``aoi``; row by row, so that memory stays flat."""
    shapely.prepare(aoi)
    wanted = np.zeros((plan.rows, plan.cols), bool)
    for row in range(plan.rows):
        bounds = np.array([plan.tile(row, col).map_bounds for col in range(plan.cols)])
        boxes = shapely.box(*bounds.T)
        wanted[row] = shapely.intersects(aoi, boxes) & ~shapely.touches(aoi, boxes)
    return wanted

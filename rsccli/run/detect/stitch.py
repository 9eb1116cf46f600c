"""Detections of overlapping tiles become one raster without seams: a weighted mean, the same to the last bit.

A tile's weight is a raised cosine over the part that it shares with its neighbours and flat between (the product of
one profile along each axis): where two tiles meet, one fades out as the other fades in. The sum is divided by the sum
of the weights that were really added, so that the edge of the grid, tiles that were left out and pixels without data
need no care of their own.

Weights and probabilities are whole numbers. Their sums are exact, so that the result depends neither on the order of
the tiles nor on the size of the pieces in which they are read.

Memory holds one row of tiles of one superblock. What reaches over its right edge waits for the next superblock, what
reaches over its bottom for the next row; between rows of superblocks that waits on the disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rsccli.errors import UsageProblem
from rsccli.geo.tiles import TilePlan
from rsccli.run.detect.codes import NODATA
from rsccli.run.detect.sums import SUM_STEPS, U32, CarryStore, Sums
from rsccli.types import U8, Bool, Detection, PxWindow, Tile

#: A weight of 1 along one axis.
_WEIGHT_STEPS = 64
# With more overlap the sums would not fit into 32 bits.
_MOST_OVERLAP = 7 / 8


def check_overlap(tile_size: int, stride: int) -> None:
    """Refuse tiles that overlap too much.

    Raises:
        UsageProblem: they do.
    """
    if tile_size - stride > _MOST_OVERLAP * tile_size:
        raise UsageProblem(
            f"--overlap {tile_size - stride} of tiles of {tile_size} pixels: at most {int(_MOST_OVERLAP * tile_size)}"
        )


def taper(size: int, overlap: int) -> U32:
    """Weights along one axis of a tile, 1 to 64: a raised cosine over ``overlap`` pixels at either end.

    At a shared pixel the weights of two neighbours add up to 64.
    """
    ramp = min(overlap, size // 2)
    weights = np.full(size, _WEIGHT_STEPS, np.uint32)
    half = (ramp + 1) // 2
    rise = np.rint(_WEIGHT_STEPS * (0.5 - 0.5 * np.cos(np.pi * (np.arange(half) + 0.5) / max(ramp, 1)))).astype(
        np.uint32
    )
    rise = np.maximum(rise, 1)
    weights[:half] = rise
    weights[ramp - half : ramp] = (_WEIGHT_STEPS - rise)[::-1]
    if ramp % 2:
        weights[half - 1] = _WEIGHT_STEPS // 2
    weights[size - ramp :] = weights[:ramp][::-1]
    return weights


@dataclass(frozen=True)
class Piece:
    """Finished pixels of one superblock.

    Attributes:
        px_window: where. score, kind: see ``Sums.scores``, (h, w).
    """

    px_window: PxWindow
    score: U8
    kind: U8


class Stitcher:
    """Takes the tiles of a plan in its order, superblock by superblock, and gives back finished pixels.

    Args:
        plan: the tiles. classes: of the detector, 0 where it tells none. carry: between rows of superblocks.
    """

    def __init__(self, plan: TilePlan, classes: int, carry: CarryStore) -> None:
        self._plan, self._channels, self._carry = plan, max(1, classes), carry
        profile = taper(plan.tile_size, plan.tile_size - plan.stride)
        self._weights = profile[:, None] * profile[None, :]
        grid = plan.grid
        self._tops = [*(plan.tile(row, 0).px_window.row for row in range(plan.rows)), grid.height]
        self._lefts = [*(plan.tile(0, col).px_window.col for col in range(plan.cols)), grid.width]
        self._right: dict[int, Sums] = {}
        self._next_right: dict[int, Sums] = {}
        self._down: Sums | None = None
        self._rows: Iterator[int] = iter(())

    def row_window(self, block_row: int) -> PxWindow:
        """Pixels that a row of superblocks finishes."""
        first, last = self._span(block_row, self._plan.block_rows, self._plan.rows)
        return PxWindow(0, self._tops[first], self._plan.grid.width, self._tops[last] - self._tops[first])

    @staticmethod
    def _span(block: int, step: int, count: int) -> tuple[int, int]:
        return block * step, min((block + 1) * step, count)

    def begin(self, block_row: int, block_col: int) -> None:
        """Start a superblock; those of a row come from left to right."""
        plan = self._plan
        self._at = (block_row, block_col)
        self._next_right, self._right = {}, {} if block_col == 0 else self._next_right
        first, last = self._span(block_row, plan.block_rows, plan.rows)
        left, right = self._span(block_col, plan.block_cols, plan.cols)
        self._left, self._core_right = self._lefts[left], self._lefts[right]
        self._reach = min(plan.tile(0, right - 1).px_window.col + plan.tile_size, plan.grid.width)
        self._down = self._carry.get(block_row, block_col)
        self._todo = list(range(first, last))
        self._window = PxWindow(
            self._left, self._tops[first], self._core_right - self._left, self._tops[last] - self._tops[first]
        )
        shape = (self._window.height, self._window.width)
        self._score, self._kind = np.full(shape, NODATA, np.uint8), np.full(shape, NODATA, np.uint8)
        self._sums: Sums | None = None
        self._open_row()

    def _bottom(self, row: int) -> int:
        """Where the tiles of a row end."""
        return min(self._tops[row] + self._plan.tile_size, self._plan.grid.height)

    def _open_row(self) -> None:
        """Start the next row of tiles with what earlier ones left for it."""
        self._sums = None
        for left_over in (self._right.pop(self._todo[0], None), self._down):
            if left_over is not None:
                self._need().add(left_over)
        self._down = None

    def _need(self) -> Sums:
        """Sums of the row in hand, made where there is something to add."""
        if self._sums is None:
            row = self._todo[0]
            self._sums = Sums.zeros(self._channels, self._bottom(row) - self._tops[row], self._reach - self._left)
        return self._sums

    def add(self, tile: Tile, detection: Detection | None, valid: Bool) -> None:
        """Add a tile of the superblock in hand; rows of tiles come from the top down.

        Args:
            detection: of it, or None where nobody could judge it. valid: bool (H, W), pixels with data.
        """
        while self._todo[0] < tile.row:
            self._close_row()
        sums = self._need()
        top, left = tile.px_window.row - self._tops[tile.row], tile.px_window.col - self._left
        height = min(valid.shape[0], sums.seen.shape[0] - top)
        width = min(valid.shape[1], sums.seen.shape[1] - left)
        place = sums.part(slice(top, top + height), slice(left, left + width))
        valid = valid[:height, :width]
        np.logical_or(place.seen, valid, out=place.seen)
        if detection is None:
            return
        weight = self._weights[:height, :width] * valid
        place.weight += weight
        share = detection.probability[:height, :width] * np.float32(SUM_STEPS)
        for index, joint in enumerate(place.joint):
            part = share if detection.classes is None else share * detection.classes[index, :height, :width]
            joint += np.rint(part).astype(np.uint32) * weight

    def _close_row(self) -> None:
        """Finish the row of tiles in hand and hand on what reaches beyond it."""
        row = self._todo.pop(0)
        last = not self._todo
        sums = self._sums
        down = None
        if sums is not None:
            top, done = self._tops[row], min(self._tops[row + 1], self._bottom(row))
            core = slice(0, self._core_right - self._left)
            score, kind = sums.part(slice(0, done - top), core).scores()
            at = top - self._window.row
            self._score[at : at + done - top, : score.shape[1]] = score
            self._kind[at : at + done - top, : kind.shape[1]] = kind
            beside = sums.part(slice(None), slice(self._core_right - self._left, None)).copy()
            if beside is not None:
                self._next_right[row] = beside
            down = sums.part(slice(done - top, None), core).copy()
        if last:
            self._carry.put(self._at[0] + 1, self._at[1], down)
            self._sums = None
        else:
            self._down = down
            self._open_row()

    def end(self) -> Piece:
        """Finish the superblock in hand."""
        while self._todo:
            self._close_row()
        return Piece(self._window, self._score, self._kind)

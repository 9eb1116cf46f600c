"""Regions of equal codes as polygons on pixel corners, window by window: only open ones are kept in memory.

Pixels belong together where they share an edge and a code. A window is labelled and traced; its regions that touch a
border behind which windows are still to come stay open, and join those on the other side by the pixels that meet
there. A region that no border holds open any more is finished: its parts are united. Corners are whole numbers, so the
union is exact, and a region is the same polygon whatever the windows were.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from rsccli.run.detect.outlines import traced, united
from rsccli.types import U8, Grid, PxWindow

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Region:
    """A connected region of one code.

    Attributes:
        code: of its pixels. polygon: on pixel corners of the grid, (column, row), in normal form without vertices on
            straight edges; holes kept. pixels: how many. area_m2: of the pixels on the ellipsoid.
        score_sum, score_max: over its pixels, steps of a score. first: (row, column) of its first pixel, in reading
            order.
    """

    code: int
    polygon: Any
    pixels: int
    area_m2: float
    score_sum: int
    score_max: int
    first: tuple[int, int]


@dataclass
class _Open:
    """A region that may grow.

    Attributes:
        ids: under which it is known. held: pixels of it at borders behind which windows are still to come.
    """

    ids: list[int]
    code: int
    parts: list[Any]
    pixels: int
    area_m2: float
    score_sum: int
    score_max: int
    first: tuple[int, int]
    held: int = 0

    def take(self, other: _Open) -> None:
        """Become one with another."""
        self.ids += other.ids
        self.parts += other.parts
        self.pixels += other.pixels
        self.area_m2 += other.area_m2
        self.score_sum += other.score_sum
        self.score_max = max(self.score_max, other.score_max)
        self.first = min(self.first, other.first)
        self.held += other.held


@dataclass
class Dropped:
    """Regions that were too small.

    Attributes:
        regions: how many. pixels: of all of them. area_m2: of all of them.
    """

    regions: int = 0
    pixels: int = 0
    area_m2: float = 0.0

    def add(self, regions: int, pixels: int, area_m2: float) -> None:
        """Count some more."""
        self.regions += regions
        self.pixels += pixels
        self.area_m2 += area_m2


@dataclass
class Tracer:
    """Takes windows of a grid in reading order: rows of windows of one height, each from left to right.

    Args:
        grid: size of the whole. min_area_m2: smaller regions are counted in ``dropped`` and not given.
    """

    grid: Grid
    min_area_m2: float = 0.0
    dropped: Dropped = field(default_factory=Dropped)

    def __post_init__(self) -> None:
        # Of every column the region below which the next row of windows begins; of every row in hand that at its left.
        self._above = np.zeros(self.grid.width, np.int64)
        self._above_code = np.zeros(self.grid.width, np.uint8)
        self._left = np.zeros(0, np.int64)
        self._left_code = np.zeros(0, np.uint8)
        self._regions: dict[int, _Open] = {}
        self._parent: dict[int, int] = {}
        self._next = 1

    @property
    def open_regions(self) -> int:
        """How many regions are in memory."""
        return len(self._regions)

    def add(self, window: PxWindow, codes: U8, scores: U8, px_area_m2: F64) -> Iterator[Region]:
        """Trace a window.

        Args:
            window: inside of the grid. codes: (h, w), 0 where there is nothing to trace. scores: (h, w), summed up.
            px_area_m2: (h, w), area of each pixel on the ground.

        Yields:
            Regions that are finished now.
        """
        if window.col == 0:
            self._left, self._left_code = np.zeros(window.height, np.int64), np.zeros(window.height, np.uint8)
        across = slice(window.col, window.col + window.width)
        before = np.concatenate([self._above[across], self._left])
        ids = self._label(window, codes, scores, px_area_m2)
        self._join(self._above[across], self._above_code[across], ids[0], codes[0])
        self._join(self._left, self._left_code, ids[:, 0], codes[:, 0])
        self._above[across] = ids[-1] if window.row + window.height < self.grid.height else 0
        self._above_code[across] = codes[-1]
        more = window.col + window.width < self.grid.width
        self._left = ids[:, -1].copy() if more else np.zeros(window.height, np.int64)
        self._left_code = codes[:, -1].copy()
        self._hold(np.concatenate([self._above[across], self._left]), 1)
        touched = self._hold(before, -1) | {int(one) for one in np.unique(ids[ids > 0])}
        for root in sorted({self._find(one) for one in touched}):
            if self._regions[root].held == 0:
                yield from self._finish(root)

    def _label(self, window: PxWindow, codes: U8, scores: U8, px_area_m2: F64) -> I64:
        """Ids of the regions of a window, (h, w), 0 where there is none; what is surely too small is dropped."""
        labels = np.zeros(codes.shape, np.int32)
        found = [0]
        for code in np.unique(codes[codes > 0]):
            count, part = cv2.connectedComponents((codes == code).astype(np.uint8), connectivity=4, ltype=cv2.CV_32S)
            labels += np.where(part > 0, part + (len(found) - 1), 0).astype(np.int32)
            found += [int(code)] * (count - 1)
        number = len(found)
        if number == 1:
            return np.zeros(codes.shape, np.int64)
        flat = labels.ravel()
        pixels = np.bincount(flat, minlength=number)
        areas = np.bincount(flat, weights=px_area_m2.ravel(), minlength=number)
        sums = np.bincount(flat, weights=scores.ravel(), minlength=number)
        highest = np.zeros(number, np.uint8)
        np.maximum.at(highest, flat, scores.ravel())
        first = np.full(number, flat.size, np.int64)
        first[flat[::-1]] = np.arange(flat.size - 1, -1, -1)
        outer = np.zeros(number, bool)
        for border in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
            outer[border] = True
        wanted = outer | (areas >= self.min_area_m2)
        wanted[0] = False
        small = ~wanted
        small[0] = False
        self.dropped.add(int(small.sum()), int(pixels[small].sum()), float(areas[small].sum()))
        parts = traced(np.where(wanted[labels], labels, 0).astype(np.int32), window)
        ids = np.zeros(number, np.int64)
        for label in np.flatnonzero(wanted).tolist():
            row, col = divmod(int(first[label]), window.width)
            ids[label] = self._next
            self._parent[self._next] = self._next
            self._regions[self._next] = _Open(
                [self._next],
                found[label],
                [parts[label]],
                int(pixels[label]),
                float(areas[label]),
                int(sums[label]),
                int(highest[label]),
                (window.row + row, window.col + col),
            )
            self._next += 1
        found_ids: I64 = ids[labels]
        return found_ids

    def _join(self, held: I64, held_code: U8, ids: I64, codes: U8) -> None:
        """Make one of regions that meet at a border."""
        meet = (held > 0) & (ids > 0) & (held_code == codes)
        for one, other in np.unique(np.stack([held[meet], ids[meet]], 1), axis=0).tolist():
            self._unite(one, other)

    def _unite(self, one: int, other: int) -> None:
        first, second = self._find(one), self._find(other)
        if first == second:
            return
        # The one with fewer parts moves: a region that spans the grid must not be copied for every speck that it meets.
        if len(self._regions[first].parts) < len(self._regions[second].parts):
            first, second = second, first
        self._regions[first].take(self._regions.pop(second))
        self._parent[second] = first

    def _find(self, one: int) -> int:
        root = one
        while self._parent[root] != root:
            root = self._parent[root]
        while self._parent[one] != root:
            self._parent[one], one = root, self._parent[one]
        return root

    def _hold(self, ids: I64, by: int) -> set[int]:
        """Count pixels at open borders, up or down; the regions that they belong to."""
        found, counts = np.unique(ids[ids > 0], return_counts=True)
        for one, count in zip(found.tolist(), counts.tolist(), strict=True):
            self._regions[self._find(one)].held += by * count
        return set(found.tolist())

    def _finish(self, root: int) -> Iterator[Region]:
        region = self._regions.pop(root)
        for one in region.ids:
            del self._parent[one]
        if region.area_m2 < self.min_area_m2:
            self.dropped.add(1, region.pixels, region.area_m2)
            return
        yield Region(
            region.code,
            united(region.parts),
            region.pixels,
            region.area_m2,
            region.score_sum,
            region.score_max,
            region.first,
        )

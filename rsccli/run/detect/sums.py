"""Sums of weighted probabilities: of a piece of the grid in memory, and of what waits for later pieces on the disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rsccli.run.detect.codes import NODATA, NOT_JUDGED, SCORE_STEPS
from rsccli.types import U8, Bool

#: A probability of 1 in the sums.
SUM_STEPS = 1 << 14

U32 = npt.NDArray[np.uint32]


@dataclass
class Sums:
    """Sums over a rectangle of the grid.

    Attributes:
        weight: (h, w). joint: (classes, h, w), weight times probability times class. seen: bool (h, w), pixels with
            data in a tile that was read, judged or not.
    """

    weight: U32
    joint: U32
    seen: Bool

    @staticmethod
    def zeros(channels: int, height: int, width: int) -> Sums:
        """Nothing added yet."""
        shape = (height, width)
        return Sums(np.zeros(shape, np.uint32), np.zeros((channels, *shape), np.uint32), np.zeros(shape, bool))

    def part(self, rows: slice, cols: slice) -> Sums:
        """A view."""
        return Sums(self.weight[rows, cols], self.joint[:, rows, cols], self.seen[rows, cols])

    def copy(self) -> Sums | None:
        """A copy that does not keep the rest alive, or None where there is nothing in it."""
        if not self.seen.any():
            return None
        return Sums(self.weight.copy(), self.joint.copy(), self.seen.copy())

    def add(self, other: Sums) -> None:
        """Add the upper left part that both have."""
        rows, cols = (slice(min(a, b)) for a, b in zip(self.seen.shape, other.seen.shape, strict=True))
        self.weight[rows, cols] += other.weight[rows, cols]
        self.joint[:, rows, cols] += other.joint[:, rows, cols]
        self.seen[rows, cols] |= other.seen[rows, cols]

    def scores(self) -> tuple[U8, U8]:
        """Probabilities, steps of 1/250 (255: none), and codes of the likeliest class (254 not judged, 255 no data)."""
        judged = self.weight > 0
        total = self.joint.sum(0, dtype=np.float64)
        share = total / np.where(judged, self.weight, 1) / SUM_STEPS
        score = np.where(judged, np.rint(SCORE_STEPS * np.minimum(share, 1.0)), NODATA).astype(np.uint8)
        kind = np.where(judged, self.joint.argmax(0) + 1, np.where(self.seen, NOT_JUDGED, NODATA)).astype(np.uint8)
        return score, kind


class CarryStore:
    """What reaches over the bottom of a row of superblocks, on the disk.

    Args:
        folder: that is there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _path(self, block_row: int, block_col: int) -> Path:
        return self._folder / f"carry-{block_row:05d}-{block_col:05d}.npz"

    def put(self, block_row: int, block_col: int, sums: Sums | None) -> None:
        """Keep what goes to a row of superblocks."""
        if sums is not None:
            np.savez(self._path(block_row, block_col), weight=sums.weight, joint=sums.joint, seen=sums.seen)

    def get(self, block_row: int, block_col: int) -> Sums | None:
        """What was kept for a superblock."""
        path = self._path(block_row, block_col)
        if not path.exists():
            return None
        with np.load(path, allow_pickle=False) as kept:
            return Sums(kept["weight"], kept["joint"], kept["seen"])

    def forget(self, block_row: int) -> None:
        """Drop what was kept for a row of superblocks."""
        for path in self._folder.glob(f"carry-{block_row:05d}-*.npz"):
            path.unlink()

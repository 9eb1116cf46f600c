"""Pairs whose later date is moved by whole or part pixels."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from rsccli.errors import InputError
from rsccli.models.captioner import tile_seed
from rsccli.types import U8, Bool, PxWindow, TilePair

#: Pixels that Lanczos takes from either side.
KERNEL_PX = 4
#: A pair must keep this much of its side.
LEAST_SIDE = 32
#: Right, down, left, up: which one a pair is moved to is drawn, so that no direction stands for all.
DIRECTIONS = ((1, 0), (0, 1), (-1, 0), (0, -1))
SEED = 4800


def moved(pair: TilePair, px: float, margin: int) -> TilePair:
    """The inner part of a pair with its later date moved.

    What lies within the margin is cut off, so that nothing comes in from beyond the edge and every shift shows the
    same ground of the earlier date.

    Args:
        px: how far the later date's content moves, right, down, left or up as is drawn for the pair. margin: pixels
            cut off on each side, at least ``px`` and `KERNEL_PX` more.

    Raises:
        InputError: less than `LEAST_SIDE` pixels would be left.
    """
    height, width = pair.valid.shape
    if min(height, width) - 2 * margin < LEAST_SIDE:
        raise InputError(
            f"{width}x{height} px less {margin} on each side leave too little (at least {LEAST_SIDE}); take larger "
            "tiles (--tile-size) or smaller --shifts"
        )
    across, down = DIRECTIONS[int(np.random.default_rng([SEED, tile_seed(pair.tile)]).integers(len(DIRECTIONS)))]
    inner = (slice(margin, height - margin), slice(margin, width - margin))
    post, valid = _translated(pair.post, pair.valid, across * px, down * px)
    seen = np.ascontiguousarray(pair.valid[inner] & valid[inner])
    window = pair.tile.px_window
    tile = replace(
        pair.tile,
        px_window=PxWindow(window.col + margin, window.row + margin, width - 2 * margin, height - 2 * margin),
    )
    mask = seen.astype(np.uint8)
    return TilePair(
        tile, pair.pre[:, *inner] * mask, np.ascontiguousarray(post[:, *inner]) * mask, seen, pair.gsd_m, pair.context
    )


def _translated(image: U8, valid: Bool, right: float, down: float) -> tuple[U8, Bool]:
    """Content moved right and down; whole pixels are copied, parts of them interpolated."""
    if right == int(right) and down == int(down):
        step = (int(down), int(right))
        return np.roll(image, step, (1, 2)), np.roll(valid, step, (0, 1))
    matrix = np.array([[1.0, 0.0, right], [0.0, 1.0, down]])
    size = (valid.shape[1], valid.shape[0])
    rows_last = np.ascontiguousarray(np.moveaxis(image, 0, 2))
    put = cv2.warpAffine(rows_last, matrix, size, flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT_101)
    cover = cv2.warpAffine(
        valid.astype(np.float32), matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
    )
    return np.ascontiguousarray(np.moveaxis(np.asarray(put, np.uint8), 2, 0)), np.asarray(cover > 1 - 1e-3)

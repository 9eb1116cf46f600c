"""Pairs at a coarser ground sampling distance: averaged by area, over ground that every level shares."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from rsccli.errors import InputError
from rsccli.types import U8, Bool, MapBounds, PxWindow, Tile, TilePair

#: A level within this factor of the pair's own distance is the pair as it is.
SAME = 1.02
#: Fewer pixels a side show nothing.
LEAST_PX = 8


@dataclass(frozen=True)
class Levels:
    """Distances to look at a pair with, finest first.

    Attributes:
        metres: asked for, metres per pixel, rising.
    """

    metres: tuple[float, ...]

    @property
    def coarsest(self) -> float:
        """The largest."""
        return self.metres[-1]


def trimmed(pair: TilePair, levels: Levels) -> TilePair:
    """The middle of a pair that is a whole number of pixels at the coarsest level: all levels show the same ground.

    Raises:
        InputError: the pair has less than `LEAST_PX` pixels a side there.
    """
    coarsest = max(levels.coarsest, pair.gsd_m)
    height, width = pair.valid.shape
    sides = []
    for length in (height, width):
        whole = math.floor(length * pair.gsd_m / coarsest + 1e-6)
        if whole < LEAST_PX:
            raise InputError(
                f"{length} px of {pair.gsd_m:.3g} m are {length * pair.gsd_m / coarsest:.1f} px of {coarsest:g} m: too "
                f"small to show anything (at least {LEAST_PX}); take larger tiles (--tile-size) or leave that level out"
            )
        sides.append(min(length, math.floor(whole * coarsest / pair.gsd_m + 1e-6)))
    top, left = (height - sides[0]) // 2, (width - sides[1]) // 2
    rows, cols = slice(top, top + sides[0]), slice(left, left + sides[1])
    return replace(
        pair,
        tile=_part(pair.tile, left, top, sides[1], sides[0]),
        pre=np.ascontiguousarray(pair.pre[:, rows, cols]),
        post=np.ascontiguousarray(pair.post[:, rows, cols]),
        valid=np.ascontiguousarray(pair.valid[rows, cols]),
    )


def coarsened(pair: TilePair, gsd_m: float) -> TilePair:
    """The pair averaged by area to so many metres a pixel; its footprint stays, and its ``gsd_m`` is the true new one.

    A pixel is valid where half of what it covers is; only that counts in its mean. A level that is not coarser than the
    pair gives the pair as it is.
    """
    if gsd_m <= SAME * pair.gsd_m:
        return pair
    height, width = pair.valid.shape
    rows, cols = (max(1, round(length * pair.gsd_m / gsd_m)) for length in (height, width))
    pre, valid = area_average(pair.pre, pair.valid, rows, cols)
    post, _ = area_average(pair.post, pair.valid, rows, cols)
    true_gsd = pair.gsd_m * math.sqrt((height / rows) * (width / cols))
    tile = replace(pair.tile, px_window=PxWindow(0, 0, cols, rows))
    return TilePair(tile, pre, post, valid, true_gsd, pair.context)


def enlarged(pair: TilePair, height: int, width: int, gsd_m: float) -> TilePair:
    """A coarse pair interpolated (bicubic) back to as many pixels as before: only its detail is gone."""

    def larger(image: U8) -> U8:
        rows_last = np.ascontiguousarray(np.moveaxis(image, 0, 2))
        return np.ascontiguousarray(
            np.moveaxis(cv2.resize(rows_last, (width, height), interpolation=cv2.INTER_CUBIC), 2, 0)
        )

    valid = cv2.resize(pair.valid.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
    tile = replace(pair.tile, px_window=PxWindow(0, 0, width, height))
    pre, post = (larger(image) * valid.astype(np.uint8) for image in (pair.pre, pair.post))
    return TilePair(tile, pre, post, np.asarray(valid), gsd_m, pair.context)


def area_average(image: U8, valid: Bool, rows: int, cols: int) -> tuple[U8, Bool]:
    """Mean of the valid pixels that each new pixel covers, parts of pixels counted by area.

    Args:
        image: uint8 (3, H, W). valid: bool (H, W). rows, cols: wanted, at most H and W.

    Returns:
        uint8 (3, rows, cols), 0 where not valid, and bool (rows, cols).
    """
    values = np.ascontiguousarray(np.moveaxis(image, 0, 2)).astype(np.float32) * valid[..., None]
    small = cv2.resize(values, (cols, rows), interpolation=cv2.INTER_AREA)
    if valid.all():
        seen = np.ones((rows, cols), bool)
    else:
        covered = cv2.resize(valid.astype(np.float32), (cols, rows), interpolation=cv2.INTER_AREA)
        seen = np.asarray(covered >= 0.5)
        small = small / np.maximum(covered, 1e-6)[..., None]
    whole = np.clip(np.rint(small), 0, 255).astype(np.uint8) * seen[..., None].astype(np.uint8)
    return np.ascontiguousarray(np.moveaxis(whole, 2, 0)), seen


def _part(tile: Tile, left: int, top: int, width: int, height: int) -> Tile:
    window, bounds = tile.px_window, tile.map_bounds
    across = (bounds.right - bounds.left) / window.width
    down = (bounds.top - bounds.bottom) / window.height
    inner = MapBounds(
        bounds.left + left * across,
        bounds.top - (top + height) * down,
        bounds.left + (left + width) * across,
        bounds.top - top * down,
    )
    return replace(tile, px_window=PxWindow(window.col + left, window.row + top, width, height), map_bounds=inner)

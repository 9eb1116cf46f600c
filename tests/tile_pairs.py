"""Tile pairs without a raster file."""

from __future__ import annotations

import numpy as np

from rsccli.types import MapBounds, PxWindow, Tile, TilePair


def grey_pair(lift: int, height: int = 128, width: int = 128, *, seed: int = 0, index: int = 0) -> TilePair:
    """A pair of grey noise, all valid, whose post date is ``lift`` levels brighter."""
    rng = np.random.default_rng(seed)
    pre = rng.integers(90, 110, (3, height, width)).astype(np.uint8)
    post = (pre.astype(np.int16) + lift).astype(np.uint8)
    bounds = MapBounds(float(width * index), 0.0, float(width * (index + 1)), float(height))
    tile = Tile(f"r00000c{index:05d}", 0, index, PxWindow(width * index, 0, width, height), bounds)
    return TilePair(tile, pre, post, np.ones((height, width), dtype=bool), 1.0)

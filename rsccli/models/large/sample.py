"""A real pair inside the package, for comparing an export with PyTorch on any machine.

Two dates of North Dakota's prairie (NAIP, public domain, USDA FPAC-BC Geospatial Enterprise Operations), 160 x 160
pixels of 5 m, cut from the example pair: a field was sown, ponds grew.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rsccli.types import MapBounds, PxWindow, Tile, TilePair

PICTURE = Path(__file__).resolve().parent / "assets" / "prairie_2012_2014.png"
GSD_M = 5.0


def sample_pairs() -> list[TilePair]:
    """Three pairs: the whole, one of another shape, and one that is covered in part."""
    import cv2

    both = cv2.cvtColor(cv2.imread(str(PICTURE), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    pre, post = (np.ascontiguousarray(np.moveaxis(date, -1, 0)) for date in np.split(np.asarray(both), 2, axis=1))
    whole = np.ones(pre.shape[1:], bool)
    partly = whole.copy()
    partly[:, 100:] = False
    partly[:30] = False
    return [
        _pair(0, pre, post, whole),
        _pair(1, pre[:, :, :112], post[:, :, :112], whole[:, :112]),
        _pair(2, pre * partly, post * partly, partly),
    ]


def _pair(col: int, pre: np.ndarray, post: np.ndarray, valid: np.ndarray) -> TilePair:
    height, width = valid.shape
    bounds = MapBounds(col * 1000.0, 0.0, col * 1000.0 + width * GSD_M, height * GSD_M)
    tile = Tile(f"r00000c{col:05d}", 0, col, PxWindow(0, 0, width, height), bounds)
    return TilePair(tile, np.ascontiguousarray(pre), np.ascontiguousarray(post), np.ascontiguousarray(valid), GSD_M)

"""Tile pairs as the images that a large model looks at."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rsccli.types import Bool, TilePair

U8 = npt.NDArray[np.uint8]


def pair_pictures(pair: TilePair, mosaic: bool = False) -> list[U8]:
    """Both dates, uint8 (H, W, 3), cut to the part that both cover; or one picture with pre left and post right.

    A tile that reaches over the edge of the imagery would else be half black, which models take for a change.
    """
    rows, cols = covered(pair.valid)
    dates = [np.ascontiguousarray(np.moveaxis(date[:, rows, cols], 0, -1)) for date in (pair.pre, pair.post)]
    return [np.concatenate(dates, axis=1)] if mosaic else dates


def covered(valid: Bool) -> tuple[slice, slice]:
    """Rows and columns of the smallest rectangle with all valid pixels; everything where there is none."""
    if not valid.any():
        return slice(None), slice(None)
    rows, cols = (np.flatnonzero(valid.any(axis=axis)) for axis in (1, 0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(cols[0]), int(cols[-1]) + 1)

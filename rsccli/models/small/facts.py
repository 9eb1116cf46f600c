"""The facts that a sentence of the small captioner is made from, and the words for them.

A sentence says no more than its facts: whether something changed, which kinds of change, how much of the
scene, and where. The training grammar turns facts into sentences; inside the exported encoder the same
facts come from thresholded scores and the thresholded mask. Numpy only: the caption path may import this.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rsccli.types import Bool

KEYWORDS: tuple[str, ...] = (
    "new house",
    "new building",
    "building removed",
    "building damage",
    "debris",
    "new road",
    "road removed",
    "parking lot",
    "bare soil",
    "greener vegetation",
    "drier vegetation",
    "new trees",
    "tree loss",
    "flood",
    "water gain",
    "water loss",
    "burn scar",
)
STATUS_NAMES: tuple[str, ...] = ("unchanged", "unsure", "changed")
EXTENTS: tuple[str, ...] = ("none", "spot", "part", "large", "most")
EXTENT_EDGES: tuple[float, ...] = (0.015, 0.12, 0.45)
PLACES: tuple[str, ...] = (
    "upper left",
    "top",
    "upper right",
    "left",
    "centre",
    "right",
    "lower left",
    "bottom",
    "lower right",
    "spread",
    "nowhere",
)
SPREAD = PLACES.index("spread")
NOWHERE = PLACES.index("nowhere")
THIRDS: tuple[float, float] = (0.36, 0.64)
SPREAD_DEVIATION = 0.34
MAX_KEYWORDS = 3


@dataclass(frozen=True)
class Facts:
    """What one sentence may say.

    Attributes:
        status: index into ``STATUS_NAMES``.
        keywords: indices into ``KEYWORDS``, at most ``MAX_KEYWORDS``; empty where unchanged.
        extent: index into ``EXTENTS``. place: index into ``PLACES``.
    """

    status: int
    keywords: tuple[int, ...] = ()
    extent: int = 0
    place: int = NOWHERE


def mask_facts(mask: Bool, valid: Bool) -> tuple[int, int]:
    """Extent and place of a change mask, by the rule that the exported encoder follows.

    Args:
        mask: bool (h, w), changed cells. valid: bool (h, w), cells with data in both dates.

    Returns:
        Indices into ``EXTENTS`` and ``PLACES``.
    """
    inside = mask & valid
    changed = int(inside.sum())
    if changed == 0:
        return 0, NOWHERE
    fraction = changed / int(valid.sum())
    extent = 1 + sum(fraction >= edge for edge in EXTENT_EDGES)
    rows, cols = np.nonzero(inside)
    height = int(np.nonzero(valid.any(axis=1))[0][-1]) + 1
    width = int(np.nonzero(valid.any(axis=0))[0][-1]) + 1
    y, x = (rows + 0.5) / height, (cols + 0.5) / width
    if x.var() + y.var() > SPREAD_DEVIATION**2:
        return extent, SPREAD
    low, high = THIRDS
    row = int(y.mean() >= low) + int(y.mean() >= high)
    col = int(x.mean() >= low) + int(x.mean() >= high)
    return extent, 3 * row + col

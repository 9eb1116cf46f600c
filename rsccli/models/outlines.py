"""Outlines of buildings or changed areas, drawn on an image that a model is then shown.

Colours of the visual regime of RSCC (Chen et al. 2025): one for each level of xBD's damage scale. Coordinates are
pixels of the tile, continuous and corner based: its first pixel's centre is (0.5, 0.5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np

from rsccli.types import U8, Outline

Level = Literal["no-damage", "minor-damage", "major-damage", "destroyed", "un-classified"]
LEVELS: tuple[Level, ...] = get_args(Level)
#: Level of outlines of which nobody knows more than that something changed there.
CHANGED = "changed"
#: Red, green, blue. Later ones are drawn over earlier ones: of two walls in one place the worse one is seen.
COLOURS: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {
        CHANGED: (255, 255, 255),
        "un-classified": (255, 255, 255),
        "no-damage": (0, 255, 0),
        "minor-damage": (0, 0, 255),
        "major-damage": (255, 165, 0),
        "destroyed": (255, 0, 0),
    }
)


def draw(image: U8, outlines: Sequence[Outline]) -> U8:
    """A copy of an image with lines of two pixels along the outlines.

    Args:
        image: uint8 (3, H, W), red, green, blue. outlines: in pixels of the image; parts beyond it are left off.

    Returns:
        uint8 (3, H, W). A pixel has the colour of a level or is as it was: lines are not smoothed.
    """
    import cv2  # describing a captioner must not load it

    for outline in outlines:
        if outline.level not in COLOURS:
            raise ValueError(f"no colour for the level {outline.level!r}: one of {', '.join(COLOURS)}")
    drawn = image.copy()
    height, width = image.shape[1:]
    for level, colour in COLOURS.items():
        rings = [_corners(outline) for outline in outlines if outline.level == level]
        if not rings:
            continue
        # Thin lines on the lattice of pixel corners: a pixel is painted where a line meets one of its four corners.
        # That is two pixels, one on either side; OpenCV's own lines of thickness 2 are three pixels wide.
        lattice = np.zeros((height + 1, width + 1), np.uint8)
        cv2.polylines(lattice, rings, True, 1, 1, cv2.LINE_8)
        met = (lattice[:-1, :-1] | lattice[:-1, 1:] | lattice[1:, :-1] | lattice[1:, 1:]) > 0
        drawn[:, met] = np.array(colour, np.uint8)[:, None]
    return drawn


def _corners(outline: Outline) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    """The nearest pixel corners, int32 (K, 1, 2). A half goes up, so that equal edges are rounded alike."""
    return np.floor(np.array(outline.points, np.float64).reshape(-1, 1, 2) + 0.5).astype(np.int32)

"""Parts of an xBD image: squares of 512 px, numbered row by row from 1, as RSCC numbers the four of 1024 px."""

from __future__ import annotations

from rsccli.errors import InputError
from rsccli.types import MapBounds, PxWindow, Tile

PART_PX = 512


def parts_of(width: int, height: int) -> tuple[Tile, ...]:
    """The parts of an image, the upper row first, from left to right.

    Returns:
        Tiles with the ids ``part1``, ``part2``, ...; their map is the image itself, in pixels.

    Raises:
        InputError: a side is no multiple of 512.
    """
    if width < PART_PX or height < PART_PX or width % PART_PX or height % PART_PX:
        raise InputError(
            f"it has {width}x{height} pixels; parts are cut from images whose sides are multiples of {PART_PX} "
            "(xBD's have 1024x1024)"
        )
    parts: list[Tile] = []
    for top in range(0, height, PART_PX):
        for left in range(0, width, PART_PX):
            bounds = MapBounds(left, top + PART_PX, left + PART_PX, top)
            window = PxWindow(left, top, PART_PX, PART_PX)
            parts.append(Tile(f"part{len(parts) + 1}", top // PART_PX, left // PART_PX, window, bounds))
    return tuple(parts)

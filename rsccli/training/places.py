"""Places: what must never be both learned from and tested on."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath
from typing import Protocol, TypeVar

from rsccli.errors import InputError, UsageProblem

#: West, south, east, north in degrees.
Box = tuple[float, float, float, float]
KM_PER_DEGREE = 111.32
#: Dates and words that tell one image of a place from another.
_DATE = re.compile(r"(?<!\d)(19|20)\d\d([-_.]?(0[1-9]|1[0-2])([-_.]?(0[1-9]|[12]\d|3[01]))?)?(?!\d)")
_WORD = re.compile(r"(?<![a-z0-9])(pre|post|before|after|t[12]|disaster)(?![a-z0-9])")


class Placed(Protocol):
    """Anything with a place."""

    @property
    def place(self) -> str:
        """Its name."""
        ...


_T = TypeVar("_T", bound=Placed)


def place_of_name(path: PurePath) -> str:
    """The place that a file name tells: its stem without dates and words such as pre and post."""
    stem = path.stem.lower()
    left = _WORD.sub("", _DATE.sub("", stem))
    return re.sub(r"[-_. ]+", "_", left).strip("_") or stem


def places_of_boxes(boxes: Sequence[Box], km: float) -> list[str]:
    """Names of places for footprints: cells of a grid by their centres, joined where footprints share ground.

    Without joining, two images of the same house on either side of a cell's edge would count as two places.

    Args:
        boxes: in longitude/latitude. km: side of a cell, above 0.
    """
    cells = [_cell(box, km) for box in boxes]
    parent = {cell: cell for cell in cells}

    def root(cell: str) -> str:
        while parent[cell] != cell:
            parent[cell] = parent[parent[cell]]
            cell = parent[cell]
        return cell

    order = sorted(range(len(boxes)), key=lambda i: boxes[i][0])
    open_boxes: list[int] = []
    for i in order:
        west = boxes[i][0]
        open_boxes = [j for j in open_boxes if boxes[j][2] > west]
        for j in open_boxes:
            if _share_ground(boxes[i], boxes[j]):
                a, b = sorted((root(cells[i]), root(cells[j])))
                parent[b] = a
        open_boxes.append(i)
    return [root(cell) for cell in cells]


def _cell(box: Box, km: float) -> str:
    lon, lat = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    row = math.floor(lat * KM_PER_DEGREE / km)
    # One width for the whole row, so that cells of a row share their edges.
    across = max(math.cos(math.radians((row + 0.5) * km / KM_PER_DEGREE)), 0.01)
    return f"cell {row} {math.floor(lon * KM_PER_DEGREE * across / km)}"


def _share_ground(a: Box, b: Box) -> bool:
    """More than a hundredth of the smaller one: neighbours that only touch do not."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return False
    smaller = min((c[2] - c[0]) * (c[3] - c[1]) for c in (a, b))
    return width * height > 0.01 * smaller


def split_by_place(records: Sequence[_T], held_out_share: float, seed: int) -> tuple[tuple[_T, ...], tuple[_T, ...]]:
    """Records to learn from, and held-out ones; no place is on both sides.

    Which places are held out depends on their names and the seed alone, so that a place stays on its side when
    records are added.

    Args:
        held_out_share: of all records, above 0 and below 1; met as nearly as whole places allow.

    Raises:
        UsageProblem: the share is out of range. InputError: all records are of one place.
    """
    if not 0 < held_out_share < 1:
        raise UsageProblem(f"the held-out share {held_out_share} must lie between 0 and 1; use for example 0.2")
    sizes = Counter(record.place for record in records)
    if len(sizes) < 2:
        raise InputError(
            f"all {len(records)} records are of one place ({next(iter(sizes), 'none')}): nothing could be held out. "
            "Give the records places of their own (place), make --place-km smaller, or add pairs of another place"
        )
    wanted = held_out_share * len(records)
    held: set[str] = set()
    taken = 0
    for place in sorted(sizes, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest()):
        if len(held) + 1 == len(sizes) or taken >= wanted:
            break
        # A place that overshoots more than leaving it out would undershoot stays in training.
        if abs(taken + sizes[place] - wanted) <= abs(taken - wanted):
            held.add(place)
            taken += sizes[place]
    if not held:
        held.add(min(sizes, key=lambda name: (sizes[name], name)))
    return (
        tuple(record for record in records if record.place not in held),
        tuple(record for record in records if record.place in held),
    )

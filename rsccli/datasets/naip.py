"""Real aerial pairs: NAIP chips of the same ground on several dates, and which places are held out."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import rasterio
from rasterio.coords import BoundingBox

from rsccli.errors import InputError
from rsccli.types import U8

Split = Literal["train", "development", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
GSD_M = 0.6
HELD_OUT_CITY = "riverside"
_NAME = re.compile(r"(?P<city>[a-z_]+)_(?P<year>\d{4})_(?P<number>\d+)\.tif$")


def split_of(city: str, number: int) -> Split:
    """One whole city is held out of training, half for development and half for testing.

    Of the other cities every fifth place is for development.
    """
    if city == HELD_OUT_CITY:
        return "test" if number % 2 else "development"
    return "train" if number % 5 else "development"


@dataclass(frozen=True)
class Chip:
    """One date of one place.

    Attributes:
        year: of the flight. image: uint8 (H, W, 3), red, green, blue.
        trees: (n, 2) x and y of tree crowns, pixels from the upper left.
    """

    year: int
    image: U8
    trees: np.ndarray


@dataclass(frozen=True)
class Place:
    """The same ground on one or more dates.

    Attributes:
        city, number: its name. chips: by year, all on one grid. map_bounds: of that grid.
    """

    city: str
    number: int
    chips: tuple[Chip, ...]
    map_bounds: BoundingBox

    @property
    def name(self) -> str:
        """``city_number``."""
        return f"{self.city}_{self.number}"

    @property
    def split(self) -> Split:
        """See `split_of`."""
        return split_of(self.city, self.number)


def read_places(folder: Path) -> list[Place]:
    """All places of a folder of ``CITY_YEAR_NUMBER.tif`` chips, in a fixed order.

    Dates whose grid is not that of the first date are left out, and so are training places that touch a
    held-out one, and development places that touch one for testing.

    Args:
        folder: with the chips and ``trees.csv`` (chip, x, y), the latter optional.

    Raises:
        InputError: no chips are there.
    """
    trees = _read_trees(folder / "trees.csv")
    dates: dict[tuple[str, int], list[tuple[Chip, BoundingBox]]] = defaultdict(list)
    for path in sorted(folder.glob("*.tif")):
        match = _NAME.match(path.name)
        if match is None:
            continue
        with rasterio.open(path) as source:
            image = np.ascontiguousarray(np.moveaxis(source.read((1, 2, 3)), 0, 2))
            bounds = source.bounds
        chip = Chip(int(match["year"]), image, trees.get(path.stem, np.zeros((0, 2))))
        dates[match["city"], int(match["number"])].append((chip, bounds))
    if not dates:
        raise InputError(f"{folder} holds no NAIP chips (CITY_YEAR_NUMBER.tif); pass their folder with --data")
    places = []
    for (city, number), found in sorted(dates.items()):
        bounds = found[0][1]
        chips = tuple(chip for chip, other in found if other == bounds and chip.image.shape == found[0][0].image.shape)
        places.append(Place(city, number, chips, bounds))
    return [place for place in places if not any(_touch(place, other) for other in _kept_apart(place, places))]


def _kept_apart(place: Place, places: list[Place]) -> list[Place]:
    """Places that must share no ground with one: what is used later than it, from training to testing."""
    return [other for other in places if SPLITS.index(other.split) > SPLITS.index(place.split)]


def _touch(first: Place, second: Place) -> bool:
    a, b = first.map_bounds, second.map_bounds
    if first.city != second.city:
        return False
    return bool(a.left < b.right and b.left < a.right and a.bottom < b.top and b.bottom < a.top)


def _read_trees(path: Path) -> dict[str, np.ndarray]:
    if not path.exists():
        return {}
    points: dict[str, list[tuple[float, float]]] = defaultdict(list)
    with path.open(newline="") as lines:
        for row in csv.DictReader(lines):
            points[row["chip"]].append((float(row["x"]), float(row["y"])))
    return {name: np.array(found) for name, found in points.items()}


def cross_date_pairs(places: list[Place], split: Split) -> list[tuple[str, U8, U8]]:
    """Every ordered pair of dates of the places of a split: name, earlier image, later image (H, W, 3)."""
    pairs = []
    for place in places:
        if place.split != split:
            continue
        for i, first in enumerate(place.chips):
            for second in place.chips[i + 1 :]:
                pairs.append((f"{place.name}:{first.year}-{second.year}", first.image, second.image))
    return pairs

"""The bounding box of many footprints, kept while they stream by."""

from __future__ import annotations

import numpy as np

from rsccli.geo.edges import wrap_degrees
from rsccli.geo.footprint import BBox, grid_footprint
from rsccli.types import Grid


class LonLatExtent:
    """Union of bounding boxes; over the antimeridian it has west > east (RFC 7946, section 5.2).

    Longitudes are taken relative to the middle of the grid, so that boxes on both sides of the
    antimeridian are neighbours.
    """

    def __init__(self, grid: Grid) -> None:
        west, _, east, _ = grid_footprint(grid).bbox
        self._middle = west + ((east - west) % 360 or 360.0) / 2
        self._west = self._south = float("inf")
        self._east = self._north = float("-inf")

    def add(self, bbox: BBox) -> None:
        """Take in one more box."""
        west, south, east, north = bbox
        width = east - west if east >= west else east - west + 360
        start = (west - self._middle + 180) % 360 - 180
        self._west = min(self._west, start)
        self._east = max(self._east, start + width)
        self._south = min(self._south, south)
        self._north = max(self._north, north)

    @property
    def bbox(self) -> BBox | None:
        """West, south, east, north in degrees, or None where nothing was added."""
        if self._west > self._east:
            return None
        if self._east - self._west >= 360:
            return (-180.0, self._south, 180.0, self._north)
        return (
            _into_range(self._west + self._middle, -180.0),
            self._south,
            _into_range(self._east + self._middle, 180.0),
            self._north,
        )


def _into_range(lon: float, antimeridian: float) -> float:
    """A longitude within -180..180, 7 decimals; the antimeridian itself takes the sign asked for."""
    rounded = round(float(wrap_degrees(np.array([lon]))[0]), 7) + 0.0
    return antimeridian if abs(rounded) == 180 else rounded

"""Where something lies within the scene: the union of footprints, its box, and a direction in words.

Footprints that cross the antimeridian are already cut there (RFC 7946, section 3.1.9): their parts are united within
-180 to 180 degrees, so the union is cut there, too. Boxes over it have west > east (section 5.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

import numpy as np
import shapely

from rsccli.geo.footprint import DECIMALS, BBox, LonLat, Ring

#: One polygon: its outer ring, counter-clockwise, then its holes, clockwise; all closed.
Rings: TypeAlias = tuple[Ring, ...]

#: Thirds of the scene, and the share of both its sides beyond which something lies across all of it.
_THIRDS = (1 / 3, 2 / 3)
_ACROSS = 2 / 3
# Polygons that are united at a time.
_BATCH = 2048
_NAMES = (
    ("north-west", "north", "north-east"),
    ("west", "centre", "east"),
    ("south-west", "south", "south-east"),
)


@dataclass(frozen=True, slots=True)
class Extent:
    """A box on the Earth whose longitudes are counted on from its west side.

    Attributes:
        west, south: degrees. width, height: degrees, 0-360 and 0-180.
    """

    west: float
    south: float
    width: float
    height: float

    @property
    def bbox(self) -> BBox:
        """West, south, east, north; west > east over the antimeridian."""
        if self.width >= 360 - 1e-9:
            return (-180.0, self.south, 180.0, self.south + self.height)
        east = self.west + self.width
        if east > 180 + 1e-9:
            east -= 360
        return (self.west, self.south, round(east, DECIMALS) + 0.0, round(self.south + self.height, DECIMALS) + 0.0)


def extent_of(boxes: Iterable[BBox]) -> Extent | None:
    """The smallest box around boxes: it leaves out the widest gap between them; None around none."""
    given = list(boxes)
    if not given:
        return None
    south, north = min(box[1] for box in given), max(box[3] for box in given)
    around = Extent(-180.0, south, 360.0, north - south)
    if any(box[2] - box[0] >= 360 - 1e-9 for box in given):
        return around
    spans = sorted((box[0], (box[2] - box[0]) % 360) for box in given)
    # What reaches over the antimeridian covers the beginning, too.
    reached = max(west + width for west, width in spans) - 360
    widest, begin = 0.0, 0.0
    for west, width in spans:
        if west - reached > widest:
            widest, begin = west - reached, west
        reached = max(reached, west + width)
    return Extent(begin, south, 360 - widest, north - south) if widest > 0 else around


def direction(lonlat: LonLat, own: Extent, scene: Extent) -> str | None:
    """Where in the scene something lies, e.g. ``north-west``; ``all parts`` where it reaches over most of it.

    Args:
        lonlat: its middle. own: its box. scene: the box of the whole scene.

    Returns:
        None where north and west mean nothing: around a pole, and on a map of the whole Earth.
    """
    if scene.width >= 180 or scene.width <= 0 or scene.height <= 0:
        return None
    if scene.south <= -90 + 1e-6 or scene.south + scene.height >= 90 - 1e-6:
        return None
    if own.width >= _ACROSS * scene.width and own.height >= _ACROSS * scene.height:
        return "all parts"
    x = ((lonlat[0] - scene.west + 180) % 360 - 180) / scene.width
    y = (scene.south + scene.height - lonlat[1]) / scene.height
    row, col = (sum(value >= edge for edge in _THIRDS) for value in (y, x))
    return _NAMES[row][col]


def united(polygons: Iterable[Ring]) -> tuple[Rings, ...]:
    """The union of the parts of footprints, as valid polygons with holes, in a fixed order.

    Args:
        polygons: closed rings, each the outside of one part.
    """
    source = iter(polygons)
    batches = []
    while batch := list(islice(source, _BATCH)):
        ring_of = np.repeat(np.arange(len(batch)), [len(ring) for ring in batch])
        batches.append(shapely.union_all(shapely.polygons(shapely.linearrings(np.concatenate(batch), indices=ring_of))))
    whole = shapely.union_all(batches)
    parts = [part for part in getattr(whole, "geoms", [whole]) if part.geom_type == "Polygon" and not part.is_empty]
    return tuple(sorted(_rings(part) for part in parts))


def bounds(rings: Rings) -> BBox:
    """Box of one polygon, which never crosses the antimeridian itself."""
    west, south, east, north = np.array(rings[0]).min(axis=0).tolist() + np.array(rings[0]).max(axis=0).tolist()
    return west, south, east, north


def middle(lonlats: Sequence[LonLat], weights: Sequence[float]) -> LonLat:
    """Weighted mean of places; longitudes are counted from the first one, so that the antimeridian is no jump."""
    points, shares = np.array(lonlats, float), np.array(weights, float)
    if shares.sum() <= 0:
        shares = np.ones(len(points))
    first = points[0, 0]
    lon = first + np.average((points[:, 0] - first + 180) % 360 - 180, weights=shares)
    lat = np.average(points[:, 1], weights=shares)
    return round(float((lon + 180) % 360 - 180), 5) + 0.0, round(float(lat), 5) + 0.0


def box_middle(bbox: BBox) -> LonLat:
    """Middle of a box, degrees."""
    west, south, east, north = bbox
    lon = (west + (east if east >= west else east + 360)) / 2
    return (lon - 360 if lon > 180 else lon), (south + north) / 2


def _rings(part: shapely.Polygon) -> Rings:
    turned = shapely.geometry.polygon.orient(part)
    return tuple(_ring(ring) for ring in (turned.exterior, *turned.interiors))


def _ring(ring: shapely.LinearRing) -> Ring:
    points = np.round(shapely.get_coordinates(ring), DECIMALS)[:-1] + 0.0
    # From a fixed point, so that the same area is the same bytes whatever the order of its tiles.
    start = int(np.lexsort((points[:, 1], points[:, 0]))[0])
    turned = np.roll(points, -start, axis=0).tolist()
    return tuple((float(x), float(y)) for x, y in [*turned, turned[0]])

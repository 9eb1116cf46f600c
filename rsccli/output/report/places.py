"""Footprints of tiles as whole numbers on a web map: compact in a page, exact enough for any screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from rsccli.geo.edges import I64
from rsccli.geo.mercator import MAX_LATITUDE, to_mercator
from rsccli.output.features import Feature
from rsccli.types import MapBounds

#: Steps across a tile of middling size: a tile as wide as a screen is off by less than a pixel.
_STEPS = 2_000


@dataclass(frozen=True)
class Places:
    """Where the tiles lie in Web Mercator.

    Attributes:
        left_m, bottom_m: where counting begins, metres of EPSG:3857. step_m: metres of one step.
        rings: per tile its rings, each x, y of the first corner and then the way to each next one, in steps;
            open (the first corner is not repeated).
        bounds: around all tiles, metres.
    """

    left_m: float
    bottom_m: float
    step_m: float
    rings: tuple[tuple[tuple[int, ...], ...], ...]
    bounds: MapBounds


def places(features: Sequence[Feature]) -> Places | None:
    """Places of the tiles; None where there are none, or one is too near to a pole for a web map."""
    if not features:
        return None
    points = [point for feature in features for ring in feature.polygons for point in ring]
    lon, lat = np.array(points).T
    if not np.isfinite(lat).all() or np.abs(lat).max() > MAX_LATITUDE:
        return None
    sizes = [len(ring) for feature in features for ring in feature.polygons]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    # No ring crosses the antimeridian: each moves as a whole to the turn of the Earth that the tiles lie around.
    middles = np.add.reduceat(lon, starts[:-1]) / sizes
    turns = np.round((_middle_longitude(features) - middles) / 360)
    x, y = to_mercator(lon + np.repeat(360 * turns, sizes), lat)
    wide = np.maximum.reduceat(x, starts[:-1]) - np.minimum.reduceat(x, starts[:-1])
    bounds = MapBounds(float(x.min()), float(y.min()), float(x.max()), float(y.max()))
    step_m = max(float(np.median(wide)) / _STEPS, 1e-3)
    whole = np.rint(np.stack([x - bounds.left, y - bounds.bottom], axis=1) / step_m).astype(np.int64)
    rings, at = [], 0
    for feature in features:
        parts = []
        for _ in feature.polygons:
            parts.append(_compact(whole[starts[at] : starts[at + 1]]))
            at += 1
        rings.append(tuple(parts))
    return Places(bounds.left, bounds.bottom, step_m, tuple(rings), bounds)


def _middle_longitude(features: Sequence[Feature]) -> float:
    """The longitude that the tiles lie around: the mean direction, so that the antimeridian is no edge."""
    boxes = np.array([feature.bbox for feature in features])
    west, east = boxes[:, 0], np.where(boxes[:, 2] < boxes[:, 0], boxes[:, 2] + 360, boxes[:, 2])
    angle = np.radians((west + east) / 2)
    return float(np.degrees(np.arctan2(np.sin(angle).mean(), np.cos(angle).mean())))


def _compact(corners: I64) -> tuple[int, ...]:
    """One closed ring of whole numbers as its first corner and steps; corners on a straight edge are left out."""
    if len(corners) > 5:
        line = shapely.simplify(shapely.Polygon(corners), 1.0, preserve_topology=True)
        if not line.is_empty and line.geom_type == "Polygon":
            corners = np.rint(shapely.get_coordinates(line.exterior)).astype(np.int64)
    corners = corners[:-1]
    steps = np.concatenate([corners[:1], np.diff(corners, axis=0)])
    return tuple(int(value) for value in steps.ravel())

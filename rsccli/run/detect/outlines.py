"""Outlines of labelled pixels on whole pixel corners: traced, mended, united."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio.features
import shapely
from affine import Affine

from rsccli.types import PxWindow

F64 = npt.NDArray[np.float64]


def traced(labels: npt.NDArray[np.int32], window: PxWindow) -> dict[int, Any]:
    """A polygon for each label above 0, on pixel corners of the grid.

    Args:
        labels: (h, w) of the window; pixels of one share edges.
    """
    parts = {}
    shapes = rasterio.features.shapes(
        labels, mask=labels > 0, connectivity=4, transform=Affine.translation(window.col, window.row)
    )
    for shape, label in shapes:
        rings = shape["coordinates"]
        polygon = shapely.Polygon(rings[0], rings[1:])
        parts[int(label)] = polygon if polygon.is_valid else _mended(polygon)
    return parts


def united(parts: Iterable[Any]) -> Any:  # noqa: ANN401 - a shapely geometry
    """One polygon of parts that share edges, in normal form, without vertices on straight edges."""
    parts = list(parts)
    whole = parts[0] if len(parts) == 1 else shapely.union_all(parts)
    whole = shapely.normalize(whole)
    # Once more: the order of holes follows from their vertices.
    return shapely.normalize(shapely.Polygon(_corners(whole.exterior), [_corners(ring) for ring in whole.interiors]))


def _corners(ring: Any) -> F64:  # noqa: ANN401 - a shapely ring
    """Vertices at which a ring turns; the first of a ring in normal form is one."""
    points: F64 = shapely.get_coordinates(ring)[:-1]
    into, out = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    turns: F64 = points[into[:, 0] * out[:, 1] != into[:, 1] * out[:, 0]]
    return turns


def _mended(polygon: Any) -> Any:  # noqa: ANN401 - a shapely geometry
    """A valid polygon of the same area, where a ring touches itself."""
    valid = shapely.make_valid(polygon)
    if valid.geom_type == "Polygon":
        return valid
    pieces = [part for part in valid.geoms if part.geom_type in ("Polygon", "MultiPolygon")]
    return shapely.union_all(pieces)

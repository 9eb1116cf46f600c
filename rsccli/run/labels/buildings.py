"""Outlines of buildings in pixels of an image: valid polygons, each with a level of damage, and two indices of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import shapely

from rsccli.geo.geometry import F64
from rsccli.models.outlines import LEVELS, Level

#: Square pixels of a building in a tile; less is the rounding error of an edge that both have in common.
LEAST_SHARED_PX2 = 1e-3

_UNCLASSIFIED: Level = "un-classified"
_WORDS: dict[str, Level] = {
    **{level: level for level in LEVELS},
    "minor": "minor-damage",
    "major": "major-damage",
    "unclassified": _UNCLASSIFIED,
}

Shapes = npt.NDArray[np.object_]


class Buildings(NamedTuple):
    """Buildings on an image, in its pixels: (Multi)Polygons (N,), levels, centroids (N, 2), and an index of both."""

    shapes: Shapes
    levels: tuple[Level, ...]
    centroids: F64
    shape_tree: shapely.STRtree
    centroid_tree: shapely.STRtree


def on_image(shapes: Shapes, levels: Sequence[Level], size_px: tuple[int, int]) -> Buildings:
    """The buildings with a part or their centroid on an image.

    Args:
        shapes: valid (Multi)Polygons (N,), pixels of the image, corner based. levels: one for each.
        size_px: width and height of the image.
    """
    centroids = shapely.centroid(shapes)
    px_centroids = np.stack([shapely.get_x(centroids), shapely.get_y(centroids)], axis=1)
    there = shapely.area(shapely.clip_by_rect(shapes, 0, 0, *size_px)) > LEAST_SHARED_PX2
    there |= ((px_centroids >= 0) & (px_centroids < size_px)).all(axis=1)
    shapes, px_centroids = shapes[there], px_centroids[there]
    return Buildings(
        shapes,
        tuple(level for level, here in zip(levels, there, strict=True) if here),
        px_centroids,
        shapely.STRtree(shapes),
        shapely.STRtree(shapely.points(px_centroids)),
    )


def only_polygons(given: Shapes) -> Shapes:
    """Each shape made valid and reduced to its polygons: where an outline crosses itself lines may be left over."""
    shapes = shapely.force_2d(shapely.make_valid(given))
    plain = shapely.is_missing(shapes) | (shapely.get_type_id(shapes) == shapely.GeometryType.POLYGON)
    for index in np.flatnonzero(~plain):
        shapes[index] = shapely.MultiPolygon(polygons(shapes[index]))
    return np.asarray(shapes, object)


def with_polygon(given: Shapes) -> tuple[Shapes, npt.NDArray[np.bool_], tuple[str, ...]]:
    """Valid polygons, which rows they come from, and what was left out."""
    shapes = only_polygons(given)
    kept = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    left_out = int((~kept).sum())
    notes = (f"{left_out} of {len(given)} features have no polygon and were left out",) if left_out else ()
    return shapes[kept], kept, notes


def polygons(shape: shapely.Geometry) -> list[shapely.Geometry]:
    """The polygons of a shape of any kind."""
    parts = shapely.get_parts(shapely.get_parts([shape]))  # a collection may hold collections
    return [part for part in parts if part.geom_type == "Polygon" and not part.is_empty]


def levels_of(values: Iterable[object]) -> tuple[list[Level], tuple[str, ...]]:
    """One level for each word of a file, and a warning where a value is none."""
    unknown: Counter[str] = Counter()
    levels: list[Level] = []
    for value in values:
        word = "-".join(str(value).replace("_", " ").replace("-", " ").split()).casefold()
        level = _WORDS.get(word)
        if level is None:
            unknown["empty" if value is None or value != value else repr(str(value))[:40]] += 1
        levels.append(level or _UNCLASSIFIED)
    if not unknown:
        return levels, ()
    told = ", ".join(f"{value} ({times} times)" for value, times in unknown.most_common(5))
    more = f" and {len(unknown) - 5} more values" if len(unknown) > 5 else ""
    return levels, (f"counted as {_UNCLASSIFIED}, because it is no level of damage: {told}{more}",)

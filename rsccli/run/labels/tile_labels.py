"""The labels of a whole image, and what one tile holds of them: counts of each level, and outlines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import numpy as np
import shapely

from rsccli.models.outlines import LEVELS
from rsccli.run.labels.buildings import LEAST_SHARED_PX2, Buildings, polygons
from rsccli.types import Outline, Tile

Rule = Literal["centroid", "touch"]


@dataclass(frozen=True, slots=True)
class TileLabels:
    """The labels of one tile.

    Attributes:
        counts: buildings of each of `LEVELS`, zeros included.
        outlines: of every building that touches the tile, cut at its edges, in pixels of the tile; courtyards, too.
        source: file and rule, as results name it. disaster: see `Labels`.
    """

    counts: Mapping[str, int]
    outlines: tuple[Outline, ...]
    source: str
    disaster: str | None = None


@dataclass(frozen=True, eq=False)
class Labels:
    """The buildings of a labels file that lie on a grid.

    Attributes:
        name: of the file, without its folder. digest: sha256 of its bytes, hexadecimal.
        column: holds the levels. rule: where a building is counted.
        disaster: type that the file names, or None. warnings: what was left out or guessed.
        size_px: width and height of the grid. buildings: those that lie on it.
    """

    name: str
    digest: str
    column: str
    rule: Rule
    disaster: str | None
    warnings: tuple[str, ...]
    size_px: tuple[int, int]
    buildings: Buildings = field(repr=False)

    def __len__(self) -> int:
        return len(self.buildings.levels)

    @property
    def source(self) -> str:
        """What results say of where counts come from."""
        return f"labels: {self.name} ({self.rule})"

    @property
    def identity(self) -> str:
        """All of it that decides a result: for the spec of a run."""
        return f"sha256={self.digest} column={self.column} rule={self.rule}"

    def of(self, tile: Tile) -> TileLabels:
        """Counts and outlines of one tile; where it reaches beyond the grid there are none.

        Of the edges of a tile only the left and the upper one belong to it: without overlap each centroid lies in
        one tile. Tiles that overlap each count what they hold.
        """
        col, row, width, height = tile.px_window
        left, top = max(col, 0), max(row, 0)
        right, bottom = min(col + width, self.size_px[0]), min(row + height, self.size_px[1])
        window = shapely.box(left, top, right, bottom)
        buildings = self.buildings
        near = np.sort(buildings.shape_tree.query(window, predicate="intersects"))
        parts = shapely.intersection(buildings.shapes[near], window)
        # What shares no more than an edge with the tile has no pixel in it.
        inside = shapely.area(parts) > LEAST_SHARED_PX2
        touching, parts = near[inside], parts[inside]
        counted = touching
        if self.rule == "centroid":
            counted = buildings.centroid_tree.query(window, predicate="intersects")
            xs, ys = buildings.centroids[counted].T
            counted = counted[(xs < right) & (ys < bottom)]
        counts: dict[str, int] = dict.fromkeys(LEVELS, 0)
        for index in counted:
            counts[buildings.levels[index]] += 1
        outlines = tuple(
            Outline(ring, buildings.levels[index])
            for index, part in zip(touching, parts, strict=True)
            for ring in _rings(part, (col, row), (width, height))
        )
        return TileLabels(MappingProxyType(counts), outlines, self.source, self.disaster)


def _rings(
    part: shapely.Geometry, origin: tuple[int, int], size: tuple[int, int]
) -> list[tuple[tuple[float, float], ...]]:
    """Every ring of a shape in pixels of a tile, without the repeated end."""
    rings = shapely.get_rings(polygons(part))
    # The clip leaves the edge by a rounding error at most.
    each = (np.clip(shapely.get_coordinates(ring)[:-1] - origin, 0, size) for ring in rings)
    return [tuple((float(x), float(y)) for x, y in points) for points in each]

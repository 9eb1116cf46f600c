"""Change areas: tiles called changed that touch and carry the same keyword, merged into one area each.

A tile with several keywords belongs to an area of each. A tile's mask is not split by keyword, so where a tile of an
area carries more than one, or where tiles overlap, the changed ground of the area is known from above only: its
sentence says "up to". Everything here comes from the grid and the masks; keywords come from the captioner.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np

from rsccli.geo.footprint import BBox, LonLat, Ring, grid_footprint
from rsccli.output.components import touching_groups
from rsccli.output.features import Feature
from rsccli.output.ground import covered_m2, footprints_of, tile_id, tile_windows, tiles_overlap
from rsccli.output.region import Extent, Rings, bounds, box_middle, direction, extent_of, middle, united
from rsccli.output.wording import CITED, area_sentence
from rsccli.types import RunFacts

#: Areas that a report shows; the rest is counted.
SHOWN = 20
#: Kind of a change without a keyword.
UNNAMED = ""
# Tiles of a kind that are kept to be cited.
_FIRST = CITED + 1


@dataclass(frozen=True)
class ChangeArea:
    """Neighbouring tiles with the same kind of change.

    Attributes:
        id: ``A1`` is the largest.
        keyword: the kind of change that all its tiles carry; empty where the captioner names none.
        tile_ids: in reading order. The tiles are connected by shared edges, corners or overlaps.
        polygons: union of the tiles' footprints: outer ring and holes of each part, cut at the antimeridian.
        bbox: west, south, east, north in degrees; west > east over the antimeridian.
        lonlat: mean of the tiles' middles, weighted by their changed ground.
        direction: where in the scene, e.g. ``north-west``, ``all parts``; None where that means nothing.
        area_m2: changed ground in the tiles' masks; None where the captioner gives no masks.
        area_is_bound: the changed ground of this kind may be less: tiles overlap, or carry other keywords, too.
        ground_m2: ground that the tiles cover together; None where the facts of the run are lost.
        score: highest change score of its tiles.
        sentence: all of this in words, with its tiles cited.
    """

    id: str
    keyword: str
    tile_ids: tuple[str, ...]
    polygons: tuple[Rings, ...]
    bbox: BBox
    lonlat: LonLat
    direction: str | None
    area_m2: float | None
    area_is_bound: bool
    ground_m2: float | None
    score: float | None
    sentence: str

    @property
    def geometry(self) -> dict[str, object]:
        """Its GeoJSON geometry."""
        if len(self.polygons) == 1:
            return {"type": "Polygon", "coordinates": self.polygons[0]}
        return {"type": "MultiPolygon", "coordinates": self.polygons}


@dataclass(frozen=True)
class KindCount:
    """How many tiles carry a keyword, and how many areas they form.

    Attributes:
        first: some of the tiles, the first in reading order.
    """

    keyword: str
    tiles: int
    areas: int
    first: tuple[str, ...]


@dataclass(frozen=True)
class AreaList:
    """The areas of a run.

    Attributes:
        areas: the largest ones, at most ``SHOWN``. total: how many there are.
        kinds: every keyword, the one with most tiles first.
    """

    areas: tuple[ChangeArea, ...] = ()
    total: int = 0
    kinds: tuple[KindCount, ...] = ()


class AreaGatherer:
    """Takes features one by one and keeps some 60 bytes of each changed one.

    Args:
        facts: of the run; None where they are lost: then footprints are kept, too.
    """

    def __init__(self, facts: RunFacts | None) -> None:
        self._facts = facts
        self._rows, self._cols = array("q"), array("q")
        self._area, self._score = array("d"), array("d")
        self._lon, self._lat = array("d"), array("d")
        self._kinds_of = array("q")
        self._odd_ids: dict[int, str] = {}
        self._by_kind: dict[str, array[int]] = {}
        self._footprints: list[tuple[Ring, ...]] = []
        self._boxes: list[BBox] = []

    def add(self, feature: Feature) -> None:
        """Take in one feature of any status."""
        if self._facts is None:
            self._boxes.append(feature.bbox)
        if feature.status != "changed":
            return
        index = len(self._rows)
        self._rows.append(feature.tile_row)
        self._cols.append(feature.tile_col)
        self._area.append(float("nan") if feature.changed_area_m2 is None else feature.changed_area_m2)
        self._score.append(float("nan") if feature.change_score is None else feature.change_score)
        lon, lat = box_middle(feature.bbox)
        self._lon.append(lon)
        self._lat.append(lat)
        kinds = dict.fromkeys(feature.keywords or (UNNAMED,))
        self._kinds_of.append(len(kinds))
        if feature.id != tile_id(feature.tile_row, feature.tile_col):
            self._odd_ids[index] = feature.id
        for kind in kinds:
            self._by_kind.setdefault(kind, array("q")).append(index)
        if self._facts is None:
            self._footprints.append(feature.polygons)

    def areas(self) -> AreaList:
        """The areas of all features that were added, whatever their order was."""
        drafts: list[_Draft] = []
        kinds = []
        for kind, members in self._by_kind.items():
            groups = touching_groups([(self._rows[i], self._cols[i]) for i in members], self._facts)
            order = sorted(members, key=lambda i: (self._rows[i], self._cols[i], self._id(i)))
            first = tuple(self._id(index) for index in order[:_FIRST])
            kinds.append(KindCount(kind, len(members), len(groups), first))
            drafts += [self._draft(kind, [members[place] for place in group]) for group in groups]
        drafts.sort(key=lambda draft: draft.order)
        scene = self._scene()
        return AreaList(
            areas=tuple(self._area_of(f"A{n}", draft, scene) for n, draft in enumerate(drafts[:SHOWN], start=1)),
            total=len(drafts),
            kinds=tuple(sorted(kinds, key=lambda kind: (-kind.tiles, kind.keyword))),
        )

    def _id(self, index: int) -> str:
        return self._odd_ids.get(index) or tile_id(self._rows[index], self._cols[index])

    def _draft(self, kind: str, members: list[int]) -> _Draft:
        members.sort(key=lambda index: (self._rows[index], self._cols[index], self._id(index)))
        areas = [self._area[index] for index in members]
        known = not any(np.isnan(areas))
        scores = [self._score[index] for index in members if not np.isnan(self._score[index])]
        # Whole square centimetres, so that the sum does not depend on the order of the features.
        area_m2 = sum(round(area * 10_000) for area in areas) / 10_000 if known else None
        score = max(scores, default=None)
        order = (-(area_m2 or 0.0), -len(members), -(score or 0.0), self._id(members[0]), kind)
        return _Draft(kind, members, area_m2, score, order)

    def _area_of(self, area_id: str, draft: _Draft, scene: Extent | None) -> ChangeArea:
        members = draft.members
        facts, ground = self._facts, None
        overlaps = facts is not None and tiles_overlap(facts)
        if facts is None:
            polygons = united(ring for index in members for ring in self._footprints[index])
        else:
            windows = tile_windows(facts, [(self._rows[i], self._cols[i]) for i in members])
            polygons = united(ring for place in footprints_of(facts.grid, windows) for ring in place.polygons)
            ground = covered_m2(facts, windows)
        area = draft.area_m2
        if area is not None and ground is not None and overlaps:
            area = min(area, ground)
        own = extent_of(bounds(rings) for rings in polygons)
        assert own is not None
        weights = [0.0 if np.isnan(self._area[i]) else self._area[i] for i in members]
        lonlat = middle([(self._lon[i], self._lat[i]) for i in members], weights)
        ids = tuple(self._id(index) for index in members)
        towards = None if scene is None else direction(lonlat, own, scene)
        bound = overlaps or any(self._kinds_of[index] > 1 for index in members)
        return ChangeArea(
            id=area_id,
            keyword=draft.kind,
            tile_ids=ids,
            polygons=polygons,
            bbox=own.bbox,
            lonlat=lonlat,
            direction=towards,
            area_m2=None if area is None else round(area, 2),
            area_is_bound=bound,
            ground_m2=ground,
            score=draft.score,
            sentence=area_sentence(area_id, draft.kind, ids, towards, area, bound),
        )

    def _scene(self) -> Extent | None:
        """Box of everything that was compared."""
        boxes = self._boxes if self._facts is None else [grid_footprint(self._facts.grid).bbox]
        return extent_of(boxes)


@dataclass(frozen=True)
class _Draft:
    """An area before its geometry is made: most are never shown."""

    kind: str
    members: list[int]
    area_m2: float | None
    score: float | None
    order: tuple[float, int, float, str, str]

"""Change areas: what touches is one, whatever the overlap, the order or the antimeridian."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import shapely
from made_run import FIJI, UTM, make_facts, make_features

from rsccli.geo.footprint import tile_area_m2
from rsccli.output.areas import SHOWN, AreaGatherer, AreaList
from rsccli.output.components import touching_groups
from rsccli.output.features import Feature
from rsccli.output.ground import apart
from rsccli.types import PxWindow, RunFacts

COLUMNS = 8  # of make_facts(): 2000 px in tiles of 256


def whole(facts: RunFacts, count: int = 48) -> list[Feature]:
    """Every tile unchanged, to be changed one by one."""
    quiet = {"status": "unchanged", "keywords": (), "changed_area_m2": 0.0, "change_score": 0.1}
    return [replace(feature, **quiet) for feature in make_features(count, facts)]


def change(features: list[Feature], changes: dict[tuple[int, int], tuple[str, ...]], area_m2: float = 100.0) -> None:
    for i, feature in enumerate(features):
        words = changes.get((feature.tile_row, feature.tile_col))
        if words is not None:
            features[i] = replace(
                feature, status="changed", keywords=words, changed_area_m2=area_m2 + i, change_score=0.9
            )


def areas_of(features: list[Feature], facts: RunFacts | None) -> AreaList:
    gathered = AreaGatherer(facts)
    for feature in features:
        gathered.add(feature)
    return gathered.areas()


def shape(area: object) -> shapely.Geometry:
    return shapely.geometry.shape(area.geometry)


@pytest.mark.parametrize(
    ("places", "groups"),
    [
        ([(0, 0), (0, 1)], 1),  # an edge
        ([(0, 0), (1, 1)], 1),  # a corner
        ([(0, 1), (1, 0)], 1),
        ([(0, 0), (0, 2)], 2),
        ([(0, 0), (2, 1)], 2),
        ([(0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0)], 1),  # a ring
        ([(3, 3), (3, 3)], 1),  # a place that is named twice
        ([], 0),
    ],
)
def test_edges_and_corners_connect(places: list[tuple[int, int]], groups: int) -> None:
    assert len(touching_groups(places, make_facts())) == groups
    assert len(touching_groups(places, None)) == groups


def test_every_tile_is_in_one_group_and_groups_do_not_touch() -> None:
    rng = np.random.default_rng(5)
    places = [(int(row), int(col)) for row, col in np.argwhere(rng.random((30, 30)) < 0.3)]
    groups = touching_groups(places, None)
    assert sorted(index for group in groups for index in group) == list(range(len(places)))
    label = {places[index]: number for number, group in enumerate(groups) for index in group}
    for (row, col), number in label.items():
        near = [label.get((row + i, col + j), number) for i in (-1, 0, 1) for j in (-1, 0, 1)]
        assert set(near) == {number}


def test_tiles_that_overlap_by_half_touch_over_one_between() -> None:
    facts = make_facts(stride=128)
    # Tile 0 ends at pixel 256, tile 2 begins there, tile 3 at 384.
    assert len(touching_groups([(0, 0), (0, 2)], facts)) == 1
    assert len(touching_groups([(0, 0), (2, 2)], facts)) == 1
    assert len(touching_groups([(0, 0), (0, 3)], facts)) == 2


def test_a_tile_moved_back_inside_touches_what_it_then_overlaps() -> None:
    # 300 px in tiles of 256 with a stride of 100: tile 1 would end at 356 and is moved to 44..300.
    facts = replace(make_facts(stride=100), edge="shift", grid=replace(UTM, width=520, height=300))
    assert len(touching_groups([(0, 0), (0, 3)], facts)) == 2  # 0..256 and 264..520
    assert len(touching_groups([(0, 0), (0, 2)], facts)) == 1  # 0..256 and 200..456


def test_an_area_per_kind_with_its_tiles_and_their_union() -> None:
    facts = make_facts()
    features = whole(facts)
    change(features, {(0, 0): ("flood",), (0, 1): ("flood", "mud"), (1, 2): ("flood",), (4, 6): ("flood",)})
    found = areas_of(features, facts)
    assert found.total == 3 and [(kind.keyword, kind.tiles, kind.areas) for kind in found.kinds] == [
        ("flood", 4, 2),
        ("mud", 1, 1),
    ]
    flood = found.areas[0]
    assert (flood.id, flood.keyword) == ("A1", "flood")
    assert flood.tile_ids == ("r00000c00000", "r00000c00001", "r00001c00002")
    areas = [feature.changed_area_m2 for feature in features if feature.id in flood.tile_ids]
    assert flood.area_m2 == pytest.approx(sum(areas)) and flood.area_is_bound, "one of its tiles carries mud, too"
    assert flood.ground_m2 == pytest.approx(3 * tile_area_m2(UTM, PxWindow(0, 0, 256, 256)), rel=1e-3)
    union = shapely.union_all([shapely.Polygon(f.polygons[0]) for f in features if f.id in flood.tile_ids])
    assert shape(flood).is_valid and shape(flood).symmetric_difference(union).area == pytest.approx(0, abs=1e-12)
    assert flood.bbox == pytest.approx(union.bounds)
    assert "3 neighbouring tiles in the north-west" in flood.sentence and "up to" in flood.sentence
    alone = next(area for area in found.areas if area.tile_ids == ("r00004c00006",))
    assert not alone.area_is_bound and "up to" not in alone.sentence and alone.direction == "south-east"


def test_a_ring_of_tiles_has_a_hole() -> None:
    facts = make_facts()
    features = whole(facts)
    change(features, {(i, j): ("mud",) for i in (1, 2, 3) for j in (1, 2, 3) if (i, j) != (2, 2)})
    (area,) = areas_of(features, facts).areas
    (rings,) = area.polygons
    assert len(rings) == 2 and shape(area).is_valid
    inside = next(f for f in features if (f.tile_row, f.tile_col) == (2, 2))
    assert not shape(area).contains(shapely.Polygon(inside.polygons[0]).centroid)
    outer, hole = (shapely.LinearRing(ring) for ring in rings)
    assert outer.is_ccw and not hole.is_ccw, "RFC 7946, section 3.1.6"


def test_tiles_that_touch_in_a_corner_alone_are_one_area_of_two_polygons() -> None:
    facts = make_facts()
    features = whole(facts)
    change(features, {(0, 0): ("mud",), (1, 1): ("mud",)})
    (area,) = areas_of(features, facts).areas
    assert area.geometry["type"] == "MultiPolygon" and len(area.polygons) == 2 and shape(area).is_valid


def test_over_the_antimeridian() -> None:
    facts = make_facts(FIJI, tiles=64)
    features = whole(facts, 64)
    crossing = [f for f in features if len(f.polygons) == 2]
    assert crossing, "the made grid reaches over 180 degrees"
    places = {(f.tile_row, f.tile_col + step) for f in crossing for step in (-1, 0, 1)}
    change(features, dict.fromkeys(places, ("flood",)))
    (area,) = areas_of(features, facts).areas
    assert area.geometry["type"] == "MultiPolygon" and shape(area).is_valid
    west, _, east, _ = area.bbox
    assert 179 < west < 180 and -180 < east < -179, "RFC 7946, section 5.2: west > east"
    assert all(-180 <= x <= 180 for rings in area.polygons for ring in rings for x, _ in ring)
    assert abs(area.lonlat[0]) > 179
    lost = areas_of(features, None).areas[0]
    assert (lost.polygons, lost.bbox, lost.lonlat) == (area.polygons, area.bbox, area.lonlat), "from footprints alone"
    assert lost.ground_m2 is None and area.ground_m2 is not None


def test_ground_that_tiles_share_counts_once() -> None:
    facts = make_facts(stride=128, tiles=96)
    features = whole(facts, 15)
    change(features, {(0, 0): ("mud",), (0, 1): ("mud",)}, area_m2=20_000.0)
    (area,) = areas_of(features, facts).areas
    assert area.ground_m2 == pytest.approx(tile_area_m2(UTM, PxWindow(0, 0, 384, 256)), rel=1e-6)
    assert area.area_m2 == area.ground_m2, "two masks of 2 ha on 3.5 ha that they share: no more than there is"
    assert area.area_is_bound


@pytest.mark.parametrize("seed", range(4))
def test_windows_apart_cover_the_same_pixels_once(seed: int) -> None:
    rng = np.random.default_rng(seed)
    windows = [PxWindow(int(c), int(r), 20, 20) for r, c in rng.integers(0, 60, (12, 2))]
    seen = np.zeros((90, 90), int)
    for window in apart(windows):
        seen[window.row : window.row + window.height, window.col : window.col + window.width] += 1
    wanted = np.zeros((90, 90), int)
    for window in windows:
        wanted[window.row : window.row + 20, window.col : window.col + 20] = 1
    assert (seen == wanted).all()


def test_the_order_of_features_does_not_matter() -> None:
    facts = make_facts()
    features = whole(facts)
    rng = random.Random(1)
    change(features, {(i, j): rng.choice([("a",), ("b",), ("a", "b")]) for i in range(5) for j in range(6)}, 0.1)
    first = areas_of(features, facts)
    for seed in range(4):
        random.Random(seed).shuffle(features)
        assert areas_of(features, facts) == first


def test_without_masks_and_without_keywords() -> None:
    facts = make_facts()
    features = whole(facts)
    change(features, {(2, 2): (), (2, 3): ()})
    bare = [replace(f, changed_area_m2=None, change_score=None) for f in features]
    (area,) = areas_of(bare, facts).areas
    assert area.keyword == "" and area.area_m2 is None and area.score is None
    assert area.sentence == (
        "A1: change of no named kind in 2 neighbouring tiles in the centre of the scene [r00002c00002, r00002c00003]."
    )


def test_the_largest_are_shown_and_all_are_counted() -> None:
    facts = make_facts()
    features = whole(facts)
    change(features, {(i, j): (f"kind {i}{j}",) for i in range(5) for j in range(7)})
    found = areas_of(features, facts)
    assert found.total == 35 and len(found.areas) == SHOWN
    sizes = [area.area_m2 or 0 for area in found.areas]
    assert sizes == sorted(sizes, reverse=True) and found.areas[0].id == "A1"


def test_many_tiles_take_little_time_and_memory() -> None:
    import tracemalloc

    grid = replace(UTM, width=256 * 100, height=256 * 50)
    facts = make_facts(grid, tiles=5_000)
    made = make_features(1, facts)[0]
    gathered = AreaGatherer(facts)
    tracemalloc.start()
    for row in range(50):
        for col in range(100):
            gathered.add(replace(made, id=f"r{row:05d}c{col:05d}", tile_row=row, tile_col=col, keywords=("mud",)))
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown / 5_000 < 120, "bytes for each changed tile"
    (area,) = gathered.areas().areas
    assert len(area.tile_ids) == 5_000 and len(area.polygons) == 1

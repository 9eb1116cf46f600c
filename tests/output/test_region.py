"""Boxes and directions on a globe."""

from __future__ import annotations

import pytest

from rsccli.output.region import Extent, direction, extent_of, middle


@pytest.mark.parametrize(
    ("boxes", "bbox"),
    [
        ([(10, 0, 20, 5)], (10, 0, 20, 5)),
        ([(10, 0, 20, 5), (30, -5, 40, 2)], (10, -5, 40, 5)),
        ([(170, 0, 180, 5), (-180, 0, -175, 5)], (170, 0, -175, 5)),
        ([(170, 0, -175, 5)], (170, 0, -175, 5)),
        ([(175, 0, -178, 5), (-179, 0, -170, 5), (160, 1, 165, 6)], (160, 0, -170, 6)),
        ([(-180, -90, 180, -60)], (-180, -90, 180, -60)),
        ([(-170, 0, -60, 5), (-60, 0, 60, 5), (60, 0, -170, 5)], (-180, 0, 180, 5)),
        ([(5, 1, 5, 1)], (5, 1, 5, 1)),
    ],
)
def test_the_smallest_box_leaves_out_the_widest_gap(boxes: list, bbox: tuple) -> None:
    extent = extent_of(boxes)
    assert extent is not None and extent.bbox == pytest.approx(bbox)
    assert extent_of(boxes[::-1]) == extent


def test_no_boxes_have_no_extent() -> None:
    assert extent_of([]) is None


SCENE = Extent(100.0, 40.0, 9.0, 9.0)


@pytest.mark.parametrize(
    ("lonlat", "name"),
    [
        ((101, 48), "north-west"),
        ((104.5, 48), "north"),
        ((108, 48), "north-east"),
        ((101, 44.5), "west"),
        ((104.5, 44.5), "centre"),
        ((108, 44.5), "east"),
        ((101, 41), "south-west"),
        ((104.5, 41), "south"),
        ((108, 41), "south-east"),
    ],
)
def test_thirds_of_the_scene_have_names(lonlat: tuple[float, float], name: str) -> None:
    assert direction(lonlat, Extent(lonlat[0], lonlat[1], 1, 1), SCENE) == name


def test_what_reaches_over_most_of_both_sides_is_everywhere() -> None:
    assert direction((104, 44), Extent(100.5, 40.5, 7, 7), SCENE) == "all parts"
    assert direction((104.5, 44.5), Extent(100.5, 44, 7, 1), SCENE) == "centre"


def test_directions_count_over_the_antimeridian() -> None:
    scene = Extent(178.0, -20.0, 6.0, 6.0)
    assert direction((-176.5, -15.0), Extent(-177.0, -15.5, 1, 1), scene) == "north-east"
    assert direction((178.5, -19.5), Extent(178.2, -19.8, 0.6, 0.6), scene) == "south-west"


@pytest.mark.parametrize(
    "scene", [Extent(-180.0, -60.0, 360.0, 120.0), Extent(0.0, 80.0, 90.0, 10.0), Extent(0.0, -90.0, 90.0, 10.0)]
)
def test_where_north_means_nothing_nothing_is_said(scene: Extent) -> None:
    assert direction((10.0, scene.south + 5), Extent(9.0, scene.south + 4, 2, 2), scene) is None


def test_a_middle_lies_between_on_the_short_way_round() -> None:
    assert middle([(179.0, 1.0), (-179.0, 3.0)], [1, 1]) == (-180.0, 2.0)
    assert middle([(10.0, 0.0), (20.0, 0.0)], [3, 1]) == (12.5, 0.0)
    assert middle([(10.0, 0.0), (20.0, 0.0)], [0, 0]) == (15.0, 0.0)

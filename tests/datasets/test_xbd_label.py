"""Label files of xBD: schema word for word, content made here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from xbd_folder import Building, Scene, box, label_of

from rsccli.datasets.xbd.label import read_date, read_label
from rsccli.datasets.xbd.parts import parts_of
from rsccli.errors import InputError
from rsccli.models.outlines import LEVELS
from rsccli.run.labels import Rule, pixel_labels

SIZE = (1024, 1024)
NONE = dict.fromkeys(LEVELS, 0)


def write(path: Path, scene: Scene, date: str = "post") -> Path:
    path.write_text(json.dumps(label_of(scene, date)))
    return path


def counts(path: Path, rule: Rule = "centroid") -> list[dict[str, int]]:
    label = read_label(path, SIZE, rule)
    return [dict(label.labels.of(part).counts) for part in parts_of(*SIZE)]


def test_a_building_counts_once_by_centroid_and_up_to_four_times_by_touch(tmp_path: Path) -> None:
    # In part 1; over the line to part 2, its centroid there; over the corner of all four, its centroid in part 4.
    buildings = [box(10, 10), box(505, 100, 20, 20, "destroyed"), box(500, 500, 30, 30, "major-damage")]
    path = write(tmp_path / "a_post_disaster.json", Scene(buildings=buildings))
    assert counts(path) == [
        {**NONE, "no-damage": 1},
        {**NONE, "destroyed": 1},
        NONE,
        {**NONE, "major-damage": 1},
    ]
    assert counts(path, "touch") == [
        {**NONE, "no-damage": 1, "destroyed": 1, "major-damage": 1},
        {**NONE, "destroyed": 1, "major-damage": 1},
        {**NONE, "major-damage": 1},
        {**NONE, "major-damage": 1},
    ]


def test_of_a_line_between_parts_only_the_right_and_the_lower_one_own_it(tmp_path: Path) -> None:
    # A centroid on the line; an outline that ends on the line touches one part alone.
    buildings = [box(502, 100), box(100, 502), box(492, 300, 20, 20, "destroyed")]
    path = write(tmp_path / "a_post_disaster.json", Scene(buildings=buildings))
    assert [each["no-damage"] for each in counts(path)] == [0, 1, 1, 0]
    assert [each["destroyed"] for each in counts(path, "touch")] == [1, 0, 0, 0]


def test_a_building_over_the_edge_of_the_image_counts_where_its_centroid_is_or_nowhere(tmp_path: Path) -> None:
    buildings = [box(-4, 10), box(-16, 60), box(1030, 10), box(1020, 600, 8, 20, "destroyed")]
    path = write(tmp_path / "a_post_disaster.json", Scene(buildings=buildings))
    assert [each["no-damage"] for each in counts(path)] == [1, 0, 0, 0]
    assert [each["no-damage"] for each in counts(path, "touch")] == [2, 0, 0, 0]
    # Its centroid lies on the image's edge, which belongs to no part.
    assert [each["destroyed"] for each in counts(path)] == [0, 0, 0, 0]
    assert read_label(path, SIZE).notes == ("1 of 4 buildings lie beside the image and were left out",)


def test_a_building_of_several_polygons_counts_once_and_courtyards_are_drawn(tmp_path: Path) -> None:
    two = shapely.MultiPolygon([shapely.box(10, 10, 30, 30), shapely.box(40, 10, 60, 30)])
    ring = shapely.Polygon(shapely.box(100, 100, 160, 160).exterior, [shapely.box(120, 120, 140, 140).exterior])
    path = write(tmp_path / "a_post_disaster.json", Scene(buildings=[Building(two), Building(ring, "destroyed")]))
    assert two.wkt.startswith("MULTIPOLYGON")
    found = read_label(path, SIZE).labels.of(parts_of(*SIZE)[0])
    assert found.counts == {**NONE, "no-damage": 1, "destroyed": 1}
    assert sorted(each.level for each in found.outlines) == ["destroyed"] * 2 + ["no-damage"] * 2


def test_every_level_is_told_and_what_is_none_counts_as_unclassified(tmp_path: Path) -> None:
    levels = [*LEVELS, None, "ruined"]
    buildings = [box(10 + 30 * n, 10, level=level) for n, level in enumerate(levels)]
    path = write(tmp_path / "a_post_disaster.json", Scene(buildings=buildings))
    assert counts(path)[0] == {**dict.fromkeys(LEVELS, 1), "un-classified": 3}
    (note,) = read_label(path, SIZE).notes
    assert "un-classified" in note and "empty (1 times)" in note and "'ruined' (1 times)" in note


def test_a_label_without_buildings_is_a_label(tmp_path: Path) -> None:
    path = write(tmp_path / "a_post_disaster.json", Scene())
    assert counts(path) == [NONE] * 4
    assert read_label(path, SIZE).notes == ()


def test_outlines_that_are_no_polygons_are_left_out_and_told(tmp_path: Path) -> None:
    bow_tie = Building("POLYGON ((10 10, 30 30, 30 10, 10 30, 10 10))", "destroyed")
    broken = [Building("POLYGON ((1 1, 2"), Building("LINESTRING (0 0, 9 9)"), Building("POLYGON EMPTY")]
    path = write(tmp_path / "a_post_disaster.json", Scene(buildings=[*broken, bow_tie]))
    assert counts(path)[0] == {**NONE, "destroyed": 1}
    assert read_label(path, SIZE).notes == ("3 of 4 features have no polygon and were left out",)


def test_metadata_tell_event_type_and_date(tmp_path: Path) -> None:
    scene = Scene("socal-fire_00000001", "fire", [box(10, 10), box(900, 40), box(50, 900)])
    label = read_label(write(tmp_path / "a_post_disaster.json", scene), SIZE)
    assert (label.event, label.disaster_type, label.date) == ("socal-fire", "fire", "2018-10-13T16:03:03.000Z")
    assert read_date(write(tmp_path / "a_pre_disaster.json", scene, "pre")) == "2018-10-05T16:03:03.000Z"


def test_the_size_of_a_pixel_follows_from_outlines_in_degrees(tmp_path: Path) -> None:
    scene = Scene(buildings=[box(10, 10), box(900, 40), box(50, 900)])
    label = read_label(write(tmp_path / "a_post_disaster.json", scene), SIZE)
    # 4.2e-6 degrees at 30.16 N: 0.404 m across, 0.466 m down.
    assert label.gsd_m == pytest.approx(0.434, abs=0.001)
    value = label_of(scene, "post")
    value["features"]["lng_lat"][1]["wkt"] = shapely.box(-80, 30, -79.9, 30.1).wkt
    (tmp_path / "b.json").write_text(json.dumps(value))
    assert read_label(tmp_path / "b.json", SIZE).gsd_m is None, "outlines that do not fit are not believed"
    value["features"]["lng_lat"] = []
    (tmp_path / "b.json").write_text(json.dumps(value))
    assert read_label(tmp_path / "b.json", SIZE).gsd_m is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"features": {"xy": [', "not JSON"),
        ("", "not JSON"),
        ("[]", "no label file of xBD"),
        ('{"features": []}', "no label file of xBD"),
        ('{"features": {"lng_lat": []}}', "features.xy"),
        ('{"features": {"xy": []}, "metadata": {"width": 512, "height": 512}}', "512x512"),
        ('{"features": {"xy": [{"wkt": "POINT (1 1)", "properties": {"uid": "1"}}]}}', "subtype"),
        ('{"features": {"xy": [5]}}', "subtype"),
    ],
)
def test_what_is_no_label_of_the_image_is_refused_with_its_name(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "odd_post_disaster.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"odd_post_disaster\.json") as refused:
        read_label(path, SIZE)
    assert said in str(refused.value)


boxes = st.tuples(*[st.integers(-40, 1050)] * 2, *[st.integers(1, 90)] * 2)


@settings(max_examples=60, deadline=None)
@given(st.lists(boxes, max_size=25))
def test_centroids_are_counted_once_and_touching_parts_never_missed(places: list[tuple[int, int, int, int]]) -> None:
    shapes = np.empty(len(places), object)
    shapes[:] = [shapely.box(x, y, x + w, y + h) for x, y, w, h in places]
    parts = parts_of(*SIZE)
    totals = {}
    for rule in ("centroid", "touch"):
        labels = pixel_labels("a", b"", shapes, ["destroyed"] * len(places), SIZE, rule=rule)  # type: ignore[arg-type]
        totals[rule] = sum(labels.of(part).counts["destroyed"] for part in parts)
    within = sum(0 <= x + w / 2 < 1024 and 0 <= y + h / 2 < 1024 for x, y, w, h in places)
    touched = 0
    for x, y, w, h in places:
        columns = sum(max(x, left) < min(x + w, left + 512) for left in (0, 512))
        touched += columns * sum(max(y, top) < min(y + h, top + 512) for top in (0, 512))
    assert totals == {"centroid": within, "touch": touched}

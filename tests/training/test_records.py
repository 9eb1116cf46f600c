"""Labelled pairs as people have them: every format, every complaint, and places that never leak."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import shapely
from pyproj import Transformer
from rasters import make_raster

from rsccli.errors import InputError, UsageProblem
from rsccli.training.images import read_images
from rsccli.training.places import place_of_name, places_of_boxes, split_by_place
from rsccli.training.records import PairRecord, read_records

UTM = "EPSG:32633"


def _png(path: Path, side: int = 32, value: int = 100) -> Path:
    cv2.imwrite(str(path), np.full((side, side + 8, 3), value, np.uint8))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pairs without a georeference (a, b, c) and two with one, 10 km apart (north, south)."""
    for name in "abc":
        _png(tmp_path / f"{name}_pre.png")
        _png(tmp_path / f"{name}_post.png", value=150)
    for name, top in (("north", 5_010_000), ("south", 5_000_000)):
        bounds = (500_000.0, top - 64.0, 500_064.0, float(top))
        for date in ("2019", "2021"):
            make_raster(tmp_path / f"{name}_{date}.tif", crs=UTM, bounds=bounds, size=(64, 64))
    return tmp_path


def _lines(folder: Path, *records: object) -> Path:
    path = folder / "pairs.jsonl"
    path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in records))
    return path


def _pair(name: str = "a", **more: Any) -> dict[str, Any]:
    return {"pre": f"{name}_pre.png", "post": f"{name}_post.png", **more}


def _placed(name: str = "north", **more: Any) -> dict[str, Any]:
    return {"pre": f"{name}_2019.tif", "post": f"{name}_2021.tif", **more}


def _lonlat(*map_points: tuple[float, float]) -> list[list[float]]:
    move = Transformer.from_crs(UTM, "EPSG:4326", always_xy=True)
    return [list(move.transform(x, y)) for x, y in map_points]


SQUARE = [(500_016.0, 5_009_984.0), (500_032.0, 5_009_984.0), (500_032.0, 5_009_968.0), (500_016.0, 5_009_968.0)]


def test_a_record_has_everything_that_was_said(folder: Path):
    label = {"captions": ["A house  is new. ", ""], "label": "Changed", "keywords": "new house; new road"}
    first, second = read_records(_lines(folder, _pair("a", **label), _pair("b", caption="Nothing.", status=False)))
    assert (first.captions, first.status, first.keywords) == (
        ("A house is new.",),
        "changed",
        ("new house", "new road"),
    )
    assert first.pre == folder / "a_pre.png" and first.place == "a" and first.box is None
    assert (second.captions, second.status, second.keywords) == (("Nothing.",), "unchanged", None)


def test_the_same_records_come_from_every_format(folder: Path):
    rows = [
        _pair("a", captions="One.|Two.", status="changed", keywords="new house;new road"),
        _pair("b", captions="None.", status="unchanged", keywords=""),
    ]
    with (folder / "pairs.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    full = [
        {**rows[0], "captions": ["One.", "Two."], "keywords": ["new house", "new road"]},
        {**_pair("b"), "captions": ["None."], "status": "unchanged"},
    ]
    (folder / "pairs.json").write_text(json.dumps(full))
    features = [{"type": "Feature", "geometry": None, "properties": row} for row in full]
    (folder / "pairs.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    _lines(folder, *full)
    read = [
        [(r.pre, r.captions, r.status, r.keywords, r.place) for r in read_records(folder / f"pairs{suffix}")]
        for suffix in (".csv", ".json", ".geojson", ".jsonl")
    ]
    assert read[0] == read[1] == read[2] == read[3]
    assert read[0][0][1] == ("One.", "Two.")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "not JSON"),
        ("[]", "a record is an object"),
        ({"pre": "a_pre.png", "caption": "x"}, "no post"),
        (_pair("z", caption="x"), "there is no file"),
        ({"pre": "a_pre.png", "post": "a_pre.png", "caption": "x"}, "the same file"),
        (_pair(), "nothing to learn from"),
        (_pair(status="perhaps"), "changed, unchanged, unsure"),
        (_pair(status="unchanged", keywords=["new house"]), "it is unchanged but has keywords"),
        (_pair(keywords=3), "keywords are a list"),
        (_pair(captions=[3]), "captions are sentences"),
        (_pair(polygons="none.geojson"), "there is no file"),
        (_pair(polygons=[{"type": "Polygon"}]), "broken polygons"),
        (_pair(polygons=[{"type": "Point", "coordinates": [1, 2]}]), "no polygon among"),
        (_placed(polygons=[_lonlat(*((x + 5000, y) for x, y in SQUARE))]), "beside the images"),
        ({"pre": "a_pre.png", "post": "north_2021.tif", "caption": "x"}, "no georeference"),
    ],
)
def test_a_record_that_cannot_be_used_is_named_with_its_line(line: object, words: str, folder: Path):
    path = _lines(folder, _pair("b", caption="fine"), line)
    with pytest.raises(InputError, match=words) as caught:
        read_records(path)
    assert f"{path}, line 2" in str(caught.value)


def test_files_that_hold_no_records_are_refused(folder: Path):
    with pytest.raises(UsageProblem, match="jsonl"):
        read_records(folder / "pairs.xlsx")
    with pytest.raises(InputError, match="No such file"):
        read_records(folder / "missing.jsonl")
    with pytest.raises(InputError, match="no record"):
        read_records(_lines(folder))
    (folder / "wide.csv").write_text("pre,post\na_pre.png,a_post.png,A house, new\n")
    with pytest.raises(InputError, match="line 2: more columns"):
        read_records(folder / "wide.csv")


@pytest.mark.parametrize("way", ["lonlat", "map", "map, said so", "GeoPackage", "GeoJSON file"])
def test_polygons_lie_where_they_were_drawn(way: str, folder: Path):
    record = _placed(status="changed")
    lonlat = {"type": "Polygon", "coordinates": [_lonlat(*SQUARE, SQUARE[0])]}
    if way == "GeoPackage":
        import pyogrio

        wkb = np.array([shapely.to_wkb(shapely.Polygon(SQUARE))], object)
        pyogrio.raw.write(folder / "p.gpkg", wkb, [], [], geometry_type="Polygon", crs=UTM, driver="GPKG")
        record["polygons"] = "p.gpkg"
    elif way == "GeoJSON file":
        feature = {"type": "Feature", "properties": {}, "geometry": lonlat}
        (folder / "p.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
        record["polygons"] = "p.geojson"
    else:
        record["polygons"] = [lonlat] if way == "lonlat" else [[list(point) for point in SQUARE]]
        if way == "map, said so":
            record["polygons_crs"] = UTM
    read = read_records(_lines(folder, record))[0]
    images = read_images(read)
    assert read.polygons is not None and images.grid is not None and images.pre.shape == (3, 64, 64)
    mask = read.polygons.mask(64, 64, images.grid)
    wanted = np.zeros((64, 64), bool)
    wanted[16:32, 16:32] = True
    assert (mask != wanted).mean() < 0.002


@pytest.mark.parametrize("sign", [1, -1])
def test_polygons_without_a_georeference_are_pixels(sign: int, folder: Path):
    ring = [[4, 8 * sign], [12, 8 * sign], [12, 20 * sign], [4, 20 * sign]]
    record = read_records(_lines(folder, _pair(polygons=[ring])))[0]
    assert record.polygons is not None
    mask = record.polygons.mask(32, 40)
    assert mask[8:20, 4:12].all() and mask.sum() == 12 * 8


def test_one_file_of_polygons_serves_many_pairs(folder: Path):
    geometry = {"type": "Polygon", "coordinates": [_lonlat(*SQUARE, SQUARE[0])]}
    feature = {"type": "Feature", "properties": {}, "geometry": geometry}
    (folder / "p.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    north, south = read_records(_lines(folder, *(_placed(n, polygons="p.geojson") for n in ("north", "south"))))
    assert north.polygons is not None and not north.polygons.geometry.is_empty
    assert south.polygons is not None and south.polygons.geometry.is_empty


def test_an_output_of_ours_that_a_person_corrected_is_read_tile_by_tile(folder: Path):
    ring = _lonlat(*SQUARE, SQUARE[0])
    feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}}
    told = {"caption": "A house is new.", "status": "changed", "keywords": "new house"}
    features = [{**feature, "properties": told}, {**feature, "properties": {"status": "nodata", "caption": None}}]
    facts = {"pre": {"path": str(folder / "north_2019.tif")}, "post": {"path": str(folder / "north_2021.tif")}}
    path = folder / "corrected.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "rsccli": facts, "features": features}))
    (record,) = read_records(path)
    assert record.keywords == ("new house",)
    assert read_images(record).valid.shape in ((16, 16), (17, 17))


def test_images_without_a_georeference_must_have_one_size(folder: Path):
    _png(folder / "a_post.png", side=48)
    with pytest.raises(InputError, match=r"line 1: .*40x32 pixels.*56x48"):
        read_images(read_records(_lines(folder, _pair(caption="x")))[0])


def test_large_pairs_are_averaged_down(folder: Path):
    images = read_images(read_records(_lines(folder, _placed(caption="x")))[0], max_side=16)
    assert images.pre.shape == images.post.shape == (3, 16, 16) and images.gsd_m == pytest.approx(4.0, rel=0.01)


def test_places_are_cells_of_a_grid_or_names_or_what_is_said(folder: Path):
    rows = [_placed("north", caption="x"), _placed("south", caption="x"), _pair("a", caption="x", group="my place")]
    path = _lines(folder, *rows, _pair("b", caption="x"))
    assert len({r.place for r in read_records(path)}) == 4
    wide = read_records(path, place_km=1000)
    assert wide[0].place == wide[1].place and [r.place for r in wide[2:]] == ["my place", "b"]


@pytest.mark.parametrize(
    ("one", "other"),
    [("austin_2016", "austin_2018"), ("x-20190131-pre", "x-20210131-post"), ("harvey_07_pre_disaster", "harvey_07")],
)
def test_dates_and_words_in_a_name_are_no_place(one: str, other: str):
    assert place_of_name(Path(f"{one}.tif")) == place_of_name(Path(f"{other}.tif"))
    assert place_of_name(Path("2018.tif")) == "2018"
    assert place_of_name(Path("train_000016.png")) != place_of_name(Path("train_000017.png"))


def test_images_that_share_ground_are_one_place_across_the_edge_of_a_cell():
    boxes = [(x, 45.0, x + 0.001, 45.001) for x in np.arange(10, 10.2, 0.0005)]
    assert len(set(places_of_boxes(boxes, 2.0))) == 1
    apart = [(x, 45.0, x + 0.0005, 45.001) for x in np.arange(10, 10.2, 0.0005)]
    assert len(set(places_of_boxes(apart, 2.0))) > 5


def _many(sizes: dict[str, int]) -> list[PairRecord]:
    return [PairRecord("x", Path("a"), Path("b"), place=place) for place, size in sizes.items() for _ in range(size)]


@pytest.mark.parametrize("seed", range(5))
def test_no_place_is_on_both_sides(seed: int):
    records = _many({f"place {i}": 1 + i % 5 for i in range(40)})
    train, held_out = split_by_place(records, 0.2, seed)
    assert not {r.place for r in train} & {r.place for r in held_out}
    assert len(train) + len(held_out) == len(records)
    assert 0.14 < len(held_out) / len(records) < 0.26
    assert split_by_place(records[::-1], 0.2, seed)[1][0].place in {r.place for r in held_out}


def test_the_seed_chooses_the_places():
    records = _many({f"place {i}": 1 for i in range(40)})
    assert {r.place for r in split_by_place(records, 0.2, 1)[1]} != {
        r.place for r in split_by_place(records, 0.2, 2)[1]
    }


def test_a_split_needs_two_places_and_a_share():
    with pytest.raises(InputError, match="one place"):
        split_by_place(_many({"a": 9}), 0.2, 1)
    with pytest.raises(UsageProblem, match="between 0 and 1"):
        split_by_place(_many({"a": 1, "b": 1}), 1.0, 1)
    train, held_out = split_by_place(_many({"a": 9, "b": 1}), 0.01, 1)
    assert {r.place for r in held_out} == {"b"} and len(train) == 9

"""Rows of any format hold the same, appear whole or not at all, and are the same bytes each time."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pyogrio
import pytest
import shapely
from made_run import make_facts

from rsccli.errors import OutputError, UsageProblem
from rsccli.output.facts import facts_from_json
from rsccli.output.located import SUFFIXES, Located, Sheet, stream_located, write_located

RING = ((9.0, 47.0), (9.1, 47.0), (9.1, 47.1), (9.0, 47.1), (9.0, 47.0))
HOLE = ((9.02, 47.02), (9.02, 47.04), (9.04, 47.04), (9.04, 47.02), (9.02, 47.02))
SHEET = Sheet(
    "answers",
    {"name": str, "number": int, "value": float, "yes": bool},
    make_facts(),
    {"answers": [{"text": "a\ud800"}]},
)
ROWS = (
    Located("a", ((RING, HOLE),), (9.0, 47.0, 9.1, 47.1), ('Straße, "x"', 1, 0.5, True)),
    Located("b", ((RING,), (RING,)), (9.0, 47.0, 9.1, 47.1), (None, None, None, None)),
    Located("c", ((RING,),), (9.0, 47.0, 9.1, 47.1), ("", 0, 1.0, False)),
)


def test_a_collection_has_the_rows_and_the_facts(tmp_path: Path) -> None:
    path = tmp_path / "out.geojson"
    assert write_located(path, ROWS, SHEET) == 3
    document = json.loads(path.read_text(encoding="utf-8"))
    assert [each["properties"] for each in document["features"]] == [
        {"name": 'Straße, "x"', "number": 1, "value": 0.5, "yes": True},
        {"name": None, "number": None, "value": None, "yes": None},
        {"name": "", "number": 0, "value": 1.0, "yes": False},
    ]
    assert [each["geometry"]["type"] for each in document["features"]] == ["Polygon", "MultiPolygon", "Polygon"]
    assert len(document["features"][0]["geometry"]["coordinates"]) == 2  # the hole is kept
    assert shapely.from_geojson(json.dumps(document["features"][0]["geometry"])).is_valid
    assert document["bbox"] == [9.0, 47.0, 9.1, 47.1]
    assert document["rsccli"]["answers"] == [{"text": "a�"}]
    assert facts_from_json(document["rsccli"], "x") == make_facts()


@pytest.mark.parametrize("suffix", [".gpkg", ".fgb"])
def test_layers_hold_the_same_rows(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    assert write_located(path, iter(ROWS), SHEET) == 3
    info = pyogrio.read_info(path)
    assert info["features"] == 3 and list(info["fields"]) == ["id", "name", "number", "value", "yes"]
    assert "answers" in json.loads(info["layer_metadata"]["rsccli"])
    _, table = pyogrio.read_arrow(path)
    by_id = {row["id"]: row for row in table.to_pylist()}
    assert by_id["a"]["name"] == 'Straße, "x"' and by_id["b"]["value"] is None and by_id["c"]["number"] == 0


def test_csv_tells_numbers_from_truth(tmp_path: Path) -> None:
    write_located(tmp_path / "out.csv", ROWS, SHEET)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text(encoding="utf-8"))))
    assert [(row["number"], row["value"], row["yes"]) for row in rows] == [
        ("1", "0.5", "true"),
        ("", "", ""),
        ("0", "1.0", "false"),
    ]
    assert shapely.from_wkt(rows[0]["wkt"]).interiors


@pytest.mark.parametrize("suffix", [".geojsonl", ".ndjson", ".geojsons"])
def test_lines_are_features(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    write_located(path, ROWS, SHEET)
    lines = path.read_text(encoding="utf-8").replace("\x1e", "").splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["a", "b", "c"]
    out = io.BytesIO()
    assert stream_located(out, ROWS, SHEET) == 3
    assert out.getvalue().decode() == path.read_text(encoding="utf-8").replace("\x1e", "")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_equal_rows_are_equal_bytes(tmp_path: Path, suffix: str) -> None:
    first, second = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    for path in (first, second):
        write_located(path, ROWS, SHEET)
    if suffix == ".fgb":  # it holds its own name
        pytest.skip("a FlatGeobuf file holds its layer's name and is compared by its rows above")
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_without_rows_can_be_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    assert write_located(path, (), SHEET) == 0 and path.exists()


@pytest.mark.parametrize("suffix", [".geojson", ".gpkg"])
def test_rows_that_fail_leave_nothing_behind(tmp_path: Path, suffix: str) -> None:
    def failing():  # type: ignore[no-untyped-def]
        yield ROWS[0]
        raise OSError("the disk is full")

    with pytest.raises(OutputError, match="disk is full"):
        write_located(tmp_path / f"out{suffix}", failing(), SHEET)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_suffix_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match=r"\.geojson .*\.csv"):
        write_located(tmp_path / "out.xyz", ROWS, replace(SHEET))
    assert list(tmp_path.iterdir()) == []

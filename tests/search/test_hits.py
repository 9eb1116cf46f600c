"""Hits as GeoJSON: what other tools open, and what our own readers read."""

from __future__ import annotations

import io
import json
from pathlib import Path

import geojson
import pytest
from coloured_map import Coloured

from rsccli.errors import OutputError, UsageProblem
from rsccli.output.readers import read_outputs
from rsccli.search.build import build_index
from rsccli.search.hits import check_hits, stream_hits, write_hits
from rsccli.search.layout import IndexFacts
from rsccli.search.places import Filter
from rsccli.search.query import Hit, Question, SearchIndex
from rsccli.types import RunFacts

ASKED = Question("a field turned grey", 3, only=Filter((-180, -90, 180, 90), ("changed",)))


@pytest.fixture
def found(coloured: Coloured) -> tuple[list[Hit], IndexFacts, RunFacts | None]:
    index = coloured.path.with_suffix(".index")
    build_index(coloured.path, index)
    with SearchIndex(index) as opened:
        return opened.search(ASKED), opened.facts, opened.run_facts()


def test_a_collection_tells_what_was_asked(
    found: tuple[list[Hit], IndexFacts, RunFacts | None], coloured: Coloured, tmp_path: Path
) -> None:
    path = tmp_path / "hits.geojson"
    write_hits(path, found[0], ASKED, found[1], found[2])
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["search"] == {
        "question": "a field turned grey",
        "by": "caption",
        "k": 3,
        "bbox": [-180, -90, 180, 90],
        "status": ["changed"],
        "map": str(coloured.path),
        "map_sha256": found[1].source.sha256,
        "model": None,
    }
    assert geojson.loads(path.read_text(encoding="utf-8")).is_valid
    properties = [feature["properties"] for feature in document["features"]]
    assert [each["rank"] for each in properties] == [1, 2, 3]
    assert all({"score", "caption", "status", "change_score"} <= each.keys() for each in properties)


def test_our_own_readers_read_hits(
    found: tuple[list[Hit], IndexFacts, RunFacts | None], coloured: Coloured, tmp_path: Path
) -> None:
    for name in ("hits.geojson", "hits.geojsonl"):
        path = tmp_path / name
        write_hits(path, found[0], ASKED, found[1], found[2])
        facts, features = read_outputs(path)
        assert facts == (coloured.facts if name == "hits.geojson" else None)
        known = {each.id: each for each in coloured.features}
        assert [known[each.id] == each for each in features] == [True] * 3


def test_a_stream_has_one_feature_a_line(found: tuple[list[Hit], IndexFacts, RunFacts | None]) -> None:
    out = io.BytesIO()
    stream_hits(out, found[0])
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["id"] for line in lines] == [hit.feature["id"] for hit in found[0]]


def test_no_hits_are_an_empty_collection(found: tuple[list[Hit], IndexFacts, RunFacts | None], tmp_path: Path) -> None:
    write_hits(tmp_path / "none.geojson", [], ASKED, found[1])
    document = json.loads((tmp_path / "none.geojson").read_text())
    assert document["features"] == [] and document["type"] == "FeatureCollection"


def test_a_file_is_not_replaced_unasked(tmp_path: Path) -> None:
    path = tmp_path / "hits.geojson"
    check_hits(path, overwrite=False)
    path.write_text("mine")
    with pytest.raises(OutputError, match="--overwrite"):
        check_hits(path, overwrite=False)
    check_hits(path, overwrite=True)
    with pytest.raises(UsageProblem, match="hits are GeoJSON"):
        check_hits(tmp_path / "hits.gpkg", overwrite=False)
    with pytest.raises(OutputError, match="mkdir -p"):
        check_hits(tmp_path / "none" / "hits.geojson", overwrite=False)

"""Phrases as polygons of a mask: the classes that their words stand for, blended over the borders of tiles."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import shapely
from asked_captioners import ROOF, WATER, ColourFactory
from captioners import BrightnessFactory
from colour_pair import ColourPair, colour_pair

from rsccli.errors import OutputError, UsageProblem
from rsccli.geo.pair import PairOptions
from rsccli.models.captioner import CaptionerOptions
from rsccli.models.registry import register, unregister
from rsccli.run.caption import CaptionJob
from rsccli.run.ground.boxes import Grounding
from rsccli.run.ground.job import GroundJob, prepare_ground, run_ground, stream_ground

M2 = 1 / 0.9996**2


@pytest.fixture(autouse=True)
def captioners() -> Iterator[None]:
    register("colours", ColourFactory)
    register("brightness", BrightnessFactory)
    yield
    unregister("colours")
    unregister("brightness")


@pytest.fixture
def pair(tmp_path: Path) -> ColourPair:
    folder = tmp_path / "data"
    folder.mkdir()
    # A pool over the border of tiles; a house that came, and one that went.
    return colour_pair(folder, [(150, 100, 10, 10, ROOF)], [(10, 10, 20, 20, ROOF), (50, 60, 30, 20, WATER)])


def job(pair: ColourPair, output: Path | None, *phrases: str, model: str = "colours", **more: Any) -> GroundJob:
    given = CaptionJob(
        str(pair.pre), str(pair.post), geometry=PairOptions(tile_size=64), model=model, captioner=CaptionerOptions()
    )
    return GroundJob(given, output, phrases, **more)


def ground(pair: ColourPair, output: Path, *phrases: str, **more: Any) -> Grounding:
    return run_ground(prepare_ground(job(pair, output, *phrases, **more)))


def features(output: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(output.read_text(encoding="utf-8"))["features"]
    return found


def test_a_word_gives_the_polygons_of_its_class(pair: ColourPair, tmp_path: Path) -> None:
    result = ground(pair, tmp_path / "a.geojson", "flooded pond", "new houses")
    water, houses = result.phrases
    assert (water.places, water.classes, houses.places) == (1, ("water",), 2)
    assert water.area_m2 == pytest.approx(600 * M2, rel=1e-4)
    assert houses.area_m2 == pytest.approx(500 * M2, rel=1e-4)
    assert water.text == "1 polygon, 600 m2 of water" and houses.text == "2 polygons, 500 m2 of building"
    found = features(tmp_path / "a.geojson")
    assert sorted((each["properties"]["phrase"], each["properties"]["class"]) for each in found) == [
        ("flooded pond", "water"),
        ("new houses", "building"),
        ("new houses", "building"),
    ]
    for each in found:
        assert shapely.from_geojson(json.dumps(each["geometry"])).is_valid
        assert each["properties"]["kind"] == "polygon" and each["properties"]["source"] == "mask of colours"
        assert each["properties"]["mean_probability"] == 1.0 and each["properties"]["tile"] is None
    told = json.loads((tmp_path / "a.geojson").read_text())["rsccli"]["ground"]
    assert told[0]["wider"] == ["floods: all water"] and told[1]["unread"] == ["new"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.geojson", "data"]


def test_change_is_every_class_and_two_phrases_may_share_polygons(pair: ColourPair, tmp_path: Path) -> None:
    result = ground(pair, tmp_path / "a.geojson", "change", "water", "road")
    everything, water, road = result.phrases
    assert (everything.places, water.places, road.places) == (3, 1, 0)
    assert everything.text.endswith(": building 2, water 1") and road.text == "no polygons"
    ids = [each["id"] for each in features(tmp_path / "a.geojson")]
    assert len(ids) == len(set(ids)) == 4


def test_small_polygons_can_be_left_out(pair: ColourPair, tmp_path: Path) -> None:
    result = ground(pair, tmp_path / "a.geojson", "building", min_area_m2=200.0)
    assert result.phrases[0].places == 1


def test_a_stream_has_the_same_polygons(pair: ColourPair, tmp_path: Path) -> None:
    ground(pair, tmp_path / "a.geojson", "water")
    out = io.BytesIO()
    result = stream_ground(prepare_ground(job(pair, None, "water")), out)
    assert result.phrases[0].places == 1
    assert [json.loads(line) for line in out.getvalue().splitlines()] == features(tmp_path / "a.geojson")


def test_what_cannot_be_is_refused(pair: ColourPair, tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match='"red car": no word of it names a class'):
        ground(pair, tmp_path / "a.geojson", "water", "red car")
    with pytest.raises(UsageProblem, match="writes no boxes"):
        ground(pair, tmp_path / "a.geojson", "water", scale="percent")
    with pytest.raises(UsageProblem, match="no mask with classes"):
        ground(pair, tmp_path / "a.geojson", "water", model="brightness")
    (tmp_path / "a.geojson").write_text("mine")
    with pytest.raises(OutputError, match="--overwrite"):
        ground(pair, tmp_path / "a.geojson", "water")
    assert (tmp_path / "a.geojson").read_text() == "mine"
    ground(pair, tmp_path / "a.geojson", "water", overwrite=True)
    assert len(features(tmp_path / "a.geojson")) == 1

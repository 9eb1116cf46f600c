"""Boxes of a model that is asked in words: the right place on the ground, or counted as malformed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyproj
import pytest
from asked_captioners import ROOF, MuteFactory, ScriptedFactory, ScriptedQwenFactory
from colour_pair import ColourPair, colour_pair

from rsccli.errors import ModelError, OutputError, UsageProblem
from rsccli.geo.pair import PairOptions
from rsccli.models.captioner import CaptionerInfo, CaptionerOptions
from rsccli.models.large.boxes import FORMS, BoxRule
from rsccli.models.large.families import family_named, family_names
from rsccli.models.registry import register, unregister
from rsccli.run.caption import CaptionJob
from rsccli.run.ground.asker import rule_for
from rsccli.run.ground.boxes import Grounding
from rsccli.run.ground.job import GroundJob, plain_phrases, prepare_ground, run_ground

M2 = 1 / 0.9996**2
TO_METRES = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:32633", always_xy=True)


@pytest.fixture(autouse=True)
def captioners() -> Iterator[None]:
    for name, factory in (("scripted", ScriptedFactory), ("qwen", ScriptedQwenFactory), ("mute", MuteFactory)):
        register(name, factory)
    yield
    for name in ("scripted", "qwen", "mute"):
        unregister(name)


@pytest.fixture
def pair(tmp_path: Path) -> ColourPair:
    folder = tmp_path / "data"
    folder.mkdir()
    return colour_pair(folder, [], [(5, 5, 20, 20, ROOF)], size=(224, 128), nodata=[(64, 64, 64, 64)])


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def write(answers: dict[str, dict[str, str]]) -> None:
        path = tmp_path / "answers.json"
        path.write_text(json.dumps(answers))
        monkeypatch.setenv("SCRIPTED_ANSWERS", str(path))

    return write


def ground(pair: ColourPair, output: Path, *phrases: str, model: str = "scripted", **more: Any) -> Grounding:
    job = CaptionJob(
        str(pair.pre),
        str(pair.post),
        geometry=PairOptions(tile_size=64),
        model=model,
        captioner=CaptionerOptions(prompt="naive"),
    )
    return run_ground(prepare_ground(GroundJob(job, output, plain_phrases(phrases), **more)))


def places(output: Path) -> dict[str, tuple[dict[str, Any], tuple[int, int, int, int]]]:
    """Properties, and column, row, width and height of the outline in pixels of the grid."""
    found = {}
    for feature in json.loads(output.read_text(encoding="utf-8"))["features"]:
        ring = feature["geometry"]["coordinates"][0]
        xs, ys = TO_METRES.transform([x for x, _ in ring], [y for _, y in ring])
        left, top = min(xs) - 500_000, 5_200_000 - max(ys)
        width, height = max(xs) - min(xs), max(ys) - min(ys)
        found[feature["id"]] = (feature["properties"], tuple(round(value) for value in (left, top, width, height)))
    return found


def test_a_box_lies_where_the_model_saw_it(pair: ColourPair, said: Any, tmp_path: Path) -> None:
    said({"*": {"r00000c00001": "[0.25, 0.5, 0.75, 1]", "*": "[]"}})
    result = ground(pair, tmp_path / "a.geojson", "house", scale="normalised")
    assert (result.phrases[0].places, result.phrases[0].tiles) == (1, ("r00000c00001",))
    ((properties, box),) = places(tmp_path / "a.geojson").values()
    assert box == (64 + 16, 32, 32, 32)
    assert properties["area_m2"] == pytest.approx(32 * 32 * M2, rel=1e-4)
    assert (properties["status"], properties["kind"], properties["phrase"]) == ("found", "box", "house")
    assert properties["logprob"] == -0.25 and properties["source"] == "words of scripted"


@pytest.mark.parametrize(
    ("scale", "text"),
    [
        ("absolute", '[{"bbox_2d": [16, 32, 48, 64], "label": "roof"}]'),
        ("thousand", "<ref>roof</ref><box>[[250, 500, 750, 1000]]</box>"),
        ("percent", "roof[[25, 50, 75, 100]]"),
        ("normalised", "[0.25, 0.5, 0.75, 1.0]"),
    ],
)
def test_every_scale_is_the_same_place(pair: ColourPair, said: Any, tmp_path: Path, scale: Any, text: str) -> None:
    said({"*": {"r00000c00000": text, "*": "[]"}})
    ground(pair, tmp_path / "a.geojson", "house", scale=scale)
    ((_, box),) = places(tmp_path / "a.geojson").values()
    assert box == (16, 32, 32, 32)


def test_a_tile_is_shown_as_far_as_both_dates_cover_it(pair: ColourPair, said: Any, tmp_path: Path) -> None:
    # The last column of tiles reaches 32 pixels over the edge of the grid: the model sees what is there.
    said({"*": {"r00000c00003": "[0.5, 0, 1, 0.5]", "*": "[]"}})
    ground(pair, tmp_path / "a.geojson", "house", scale="normalised")
    ((_, box),) = places(tmp_path / "a.geojson").values()
    assert box == (192 + 16, 0, 16, 32)


def test_a_box_is_whole_pixels_and_stays_in_its_tile(pair: ColourPair, said: Any, tmp_path: Path) -> None:
    said({"*": {"r00000c00000": "[0.501, 0.26, 1.05, 0.9]", "*": "[]"}})
    ground(pair, tmp_path / "a.geojson", "house", scale="normalised")
    ((_, box),) = places(tmp_path / "a.geojson").values()
    assert box == (32, 16, 32, 42)


def test_malformed_answers_are_counted_and_nothing_is_made_of_them(pair: ColourPair, said: Any, tmp_path: Path) -> None:
    said(
        {
            "car": {"r00000c00000": "[1, 2, 3", "r00000c00001": "\x1b There is a car <b>.", "*": "There are no cars."},
            "*": {"r00000c00000": "[0.1, 0.1, 0.2, 0.2], [0.3, 0.3, 0.4, 0.4]", "*": "[]"},
        }
    )
    result = ground(pair, tmp_path / "a.geojson", "car", "house", scale="normalised")
    car, house = result.phrases
    assert dict(car.by_status) == {"nothing": 5, "malformed": 2, "nodata": 1}
    assert car.malformed == ("r00000c00000", "r00000c00001") and car.places == 0
    assert car.text == (
        "no boxes; 7 tiles were asked, 2 of them answered with what is no box [r00000c00000, r00000c00001]"
    )
    assert house.text == "2 boxes in 1 tile [r00000c00000]; 7 tiles were asked"
    assert dict(house.by_status) == {"found": 1, "nothing": 6, "nodata": 1}
    rows = places(tmp_path / "a.geojson")
    assert sorted(rows) == [
        "r00000c00000-p1",
        "r00000c00000-p2-1",
        "r00000c00000-p2-2",
        "r00000c00001-p1",
    ]
    properties, outline = rows["r00000c00001-p1"]
    assert properties["status"] == "malformed" and properties["kind"] == "tile" and outline == (64, 0, 64, 64)
    assert (
        properties["reason"] == "its boxes are not [x1, y1, x2, y2]" and properties["answer"] == "� There is a car <b>."
    )
    told = json.loads((tmp_path / "a.geojson").read_text())["rsccli"]["ground"]
    assert told[0]["by_status"]["malformed"] == 2 and told[0]["boxes"] == "normalised"


def test_phrases_are_one_look(pair: ColourPair, said: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said({"*": {"*": "[]"}})
    monkeypatch.setenv("ASKED_LOG", str(tmp_path / "log"))
    ground(pair, tmp_path / "a.geojson", "car", "house", "tree", scale="percent")
    lines = (tmp_path / "log").read_text().splitlines()
    assert [line.split()[1] for line in lines] == ["3"] * len(lines)
    assert sum(len(line.split()[0].split(",")) for line in lines) == 7


def test_the_family_says_which_numbers_unless_the_user_does(pair: ColourPair, said: Any, tmp_path: Path) -> None:
    said({"*": {"r00000c00000": "[250, 500, 750, 1000]", "*": "[]"}})
    result = ground(pair, tmp_path / "a.geojson", "house", model="qwen")
    assert result.phrases[0].places == 1
    result = ground(pair, tmp_path / "b.geojson", "house", model="qwen", scale="normalised")
    assert result.phrases[0].places == 0 and result.phrases[0].malformed == ("r00000c00000",)
    with pytest.raises(UsageProblem, match="give --boxes"):
        ground(pair, tmp_path / "c.geojson", "house")


def test_published_conventions_of_the_families() -> None:
    known = {name: family_named(name).boxes for name in family_names()}
    assert {name: rule.scale for name, rule in known.items() if rule is not None} == {
        "qwen2-vl": "thousand",
        "qwen2.5-vl": "absolute",
        "qwen3-vl": "thousand",
        "qwen3-vl-moe": "thousand",
        "internvl": "thousand",
        "llava": "normalised",
    }
    for rule in known.values():
        assert rule is None or "x1" in rule.form


def test_what_the_user_says_of_the_numbers_comes_first() -> None:
    info = CaptionerInfo("x", "1", "internvl", "MIT", "None.", prompt="naive")
    own = rule_for(info, None)
    assert own.scale == "thousand" and "<ref>" in own.form
    assert rule_for(info, "thousand") == own
    assert rule_for(info, "percent") == BoxRule("percent", FORMS["percent"])
    one_picture = CaptionerInfo("x", "1", "vision-encoder-decoder", "MIT", "None.", prompt="naive")
    with pytest.raises(UsageProblem, match="both dates as one picture"):
        rule_for(one_picture, "percent")


def test_a_tile_that_fails_costs_only_itself(
    pair: ColourPair, said: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said({"*": {"*": "[1, 1, 2, 2]"}})
    monkeypatch.setenv("ASKED_FAIL_TILE", "r00000c00001")
    result = ground(pair, tmp_path / "a.geojson", "house", scale="percent")
    assert result.failed == 1 and result.phrases[0].places == 6
    assert places(tmp_path / "a.geojson")["r00000c00001-p1"][0]["status"] == "model_error"


def test_what_cannot_be_is_refused(pair: ColourPair, said: Any, tmp_path: Path) -> None:
    said({"*": {"*": "[]"}})
    for more, why in (
        ({"threshold": 0.7}, "--threshold"),
        ({"min_area_m2": 10.0}, "--min-area"),
        ({"judge_anyway": True}, "--judge-anyway"),
    ):
        with pytest.raises(UsageProblem, match=why):
            ground(pair, tmp_path / "a.geojson", "house", scale="percent", **more)
    with pytest.raises(ModelError, match="takes no questions"):
        ground(pair, tmp_path / "a.geojson", "house", model="mute", scale="percent")
    with pytest.raises(UsageProblem, match="give a phrase"):
        plain_phrases([" "])
    (tmp_path / "b.geojson").write_text("mine")
    with pytest.raises(OutputError, match="--overwrite"):
        ground(pair, tmp_path / "b.geojson", "house", scale="percent")
    assert (tmp_path / "b.geojson").read_text() == "mine"
    with pytest.raises(UsageProblem, match="no output format"):
        ground(pair, tmp_path / "c.xyz", "house", scale="percent")

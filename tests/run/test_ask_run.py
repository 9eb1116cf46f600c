"""Questions about a whole pair: numbers that can be worked out by hand, and words that are never added up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asked_captioners import GREY, ROOF, WATER, ColourFactory, MuteFactory, ScriptedFactory
from colour_pair import ColourPair, colour_pair

from rsccli.errors import InputError, ModelError, OutputError, UsageProblem
from rsccli.geo.pair import PairOptions
from rsccli.models.captioner import CaptionerOptions
from rsccli.models.registry import register, unregister
from rsccli.run.ask.answerers import FRAME
from rsccli.run.ask.job import Asking, prepare_ask, read_questions, run_ask
from rsccli.run.caption import CaptionJob
from rsccli.run.tilewise import TilewiseJob

# On the ellipsoid a square metre of UTM at the central meridian is a little more (1 / 0.9996 squared).
M2 = 1 / 0.9996**2
PRE = [(150, 20, 10, 10, ROOF)]
POST = [
    (10, 10, 20, 20, ROOF),  # 400 m2 in the first tile
    (40, 10, 10, 10, ROOF),  # 100 m2, another part
    (59, 70, 10, 10, WATER),  # 100 m2, 50 of them each side: over the border of the first two tiles of the second row
]
GREYS = [(200, 130, 30, 30, GREY)]


@pytest.fixture(autouse=True)
def captioners() -> Iterator[None]:
    for name, factory in (("colours", ColourFactory), ("scripted", ScriptedFactory), ("mute", MuteFactory)):
        register(name, factory)
    yield
    for name in ("colours", "scripted", "mute"):
        unregister(name)


@pytest.fixture
def pair(tmp_path: Path) -> ColourPair:
    folder = tmp_path / "data"
    folder.mkdir()
    # The lower right corner has no data.
    return colour_pair(folder, PRE + GREYS, POST + GREYS, nodata=[(192, 64, 64, 64)])


def ask(
    pair: ColourPair, output: Path, *questions: str, model: str = "colours", page: bool = True, **geometry: Any
) -> Asking:
    job = CaptionJob(
        str(pair.pre),
        str(pair.post),
        geometry=PairOptions(**{"tile_size": 64, **geometry}),
        model=model,
        captioner=CaptionerOptions(prompt="naive"),
    )
    return run_ask(prepare_ask(TilewiseJob(job, output), questions, page))


def rows(output: Path, number: int = 1) -> dict[str, dict[str, Any]]:
    """Properties of one question's features by tile."""
    features = json.loads(output.read_text(encoding="utf-8"))["features"]
    return {f["properties"]["tile"]: f["properties"] for f in features if f["properties"]["question_number"] == number}


def test_every_tile_has_a_feature_for_every_question(pair: ColourPair, tmp_path: Path) -> None:
    output = tmp_path / "answers.geojson"
    result = ask(pair, output, "Did anything change?", "Why?")
    document = json.loads(output.read_text(encoding="utf-8"))
    assert result.tiles == 12 and len(document["features"]) == 24
    assert len({feature["id"] for feature in document["features"]}) == 24
    by_tile = rows(output)
    assert {tile: (each["status"], each["verdict"]) for tile, each in by_tile.items()} == {
        **dict.fromkeys(by_tile, ("answered", "no")),
        "r00000c00000": ("answered", "yes"),
        "r00000c00002": ("answered", "yes"),
        "r00001c00000": ("answered", "yes"),
        "r00001c00001": ("answered", "yes"),
        "r00001c00003": ("nodata", None),
        "r00002c00003": ("unsure", None),
    }
    assert {each["status"] for tile, each in rows(output, 2).items()} == {"cannot_answer", "nodata"}
    assert {each["reason"][:30] for each in rows(output, 2).values() if each["status"] == "cannot_answer"} == {
        "no question begins like this: "
    }
    assert not (tmp_path / "answers.geojson.journal").exists()


def test_scene_answers_cite_tiles_and_measure(pair: ColourPair, tmp_path: Path) -> None:
    output = tmp_path / "answers.geojson"
    questions = (
        "Did anything change?",
        "What changed?",
        "How much changed?",
        "Where are new buildings?",
        "How many new buildings are there?",
        "How many buildings were removed?",
        "How much water was gained?",
        "What percentage of the area changed?",
        "Is there flooding?",
    )
    result = ask(pair, output, *questions)
    said = dict(zip(questions, result.answers, strict=True))
    yes = said["Did anything change?"]
    assert yes.tile_count == 4 and set(yes.tiles) == {"r00000c00000", "r00000c00002", "r00001c00000", "r00001c00001"}
    assert yes.text.startswith("Yes, in 4 of 11 tiles") and "Not sure about 1 tile [r00002c00003] (grey)." in yes.text
    assert "Not looked at: 1 tile [r00001c00003]." in yes.text
    assert dict(yes.by_status) == {"answered": 10, "unsure": 1, "nodata": 1}
    kinds = said["What changed?"].text
    assert "water gain in 2 tiles [" in kinds.lower() and "new building in 1 tile [r00000c00000]" in kinds.lower()
    assert said["How much changed?"].value == pytest.approx((400 + 100 + 100 + 100) * M2, rel=1e-4)
    assert said["How many new buildings are there?"].value == 2
    assert said["How many buildings were removed?"].tiles == ("r00000c00002",)
    assert said["How much water was gained?"].value == pytest.approx(100 * M2, rel=1e-4)
    ground = 11 * 64 * 64 * M2  # without the tile of no data
    assert said["What percentage of the area changed?"].value == pytest.approx(100 * 700 * M2 / ground, rel=1e-3)
    where = said["Where are new buildings?"].text
    assert "north-west of the scene [r00000c00000] (in the " in where and "of the tile)" in where
    # The captioner has no such keyword: it cannot know.
    assert (
        said["Is there flooding?"].status == "cannot_answer"
        and "no keyword for floods" in said["Is there flooding?"].text
    )
    page = (tmp_path / "answers.md").read_text(encoding="utf-8")
    document = json.loads(output.read_text(encoding="utf-8"))
    for question, answer, told in zip(questions, result.answers, document["rsccli"]["answers"], strict=True):
        assert f"## {question}" in page and told["text"] == answer.text and told["question"] == question


@pytest.mark.parametrize("stride", [64, 48, 32, 20])
def test_overlap_changes_no_sum(pair: ColourPair, tmp_path: Path, stride: int) -> None:
    output = tmp_path / f"{stride}.geojson"
    result = ask(pair, output, "How much changed?", "How many hectares of water were gained?", stride=stride)
    assert result.answers[0].value == pytest.approx(700 * M2, rel=1e-4)
    assert result.answers[1].value == pytest.approx(100 * M2 / 1e4, rel=1e-3)


def test_several_questions_are_one_look(pair: ColourPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    for name, questions in (
        ("one", ["What changed?"]),
        ("many", ["What changed?", "Where is new water?", "How much?"]),
    ):
        log = tmp_path / f"{name}.log"
        monkeypatch.setenv("ASKED_LOG", str(log))
        ask(pair, tmp_path / f"{name}.geojson", *questions)
        looks.append(log.read_text().splitlines())
    assert len(looks[0]) > 0 and looks[0] == looks[1]
    seen = sorted(tile for line in looks[0] for tile in line.split()[0].split(","))
    assert seen == sorted(set(rows(tmp_path / "one.geojson")) - {"r00001c00003"})


def test_where_nothing_can_be_answered_no_model_looks(
    pair: ColourPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASKED_LOG", str(tmp_path / "log"))
    result = ask(pair, tmp_path / "a.geojson", "How many people live here?")
    assert result.answers[0].status == "cannot_answer" and not (tmp_path / "log").exists()
    assert result.answers[0].text == 'Cannot answer: it does not understand "people", "live".'


def test_a_model_asked_in_words_is_quoted_and_not_added_up(
    pair: ColourPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = tmp_path / "answers.json"
    answers.write_text(
        json.dumps(
            {
                "How many": {"r00000c00000": "3 buildings", "r00000c00001": "Two of them.", "*": "None can be seen."},
                "colour": {"r00000c00000": "\x1b[mRed <script>", "*": "Green."},
                "Was there": {"r00002c00002": "Yes, a new house.", "*": "No."},
                "silent": {"*": ""},
            }
        )
    )
    monkeypatch.setenv("SCRIPTED_ANSWERS", str(answers))
    output = tmp_path / "a.geojson"
    questions = ("How many houses?", "Which colour?", "Was there a change?", "Are you silent?")
    result = ask(pair, output, *questions, model="scripted")
    many, colour, change, silent = result.answers
    assert "“None can be seen” in 9 tiles [" in many.text
    assert "a number in the answers to 2 tiles [r00000c00000, r00000c00001], which the model gives" in many.text
    assert "3 buildings" not in many.text and "Two" not in many.text and many.value is None
    assert "“�[mRed <script>” in 1 tile [r00000c00000]" in colour.text and "\x1b" not in colour.text
    assert "“yes” in 1 tile [r00002c00002]; “no” in 10 tiles [" in change.text and change.tiles == ("r00002c00002",)
    assert silent.status == "unsure"
    first = rows(output)["r00000c00000"]
    assert (first["answer"], first["logprob"], first["source"]) == ("3 buildings", -0.25, "words of scripted")
    assert rows(output, 4)["r00000c00000"]["status"] == "unsure"
    page = (tmp_path / "a.md").read_text(encoding="utf-8")
    assert "<script>" not in page and "&lt;script&gt;" in page


def test_a_question_in_words_is_framed_and_braces_are_no_fields(
    pair: ColourPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = tmp_path / "answers.json"
    answers.write_text(json.dumps({FRAME.replace("{question}", "What is {place}?"): {"*": "framed"}}))
    monkeypatch.setenv("SCRIPTED_ANSWERS", str(answers))
    ask(pair, tmp_path / "a.geojson", "What is {place}?", model="scripted")
    assert rows(tmp_path / "a.geojson")["r00000c00000"]["answer"] == "framed"


def test_a_batch_that_does_not_fit_is_halved(pair: ColourPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCRIPTED_TILES", "2")
    result = ask(pair, tmp_path / "a.geojson", "Is it so?", model="scripted")
    assert result.failed == 0 and result.answers[0].tile_count == 11


def test_a_tile_that_fails_costs_only_itself(pair: ColourPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASKED_FAIL_TILE", "r00000c00001")
    result = ask(pair, tmp_path / "a.geojson", "Did anything change?")
    assert result.failed == 1
    bad = rows(tmp_path / "a.geojson").pop("r00000c00001")
    assert bad["status"] == "model_error" and "as the test asked" in bad["reason"] and bad["answer"] is None
    assert "Not looked at: 2 tiles [r00000c00001, r00001c00003]." in result.answers[0].text


def test_a_captioner_that_takes_no_questions_is_refused(pair: ColourPair, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="takes no questions"):
        ask(pair, tmp_path / "a.geojson", "What changed?", model="mute")


def test_what_is_in_the_way_is_told_before_any_work(pair: ColourPair, tmp_path: Path) -> None:
    for name, kept in (("a.geojson", "a.geojson"), ("b.geojson", "b.md")):
        (tmp_path / kept).write_text("mine")
        with pytest.raises(OutputError, match=f"{kept} exists"):
            ask(pair, tmp_path / name, "What changed?")
        assert (tmp_path / kept).read_text() == "mine"
    # Without the page nothing is in the way.
    ask(pair, tmp_path / "b.geojson", "What changed?", page=False)
    assert (tmp_path / "b.md").read_text() == "mine"
    with pytest.raises(UsageProblem, match=r"\.geojson"):
        ask(pair, tmp_path / "a.xyz", "What changed?")
    with pytest.raises(UsageProblem, match="give a question"):
        ask(pair, tmp_path / "c.geojson")
    with pytest.raises(UsageProblem, match="give a question"):
        ask(pair, tmp_path / "c.geojson", "  ")


def test_a_question_asked_twice_is_asked_once(pair: ColourPair, tmp_path: Path) -> None:
    assert len(ask(pair, tmp_path / "a.geojson", "What changed?", " What  changed? ").answers) == 1


def test_questions_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "q.txt"
    path.write_text("\ufeff# about water\nIs there flooding?\n\n  What changed?  \n", encoding="utf-8")
    assert read_questions(path) == ["Is there flooding?", "What changed?"]
    for content, why in ((b"# nothing\n", "holds no question"), (b"\xff\xfe\x00", "no UTF-8 text")):
        path.write_bytes(content)
        with pytest.raises(InputError, match=why):
            read_questions(path)
    with pytest.raises(InputError, match="No such file"):
        read_questions(tmp_path / "missing.txt")

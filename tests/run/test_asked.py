"""What a captioner that is asked in words is told, and which tiles it is spared, on the example pair.

The screen is the bundled captioner; `EchoCaptioner` says what it was told.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import rasterio
from captioners import EchoCaptioner, EchoFactory, QueuedFactory
from pyproj import Transformer
from tile_pairs import grey_pair

from rsccli.errors import ModelError, UsageProblem
from rsccli.models.captioner import CaptionerOptions
from rsccli.models.registry import load_captioner
from rsccli.run.asked import AskedCaptioner, Asking
from rsccli.run.caption import CaptionJob, PreparedJob, prepare_job, run_caption
from rsccli.run.captioners import AskingOptions, describe_crew, load_crew
from rsccli.run.loop import caption_tiles
from rsccli.run.spec import make_spec
from rsccli.types import Caption, TileContext, TilePair

ROOT = Path(__file__).resolve().parents[2]
ECHO = f"{ROOT}/tests/captioners.py:EchoFactory"
PRE, POST = (str(ROOT / "examples" / f"prairie_{date}.tif") for date in ("2012-07-31", "2014-07-20"))
TILES = 12
#: Column, row in pixels of the example, and level: two in the first tile, one across the line between two, one far off.
BUILDINGS = (
    (20, 30, "no-damage"),
    (100, 200, "destroyed"),
    (257, 40, "minor-damage"),
    (600, 300, "major-damage"),
    (610, 320, "major-damage"),
    (900, 700, "un-classified"),
    (5000, 40, "destroyed"),
)
ON_THE_GRID = 6


def job(output: Path | None = None, *, model: str = ECHO, **asking: Any) -> CaptionJob:
    prompt = asking.pop("prompt", "auto")
    options = CaptionerOptions(device="cpu", threads=1, prompt=prompt)
    return CaptionJob(PRE, POST, output, model=model, captioner=options, asking=AskingOptions(**asking), report=False)


def features(output: Path) -> dict[str, dict[str, Any]]:
    return {each["id"]: each for each in json.loads(output.read_text())["features"]}


def run(output: Path, **asking: Any) -> dict[str, dict[str, Any]]:
    """Properties by tile."""
    run_caption(prepare_job(job(output, **asking)))
    return {tile: each["properties"] for tile, each in features(output).items()}


def told(properties: dict[str, Any]) -> dict[str, Any]:
    """What the echo was told of a tile."""
    found: dict[str, Any] = json.loads(properties["caption"])["context"]
    return found


def write_labels(path: Path, buildings: Sequence[tuple[int, int, str]] = BUILDINGS) -> Path:
    """GeoJSON of squares of ten pixels about places of the example."""
    with rasterio.open(PRE) as ds:
        move = Transformer.from_crs(ds.crs, "EPSG:4326", always_xy=True)
        corners = [(-5, -5), (5, -5), (5, 5), (-5, 5), (-5, -5)]
        made = []
        for col, row, level in buildings:
            ring = [list(move.transform(*(ds.transform @ (col + x, row + y)))) for x, y in corners]
            shape = {"type": "Polygon", "coordinates": [ring]}
            made.append({"type": "Feature", "properties": {"subtype": level}, "geometry": shape})
    path.write_text(json.dumps({"type": "FeatureCollection", "features": made}))
    return path


@pytest.fixture(scope="module")
def screened(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What the bundled captioner itself says of every tile."""
    found = run(tmp_path_factory.mktemp("small") / "out.geojson", model="rsccli-small")
    assert {each["status"] for each in found.values()} == {"changed", "unchanged", "unsure"}, "the pair tests nothing"
    return found


@pytest.fixture(scope="module")
def prepared() -> PreparedJob:
    """The pair, read and measured once."""
    return prepare_job(job())


def degrees(place: str) -> tuple[float, float]:
    """Longitude and latitude of a place in words."""
    match = re.fullmatch(r"(\d+\.\d{3}) degrees ([NS]), (\d+\.\d{3}) degrees ([EW])", place)
    assert match, place
    lat, north, lon, east = match.groups()
    return float(lon) * {"E": 1, "W": -1}[east], float(lat) * {"N": 1, "S": -1}[north]


def test_dates_coordinates_and_resolution_arrive(tmp_path: Path) -> None:
    found = run(tmp_path / "out.geojson", disaster="flooding")
    assert len(found) == TILES
    for tile, each in features(tmp_path / "out.geojson").items():
        context = told(found[tile])
        assert context["pre_date"].startswith("2012-07-31") and context["post_date"].startswith("2014-07-20")
        assert context["disaster"] == "flooding"
        assert (context["counts"], context["source"], context["outlines"]) == (None, None, 0)
        assert json.loads(found[tile]["caption"])["gsd_m"] == pytest.approx(5.0, rel=0.01)
        west, south, east, north = each["bbox"]
        middle = ((west + east) / 2, (south + north) / 2)
        assert degrees(context["place"]) == pytest.approx(middle, abs=0.001)
    assert len({told(each)["place"] for each in found.values()}) == TILES


@pytest.mark.parametrize(("crs", "ends"), [("EPSG:32733", "S E"), ("EPSG:32718", "S W"), ("EPSG:32633", "N E")])
def test_coordinates_on_every_side_of_the_earth(tmp_path: Path, raster_factory: Any, crs: str, ends: str) -> None:
    pre, post = (
        str(raster_factory(name, crs=crs, size=(128, 128))) for name in ("a_2020-01-01.tif", "b_2021-01-01.tif")
    )
    run_caption(prepare_job(replace(job(tmp_path / "out.geojson"), pre=pre, post=post)))
    (each,) = features(tmp_path / "out.geojson").values()
    place = told(each["properties"])["place"]
    assert " ".join(re.findall(r"degrees ([NSEW])", place)) == ends
    west, south, east, north = each["bbox"]
    assert degrees(place) == pytest.approx(((west + east) / 2, (south + north) / 2), abs=0.001)


def test_the_users_name_of_the_place_goes_first(tmp_path: Path) -> None:
    found = run(tmp_path / "out.geojson", place="Stutsman County {pre}")
    assert {told(each)["place"] for each in found.values()} == {"Stutsman County {pre}"}
    assert all(each["change_score"] is None and each["status"] == "changed" for each in found.values())


def total(counts: str) -> int:
    """Buildings that a sentence counts, by its first word and by its parts."""
    if counts == "no building":
        return 0
    first, *levels = (int(number) for number in re.findall(r"\d+", counts))
    assert sum(levels) == first, counts
    return first


@pytest.mark.parametrize("prompt", ["textual", "visual"])
def test_counts_of_a_labels_file_arrive(tmp_path: Path, prompt: str) -> None:
    labels = write_labels(tmp_path / "damage.geojson")
    found = run(tmp_path / "out.geojson", prompt=prompt, labels=str(labels))
    contexts = {tile: told(each) for tile, each in found.items()}
    assert len(contexts) == TILES and sum(total(each["counts"]) for each in contexts.values()) == ON_THE_GRID
    first = contexts["r00000c00000"]
    assert first["counts"] == ("2 buildings: 1 with no damage, 0 with minor damage, 0 with major damage, 1 destroyed")
    # The one across the line between two tiles is drawn in both, and counted in one.
    assert first["outlines"] == 3 and total(contexts["r00000c00001"]["counts"]) == 1
    assert "2 with major damage" in contexts["r00001c00002"]["counts"]
    assert contexts["r00002c00003"]["counts"].endswith("1 not classified")
    assert {each["source"] for each in contexts.values()} == {"labels: damage.geojson (centroid)"}
    limits = json.loads((tmp_path / "out.geojson").read_text())["rsccli"]["limits"]
    assert f"Its prompt ({prompt}) tells it counts from labels: damage.geojson (centroid): it repeats them." in limits


def test_a_building_that_touches_counts_in_every_tile_where_the_user_says_so(tmp_path: Path) -> None:
    labels = write_labels(tmp_path / "damage.geojson")
    found = run(tmp_path / "out.geojson", prompt="textual", labels=str(labels), count_rule="touch")
    assert sum(total(told(each)["counts"]) for each in found.values()) == ON_THE_GRID + 1
    assert {told(each)["source"] for each in found.values()} == {"labels: damage.geojson (touch)"}


def test_counts_of_the_mask_arrive(tmp_path: Path, screened: dict[str, dict[str, Any]]) -> None:
    found = run(tmp_path / "out.geojson", prompt="textual", counts_from="mask", disaster="flooding")
    for tile, look in screened.items():
        context = told(found[tile])
        assert (context["source"], context["disaster"]) == ("mask of rsccli-small", "flooding")
        if look["reason"] and "looks unlike" in look["reason"]:
            assert context["counts"].startswith("nothing, because it could not judge these images: ")
        elif look["status"] == "unchanged":
            assert context["counts"] == "no changed area" and context["outlines"] == 0
        else:
            number = re.match(r"(\d+) changed areas? covering .* of the image, of the kind", context["counts"])
            assert number and int(number[1]) == context["outlines"] > 0, context["counts"]
            assert ("unsure whether anything changed" in context["counts"]) == (look["status"] == "unsure")
    # The screen was asked for counts alone: it spares no tile and lends no score.
    assert all(each["change_score"] is None and each["status"] == "changed" for each in found.values())


def test_counts_for_a_naive_prompt_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="the naive prompt tells no counts"):
        run(tmp_path / "out.geojson", labels=str(write_labels(tmp_path / "damage.geojson")))


def test_tiles_that_the_screen_calls_unchanged_are_spared(tmp_path: Path, screened: dict[str, dict[str, Any]]) -> None:
    found = run(tmp_path / "out.geojson", skip_unchanged=True)
    assert list(found) == list(screened), "every tile is a feature, in the same order"
    for tile, look in screened.items():
        each = found[tile]
        assert each["change_score"] == look["change_score"]
        if look["status"] == "unchanged":
            assert (each["status"], each["caption"], each["changed_fraction"]) == ("unchanged", look["caption"], 0.0)
            assert each["reason"] == (
                f"not captioned by echo: rsccli-small sees no change (score {look['change_score']:.2f})"
            )
            assert each["logprob"] is None
        else:
            assert (each["status"], each["logprob"]) == ("changed", -0.5)
            assert told(each)["pre_date"].startswith("2012-07-31") and told(each)["counts"] is None
    facts = json.loads((tmp_path / "out.geojson").read_text())["rsccli"]
    assert any("Tiles that rsccli-small calls unchanged were not captioned by echo" in each for each in facts["limits"])
    assert facts["model"] == "echo"


def test_only_the_others_are_asked(screened: dict[str, dict[str, Any]], prepared: PreparedJob) -> None:
    echo = EchoCaptioner(prepared.info)
    screen = load_captioner("rsccli-small", CaptionerOptions(device="cpu", threads=1))
    captioner = AskedCaptioner(echo, Asking(TileContext(), skip_unchanged=True), screen)
    records = [record for batch in caption_tiles(prepared.pair, captioner, batch_size=5) for record in batch.records]
    captioner.close()
    assert len(records) == TILES
    assert sorted(echo.seen) == sorted(tile for tile, each in screened.items() if each["status"] != "unchanged")


def looks(*answers: Caption | Exception) -> Any:
    return QueuedFactory(answers).open(CaptionerOptions())


def tiles(count: int) -> list[TilePair]:
    return [grey_pair(0, 64, 64, index=index) for index in range(count)]


SAME = Caption("Nothing.", "unchanged", 0.1, -0.2)
OTHER = Caption("Something.", "changed", 0.9, -0.2)
PERHAPS = Caption("Perhaps.", "unsure", 0.5, -0.2)


def test_the_order_of_a_batch_is_kept_whoever_answers() -> None:
    answers = [SAME, OTHER, SAME, PERHAPS, OTHER, SAME]
    echo = EchoCaptioner(EchoFactory().describe(CaptionerOptions()))
    place = iter("abcdef")
    asking = Asking(
        TileContext(pre_date="2020"), place=lambda pair: next(place) + str(pair.tile.col), skip_unchanged=True
    )
    captioner = AskedCaptioner(echo, asking, looks(*answers))
    captions = captioner.caption(tiles(6))
    assert [each.status for each in captions] == [
        "unchanged",
        "changed",
        "unchanged",
        "changed",
        "changed",
        "unchanged",
    ]
    assert [each.change_score for each in captions] == [0.1, 0.9, 0.1, 0.5, 0.9, 0.1]
    assert [told({"caption": captions[i].text})["place"] for i in (1, 3, 4)] == ["a1", "b3", "c4"]
    assert captioner.info == echo.info
    captioner.close()
    assert echo.closed


def test_a_captioner_is_not_called_without_tiles() -> None:
    class Never(EchoCaptioner):
        def caption(self, pairs: Sequence[TilePair]) -> list[Caption]:
            raise AssertionError("called")

    never = Never(EchoFactory().describe(CaptionerOptions()))
    captioner = AskedCaptioner(
        never, Asking(TileContext(), skip_unchanged=True), looks(SAME, replace(SAME, change_score=None))
    )
    first, second = captioner.caption(tiles(2))
    assert first.reason == "not captioned by echo: queued sees no change (score 0.10)"
    assert second.reason == "not captioned by echo: queued sees no change"


def test_a_score_of_the_captioners_own_is_kept() -> None:
    own = looks(OTHER, replace(OTHER, change_score=None))
    captioner = AskedCaptioner(own, Asking(TileContext(), skip_unchanged=True), looks(PERHAPS, PERHAPS))
    assert [each.change_score for each in captioner.caption(tiles(2))] == [0.9, 0.5]
    # Without sparing the screen's score is not borrowed.
    own = looks(replace(OTHER, change_score=None))
    captioner = AskedCaptioner(own, Asking(TileContext(), counts_from_mask=True), looks(PERHAPS))
    assert captioner.caption(tiles(1))[0].change_score is None


def test_an_error_of_the_screen_is_an_error_of_the_batch() -> None:
    echo = EchoCaptioner(EchoFactory().describe(CaptionerOptions()))
    captioner = AskedCaptioner(echo, Asking(TileContext(), skip_unchanged=True), looks(OTHER, ModelError("blind")))
    with pytest.raises(ModelError, match="blind"):
        captioner.caption(tiles(2))
    assert echo.seen == []


def test_a_screen_without_masks_counts_nothing() -> None:
    echo = EchoCaptioner(EchoFactory().describe(CaptionerOptions()))
    captioner = AskedCaptioner(echo, Asking(TileContext(), counts_from_mask=True), looks(OTHER))
    with pytest.raises(UsageProblem, match="queued tells no mask"):
        captioner.caption(tiles(1))


def spec_hash(prepared: PreparedJob, **asking: Any) -> str:
    given = job(**asking)
    crew = describe_crew(given.model, given.captioner, given.asking, prepared.pair)
    return make_spec(prepared.pair, crew, 4, given.min_valid).hash


def test_all_that_is_told_is_in_the_spec(tmp_path: Path, prepared: PreparedJob) -> None:
    labels = str(write_labels(tmp_path / "a.geojson"))
    others = str(write_labels(tmp_path / "b.geojson", BUILDINGS[:-2]))
    hashes = [
        spec_hash(prepared),
        spec_hash(prepared, place="here"),
        spec_hash(prepared, disaster="flooding"),
        spec_hash(prepared, skip_unchanged=True),
        spec_hash(prepared, prompt="textual", labels=labels),
        spec_hash(prepared, prompt="visual", labels=labels),
        spec_hash(prepared, prompt="textual", labels=others),
        spec_hash(prepared, prompt="textual", labels=labels, count_rule="touch"),
        spec_hash(prepared, prompt="textual", counts_from="mask"),
    ]
    assert len(set(hashes)) == len(hashes)
    assert spec_hash(prepared) == hashes[0] == prepared.spec.hash
    # The folder of the labels does not matter.
    (tmp_path / "elsewhere").mkdir()
    moved = write_labels(tmp_path / "elsewhere" / "a.geojson")
    assert spec_hash(prepared, prompt="textual", labels=str(moved)) == hashes[4]


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0.5},
        {"top_p": 0.5},
        {"seed": 1},
        {"repetition_guard": False},
        {"max_new_tokens": 9},
        {"num_beams": 2},
        {"decoder": "optimum"},
        {"words": "grammar"},
        {"register": "news"},
        {"prompt": "naive"},
    ],
)
def test_how_the_captioner_runs_is_in_the_spec(prepared: PreparedJob, options: dict[str, Any]) -> None:
    def spec(captioner: CaptionerOptions) -> str:
        crew = describe_crew(ECHO, captioner, AskingOptions(), prepared.pair)
        return make_spec(prepared.pair, crew, 4, 0.1).hash

    plain = CaptionerOptions(device="cpu")
    assert spec(replace(plain, **options)) != spec(plain) == spec(replace(plain, threads=2))


def test_the_text_of_a_prompt_file_is_in_the_spec(tmp_path: Path, prepared: PreparedJob) -> None:
    own = tmp_path / "prompt.txt"
    own.write_text("What changed at {place}?")
    first = spec_hash(prepared, prompt=str(own))
    assert spec_hash(prepared, prompt=str(own)) == first
    own.write_text("What is new at {place}?")
    assert spec_hash(prepared, prompt=str(own)) != first


def test_a_file_of_the_users_own_may_do_without_counts(tmp_path: Path, prepared: PreparedJob) -> None:
    own = tmp_path / "prompt.txt"
    own.write_text("What changed at {place}, where there are {counts}?")
    given = job(prompt=str(own))
    assert describe_crew(ECHO, given.captioner, given.asking, prepared.pair).info.prompt == "own"


def test_labels_are_read_once_and_belong_to_the_crew(tmp_path: Path, prepared: PreparedJob) -> None:
    path = write_labels(tmp_path / "damage.geojson")
    given = job(prompt="textual", labels=str(path))
    crew = describe_crew(ECHO, given.captioner, given.asking, prepared.pair)
    path.unlink()
    captioner = load_crew(crew, prepared.pair, 4)
    assert isinstance(captioner, AskedCaptioner)
    counted = [
        total(told({"caption": record.caption})["counts"])
        for batch in caption_tiles(prepared.pair, captioner, batch_size=4)
        for record in batch.records
    ]
    assert sum(counted) == ON_THE_GRID

"""``rsccli caption`` of a time series as a user runs it: stdout, stderr, files and exit codes are real."""

from __future__ import annotations

import html
import json
import os
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

ROOT = Path(__file__).resolve().parents[2]
BRIGHTNESS = f"{ROOT}/tests/captioners.py:BrightnessFactory"
# Spring, summer, spring, spring: a field that is bright in summer alone, and a roof that stays.
DATES = ("2010-04-10", "2010-08-10", "2011-04-12", "2013-04-05")
SIDE, FIELD, ROOF, QUIET = 256, "r00000c00001", "r00001c00000", "r00001c00001"
PAIRS = [f"{a}_{b}" for a, b in (*pairwise(DATES), (DATES[0], DATES[-1]))]


def write_image(path: Path, field: int, roof: int, shift_px: int = 0) -> None:
    """Four tiles of 256 px of smooth random ground, generated; two of them get brighter by so many levels."""
    ground = np.repeat(np.repeat(np.random.default_rng(3).integers(40, 120, (3, 32, 32)), 16, axis=1), 16, axis=2)
    image = ground.astype(np.int16)
    image[:, :SIDE, SIDE:] += field
    image[:, SIDE:, :SIDE] += roof
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=2 * SIDE,
        height=2 * SIDE,
        count=3,
        dtype="uint8",
        crs="EPSG:32633",
        transform=from_origin(400000 + shift_px, 5200000, 1, 1),
        tiled=True,
        photometric="rgb",
    ) as ds:
        ds.write(np.clip(image, 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of four dates."""
    path = tmp_path_factory.mktemp("images")
    for date, field, roof in zip(DATES, (0, 60, 0, 0), (0, 60, 60, 60), strict=True):
        write_image(path / f"scene_{date}.tif", field, roof)
    return path


def arguments(*given: object) -> list[str]:
    return [sys.executable, "-m", "rsccli", "caption", *map(str, given), "-m", BRIGHTNESS]


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RSCCLI_", "BRIGHTNESS_"))}
    return {**kept, "OMP_NUM_THREADS": "1", **more}


def rsccli(*given: object, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments(*given), env=environment(**more), capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture(scope="module")
def done(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an undisturbed run wrote."""
    out = tmp_path_factory.mktemp("done") / "series"
    run = rsccli(folder, "-o", out, "--batch-size", "1")
    assert run.returncode == 0, run.stderr
    assert run.stdout == "" and "timeline.geojson" in run.stderr
    return out


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def features(path: Path) -> list[dict]:
    return json.loads(path.read_text())["features"]


def test_one_map_for_each_pair_and_one_timeline(done: Path) -> None:
    names = {path.name for path in done.iterdir()}
    per_pair = {
        f"{pair}{end}" for pair in PAIRS for end in (".geojson", ".qml", ".report.html", ".report.md", ".report.json")
    }
    assert names == per_pair | {f"timeline.{end}" for end in ("geojson", "qml", "html", "md", "json")}
    whole = features(done / "timeline.geojson")
    assert len(whole) == len(PAIRS) * 4 and len({feature["id"] for feature in whole}) == len(whole)
    ids = [{feature["id"] for feature in features(done / f"{pair}.geojson")} for pair in PAIRS]
    assert ids == [{"r00000c00000", FIELD, ROOF, QUIET}] * len(PAIRS)
    for feature in whole:
        own = feature["properties"]
        assert feature["id"] == f"{own['tile']}@{own['pair']}"
        assert own["pair"] == f"{own['pre_datetime']}_{own['post_datetime']}"
    first = whole[0]["properties"]
    assert (first["pair_kind"], first["days"], first["years"]) == ("consecutive", 122, 0.334)


def test_a_tile_is_the_same_ground_in_every_pair(done: Path) -> None:
    places = {}
    for feature in features(done / "timeline.geojson"):
        places.setdefault(feature["properties"]["tile"], []).append(feature["geometry"])
    assert all(geometry == shapes[0] for shapes in places.values() for geometry in shapes)


def test_what_comes_back_with_the_season_is_marked(done: Path) -> None:
    told = {
        (f["properties"]["tile"], f["properties"]["pair"]): f["properties"] for f in features(done / "timeline.geojson")
    }
    summer, back = told[FIELD, PAIRS[0]], told[FIELD, PAIRS[1]]
    assert summer["seasonal"] is True and summer["seasonal_keywords"] == "brighter"
    assert summer["seasonal_reason"] == ("brighter: not there between 2010-04-10 and 2013-04-05, the same time of year")
    assert back["seasonal"] is True and back["keywords"] == "darker"
    roof = told[ROOF, PAIRS[0]]
    assert roof["change"] and roof["seasonal"] is False, "it is still there three springs later"
    spring = told[ROOF, PAIRS[3]]
    assert spring["change"] and spring["seasonal"] is False and "same time of year" in spring["seasonal_reason"]
    assert told[QUIET, PAIRS[0]]["seasonal"] is None
    document = json.loads((done / "timeline.json").read_text())
    assert [pair["seasonal"] for pair in document["pairs"]] == [1, 1, 0, 0]
    assert document["ever_changed"] == 2 and document["more_than_once"] == 1


def test_facts_of_the_series_stand_once(done: Path) -> None:
    facts = json.loads((done / "timeline.geojson").read_text())["rsccli_series"]
    assert [image["date"] for image in facts["images"]] == list(DATES)
    assert [pair["pair"] for pair in facts["pairs"]] == PAIRS
    assert facts["tiles"] == 4 and facts["tile_rows_cols"] == [2, 2]


class Links(HTMLParser):
    """Addresses and tags of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.hrefs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.hrefs += [str(value) for name, value in attrs if name in ("href", "src")]


def test_the_page_is_whole_and_leads_to_the_reports(done: Path) -> None:
    text = html.unescape((done / "timeline.html").read_text())
    page = Links()
    page.feed(text)
    assert sorted(page.hrefs) == sorted(f"{pair}.report.html" for pair in PAIRS)
    assert all((done / href).is_file() for href in page.hrefs)
    assert not {"script", "link", "iframe", "img"} & page.tags and "default-src 'none'" in text
    assert text.count("<svg") >= 1 + len(PAIRS)
    markdown = (done / "timeline.md").read_text()
    assert "2 tiles are called changed from one date to the next at least once" in markdown
    assert "2 changes of a tile are marked seasonal" in markdown


@pytest.mark.parametrize("number", [pytest.param(signal.SIGTERM, marks=pytest.mark.slow), signal.SIGKILL])
def test_killed_in_its_middle_it_goes_on_where_it_was(folder: Path, done: Path, tmp_path: Path, number: int) -> None:
    out, log = tmp_path / "series", tmp_path / "log"
    slow = environment(BRIGHTNESS_SLEEP_S="0.35", BRIGHTNESS_LOG=str(log))
    process = subprocess.Popen(
        arguments(folder, "-o", out, "--batch-size", "1"), env=slow, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    # In the second pair, after its first tile.
    while not (log.exists() and len(log.read_text().split()) >= 6) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == (75 if number == signal.SIGTERM else -signal.SIGKILL), told
    seen = len(log.read_text().split())
    assert (out / f"{PAIRS[0]}.geojson").exists() and not (out / "timeline.geojson").exists()
    again = rsccli(folder, "-o", out, "--batch-size", "1", BRIGHTNESS_LOG=str(log))
    assert again.returncode == 0, again.stderr
    # At most the tile in hand is done twice.
    assert 16 <= len(log.read_text().split()) <= 17 and seen < 16
    assert content(out) == content(done)
    assert not list(out.glob("*journal*"))


def test_a_stop_between_two_pairs_is_heard(folder: Path, tmp_path: Path) -> None:
    """The last batch of a pair is no safe point of that pair any more: the series stops before the next one."""
    out, log = tmp_path / "series", tmp_path / "log"
    slow = environment(BRIGHTNESS_SLEEP_S="0.3", BRIGHTNESS_LOG=str(log))
    process = subprocess.Popen(arguments(folder, "-o", out), env=slow, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (log.exists() and log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.terminate()  # all four tiles of the first pair are one batch
    _, told = process.communicate(timeout=60)
    assert process.returncode == 75 and "1 of 4 pairs" in told, told


def test_another_model_does_not_go_on_with_it(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "series"
    out.mkdir()
    (out / "series.journal").write_bytes(b'{"rsccli_line_journal":1,"spec":{"model":{"revision":"1"}}}\n')
    other = rsccli(folder, "-o", out, "--dates", "2010,2011,2012,2013", BRIGHTNESS_REVISION="3")
    assert other.returncode == 3 and "model.revision" in other.stderr and "--no-resume" in other.stderr


def test_other_pairs_and_dates(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "series"
    run = rsccli(*sorted(folder.glob("*.tif"))[::-1], "-o", out, "--pairs", "first-last", "--no-report", "--json")
    assert run.returncode == 0, run.stderr
    assert {path.name for path in out.iterdir()} == {f"{PAIRS[3]}.geojson", "timeline.geojson"}
    assert [pair["pair"] for pair in json.loads(run.stdout)["pairs"]] == [PAIRS[3]]
    plan = rsccli(
        folder, "-o", tmp_path / "x", "--dates", "2004,2001,2002,2003", "--pairs", "all", "--dry-run", "--json"
    )
    told = json.loads(plan.stdout)
    assert [image["date"] for image in told["images"]] == ["2001", "2002", "2003", "2004"]
    assert told["images"][3]["path"].endswith(f"{DATES[0]}.tif") and len(told["pairs"]) == 6
    assert not (tmp_path / "x").exists()
    assert any("month" in warning for warning in told["warnings"])


def test_grids_that_nearly_match_share_one(folder: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "moved_2012-04-10.tif", 0, 60, shift_px=100)
    images = [*sorted(folder.glob("*.tif"))[:2], tmp_path / "moved_2012-04-10.tif"]
    plan = rsccli(*images, "-o", tmp_path / "x", "--dry-run", "--json")
    assert json.loads(plan.stdout)["grid_size_px"] == [2 * SIDE - 100, 2 * SIDE], "what all of them cover"
    run = rsccli(*images, "-o", tmp_path / "out", "--no-report")
    assert run.returncode == 0, run.stderr
    valid = {f["properties"]["valid_fraction"] for f in features(tmp_path / "out" / "timeline.geojson")}
    assert valid == {1.0, round(156 / 256, 6)}, "the same in every pair"


def test_failed_tiles_are_told_and_the_outputs_are_whole(folder: Path, tmp_path: Path) -> None:
    run = rsccli(folder, "-o", tmp_path / "s", "--pairs", "first-last", "--no-report", BRIGHTNESS_FAIL_TILE=QUIET)
    assert run.returncode == 5 and "1 of 4 tiles of all pairs failed" in run.stderr
    assert len(features(tmp_path / "s" / "timeline.geojson")) == 4


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (["{one}", "-o", "out.geojson"], 2, "only one image"),
        (["{one}", "{two}", "-o", "x.geojson", "--pairs", "all"], 2, "--pairs is for a time series"),
        (["{folder}", "-o", "x.geojson"], 2, "name a folder"),
        (["{folder}", "-o", "-"], 2, "name a folder"),
        (["{folder}", "-o", "none/x"], 3, "mkdir -p none"),
        (["{folder}", "-o", "{done}"], 3, "--overwrite"),
        (["{folder}", "-o", "x", "--dates", "2010,2011"], 2, "2 dates for 4 images"),
        (["{folder}", "-o", "x", "--post-bands", "1,2,3"], 2, "--bands"),
        (["{folder}", "-o", "x", "--pairs", "some"], 2, "some"),
        (["{one}", "{two}", "{one}", "-o", "x"], 3, "named twice"),
        (["{folder}", "-o", "x", "--summary-model", "rsccli-small"], 2, "not asked in words"),
    ],
)
def test_mistakes_say_what_to_type(
    folder: Path, done: Path, tmp_path: Path, given: list[str], code: int, said: str
) -> None:
    one, two = folder / f"scene_{DATES[0]}.tif", folder / f"scene_{DATES[1]}.tif"
    typed = [text.format(folder=folder, one=one, two=two, done=done) for text in given]
    run = subprocess.run(
        arguments(*typed), env=environment(), cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == code and said in run.stderr, run.stderr
    assert "Traceback" not in run.stderr and list(tmp_path.iterdir()) == []


def test_a_finished_series_may_be_replaced(folder: Path, done: Path, tmp_path: Path) -> None:
    out = tmp_path / "series"
    for options in ((), ("--overwrite",)):
        run = rsccli(folder, "-o", out, "--pairs", "first-last", "--no-report", *options)
        assert run.returncode == 0, run.stderr
    assert {path.name for path in out.iterdir()} == {f"{PAIRS[3]}.geojson", "timeline.geojson"}


@pytest.mark.shared
def test_real_series_of_the_prairie(shared: Path, tmp_path: Path) -> None:
    """NAIP of 2009, 2010, 2012, 2014, three of them of one time of year, by the bundled captioner."""
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "rsccli",
            "caption",
            str(shared / "prairie"),
            "-o",
            str(tmp_path / "s"),
            "--bands",
            "1,2,3",
        ],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    document = json.loads((tmp_path / "s" / "timeline.json").read_text())
    assert [pair["pair"] for pair in document["pairs"]] == [
        "2009-08-18_2010-06-29",
        "2010-06-29_2012-07-31",
        "2012-07-31_2014-07-20",
        "2009-08-18_2014-07-20",
    ]
    # August to June may differ by season, July to July may not.
    assert document["pairs"][2]["seasonal"] == 0 and document["pairs"][3]["seasonal"] == 0
    for tile in document["tiles"]:
        for said in tile["pairs"]:
            assert not set(said["seasonal_keywords"]) & {"new building", "construction site", "new road"}
    report = json.loads((tmp_path / "s" / "2012-07-31_2014-07-20.report.json").read_text())["summary"]
    assert report["scene"]["paragraph"].startswith("Between 31\u00a0July\u00a02012 and 20\u00a0July\u00a02014")
    tiles = {f["id"]: f for f in features(tmp_path / "s" / "2012-07-31_2014-07-20.geojson")}
    for area in report["change_areas"]["areas"]:
        assert all(
            area["keyword"] in tiles[tile]["properties"]["keywords"] for tile in area["tile_ids"] if area["keyword"]
        )

"""``rsccli ground`` as a person calls it: streams, exit codes, and runs that are killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from asked_captioners import ROOF, WATER
from colour_pair import ColourPair, colour_pair

ROOT = Path(__file__).resolve().parents[2]
COLOURS = f"{ROOT}/tests/asked_captioners.py:ColourFactory"
SCRIPTED = f"{ROOT}/tests/asked_captioners.py:ScriptedFactory"
PATHS = os.pathsep.join(filter(None, (str(ROOT / "tests"), os.environ.get("PYTHONPATH"))))


def start(*arguments: str | Path, **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "rsccli", "ground", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": PATHS, **environ},
    )


def run(*arguments: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    process = start(*arguments, **environ)
    out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> ColourPair:
    post = [(10, 10, 20, 20, ROOF), (140, 70, 20, 20, WATER)]
    return colour_pair(tmp_path_factory.mktemp("pair"), [], post, size=(512, 256))


@pytest.fixture
def scripted(pair: ColourPair, tmp_path: Path) -> tuple[list[str], dict[str, str]]:
    answers = tmp_path / "said.json"
    answers.write_text(json.dumps({"*": {"r00000c00001": "[10, 10, 50, 50]", "r00001c00000": "[1, 2", "*": "[]"}}))
    return [str(pair.pre), str(pair.post), "-m", SCRIPTED, "--tile-size", "64"], {"SCRIPTED_ANSWERS": str(answers)}


def test_polygons_of_a_mask(pair: ColourPair, tmp_path: Path) -> None:
    common = [pair.pre, pair.post, "-m", COLOURS, "--tile-size", "64", "--min-area", "50"]
    done = run(*common, "flooded house", "-o", tmp_path / "a.gpkg")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "flooded house: 2 polygons, 801 m2: building 1, water 1\n"
    assert '"flooded house" is looked for as change of water or building' in done.stderr
    assert "floods: all water: the mask does not tell them apart" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.gpkg"]
    refused = run(*common, "red car", "-o", tmp_path / "b.gpkg")
    assert refused.returncode == 2 and "no word of it names a class" in refused.stderr and refused.stdout == ""


def test_boxes_of_a_model(scripted: tuple[list[str], dict[str, str]], tmp_path: Path) -> None:
    common, environ = scripted
    done = run(*common, "house", "-o", tmp_path / "a.geojson", "--boxes", "percent", "--json", **environ)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    (house,) = told["phrases"]
    assert told["tiles"] == 32 and house["places"] == 1 and house["malformed"] == ["r00001c00000"]
    stream = run(*common, "house", "-o", "-", "--boxes", "percent", **environ)
    lines = [json.loads(line)["properties"]["status"] for line in stream.stdout.splitlines()]
    assert sorted(lines) == ["found", "malformed"] and "house: 1 box in 1 tile" in stream.stderr
    unknown = run(*common, "house", "-o", tmp_path / "b.geojson", **environ)
    assert unknown.returncode == 2 and "give --boxes" in unknown.stderr and "Traceback" not in unknown.stderr


def test_phrases_of_a_file_and_from_the_environment(scripted: tuple[list[str], dict[str, str]], tmp_path: Path) -> None:
    common, environ = scripted
    (tmp_path / "p.txt").write_text("# two\nred car\n")
    more = {"RSCCLI_PHRASE": "old house", "RSCCLI_BOXES": "percent"}
    done = run(*common, "--phrases", tmp_path / "p.txt", "-o", tmp_path / "a.csv", **environ, **more)
    assert done.returncode == 0, done.stderr
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == ["old house", "red car"]


def test_a_killed_run_goes_on_to_the_same_bytes(scripted: tuple[list[str], dict[str, str]], tmp_path: Path) -> None:
    common, environ = scripted
    asked = [*common, "house", "-p", "road", "--boxes", "percent", "-o"]
    whole, work = tmp_path / "whole", tmp_path / "work"
    for folder in (whole, work):
        folder.mkdir()
    assert run(*asked, whole / "a.geojson", **environ).returncode == 0
    journal = work / "a.geojson.journal"
    process = start(*asked, work / "a.geojson", ASKED_SLEEP_S="0.1", **environ)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (not journal.exists() or journal.stat().st_size < 2500):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert not (work / "a.geojson").exists()
    other = run(*common, "house", "--boxes", "thousand", "-o", work / "a.geojson", **environ)
    assert other.returncode == 3 and "ground.scale: percent, now thousand" in other.stderr, other.stderr
    done = run(*asked, work / "a.geojson", **environ)
    assert done.returncode == 0 and "tiles were finished before" in done.stderr, done.stderr
    assert (work / "a.geojson").read_bytes() == (whole / "a.geojson").read_bytes()
    assert [path.name for path in work.iterdir()] == ["a.geojson"]


def test_the_bundled_captioner_finds_water_in_the_example_pair(root: Path, tmp_path: Path) -> None:
    pre, post = (root / "examples" / name for name in ("prairie_2012-07-31.tif", "prairie_2014-07-20.tif"))
    done = run(pre, post, "water", "-o", tmp_path / "a.geojson", "--json", "--quiet", OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    (water,) = json.loads(done.stdout)["phrases"]
    features = json.loads((tmp_path / "a.geojson").read_text())["features"]
    assert water["places"] == len(features) >= 1
    assert {each["properties"]["class"] for each in features} == {"water"}
    assert sum(each["properties"]["area_m2"] for each in features) == pytest.approx(water["area_m2"], abs=0.1)

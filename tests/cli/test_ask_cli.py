"""``rsccli ask`` as a person calls it: streams, exit codes, and runs that are killed."""

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
# The captioner's file imports another one beside it.
PATHS = os.pathsep.join(filter(None, (str(ROOT / "tests"), os.environ.get("PYTHONPATH"))))


def start(*arguments: str | Path, **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "rsccli", "ask", *map(str, arguments)],
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


@pytest.fixture(scope="module")
def common(pair: ColourPair) -> list[str]:
    return [str(pair.pre), str(pair.post), "-m", COLOURS, "--tile-size", "64"]


def test_answers_on_stdout_and_notes_on_stderr(common: list[str], tmp_path: Path) -> None:
    output = tmp_path / "answers.geojson"
    done = run(*common, "Did anything change?", "-q", "Who lives here?", "-o", output)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Did anything change?\n  Yes, in 2 of 32 tiles")
    assert "Who lives here?\n  Cannot answer: no question begins like this" in done.stdout
    assert 'colours cannot answer "Who lives here?": no question begins like this' in done.stderr
    assert "32 tiles, 2 questions" in done.stderr and str(tmp_path / "answers.md") in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answers.geojson", "answers.md"]
    assert len(json.loads(output.read_text())["features"]) == 64


def test_json_for_programs(common: list[str], tmp_path: Path) -> None:
    done = run(*common, "How much water was gained?", "-o", tmp_path / "a.gpkg", "--json", "--quiet", "--no-report")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    told = json.loads(done.stdout)
    (answer,) = told["answers"]
    assert told["tiles"] == 32 and answer["tiles"] == ["r00001c00002"] and answer["unit"] == "m2"
    assert answer["value"] == pytest.approx(400 / 0.9996**2, rel=1e-4)
    assert [path.name for path in tmp_path.iterdir()] == ["a.gpkg"]


def test_features_stream_to_stdout_and_nothing_else(common: list[str]) -> None:
    done = run(*common, "What changed?", "-o", "-")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == 32 and {line["properties"]["question"] for line in lines} == {"What changed?"}
    assert "New building in 1 tile" in done.stderr


def test_questions_of_a_file_and_from_the_environment(common: list[str], tmp_path: Path) -> None:
    (tmp_path / "q.txt").write_text("# all\nDid anything change?\nWhere is new water?\n")
    done = run(*common, "--questions", tmp_path / "q.txt", "-o", tmp_path / "a.csv", RSCCLI_QUESTION="What changed?")
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if not line.startswith(" ")] == [
        "What changed?",
        "Did anything change?",
        "Where is new water?",
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["-o", "{}/a.geojson"], 2, "give a question"),
        (["What changed?", "-o", "{}/a.xyz"], 2, "no output format has the suffix"),
        (["What changed?", "-o", "{}/missing/a.geojson"], 3, "mkdir"),
        (["What changed?", "-o", "{}/a.geojson", "--questions", "{}/no.txt"], 3, "one question a line"),
        (["What changed?", "-o", "{}/a.geojson", "-m", "nobody"], 4, "no captioner is named"),
    ],
)
def test_what_cannot_be_is_said_with_its_exit_code(
    common: list[str], tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    done = run(*common, *(each.replace("{}", str(tmp_path)) for each in arguments))
    assert done.returncode == code and said in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_failed_tile_is_exit_code_five(common: list[str], tmp_path: Path) -> None:
    done = run(*common, "What changed?", "-o", tmp_path / "a.geojson", ASKED_FAIL_TILE="r00000c00000")
    assert done.returncode == 5 and "1 of 32 tiles failed" in done.stderr, done.stderr


def test_killed_and_stopped_runs_go_on_to_the_same_bytes(common: list[str], tmp_path: Path) -> None:
    asked = ["Did anything change?", "-q", "How much changed?", "-q", "Why?"]
    whole = tmp_path / "whole"
    whole.mkdir()
    assert run(*common, *asked, "-o", whole / "a.geojson").returncode == 0
    work = tmp_path / "work"
    work.mkdir()
    output, journal = work / "a.geojson", work / "a.geojson.journal"
    for number in (signal.SIGKILL, signal.SIGTERM):
        process = start(*common, *asked, "-o", output, ASKED_SLEEP_S="0.1")
        before = journal.stat().st_size if journal.exists() else 0
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and (not journal.exists() or journal.stat().st_size <= before + 2000):
            time.sleep(0.01)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
        assert process.returncode == (75 if number == signal.SIGTERM else -number), err
        assert not output.exists() and journal.exists()
    with journal.open("ab") as file:
        file.write(b'{"block":0,"batch":7,"ti')  # as a kill leaves it
    other = run(*common, "Did anything change?", "-o", output)
    assert other.returncode == 3 and "ask.questions" in other.stderr and "--no-resume" in other.stderr
    done = run(*common, *asked, "-o", output)
    assert done.returncode == 0 and "tiles were finished before" in done.stderr, done.stderr
    for name in ("a.geojson", "a.md"):
        assert (work / name).read_bytes() == (whole / name).read_bytes()
    assert sorted(path.name for path in work.iterdir()) == ["a.geojson", "a.md"]


def test_the_bundled_captioner_answers_the_example_pair(root: Path, tmp_path: Path) -> None:
    pre, post = (root / "examples" / name for name in ("prairie_2012-07-31.tif", "prairie_2014-07-20.tif"))
    questions = ["Did anything change?", "-q", "How much water was gained?", "-q", "How many people live here?"]
    done = run(pre, post, *questions, "-o", tmp_path / "a.geojson", "--json", "--quiet", OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    change, water, people = json.loads(done.stdout)["answers"]
    assert change["text"].startswith("Yes, in ") and change["tile_count"] >= 1
    assert water["status"] in ("answered", "unsure") and people["status"] == "cannot_answer"
    features = json.loads((tmp_path / "a.geojson").read_text())["features"]
    assert len(features) == 36
    cited = {feature["properties"]["tile"] for feature in features}
    assert {*change["tiles"], *water["tiles"]} <= cited

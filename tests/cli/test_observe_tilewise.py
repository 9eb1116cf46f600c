"""What runs of `ask`, `ground` and `detect` tell of themselves, and `rsccli status` of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from asked_captioners import ROOF, WATER
from colour_pair import colour_pair
from typer.testing import CliRunner

from rsccli.cli.main import app
from rsccli.errors import UsageProblem
from rsccli.output.text import json_bytes
from rsccli.run.detect.folder import hidden_path, work_folder, work_journal
from rsccli.run.journal import journal_path
from rsccli.run.metrics.status import status_of

ROOT = Path(__file__).resolve().parents[2]
COLOURS = f"{ROOT}/tests/asked_captioners.py:ColourFactory"
SCRIPTED = f"{ROOT}/tests/asked_captioners.py:ScriptedFactory"
PATHS = os.pathsep.join(filter(None, (str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH"))))
EXAMPLES = [ROOT / "examples" / name for name in ("prairie_2012-07-31.tif", "prairie_2014-07-20.tif")]
WATCHED = ["--metrics", "--metrics-textfile", "run.prom", "--log-json", "-"]
DETECTED = {"judged", "not_judged", "nodata", "failed"}
#: Words of a command after its images; the statuses that its tiles may have.
COMMANDS: dict[str, tuple[list[str], set[str]]] = {
    "ask": (["What changed?", "-q", "How much water was lost?"], {"answered", "unsure", "cannot_answer"}),
    "ground": (["water", "-p", "new buildings"], DETECTED),
    "detect": ([], DETECTED),
}


def start(folder: Path, *arguments: object, **environment: str) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "rsccli", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": PATHS, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def status(path: Path) -> list[dict[str, Any]]:
    """The runs of ``rsccli status --json``, without a process of its own."""
    runs: list[dict[str, Any]] = json.loads(json_bytes(asdict(status_of(path))))["runs"]
    return runs


@pytest.mark.parametrize("command", COMMANDS)
def test_observed_runs_write_the_same_bytes_and_say_what_they_did(command: str, tmp_path: Path) -> None:
    words, statuses = COMMANDS[command]
    plain, seen = tmp_path / "plain", tmp_path / "seen"
    runs = [
        start(folder, command, *EXAMPLES, *words, "-o", "out.geojson", *more)
        for folder, more in ((plain, []), (seen, WATCHED))
    ]
    (out, err), (seen_out, log) = (run.communicate(timeout=120) for run in runs)
    assert [run.returncode for run in runs] == [0, 0], err + log
    assert seen_out == out
    names = sorted(path.name for path in plain.iterdir())
    assert "out.geojson" in names
    assert sorted({path.name for path in seen.iterdir()} - {"out.geojson.metrics.json", "run.prom"}) == names
    for name in names:
        assert (seen / name).read_bytes() == (plain / name).read_bytes(), name

    told = events(log)  # nothing but JSON on stderr
    kinds = [each["event"] for each in told]
    assert kinds[:3] == ["start", "prepared", "loaded"] and set(kinds[3:-1]) == {"committed"} and kinds[-1] == "written"
    assert told[0]["command"] == command
    assert {(each["run"], each["output"]) for each in told[1:]} == {(told[1]["run"], "out.geojson")}
    assert len(told[1]["run"]) == 16
    assert told[-1]["tiles"] == told[1]["tiles"] == sum(told[-1]["by_status"].values())
    assert told[-1]["path"] == "out.geojson" and set(told[-1]["by_status"]) <= statuses

    metrics = json.loads((seen / "out.geojson.metrics.json").read_bytes())
    assert (metrics["state"], metrics["run"], metrics["output"]) == ("finished", told[1]["run"], "out.geojson")
    assert metrics["tiles"]["by_status"] == told[-1]["by_status"]
    for name in ("read", "journal", "write"):
        assert metrics["stages"][name]["seconds"] > 0, name
    assert sum(metrics["stages"][name]["seconds"] for name in ("encode", "decode", "model_rest")) > 0
    assert metrics["load_s"] > 0 and metrics["wall_s"] > metrics["captioning_s"] > 0 and metrics["tiles_per_s"] > 0
    text = (seen / "run.prom").read_text()
    assert 'rsccli_run_state{output="out.geojson",state="finished"} 1' in text
    for name, count in told[-1]["by_status"].items():
        assert f'rsccli_tiles_total{{output="out.geojson",status="{name}"}} {count}' in text
    (found,) = status(seen / "out.geojson")
    assert (found["state"], found["by_status"]) == ("finished", told[-1]["by_status"])


def test_runs_are_told_while_they_work_and_when_they_are_stopped(tmp_path: Path) -> None:
    marks = [(10, 10, 20, 20, ROOF), (140, 70, 20, 20, WATER)]
    pair = colour_pair(tmp_path, [], marks, size=(128, 2100))
    (tmp_path / "said.json").write_text('{"*": {"*": "[]"}}')
    # Two rows of superblocks for a detection, and batches enough for boxes.
    images = [pair.pre, pair.post, "--tile-size", "64", "-o", "out.geojson"]
    slow = {"ASKED_SLEEP_S": "0.02", "SCRIPTED_ANSWERS": str(tmp_path / "said.json")}
    output = Path("out.geojson")
    commands = {
        "boxes": (["ground", *images, "-m", SCRIPTED, "house", "--boxes", "percent"], journal_path(output)),
        "ground": (["ground", *images, "-m", COLOURS, "water"], work_journal(work_folder(hidden_path(output)))),
        "detect": (["detect", *images, "-m", COLOURS], work_journal(work_folder(output))),
    }
    watched = ["--metrics", "--metrics-textfile", "run.prom", "--log-json", "log"]
    runs = {name: start(tmp_path / name, *command, *watched, **slow) for name, (command, _) in commands.items()}
    for name, (_, journal) in commands.items():
        folder, run = tmp_path / name, runs[name]
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if (folder / journal).exists() and (folder / journal).read_bytes().count(b"\n") >= 2:
                break
            time.sleep(0.01)
        (found,) = status(folder / "out.geojson")
        assert (found["state"], found["pid"]) == ("running", run.pid), name
        assert 0 < found["tiles"] == sum(found["by_status"].values()) < found["planned"], name
        assert [Path(each["output"]).name for each in status(folder)] == ["out.geojson"], name
        run.send_signal(signal.SIGTERM)
    for name, run in runs.items():
        folder = tmp_path / name
        _, err = run.communicate(timeout=60)
        assert run.returncode == 75 and "rsccli: stopped by SIGTERM" in err, (name, err)
        told = events((folder / "log").read_text())
        assert (told[-1]["event"], told[-1]["exit_code"]) == ("stopped", 75), name
        assert told[0]["command"] == commands[name][0][0]
        metrics = json.loads((folder / "out.geojson.metrics.json").read_bytes())
        assert metrics["state"] == "stopped" and "SIGTERM" in metrics["error"], name
        assert 0 < metrics["tiles"]["done_now"] < metrics["tiles"]["planned"], name
        assert 'rsccli_run_state{output="out.geojson",state="stopped"} 1' in (folder / "run.prom").read_text()
        (found,) = status(folder / "out.geojson")
        assert (found["state"], found["tiles"]) == ("cut", metrics["tiles"]["done_now"]), name
        assert found["run"] == (None if name in ("ground", "detect") else metrics["run"])
        assert [Path(each["output"]).name for each in status(folder)] == ["out.geojson"], name

    again = start(tmp_path / "ground", *commands["ground"][0], *watched)
    _, err = again.communicate(timeout=60)
    metrics = json.loads((tmp_path / "ground" / "out.geojson.metrics.json").read_bytes())
    tiles = metrics["tiles"]
    assert (again.returncode, metrics["state"]) == (0, "finished"), err
    assert tiles["done_before"] > 0 and tiles["done_before"] + tiles["done_now"] == tiles["planned"]


@pytest.mark.parametrize("command", ["caption", *COMMANDS])
def test_metrics_of_a_stream_are_refused(command: str) -> None:
    words = COMMANDS[command][0] if command in COMMANDS else []
    done = CliRunner().invoke(app, [command, *map(str, EXAMPLES), *words, "-o", "-", "--metrics"])
    assert isinstance(done.exception, UsageProblem) and done.exception.exit_code == 2
    assert str(done.exception) == "--metrics stands beside a map in a file: name one with -o FILE"

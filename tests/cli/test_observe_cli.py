"""What a run tells of itself, and `rsccli status`, as a person and a cluster use them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from shard_pair import TILES, write_pair

from rsccli.errors import InputError
from rsccli.output.text import json_bytes
from rsccli.run.metrics.status import status_of

ROOT = Path(__file__).resolve().parents[2]
BRIGHTNESS = f"{ROOT}/tests/captioners.py:BrightnessFactory"
EXAMPLES = [ROOT / "examples" / name for name in ("prairie_2012-07-31.tif", "prairie_2014-07-20.tif")]
FILES = ("out.geojson", "out.report.html", "out.report.md", "out.report.json", "out.qml")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Generated images with three superblocks."""
    return [str(path) for path in write_pair(tmp_path_factory.mktemp("pair"))]


def start(arguments: Sequence[object], folder: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "rsccli", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder: Path, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    process = start(arguments, folder, **environment)
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err, err
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def status(folder: Path, path: str) -> dict[str, Any]:
    """What ``rsccli status --json`` prints, without a process of its own."""
    found: dict[str, Any] = json.loads(json_bytes(asdict(status_of(folder / path))))
    return found


def until_batches(journal: Path, batches: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if journal.exists() and journal.read_bytes().count(b'{"commit"') >= batches:
            return
        time.sleep(0.01)
    raise AssertionError(f"{journal}: no {batches} batches")


def test_observed_runs_write_the_same_bytes_and_say_what_they_did(tmp_path: Path) -> None:
    plain, seen = tmp_path / "plain", tmp_path / "seen"
    plain.mkdir()
    seen.mkdir()
    assert run(plain, "caption", *EXAMPLES, "-o", "out.geojson").returncode == 0
    watched = ["--metrics", "--metrics-textfile", "run.prom", "--log-json", "-"]
    done = run(seen, "caption", *EXAMPLES, "-o", "out.geojson", *watched)
    assert done.returncode == 0, done.stderr
    for name in FILES:
        assert (seen / name).read_bytes() == (plain / name).read_bytes(), name
    assert sorted(path.name for path in plain.iterdir()) == sorted(FILES)

    told = events(done.stderr)  # nothing but JSON on stderr
    assert [each["event"] for each in told] == ["start", "prepared", "loaded", "committed", "written"]
    assert all(each["time"].endswith("Z") and each["level"] == "info" for each in told)
    assert {each["run"] for each in told[1:]} == {
        json.loads((seen / "out.report.json").read_bytes())["facts"]["spec_hash"]
    }
    assert told[-1]["tiles"] == 12 == sum(told[-1]["by_status"].values())

    metrics = json.loads((seen / "out.geojson.metrics.json").read_bytes())
    assert metrics["state"] == "finished" and metrics["run"] == told[-1]["run"]
    assert metrics["tiles"]["by_status"] == told[-1]["by_status"]
    for name in ("read", "warp", "encode", "decode", "journal", "write"):
        assert metrics["stages"][name]["seconds"] > 0, name
    assert sum(each["share"] for each in metrics["stages"].values()) == pytest.approx(1, abs=0.01)
    assert metrics["wall_s"] > metrics["captioning_s"] > 0 and metrics["tiles_per_s"] > 0
    assert metrics["peak_memory_bytes"] > 50 * 2**20
    text = (seen / "run.prom").read_text()
    assert 'rsccli_run_state{output="out.geojson",state="finished"} 1' in text
    assert 'rsccli_tiles_done{output="out.geojson"} 12' in text

    found = status(seen, "out.geojson")["runs"]
    assert [(each["state"], each["tiles"], each["by_status"]) for each in found] == [
        ("finished", 12, told[-1]["by_status"])
    ]
    assert status(seen, ".")["runs"] == found


def test_a_run_is_told_while_it_works_when_it_is_killed_and_when_it_is_stopped(pair: list[str], tmp_path: Path) -> None:
    command = ["caption", *pair, "-o", "out.geojson", "-m", BRIGHTNESS, "--metrics", "--metrics-textfile", "r.prom"]
    command += ["--log-json", "log.jsonl"]
    journal, metrics = tmp_path / "out.geojson.journal", tmp_path / "out.geojson.metrics.json"
    process = start(command, tmp_path, BRIGHTNESS_SLEEP_S="0.1")
    until_batches(journal, 4)
    (found,) = status(tmp_path, "out.geojson")["runs"]
    assert (found["state"], found["pid"], found["planned"]) == ("running", process.pid, TILES)
    assert 0 < found["tiles"] < TILES and found["tiles_per_s"] > 0 and found["left_s"] > 0
    assert 'state="running"} 1' in (tmp_path / "r.prom").read_text()
    process.kill()
    process.communicate()
    (found,) = status(tmp_path, "out.geojson")["runs"]
    assert (found["state"], found["pid"], found["tiles_per_s"]) == ("cut", process.pid, None)
    killed_at = found["tiles"]
    assert not metrics.exists()  # a kill leaves no time for that; the journal tells

    process = start(command, tmp_path, BRIGHTNESS_SLEEP_S="0.1")
    until_batches(journal, killed_at // 4 + 3)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 75
    assert "rsccli: stopped by SIGTERM" in err  # a log in a file leaves stderr to the person
    stopped = json.loads(metrics.read_bytes())
    assert (stopped["state"], stopped["tiles"]["done_before"]) == ("stopped", killed_at)
    assert "SIGTERM" in stopped["error"] and 'state="stopped"} 1' in (tmp_path / "r.prom").read_text()
    done = run(tmp_path, "status", "out.geojson", "--json")
    assert done.returncode == 0 and done.stderr == ""
    (found,) = json.loads(done.stdout)["runs"]
    assert (found["output"], found["state"], found["pid"]) == ("out.geojson", "cut", None)

    assert run(tmp_path, *command).returncode == 0
    told = events((tmp_path / "log.jsonl").read_text())  # three processes, one after another, in one file
    assert [each["event"] for each in told if each["event"] in ("start", "stopped", "written")] == [
        "start",
        "start",
        "stopped",
        "start",
        "written",
    ]
    assert [each["exit_code"] for each in told if each["event"] == "stopped"] == [75]
    assert any(each["event"] == "warning" and "single band" in each["message"] for each in told)
    assert told[-1]["tiles"] == TILES


def test_a_run_that_fails_says_so_in_its_log_and_its_metrics(pair: list[str], tmp_path: Path) -> None:
    done = run(tmp_path, "caption", pair[0], "none.tif", "-o", "out.geojson", "--log-json", "-")
    (begun, failed) = events(done.stderr)
    assert (begun["event"], failed["event"], failed["exit_code"]) == ("start", "failed", 3)
    assert done.returncode == 3 and "none.tif" in failed["message"]

    # The report is a folder: what cannot be written is told, with the tiles kept.
    (tmp_path / "out.report.html").mkdir()
    (tmp_path / "out.report.html" / "x").touch()
    command = ["caption", *pair, "-o", "out.geojson", "-m", BRIGHTNESS, "--metrics", "--log-json", "-"]
    done = run(tmp_path, *command)
    assert done.returncode == 3
    assert events(done.stderr)[-1]["event"] == "failed"
    metrics = json.loads((tmp_path / "out.geojson.metrics.json").read_bytes())
    assert metrics["state"] == "failed" and "out.report.html" in metrics["error"]
    assert metrics["tiles"]["done_now"] == TILES

    # Failed tiles: the output is whole, and the last event says why the exit code is 5.
    other = tmp_path / "other"
    other.mkdir()
    done = run(other, "caption", *pair, "-o", "out.geojson", "-m", BRIGHTNESS, "--log-json", "-",
               BRIGHTNESS_FAIL_TILE="r00000c00001")  # fmt: skip
    told = events(done.stderr)
    assert done.returncode == 5 and [each["event"] for each in told[-2:]] == ["written", "failed"]
    assert told[-1]["exit_code"] == 5 and told[-2]["by_status"]["model_error"] == 1


def test_figures_that_cannot_be_written_cost_no_run(pair: list[str], tmp_path: Path) -> None:
    (tmp_path / "out.geojson.metrics.json").mkdir()
    (tmp_path / "out.geojson.metrics.json" / "x").touch()
    if Path("/dev/full").exists():
        os.symlink("/dev/full", tmp_path / "log")
    command = ["caption", *pair, "-o", "out.geojson", "-m", BRIGHTNESS, "--metrics", "--log-json", "log"]
    done = run(tmp_path, *command)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("metrics.json: cannot be written, the run goes on") == 1
    if Path("/dev/full").exists():
        assert done.stderr.count("lines are lost") == 1


def test_options_that_do_not_go_together_are_refused(pair: list[str], tmp_path: Path) -> None:
    for more, said in (
        (["-o", "-", "--metrics"], "-o FILE"),
        (["-o", "a.geojson", "--metrics", "--scheduler", "local:2"], "dashboard"),
    ):
        done = run(tmp_path, "caption", *pair, *more)
        assert done.returncode == 2 and said in done.stderr
    done = run(tmp_path, "caption", *pair, "-o", "a.geojson", "--log-json", "none/log")
    assert done.returncode == 3 and "--log-json" in done.stderr


def test_shards_are_told_together(pair: list[str], tmp_path: Path) -> None:
    command = ["caption", *pair, "-o", "out.geojson", "-m", BRIGHTNESS, "--metrics"]
    watched = ["--log-json", ".", "--metrics-textfile", "."]
    assert run(tmp_path, *command, "--shard", "1/3", *watched, SLURM_JOB_ID="77").returncode == 0
    (log,), (textfile,) = tmp_path.glob("rsccli_*.jsonl"), tmp_path.glob("rsccli_out.geojson_0001-of-0003_*.prom")
    told = events(log.read_text())
    assert told[0]["job_id"] == "77" and told[-1]["event"] == "written" and told[-1]["shard"] == "1/3"
    assert 'rsccli_tiles_planned{output="out.geojson",shard="1/3"}' in textfile.read_text()
    second = tmp_path / "out.geojson.shards" / "0002-of-0003.rsccli-shard"
    assert second.with_name("0001-of-0003.rsccli-shard.metrics.json").exists()
    process = start([*command, "--shard", "2/3"], tmp_path, BRIGHTNESS_SLEEP_S="0.2")
    until_batches(second.with_name(f"{second.name}.journal"), 2)
    (found,) = status(tmp_path, "out.geojson")["shards"]
    assert [each["state"] for each in found["shards"]] == ["finished", "running", "not begun"]
    assert found["planned"] == TILES and 0 < found["tiles"] < TILES
    assert found["shards"][1]["pid"] == process.pid and found["shards"][1]["shard"] == "2/3"
    process.kill()
    process.communicate()
    text = run(tmp_path, "status", "out.geojson.shards").stdout
    assert "3 shards: 1 finished, 1 cut, 1 not begun" in text and "2/3: cut" in text
    merged = run(tmp_path, "merge", "out.geojson.shards", "-o", "out.geojson", "--allow-missing")
    assert merged.returncode == 5 and "2/3, 3/3" in merged.stderr  # the metrics of shards are not in its way


def test_a_list_of_scenes_is_told_with_the_one_at_work(pair: list[str], tmp_path: Path) -> None:
    lines = ["id,pre,post,output", f"one,{pair[0]},{pair[1]},one.geojson", f"bad,{pair[0]},none.tif,bad.geojson"]
    lines += [f"two,{pair[0]},{pair[1]},two.geojson", f"three,{pair[0]},{pair[1]},three.geojson"]
    (tmp_path / "scenes.csv").write_text("\n".join(lines) + "\n")
    (found,) = status(tmp_path, "scenes.csv")["scenes"]
    assert {each["state"] for each in found["results"]} == {"not done"}
    process = start(
        ["caption", "--manifest", "scenes.csv", "-m", BRIGHTNESS, "--log-json", "log", "--metrics"],
        tmp_path,
        BRIGHTNESS_SLEEP_S="0.03",
    )
    until_batches(tmp_path / "two.geojson.journal", 2)
    (found,) = status(tmp_path, "scenes.csv")["scenes"]
    process.kill()
    process.communicate()
    assert [each["state"] for each in found["results"]] == ["done", "failed", "not done", "not done"]
    ((scene, work),) = found["at_work"]
    assert (scene, work["state"], work["pid"]) == ("two", "running", process.pid)
    text = run(tmp_path, "status", "scenes.csv").stdout
    assert "1 done, 1 failed, 2 not done" in text and "two: cut" in text and "none.tif" in text
    assert json.loads((tmp_path / "one.geojson.metrics.json").read_bytes())["state"] == "finished"
    told = events((tmp_path / "log").read_text())
    assert [each["scene"] for each in told if each["event"] == "failed"] == ["bad"]
    everything = status(tmp_path, ".")
    assert {Path(each["output"]).name for each in everything["runs"]} == {"one.geojson", "two.geojson"}
    assert Path(everything["scenes"][0]["name"]).name == "scenes.summary.journals"


def test_a_folder_without_runs_and_a_map_of_csv(pair: list[str], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no trace of a run"):
        status_of(tmp_path)
    assert run(tmp_path, "caption", *pair, "-o", "map.csv", "-m", BRIGHTNESS, "--no-report").returncode == 0
    (found,) = status(tmp_path, "map.csv")["runs"]
    assert (found["state"], found["tiles"]) == ("finished", None)

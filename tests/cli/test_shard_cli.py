"""`rsccli caption --shard` and `rsccli merge` as a person types them, and as a scheduler kills them."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from shard_pair import write_pair

ROOT = Path(__file__).resolve().parents[2]
BRIGHTNESS = f"{ROOT}/tests/captioners.py:BrightnessFactory"
FILES = ("out.geojson", "out.report.html", "out.report.md", "out.report.json", "out.qml")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Generated images with three superblocks."""
    return [str(path) for path in write_pair(tmp_path_factory.mktemp("pair"))]


def start(arguments: Sequence[object], **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "rsccli", *map(str, arguments)],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    process = start(arguments, **environment)
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err, err
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.fixture(scope="module")
def alone(pair: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run without shards."""
    folder = tmp_path_factory.mktemp("alone")
    done = run("caption", *pair, "-o", folder / "out.geojson", "-m", BRIGHTNESS)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_killed_stopped_and_resumed_shards_give_the_bytes_of_one_run(
    pair: list[str], alone: Path, tmp_path: Path
) -> None:
    command = ["caption", *pair, "-o", tmp_path / "out.geojson", "-m", BRIGHTNESS]
    first = tmp_path / "out.geojson.shards" / "0001-of-0002.rsccli-shard"
    journal = first.with_name(f"{first.name}.journal")
    rng = random.Random(7)
    for number, code in ((signal.SIGKILL, -9), (signal.SIGUSR1, 75)):
        before = journal.stat().st_size if journal.exists() else 0
        process = start([*command, "--shard", "1/2"], BRIGHTNESS_SLEEP_S="0.05")
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if journal.exists() and journal.stat().st_size > max(before, 3000):
                break
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.05))
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
        assert process.returncode == code, err
        assert not first.exists() and journal.exists()
        if number == signal.SIGKILL:
            with journal.open("ab") as file:
                file.write(b'{"tile_id":"r0000')  # a kill in the middle of a write
    refused = run("merge", first.parent, "-o", tmp_path / "out.geojson")
    assert refused.returncode == 3 and "no finished shard" in refused.stderr
    going_on = run(*command, "--shard", "1/2")
    assert going_on.returncode == 0 and "were finished before" in going_on.stderr, going_on.stderr
    assert first.exists() and not journal.exists()
    incomplete = run("merge", first.parent, "-o", tmp_path / "out.geojson")
    assert incomplete.returncode == 3 and "1 of 2 shards is missing: 2" in incomplete.stderr
    array = {f"SLURM_ARRAY_TASK_{name}": value for name, value in (("ID", "5"), ("MIN", "4"), ("MAX", "5"))}
    by_array = run(*command, RSCCLI_SHARD="slurm", **array)
    assert by_array.returncode == 0 and "shard 2/2" in by_array.stderr, by_array.stderr
    again = run(*command, "--shard", "2/2", "--json")
    assert again.returncode == 0 and json.loads(again.stdout)["found"] is True, again.stderr
    merged = run("merge", first.parent, "-o", tmp_path / "out.geojson")
    assert merged.returncode == 0 and "68 tiles of 2 shards" in merged.stderr, merged.stderr
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (alone / name).read_bytes(), name


def test_missing_shards_are_marked_with_exit_code_5(pair: list[str], tmp_path: Path) -> None:
    output = tmp_path / "out.geojson"
    command = ["caption", *pair, "-o", output, "-m", BRIGHTNESS]
    failing = run(*command, "--shard", "1/3", BRIGHTNESS_FAIL_TILE="r00000c00001")
    assert failing.returncode == 5 and "the shard is whole" in failing.stderr, failing.stderr
    folder = tmp_path / "out.geojson.shards"
    merged = run("merge", folder, "-o", output, "--allow-missing", "--no-report", "--json")
    assert merged.returncode == 5 and "missing with the shards 2/3, 3/3" in merged.stderr, merged.stderr
    report = json.loads(merged.stdout)
    assert report["summary"]["tiles"] == 68 and report["summary"]["by_status"]["model_error"] == 1
    assert any("tiles are missing" in text for text in report["summary"]["warnings"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.geojson", "out.geojson.shards"]
    there = run("merge", folder, "-o", output, "--allow-missing")
    assert there.returncode == 3 and "--overwrite" in there.stderr


def test_what_cannot_be_is_told_before_any_work(pair: list[str], tmp_path: Path) -> None:
    command = ["caption", *pair, "-m", BRIGHTNESS, "-o"]
    for arguments, words in (
        ([*command, "-", "--shard", "0/2"], "counts from 1 to 2"),
        (["caption", *pair, pair[0], "-o", tmp_path / "s", "--shard", "1/2"], "not of a series"),
    ):
        done = run(*arguments)
        assert done.returncode == 2 and words in done.stderr, done.stderr
    plan = run(*command, tmp_path / "o.geojson", "--shard", "3/9", "--dry-run", "--json")
    assert json.loads(plan.stdout)["shard"] == [3, 9], plan.stderr
    assert list(tmp_path.iterdir()) == []

"""Kill it, stop it, starve it: run the same command again and get the bytes of an undisturbed run."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest

FILES = ("out.geojson", "out.report.html", "out.report.md", "out.report.json", "out.qml")


def same_bytes(folder: Path, undisturbed: Path) -> None:
    for name in FILES:
        assert (folder / name).read_bytes() == (undisturbed / name).read_bytes(), name
    assert not (folder / "out.geojson.journal").exists()
    assert sorted(p.name for p in folder.iterdir()) == sorted(FILES)


def wait_for_tiles(journal: Path, tiles: int, process: subprocess.Popen[str]) -> None:
    """Until the journal holds that many lines."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if journal.exists() and journal.read_bytes().count(b"\n") > tiles:
            return
        time.sleep(0.01)
    raise AssertionError(f"no {tiles} tiles: exit {process.poll()}, {process.stderr and process.stderr.read()}")


def test_every_tile_is_a_feature(undisturbed: Path) -> None:
    collection = json.loads((undisturbed / "out.geojson").read_text())
    places = [(f["properties"]["tile_row"], f["properties"]["tile_col"]) for f in collection["features"]]
    assert places == [(row, col) for row in range(9) for col in range(18)]
    changed = {f["id"] for f in collection["features"] if f["properties"]["status"] == "changed"}
    assert "r00000c00000" in changed


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGUSR1]
)
def test_signal_stops_at_a_safe_point(cli, undisturbed: Path, tmp_path: Path, number: signal.Signals) -> None:
    output = tmp_path / "out.geojson"
    process = cli.start(output, BRIGHTNESS_SLEEP_S="0.02")
    wait_for_tiles(tmp_path / "out.geojson.journal", 12, process)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 75, err
    assert f"stopped by {number.name}" in err and "run the same command again" in err
    assert not output.exists()
    assert cli.run(output).returncode == 0
    same_bytes(tmp_path, undisturbed)


def test_reader_threads_do_not_change_the_result(cli, undisturbed: Path, tmp_path: Path) -> None:
    done = cli.run(tmp_path / "out.geojson", "-j", "5", "--cache-mb", "16")
    assert done.returncode == 0, done.stderr
    same_bytes(tmp_path, undisturbed)


def test_another_option_is_an_error_that_names_it(cli, tmp_path: Path) -> None:
    output = tmp_path / "out.geojson"
    process = cli.start(output, BRIGHTNESS_SLEEP_S="0.02")
    wait_for_tiles(tmp_path / "out.geojson.journal", 12, process)
    process.terminate()
    process.communicate(timeout=30)
    journal = (tmp_path / "out.geojson.journal").read_bytes()
    other = cli.run(output, "--min-valid", "0.5", "--batch-size", "7", BRIGHTNESS_REVISION="2")
    assert other.returncode == 3
    for field in ("plan.min_valid: 0.1, now 0.5", "model.batch_size: 4, now 7", "model.revision: 1, now 2"):
        assert field in other.stderr
    assert (tmp_path / "out.geojson.journal").read_bytes() == journal
    afresh = cli.run(output, "--min-valid", "0.5", "--batch-size", "7", "--no-resume")
    assert afresh.returncode == 0, afresh.stderr


def test_another_input_is_an_error_that_names_it(cli, tmp_path: Path) -> None:
    post = tmp_path / cli.post.name
    post.write_bytes(cli.post.read_bytes())
    copied = type(cli)(cli.pre, post)
    process = copied.start(tmp_path / "out.geojson", BRIGHTNESS_SLEEP_S="0.02")
    wait_for_tiles(tmp_path / "out.geojson.journal", 12, process)
    process.kill()
    process.communicate()
    os.utime(post, (1, 1))
    again = copied.run(tmp_path / "out.geojson")
    assert again.returncode == 3
    assert "post.identity" in again.stderr


def test_input_that_vanishes_and_comes_back(cli, undisturbed: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    post = data / cli.post.name
    post.write_bytes(cli.post.read_bytes())
    stat = cli.post.stat()
    os.utime(post, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    copied = type(cli)(cli.pre, post)
    work = tmp_path / "work"
    work.mkdir()
    process = copied.start(work / "out.geojson", BRIGHTNESS_SLEEP_S="0.02")
    wait_for_tiles(work / "out.geojson.journal", 12, process)
    post.rename(data / "away.tif")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 3 and "vanished" in err and str(post) in err, err
    (data / "away.tif").rename(post)
    done = copied.run(work / "out.geojson")
    assert done.returncode == 0, done.stderr
    old = json.loads((undisturbed / "out.geojson").read_text())["features"]
    assert json.loads((work / "out.geojson").read_text())["features"] == old


def test_full_disk(cli, undisturbed: Path, tmp_path: Path) -> None:
    """A limit on file size gives the same error path as a full disk: a write that fails in its middle."""
    process = subprocess.Popen(
        cli.arguments(tmp_path / "out.geojson"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, 12_000)),
        stderr=subprocess.PIPE,
        text=True,
    )
    _, err = process.communicate(timeout=60)
    assert process.returncode == 3, err
    assert "out.geojson.journal: cannot be written" in err and "finished tiles are kept" in err
    assert "Traceback" not in err
    assert not (tmp_path / "out.geojson").exists()
    again = cli.run(tmp_path / "out.geojson")
    assert again.returncode == 0 and "were finished before" in again.stderr, again.stderr
    same_bytes(tmp_path, undisturbed)


def test_folder_that_cannot_be_written(cli, tmp_path: Path) -> None:
    done = cli.run(tmp_path / "missing" / "out.geojson")
    assert done.returncode == 3 and "does not exist" in done.stderr and "mkdir" in done.stderr
    done = cli.run("/proc/out.geojson")
    assert done.returncode == 3 and "Traceback" not in done.stderr


def test_output_in_the_way(cli, tmp_path: Path) -> None:
    output = tmp_path / "out.geojson"
    output.write_text("mine")
    done = cli.run(output)
    assert done.returncode == 3 and "--overwrite" in done.stderr
    assert output.read_text() == "mine"
    assert cli.run(output, "--overwrite").returncode == 0
    assert output.read_text() != "mine"


def test_two_runs_into_one_output(cli, tmp_path: Path) -> None:
    first = cli.start(tmp_path / "out.geojson", BRIGHTNESS_SLEEP_S="0.5")
    wait_for_tiles(tmp_path / "out.geojson.journal", 4, first)
    second = cli.run(tmp_path / "out.geojson")
    first.terminate()
    first.communicate(timeout=30)
    assert second.returncode == 3 and "another process" in second.stderr


def test_model_that_fails_on_one_tile(cli, tmp_path: Path) -> None:
    done = cli.run(tmp_path / "out.geojson", BRIGHTNESS_FAIL_TILE="r00001c00002")
    assert done.returncode == 5, done.stderr
    features = {f["id"]: f["properties"] for f in json.loads((tmp_path / "out.geojson").read_text())["features"]}
    bad = features.pop("r00001c00002")
    assert bad["status"] == "model_error" and "as the test asked" in bad["reason"] and bad["change"] is None
    assert all(p["status"] in ("changed", "unchanged", "unsure") for p in features.values())

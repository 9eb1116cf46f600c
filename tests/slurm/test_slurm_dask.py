"""``rsccli caption --scheduler slurm:N``: workers of Dask as jobs of the real scheduler."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_slurm import LocalSlurm, SlurmProblem, start, stop

pytest.importorskip("dask_jobqueue", reason='the extra is not installed: pip install "rsccli[dask]"')

ROOT = Path(__file__).resolve().parents[2]
BRIGHTNESS = f"{ROOT}/tests/captioners.py:BrightnessFactory"
OPTIONS = ("-m", BRIGHTNESS, "--bbox=-118.25,33.73,-118.15,33.86", "--batch-size", "1", "-j", "1")

pytestmark = [pytest.mark.slow, pytest.mark.shared]


@pytest.fixture(scope="module")
def slurm() -> Iterator[LocalSlurm]:
    folder = Path(tempfile.mkdtemp(prefix="slurm"))
    try:
        yield start(folder)
    except SlurmProblem as problem:
        pytest.skip(f"no SLURM here: {problem}")
    finally:
        stop(folder)
        shutil.rmtree(folder, ignore_errors=True)


def start_caption(
    slurm: LocalSlurm, shared: Path, output: Path, *options: str, **environment: str
) -> subprocess.Popen[str]:
    pair = [str(shared / "mosaic" / f"long_beach_{year}.tif") for year in (2016, 2020)]
    return subprocess.Popen(
        [sys.executable, "-m", "rsccli", "caption", *pair, "-o", str(output), *OPTIONS, *options],
        cwd=output.parent, env={**slurm.environment(), **environment}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def written(output: Path) -> dict[str, bytes]:
    return {
        p.name.removeprefix(output.stem): p.read_bytes() for p in output.parent.glob(f"{output.stem}.*") if p.is_file()
    }


def test_jobs_write_what_one_process_writes_though_one_is_cancelled(
    slurm: LocalSlurm, shared: Path, tmp_path: Path
) -> None:
    single = start_caption(slurm, shared, tmp_path / "single.geojson")
    assert single.communicate(timeout=300)[1] and single.returncode == 0
    resources = (
        "--scheduler-option",
        "cpus-per-task=1",
        "--scheduler-option",
        "mem=1G",
        "--scheduler-option",
        "gpus=1",
    )
    output = tmp_path / "out.geojson"
    process = start_caption(slurm, shared, output, "--scheduler", "slurm:2", *resources, BRIGHTNESS_SLEEP_S="0.3")
    try:
        deadline = time.monotonic() + 120
        while not list((tmp_path / "out.geojson.shards").glob("*.journal")):
            assert process.poll() is None and time.monotonic() < deadline, process.communicate()[1]
            time.sleep(0.2)
        jobs = slurm.run("squeue", "--noheader", "--states=RUNNING", "--format=%i %j").split()
        assert jobs[1::2] == ["rsccli-worker"] * 2 or jobs[1::2] == ["rsccli-worker"]
        # Nobody else may read the keys that the workers talk with.
        keys = list((tmp_path / "out.geojson.jobs").glob(".dask-jobqueue.worker.*"))
        assert keys and all(key.stat().st_mode & 0o077 == 0 for key in keys)
        # A worker is lost: its job is submitted again, its shard goes on.
        slurm.run("scancel", jobs[0])
        _, err = process.communicate(timeout=300)
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == 0, err
    assert written(output) == written(tmp_path / "single.geojson")
    assert not [path for path in tmp_path.rglob(".dask-jobqueue*")]
    deadline = time.monotonic() + 60
    while slurm.run("squeue", "--noheader").strip():
        assert time.monotonic() < deadline, "jobs are left in the queue"
        time.sleep(0.5)

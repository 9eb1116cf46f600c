"""``rsccli caption --scheduler``: workers of Dask in other processes, killed at their work, and found by address."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

pytest.importorskip("distributed", reason='the extra is not installed: pip install "rsccli[dask]"')

from rsccli.errors import UsageProblem
from rsccli.run.caption import CaptionJob
from rsccli.run.dask.cluster import WorkerDevices, deal_devices, open_workers
from rsccli.run.dask.scheduler import parse_scheduler
from rsccli.run.dask.task import Mind

BRIGHTNESS = f"{Path(__file__).resolve().parents[1]}/captioners.py:BrightnessFactory"


def written(output: Path) -> dict[str, bytes]:
    """Map, reports and style, by their endings."""
    return {
        p.name.removeprefix(output.stem): p.read_bytes() for p in output.parent.glob(f"{output.stem}.*") if p.is_file()
    }


@pytest.fixture
def single(undisturbed: Path) -> dict[str, bytes]:
    """What one process writes."""
    return written(undisturbed / "out.geojson")


def until(what: Callable[[], object], process: subprocess.Popen[str], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.1)


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Processes that work for a run."""
    found = psutil.Process(process.pid).children(recursive=True)
    return [each for each in found if "spawn_main" in " ".join(each.cmdline())]


def tiles_in_journals(output: Path) -> int:
    folder = output.with_name(f"{output.name}.shards")
    return sum(path.read_bytes().count(b'\n{"tile_id"') for path in folder.glob("*.journal"))


def test_workers_write_what_one_process_writes_though_one_is_killed(
    cli, single: dict[str, bytes], tmp_path: Path
) -> None:
    output, log = tmp_path / "out.geojson", tmp_path / "batches"
    process = cli.start(output, "--scheduler", "local:2", BRIGHTNESS_SLEEP_S="0.03", BRIGHTNESS_LOG=str(log))
    try:
        until(lambda: tiles_in_journals(output) > 4, process)
        first = workers_of(process)
        assert len(first) == 2
        os.kill(first[0].pid, signal.SIGKILL)
        _, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert written(output) == single
    assert "dashboard: http://127.0.0.1:" in err and "162 tiles in 6 shards" in err
    # Only what was in the dead worker's hands was captioned again.
    tiles = [tile for line in log.read_text().splitlines() for tile in line.split(",")]
    assert len(set(tiles)) == 162 and len(tiles) - 162 <= 8
    # Shards are put away, and nobody is left.
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == []
    assert not [each for each in first if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[str]:
    """A scheduler with one worker, started by somebody else, in another folder."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    said = tmp_path / "scheduler.json"
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    work = [sys.executable, "-m", "distributed.cli.dask_worker"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": elsewhere}
    started = [
        subprocess.Popen(
            [*dask, "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(said)], **quiet
        )  # type: ignore[call-overload]
    ]
    try:
        deadline = time.monotonic() + 30
        while not said.exists() or not said.read_text().endswith("}"):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        started.append(
            subprocess.Popen(
                [*work, "--scheduler-file", str(said), "--nthreads", "2", "--no-dashboard"],
                env={**os.environ, "BRIGHTNESS_SLEEP_S": "0.03"},
                **quiet,
            )  # type: ignore[call-overload]
        )
        import json

        yield json.loads(said.read_text())["address"]
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(30)


@pytest.mark.slow
def test_a_scheduler_that_runs_elsewhere_goes_on_without_a_client_that_died(
    cli, single: dict[str, bytes], scheduler: str, tmp_path: Path
) -> None:
    output = tmp_path / "out.geojson"
    options = ("--scheduler", scheduler)
    process = cli.start(output, *options)
    try:
        until(lambda: tiles_in_journals(output) > 4, process)
        process.kill()
        process.communicate(timeout=30)
        # The worker, which is not ours, may still hold a journal: that is waited for.
        again = cli.start(output, *options)
        until(lambda: tiles_in_journals(output) > 30, again)
        again.terminate()
        _, err = again.communicate(timeout=60)
        assert again.returncode == 75 and "stopped by SIGTERM" in err
        done = cli.run(output, *options)
    finally:
        process.kill()
    assert done.returncode == 0, done.stderr
    assert written(output) == single


@pytest.mark.slow
def test_a_list_of_scenes_goes_to_workers(cli, tmp_path: Path) -> None:
    lines = [f"s{i},{cli.pre},{cli.post},out/s{i}.geojson" for i in range(2)]
    (tmp_path / "scenes.csv").write_text(
        "\n".join(["id,pre,post,output", *lines, f"gone,gone.tif,{cli.post},g.geojson"])
    )
    (tmp_path / "out").mkdir()
    command = [
        sys.executable, "-m", "rsccli", "caption", "--manifest", str(tmp_path / "scenes.csv"), "-m", BRIGHTNESS,
        "--no-report", "--scheduler", "local:2",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 5 and "gone" in done.stderr, done.stderr
    assert (tmp_path / "out" / "s0.geojson").read_bytes() == (tmp_path / "out" / "s1.geojson").read_bytes()
    assert "2 done" in done.stderr and "1 failed" in done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--scheduler", "remote"), "give local"),
        (("--scheduler", "local:0"), "give local"),
        (("--scheduler", "slurm"), "slurm:16"),
        (("--scheduler", "local", "--scheduler-option", "time=1"), "--scheduler-option"),
        (("--scheduler", "slurm:2", "--scheduler-option", "partition=a b"), "no value for partition"),
        (("--scheduler", "slurm:2", "--scheduler-option", "colour=red"), "NAME is one of"),
        (("--scheduler", "local", "--shard", "1/2"), "give one of the two"),
        (("--scheduler-option", "time=1"), "--scheduler slurm:N"),
        (("--scheduler", "local", "--batch-size", "auto"), "give a number"),
    ],
)
def test_what_does_not_go_together_is_refused(options: tuple[str, ...], said: str, cli, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from rsccli.cli.main import app

    arguments = ["caption", str(cli.pre), str(cli.post), "-o", str(tmp_path / "o.geojson"), *options]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, UsageProblem) and said in str(result.exception)


def test_a_worker_keeps_what_it_prepared_until_a_file_is_replaced(cli, tmp_path: Path) -> None:
    post = tmp_path / "post_2021-01-01.tif"
    shutil.copy(cli.post, post)
    job = CaptionJob(str(cli.pre), str(post), tmp_path / "out.geojson", model=BRIGHTNESS)
    mind = Mind()
    first = mind.prepared(job)
    models = mind.models(first.crew, first.batch_size)
    assert mind.prepared(replace(job, jobs=job.jobs)) is first
    assert mind.models(first.crew, first.batch_size) is models
    os.utime(post)
    second = mind.prepared(job)
    assert second is not first and second.spec != first.spec
    # Another batch size, as of another run that uses this worker: its models, and no others, stay loaded.
    assert mind.models(first.crew, first.batch_size + 1) is not models
    assert models.captioner.closed  # type: ignore[attr-defined]


def test_each_worker_gets_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6,7")
    local = parse_scheduler("local:2")
    assert deal_devices(local, "cuda:all").gpus == ("4", "6", "7")
    assert deal_devices(local, "cuda:0,2").gpus == ("4", "7")
    assert deal_devices(local, "cuda:0,2").device == "cuda"
    assert deal_devices(local, "cpu").gpus == ()
    assert deal_devices(parse_scheduler("tcp://host:1"), "cuda").device == "cuda"
    with pytest.raises(UsageProblem, match="each worker's own machine"):
        deal_devices(parse_scheduler("tcp://host:1"), "cuda:all")
    with pytest.raises(UsageProblem, match="cuda:0 to cuda:2"):
        deal_devices(local, "cuda:3,4")


@pytest.mark.slow
def test_workers_that_are_started_here_see_one_gpu_each(tmp_path: Path) -> None:
    """The variable alone: no GPU is needed for it, and none is used."""
    with open_workers(parse_scheduler("local:3"), WorkerDevices("cuda", ("4", "6")), tmp_path) as workers:
        workers.client.wait_for_workers(3, timeout=60)
        seen = workers.client.run(os.getenv, "CUDA_VISIBLE_DEVICES")
        assert sorted(seen.values()) == ["4", "4", "6"]
        assert all(address.startswith("tls://127.0.0.1:") for address in seen)

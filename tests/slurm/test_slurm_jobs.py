"""Jobs of ``rsccli slurm`` under the real scheduler: slurmctld and slurmd run on this machine (``make test-slurm``)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from local_slurm import REQUEUE_SECONDS, LocalSlurm, SlurmProblem, start, stop

ROOT = Path(__file__).resolve().parents[2]
BRIGHTNESS = f"{ROOT}/tests/captioners.py:BrightnessFactory"

pytestmark = [pytest.mark.slow, pytest.mark.shared]


@pytest.fixture(scope="session")
def slurm() -> Iterator[LocalSlurm]:
    """A cluster of two nodes; what needs it skips, with the reason, where there is none."""
    # A short path: sockets have little room for their names.
    folder = Path(tempfile.mkdtemp(prefix="slurm"))
    try:
        yield start(folder)
    except SlurmProblem as problem:
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"no SLURM here: {problem}")
    finally:
        stop(folder)


#: What single runs wrote, by their options.
_singles: dict[tuple[str, ...], dict[str, bytes]] = {}


@dataclass
class Run:
    """One run of a real pair, in a folder with a name that scripts do not like."""

    slurm: LocalSlurm
    folder: Path
    pair: tuple[str, str]

    def rsccli(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """The command line, in the folder."""
        return subprocess.run(
            [sys.executable, "-m", "rsccli", *arguments],
            cwd=self.folder,
            env={**self.slurm.environment(), **environment},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def submit(self, output: str, *options: str, **environment: str) -> tuple[str, ...]:
        """Write scripts and submit them; the numbers of array and merge."""
        resources = () if "--cpus-per-task" in options else ("--cpus-per-task", "1", "--mem", "1G")
        done = self.rsccli("slurm", *self.pair, "-o", output, *resources, *options, "--submit", **environment)
        assert done.returncode == 0, done.stderr
        return tuple(line.split()[1] for line in done.stdout.splitlines())

    def again(self, output: str, script: str, *options: str) -> str:
        """Submit one of the scripts again, as a person would; the number of the job."""
        folder = self.folder / f"{Path(output).stem}.slurm"
        return self.slurm.run("sbatch", "--parsable", f"--chdir={folder}", *options, str(folder / script)).strip()

    def single(self, output: str, *options: str) -> dict[str, bytes]:
        """What one run without a scheduler writes; names of the images are the same in every folder."""
        if options in _singles:
            return _singles[options]
        done = self.rsccli("caption", *self.pair, "-o", output, *options)
        assert done.returncode == 0, done.stderr
        return _singles.setdefault(options, self.files(output))

    def files(self, output: str) -> dict[str, bytes]:
        """Map, report and style, by their endings."""
        stem = Path(output).stem
        return {
            path.name.removeprefix(stem): path.read_bytes() for path in self.folder.glob(f"{stem}.*") if path.is_file()
        }

    def state(self, job: str) -> dict[str, str]:
        """What scontrol says of a job."""
        words = self.slurm.run("scontrol", "show", "job", "--oneliner", job).splitlines()[0].split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def log(self, output: str, job: str) -> str:
        """Logs of a job's elements."""
        return "".join(
            path.read_text() for path in sorted((self.folder / f"{Path(output).stem}.slurm").glob(f"*-{job}*.log"))
        )

    def until(self, what: Callable[[], object], seconds: float = 120) -> None:
        """Wait until something is true."""
        deadline = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < deadline, self.slurm.run("squeue")
            time.sleep(0.2)

    def ended(self, *jobs: str, seconds: float = 240) -> None:
        """Wait until jobs are no longer in the queue."""
        self.until(lambda: not self.slurm.run("squeue", "--noheader", "--job", ",".join(jobs)).strip(), seconds)

    def tiles_done(self, output: str, shard: str) -> int:
        """Tiles that the journal of a shard holds."""
        path = self.folder / f"{output}.shards" / f"{shard}.rsccli-shard.journal"
        try:
            return sum(line.startswith(b'{"tile_id"') for line in path.read_bytes().splitlines())
        except OSError:
            return 0


@pytest.fixture
def run(slurm: LocalSlurm, tmp_path: Path, shared: Path) -> Iterator[Run]:
    folder = tmp_path / "it's a $(touch pwned) 50% folder"
    folder.mkdir()
    names = ("pre 2016.tif", 'post "2020".tif')
    for year, name in zip((2016, 2020), names, strict=True):
        (folder / name).symlink_to(shared / "mosaic" / f"long_beach_{year}.tif")
    yield Run(slurm, folder, names)
    subprocess.run(["scancel", "--me"], env=slurm.environment(), timeout=30, check=False)


#: A captioner of tests, slow enough to be met at its work: part of the image, one tile after another.
SLOW = ("-m", BRIGHTNESS, "--bbox=-118.25,33.73,-118.15,33.86", "--batch-size", "1", "-j", "1", "--no-report")
SLEEPY = {"BRIGHTNESS_SLEEP_S": "0.2"}


def test_array_and_merge_write_what_a_single_run_writes(run: Run) -> None:
    expected = run.single("single run.geojson", "--min-valid", "0.2")
    array, merge = run.submit("array run.geojson", "--array", "4", "--min-valid", "0.2")
    run.ended(array, merge)
    assert run.files("array run.geojson") == expected, run.log("array run.geojson", array)
    assert len(list((run.folder / "array run.geojson.shards").glob("*.rsccli-shard"))) == 4
    assert not list(run.folder.rglob("pwned"))


def test_two_nodes_of_an_element_take_a_shard_each(run: Run) -> None:
    expected = run.single("single.geojson", *SLOW)
    array, merge = run.submit("nodes.geojson", *SLOW, "--array", "2", "--nodes", "2")
    run.ended(array, merge)
    assert run.files("nodes.geojson") == expected, run.log("nodes.geojson", array)
    assert len(list((run.folder / "nodes.geojson.shards").glob("*-of-0004.rsccli-shard"))) == 4


@pytest.mark.parametrize("how", ["warning", "kill of the process", "scontrol requeue"])
def test_an_element_that_is_stopped_comes_back_and_goes_on(how: str, run: Run) -> None:
    expected = run.single("single.geojson", *SLOW)
    array, merge = run.submit("out.geojson", *SLOW, "--array", "2", **SLEEPY)
    run.until(lambda: run.tiles_done("out.geojson", "0001-of-0002") >= 3)
    if how == "warning":
        # As the scheduler does before the limit: the script alone hears it.
        run.slurm.run("scancel", "--batch", "--signal=USR1", f"{array}_1")
    elif how == "kill of the process":
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or []
            if "rsccli" in words and "1/2" in words and str(Path(words[0]).name).startswith("python"):
                process.send_signal(signal.SIGTERM)
    else:
        # As the scheduler does when a node is lost.
        run.slurm.run("scontrol", "requeue", f"{array}_1")
    run.until(lambda: run.state(f"{array}_1").get("Restarts") == "1", 60)
    run.ended(array, merge)
    log = run.log("out.geojson", f"{array}_1")
    assert "were finished before, going on" in log
    assert run.files("out.geojson") == expected, log


def test_an_element_that_reaches_its_limit_comes_back_and_goes_on(run: Run) -> None:
    expected = run.single("single.geojson", *SLOW)
    # A limit of a minute; SLURM may warn a minute before it means to: so the first start may be short.
    array, merge = run.submit(
        "out.geojson",
        *SLOW,
        "--array",
        "1",
        "--time",
        "1",
        "--warn",
        "30",
        "--merge-time",
        "5",
        BRIGHTNESS_SLEEP_S="0.4",
    )
    run.ended(array, merge, seconds=500)
    log = run.log("out.geojson", f"{array}_1")
    assert "stopped by SIGUSR1" in log and "back into the queue" in log
    assert run.files("out.geojson") == expected, log


def test_an_element_that_is_pushed_out_comes_back_and_goes_on(run: Run) -> None:
    expected = run.single("single.geojson", *SLOW)
    array, merge = run.submit("out.geojson", *SLOW, "--array", "1", "--cpus-per-task", "2", **SLEEPY)
    run.until(lambda: run.tiles_done("out.geojson", "0001-of-0001") >= 3)
    # Jobs of a partition that comes first, for all of both nodes.
    urgent = run.slurm.run(
        "sbatch", "--parsable", "--partition=urgent", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap=sleep 5"
    )
    run.until(lambda: run.state(f"{array}_1").get("Restarts", "0") >= "1", 90)
    run.ended(urgent.strip(), array, merge)
    log = run.log("out.geojson", f"{array}_1")
    assert "were finished before, going on" in log
    assert run.files("out.geojson") == expected, log


def test_what_is_cancelled_stays_cancelled(run: Run) -> None:
    array, merge = run.submit("out.geojson", *SLOW, "--array", "1", **SLEEPY)
    run.until(lambda: run.tiles_done("out.geojson", "0001-of-0001") >= 3)
    run.slurm.run("scancel", array)
    run.ended(array, merge, seconds=60)
    time.sleep(REQUEUE_SECONDS + 4)
    assert run.state(f"{array}_1")["JobState"] == "CANCELLED"
    # The merge that waited for it is dropped, and what was done is kept.
    assert run.state(merge)["JobState"] == "CANCELLED"
    assert run.tiles_done("out.geojson", "0001-of-0001") >= 3
    run.ended(run.again("out.geojson", "array.sbatch"))
    run.ended(run.again("out.geojson", "merge.sbatch"))
    assert (run.folder / "out.geojson").exists()


def test_an_element_that_fails_drops_the_merge(run: Run) -> None:
    array, merge = run.submit("out.geojson", *SLOW, "--array", "2", **SLEEPY)
    run.until(lambda: run.tiles_done("out.geojson", "0002-of-0002") >= 2)
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "rsccli" in words and "2/2" in words and str(Path(words[0]).name).startswith("python"):
            process.send_signal(signal.SIGKILL)
    run.ended(array, merge)
    assert run.state(f"{array}_2")["JobState"] == "FAILED"
    assert run.state(merge)["JobState"] == "CANCELLED"
    assert not (run.folder / "out.geojson").exists()
    # One element alone is run again, then the merge.
    run.ended(run.again("out.geojson", "array.sbatch", "--array=2"))
    run.ended(run.again("out.geojson", "merge.sbatch"))
    assert run.files("out.geojson") == run.single("single.geojson", *SLOW)


def test_each_element_gets_a_gpu_of_its_own(run: Run, tmp_path: Path) -> None:
    """The lines for GPUs, as SLURM takes them; a device that everybody has stands for each GPU."""
    program = tmp_path / "tell"
    program.write_text('#!/bin/bash\necho "gpus=$CUDA_VISIBLE_DEVICES cores=$SLURM_CPUS_PER_TASK $*"\n')
    program.chmod(0o755)
    array, _ = run.submit("out.geojson", "--array", "2", "--gpus", "1", "--program", str(program))
    run.ended(array)
    lines = run.log("out.geojson", array).splitlines()
    assert [line.split()[0] for line in lines] == ["gpus=0", "gpus=0"], lines
    assert all("--device cuda " in line for line in lines)


def test_a_module_is_loaded_first(run: Run, tmp_path: Path) -> None:
    if not Path("/etc/profile.d/modules.sh").exists():
        pytest.skip("environment-modules is not installed (Debian, Ubuntu: apt-get install environment-modules)")
    modules = tmp_path / "modulefiles"
    shutil.copytree(ROOT / "examples" / "slurm" / "modulefiles", modules)
    (modules / "rsccli" / "bin").mkdir()
    (modules / "rsccli" / "bin" / "rsccli").write_text(f'#!/bin/bash\nexec {sys.executable} -m rsccli "$@"\n')
    (modules / "rsccli" / "bin" / "rsccli").chmod(0o755)
    expected = run.single("single.geojson", *SLOW)
    array, merge = run.submit(
        "out.geojson", *SLOW, "--array", "1", "--module", "rsccli/0.1.0", "--program", "rsccli",
        MODULEPATH=str(modules), RSCCLI_HOME=str(modules / "rsccli"),
    )  # fmt: skip
    run.ended(array, merge)
    assert run.files("out.geojson") == expected, run.log("out.geojson", array)


def test_a_list_of_scenes_is_dealt_out(run: Run) -> None:
    (run.folder / "scenes.csv").write_text(
        "id,pre,post,output\n"
        + "".join(f'{name},"{run.pair[0]}","post ""2020"".tif",{name}.geojson\n' for name in ("north", "south", "east"))
    )
    expected = run.single("single.geojson", *SLOW)
    done = run.rsccli("slurm", "--manifest", "scenes.csv", *SLOW, "--array", "2", "--cpus-per-task", "1", "--submit")
    assert done.returncode == 0, done.stderr
    jobs = [line.split()[1] for line in done.stdout.splitlines()]
    assert len(jobs) == 1  # there is nothing to merge
    run.ended(*jobs)
    for name in ("north", "south", "east"):
        assert run.files(f"{name}.geojson")[".geojson"] == expected[".geojson"]
    assert "3" in (run.folder / "scenes.summary.md").read_text()


def test_nobody_is_left_running(run: Run) -> None:
    """The last test of the file: jobs that ended left no process behind."""
    run.until(lambda: not run.slurm.run("squeue", "--noheader").strip(), 60)
    left = [
        process.info["cmdline"]
        for process in psutil.process_iter(["cmdline", "environ"])
        if "SLURM_JOB_ID" in (process.info["environ"] or {}) and process.pid != os.getpid()
        and (process.info["environ"] or {}).get("SLURM_CONF") == str(run.slurm.conf)
    ]  # fmt: skip
    assert left == []

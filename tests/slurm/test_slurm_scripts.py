"""The scripts of ``rsccli slurm`` as bash reads them: no scheduler is needed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rsccli.errors import UsageProblem
from rsccli.run.slurm.options import SlurmOptions, seconds
from rsccli.run.slurm.quoting import word
from rsccli.run.slurm.scripts import JobCommands, array_script, job_name, merge_script, submit_script

#: Names that a careless script would run, split, or lose.
HOSTILE = (
    "two words.tif",
    "it's.tif",
    'say "hi".tif',
    "$(touch pwned).tif",
    "`touch pwned`.tif",
    "a;touch pwned;.tif",
    "$HOME.tif",
    "back\\slash\\n.tif",
    "line\nend.tif",
    "#SBATCH --wrap=x\n#SBATCH --array=1-9.tif",
    "\x1b[31mred.tif",
    "right‮left.tif",
    "Zürich 東京.tif",
    "{a,b}*?[x].tif",
    "!history ~ & | < > %A.tif",
    "-rf",
    "no-utf-8-\udcff\udc80.tif",
    "'",
    "",
)


def bash(script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["bash", "-c", script, *arguments],
        capture_output=True,
        timeout=30,
        check=False,
        env={**os.environ, **environment},
    )


def test_bash_gets_every_text_back_and_runs_nothing(tmp_path: Path) -> None:
    script = f"cd {word(str(tmp_path))}; printf '%s\\0' {' '.join(map(word, HOSTILE))}"
    done = bash(script)
    assert done.stderr == b""
    assert done.stdout.split(b"\0")[:-1] == [os.fsencode(text) for text in HOSTILE]
    assert list(tmp_path.iterdir()) == []
    # The text itself is harmless, too: to a terminal, and to what reads lines.
    assert script.isprintable()


FAKE_SRUN = """#!/bin/bash
# In the place of SLURM's: writes what it was to run, and fails as it is told.
printf '%s\\0' "$@" > "$SRUN_LOG"
exit "${SRUN_STATUS:-0}"
"""
FAKE_SCONTROL = """#!/bin/bash
echo "$@" >> "$SCONTROL_LOG"
"""
FAKE_SQUEUE = """#!/bin/bash
echo "${JOB_STATE:-RUNNING}"
"""


@pytest.fixture
def cluster_commands(tmp_path: Path) -> dict[str, str]:
    """Commands that stand in for those of a cluster, for bash's part of the work alone."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in (("srun", FAKE_SRUN), ("scontrol", FAKE_SCONTROL), ("squeue", FAKE_SQUEUE)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return {
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "SRUN_LOG": str(tmp_path / "srun.log"),
        "SCONTROL_LOG": str(tmp_path / "scontrol.log"),
        "SLURM_ARRAY_TASK_ID": "3",
        "SLURM_JOB_ID": "77",
        "SLURM_CPUS_PER_TASK": "2",
    }


def commands_in(folder: Path) -> JobCommands:
    named = tuple(("--place", name) for name in HOSTILE)
    return JobCommands("name", str(folder), (("caption",), ("pre it's.tif",), *named), (("merge",), ("$(x).shards",)))


def test_array_script_runs_one_shard_with_every_word_as_it_was(
    tmp_path: Path, cluster_commands: dict[str, str]
) -> None:
    folder = tmp_path / "runs $(touch pwned) it's"
    folder.mkdir()
    script = array_script(SlurmOptions("8", program=("my python", "-m", "rsccli")), commands_in(folder))
    done = bash(script, **cluster_commands)
    assert (done.returncode, done.stderr) == (0, b"")
    words = (tmp_path / "srun.log").read_bytes().split(b"\0")[:-1]
    expected = ["my python", "-m", "rsccli", "caption", "pre it's.tif"]
    expected += [part for name in HOSTILE for part in ("--place", name)]
    assert words == [os.fsencode(text) for text in [*expected, "--shard", "3/8"]]
    assert list(folder.iterdir()) == []


def test_container_gets_its_folders_and_then_the_command(tmp_path: Path, cluster_commands: dict[str, str]) -> None:
    options = SlurmOptions("8", gpus="1", container="my image.sif", binds=("/data/it's here", "/models"))
    done = bash(
        array_script(options, JobCommands("n", str(tmp_path), (("caption",), ("a.tif",)), None)), **cluster_commands
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "srun.log").read_bytes().decode().split("\0")[:-1] == [
        "apptainer", "exec", "--nv", "--pwd", str(tmp_path), "--bind", "/data/it's here", "--bind", "/models",
        "my image.sif", "rsccli", "caption", "a.tif", "--shard", "3/8",
    ]  # fmt: skip


def test_each_node_of_an_element_takes_its_own_shard(tmp_path: Path, cluster_commands: dict[str, str]) -> None:
    """A srun that starts two tasks, one after another, as bash and the script see them."""
    (tmp_path / "bin" / "srun").write_text(
        '#!/bin/bash\nshift  # --label\nfor SLURM_PROCID in 0 1; do export SLURM_PROCID; "$@"; done\n'
    )
    tell = tmp_path / "tell it's"
    tell.write_text("#!/bin/bash\nprintf '%s\\n' \"${@: -1}\"\n")
    tell.chmod(0o755)
    script = array_script(SlurmOptions("8", nodes=2, program=(str(tell),)), commands_in(tmp_path))
    done = bash(script, **cluster_commands)
    assert (done.returncode, done.stderr) == (0, b"")
    # Element 3 of 8, two nodes each.
    assert done.stdout.decode().splitlines() == ["5/16", "6/16"]


def test_merge_script_runs_the_merge(tmp_path: Path, cluster_commands: dict[str, str]) -> None:
    done = bash(merge_script(SlurmOptions("8"), commands_in(tmp_path)), **cluster_commands)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "srun.log").read_bytes() == b"rsccli\0merge\0$(x).shards\0"


@pytest.mark.parametrize(
    ("status", "environment", "left_with", "requeued"),
    [
        ("0", {}, 0, False),
        ("5", {}, 0, False),  # the shard is whole: the merge says which tiles failed
        ("4", {}, 4, False),
        ("75", {}, 75, True),
        ("75", {"SLURM_RESTART_COUNT": "2"}, 75, True),
        ("75", {"SLURM_RESTART_COUNT": "3"}, 75, False),  # as often as was allowed
        ("75", {"JOB_STATE": "COMPLETING"}, 75, False),  # scancel: it must not come back
        ("138", {}, 138, True),  # warned while it left
        ("137", {}, 137, False),
    ],
)
def test_what_an_element_does_at_its_end(
    status: str,
    environment: dict[str, str],
    left_with: int,
    requeued: bool,
    tmp_path: Path,
    cluster_commands: dict[str, str],
) -> None:
    script = array_script(SlurmOptions("8", requeues=3), commands_in(tmp_path))
    done = bash(script, **cluster_commands, **environment, SRUN_STATUS=status)
    assert done.returncode == left_with
    log = tmp_path / "scontrol.log"
    assert (log.read_text() if log.exists() else "") == ("requeue 77\n" if requeued else "")


def test_nothing_of_the_submitting_environment_becomes_an_option(
    tmp_path: Path, cluster_commands: dict[str, str]
) -> None:
    fake = tmp_path / "bin" / "srun"
    fake.write_text("#!/bin/bash\nenv | grep -E '^(RSCCLI|HF|TRANSFORMERS|OMP|GDAL)' | sort\n")
    done = bash(array_script(SlurmOptions("8"), commands_in(tmp_path)), **cluster_commands, RSCCLI_TILE_SIZE="64")
    lines = done.stdout.decode().splitlines()
    assert not [line for line in lines if line.startswith("RSCCLI")]
    assert {"HF_HUB_OFFLINE=1", "TRANSFORMERS_OFFLINE=1", "OMP_NUM_THREADS=2", "GDAL_NUM_THREADS=1"} <= {*lines}


def test_a_setup_line_that_fails_ends_the_job(tmp_path: Path, cluster_commands: dict[str, str]) -> None:
    options = SlurmOptions("8", setup=('echo "${NOT_SET_BY_ANYBODY}first"', "false", "echo second"))
    done = bash(array_script(options, commands_in(tmp_path)), **cluster_commands)
    assert (done.returncode, done.stdout) == (1, b"first\n")
    assert not (tmp_path / "srun.log").exists()


def variants() -> dict[str, str]:
    commands = commands_in(Path("/somewhere/it's here"))
    rich = SlurmOptions(
        "100%10", nodes=2, gpus="a100:2", memory="32G", time="1-00", modules=("gcc/12",), setup=("source x/activate",),
        container="/images/my image.sif", binds=("/data",), directives=("--constraint=a100",), partition="gpu",
    )  # fmt: skip
    of_list = JobCommands("scenes", "/data", (("caption",), ("--manifest", "scenes.csv")), None)
    return {
        "plain": array_script(SlurmOptions("8"), commands),
        "rich": array_script(rich, commands),
        "once": array_script(SlurmOptions("8", requeues=0), commands),
        "list": array_script(SlurmOptions("8"), of_list),
        "merge": merge_script(rich, commands),
        "submit": submit_script(commands),
    }


@pytest.mark.parametrize("name", sorted(variants()))
def test_scripts_are_clean(name: str, tmp_path: Path) -> None:
    script = variants()[name]
    assert script.isascii() or name != "submit"
    assert subprocess.run(["bash", "-n"], input=script.encode(), timeout=30, check=False).returncode == 0
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed (Debian, Ubuntu: apt-get install shellcheck)")
    # The name in quotes is in the setup line that a user gave: it is theirs.
    done = subprocess.run(
        ["shellcheck", "--exclude=SC1091", "-"], input=script.encode(), capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout.decode()


def test_scheduler_lines_come_before_any_command() -> None:
    lines = variants()["rich"].splitlines()
    asked = [line for line in lines if line.startswith("#SBATCH")]
    first_command = next(i for i, line in enumerate(lines) if line and not line.startswith("#"))
    assert all(lines.index(line) < first_command for line in asked)
    assert {
        "#SBATCH --array=1-100%10", "#SBATCH --nodes=2", "#SBATCH --gpus-per-node=a100:2", "#SBATCH --time=1-00",
        "#SBATCH --constraint=a100", "#SBATCH --partition=gpu", "#SBATCH --mem=32G", "#SBATCH --requeue",
    } <= {*asked}  # fmt: skip
    assert "apptainer exec" in variants()["rich"] and "--nv" in variants()["rich"]
    assert "--nv" not in variants()["merge"]  # the merge needs no GPU


@pytest.mark.parametrize(
    "wrong",
    [
        {"array": "0"},
        {"array": "1-8"},
        {"array": "8", "nodes": 0},
        {"array": "9999", "nodes": 2},
        {"array": "8", "time": "soon"},
        {"array": "8", "time": "00:02:00"},
        {"array": "8", "memory": "lots"},
        {"array": "8", "gpus": "0"},
        {"array": "8", "partition": "gpu\n#SBATCH --uid=0"},
        {"array": "8", "account": "$(id)"},
        {"array": "8", "directives": ("--comment=a b",)},
        {"array": "8", "setup": ("true\nfalse",)},
        {"array": "8", "binds": ("/data:/etc",)},
        {"array": "8", "warn_s": 1},
    ],
)
def test_what_sbatch_would_misread_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageProblem):
        SlurmOptions(**wrong)  # type: ignore[arg-type]


def test_limits_are_read_as_slurm_reads_them() -> None:
    texts = ["90", "10:30", "04:00:00", "2-12", "2-12:30", "1-00:00:01"]
    assert [seconds(text) for text in texts] == [5400, 630, 14400, 216000, 217800, 86401]


def test_job_names_are_harmless() -> None:
    assert job_name("out;$(x) 50%") == "out-x-50"
    assert job_name("東京") == "rsccli"


@pytest.fixture
def pair_folder(tmp_path: Path, root: Path) -> Path:
    """The real pair under names with a space and a quote."""
    folder = tmp_path / "it's a $(folder)"
    folder.mkdir()
    for name, link in (("prairie_2012-07-31.tif", "pre 2012.tif"), ("prairie_2014-07-20.tif", "post`2014`.tif")):
        (folder / link).symlink_to(root / "examples" / name)
    return folder


def rsccli(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rsccli", *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_command_writes_scripts_with_the_options_that_were_given(
    pair_folder: Path, tmp_path: Path, cluster_commands: dict[str, str]
) -> None:
    config = tmp_path / "run.toml"
    config.write_text("overlap = 64\n[slurm]\ntime = '01:00:00'\n")
    options = ("--array", "5", "--gpus", "2", "--tile-size", "128", "--no-report", "--module", "rsccli/0.1")
    done = rsccli(
        pair_folder, "slurm", "pre 2012.tif", "post`2014`.tif", "-o", "out it's.geojson", *options,
        "--config", str(config), RSCCLI_MIN_VALID="0.5",
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    scripts = pair_folder / "out it's.slurm"
    assert sorted(path.name for path in scripts.iterdir()) == ["array.sbatch", "merge.sbatch", "submit.sh"]
    text = (scripts / "array.sbatch").read_text()
    assert text.startswith("#!/bin/bash -l\n") and "module load rsccli/0.1\n" in text
    assert "#SBATCH --time=01:00:00\n" in text
    # What a login shell does on this machine is not looked at here.
    ran = bash(text.replace("module load", ": module load"), **cluster_commands)
    assert (ran.returncode, ran.stderr) == (0, b"")
    words = (tmp_path / "srun.log").read_bytes().decode().split("\0")[:-1]
    assert words[:7] == [sys.executable, "-m", "rsccli", "caption", "pre 2012.tif", "post`2014`.tif", "--output"]
    assert words[7] == "out it's.geojson" and words[-2:] == ["--shard", "3/5"]
    rest = words[8:-2]
    assert dict(zip(rest[::2], rest[1::2], strict=True)) == {
        "--tile-size": "128", "--overlap": "64", "--min-valid": "0.5", "--device": "cuda:all",
    }  # fmt: skip
    assert bash((scripts / "merge.sbatch").read_text().replace("module", ": "), **cluster_commands).returncode == 0
    assert (tmp_path / "srun.log").read_bytes().decode().split("\0")[3:-1] == [
        "merge", "out it's.geojson.shards", "--output", "out it's.geojson", "--no-report",
    ]  # fmt: skip

    again = rsccli(pair_folder, "slurm", "pre 2012.tif", "post`2014`.tif", "-o", "out it's.geojson")
    assert again.returncode == 3 and "array.sbatch exists" in again.stderr


def test_examples_are_what_the_command_writes(root: Path, tmp_path: Path) -> None:
    for name in ("pre.tif", "post.tif"):
        (tmp_path / name).touch()
    text = (root / "examples" / "slurm" / "README.md").read_text(encoding="utf-8")
    command = text.split("rsccli slurm ", 1)[1].split("\nbash", 1)[0].replace("\\\n", " ").split()
    done = rsccli(tmp_path, "slurm", *command)
    assert done.returncode == 0, done.stderr
    for name in ("array.sbatch", "merge.sbatch", "submit.sh"):
        made = (tmp_path / "out.slurm" / name).read_text().replace(word(str(tmp_path)), "/shared/project")
        assert made == (root / "examples" / "slurm" / name).read_text(), f"write examples/slurm/{name} again"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["pre 2012.tif", "gone.tif", "-o", "out.geojson"], 3, "gone.tif: no such file"),
        (["pre 2012.tif", "post`2014`.tif", "-o", "-"], 2, "-o FILE"),
        (["pre 2012.tif", "post`2014`.tif", "-o", "out.geojson", "--batch-size", "auto"], 2, "give a number"),
        (["pre 2012.tif", "-o", "out.geojson"], 2, "two images"),
        (["pre 2012.tif", "post`2014`.tif", "-o", "out.xyz"], 2, "out.xyz"),
        (["pre 2012.tif", "post`2014`.tif", "-o", "out.geojson", "--tile-size", "many"], 2, "--tile-size"),
    ],
)
def test_command_refuses_what_every_job_would(arguments: list[str], code: int, said: str, pair_folder: Path) -> None:
    done = rsccli(pair_folder, "slurm", *arguments)
    assert done.returncode == code and said in done.stderr
    assert not list(pair_folder.glob("*.slurm"))


def test_submit_says_where_there_is_no_sbatch(pair_folder: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "dirname"):
        (tools / name).symlink_to(str(shutil.which(name)))
    done = rsccli(
        pair_folder, "slurm", "pre 2012.tif", "post`2014`.tif", "-o", "o.geojson", "--submit", PATH=str(tools)
    )
    assert done.returncode == 3 and "bash o.slurm/submit.sh" in done.stderr
    assert (pair_folder / "o.slurm" / "array.sbatch").exists()

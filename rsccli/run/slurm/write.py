"""Putting the scripts into a folder, and handing them to sbatch."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from rsccli.errors import InputError, OutputError
from rsccli.output.writers.atomic import replacing
from rsccli.run.slurm.options import SlurmOptions
from rsccli.run.slurm.scripts import ARRAY, MERGE, SUBMIT, JobCommands, array_script, merge_script, submit_script

#: sbatch talks to the controller; a busy one may take its time.
_PATIENCE_S = 300


@dataclass(frozen=True)
class WrittenScripts:
    """Scripts that lie in a folder.

    Attributes:
        array, submit: always there. merge: None for a list of scenes.
    """

    array: Path
    submit: Path
    merge: Path | None


def write_scripts(folder: Path, options: SlurmOptions, commands: JobCommands, overwrite: bool) -> WrittenScripts:
    """Write all scripts of a run.

    Raises:
        OutputError: scripts are there already, or the folder cannot be written.
    """
    texts = {ARRAY: array_script(options, commands), SUBMIT: submit_script(commands)}
    if commands.merge is not None:
        texts[MERGE] = merge_script(options, commands)
    there = [folder / name for name in texts if (folder / name).exists()]
    if there and not overwrite:
        raise OutputError(
            f"{there[0]} exists. To go on with it: bash {folder / SUBMIT}. To write it anew: --overwrite (which also "
            "lets the merge replace the output)"
        )
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made: {error.strerror or error}; choose another -o") from error
    for name, text in texts.items():
        with replacing(folder / name) as part:
            # Quoting leaves nothing but text.
            part.write_text(text, encoding="utf-8")
            part.chmod(0o755 if name == SUBMIT else 0o644)
    return WrittenScripts(folder / ARRAY, folder / SUBMIT, folder / MERGE if commands.merge is not None else None)


def submit(scripts: WrittenScripts) -> str:
    """Run submit.sh; returns what it says: the numbers of the jobs.

    Raises:
        InputError: there is no sbatch here, or it refused the job.
    """
    try:
        done = subprocess.run(
            ["bash", str(scripts.submit.resolve())], capture_output=True, text=True, timeout=_PATIENCE_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(
            f"sbatch did not answer within {_PATIENCE_S} s: look with squeue --me before you try again"
        ) from error
    except OSError as error:
        raise InputError(f"bash cannot be started: {error.strerror or error}") from error
    if done.returncode:
        submitted = f"; submitted already: {done.stdout.strip()}" if done.stdout.strip() else ""
        raise InputError(
            f"{scripts.submit} failed{submitted}: {done.stderr.strip()}. On a machine of the cluster: "
            f"bash {scripts.submit}"
        )
    return done.stdout

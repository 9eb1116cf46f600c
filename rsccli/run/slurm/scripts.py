"""The text of the jobs' scripts. Each is meant to be read, and to be edited by those who know their cluster."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rsccli import __version__
from rsccli.run.slurm.options import SlurmOptions
from rsccli.run.slurm.quoting import word, words

#: What stands on one line of a command.
Words = tuple[str, ...]

ARRAY, MERGE, SUBMIT = "array.sbatch", "merge.sbatch", "submit.sh"


@dataclass(frozen=True)
class JobCommands:
    """What the jobs run.

    Attributes:
        name: of the jobs. folder: where paths in the commands start from.
        caption: what follows ``rsccli``, without the shard: the command, then a path or an option with its value each.
        merge: the same of the merge, or None where nothing is merged.
    """

    name: str
    folder: str
    caption: tuple[Words, ...]
    merge: tuple[Words, ...] | None


def job_name(text: str) -> str:
    """A name that SLURM shows as it is: letters, digits and ``_ . -``."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-.")[:60] or "rsccli"


def array_script(options: SlurmOptions, commands: JobCommands) -> str:
    """One element captions its shard (one on each of its nodes), and comes back when it was stopped."""
    of_list = commands.merge is None
    what = "the scenes of a list" if of_list else "a pair"
    lines = [
        f"# Captions {what} in {_many(options.shards, 'shard')}, {_place(options)}.",
        "# An element that runs again goes on where it was: submit again to finish what was cut.",
        *_head(commands.name, options, options.time, options.partition),
        f"#SBATCH --array=1-{options.elements}{''.join(options.array.partition('%')[1:])}",
        "#SBATCH --output=%x-%A_%a.log",
        f"#SBATCH --nodes={options.nodes}",
        "#SBATCH --ntasks-per-node=1",
        f"#SBATCH --cpus-per-task={options.cpus}",
        *([f"#SBATCH --gpus-per-node={options.gpus}"] if options.gpus else []),
        "# Told to stop before its time is over, it stops at a safe point.",
        f"#SBATCH --signal=B:USR1@{options.warn_s}",
        "#SBATCH --requeue" if options.requeues else "#SBATCH --no-requeue",
        *_surroundings(options, commands),
        *_command(options, commands, commands.caption, gpu=bool(options.gpus)),
        "",
        *_run(options),
        *_end(options, of_list),
    ]
    return _script(lines, login=bool(options.modules))


def merge_script(options: SlurmOptions, commands: JobCommands) -> str:
    """Puts the shards together; starts when all elements are done."""
    assert commands.merge is not None
    lines = [
        "# Puts the shards together when all elements of array.sbatch are done.",
        *_head(f"{commands.name}-merge", options, options.merge_time or options.time, _merge_partition(options)),
        "#SBATCH --output=%x-%j.log",
        "#SBATCH --nodes=1",
        "#SBATCH --ntasks=1",
        f"#SBATCH --cpus-per-task={options.cpus}",
        *_surroundings(options, commands),
        *_command(options, commands, commands.merge, gpu=False),
        "",
        'srun "${run[@]}"',
    ]
    return _script(lines, login=bool(options.modules))


def submit_script(commands: JobCommands) -> str:
    """Submits the jobs and prints their numbers."""
    lines = [
        "# Submits the jobs and prints their numbers; more options of sbatch for the array may follow.",
        "set -euo pipefail",
        'CDPATH="" cd -- "$(dirname -- "${BASH_SOURCE[0]}")"',
        "",
        f'array=$(sbatch --parsable "$@" {ARRAY})',
        "array=${array%%;*}",
        'echo "array $array"',
    ]
    if commands.merge is not None:
        lines += [
            "# Starts when every element is done; is dropped when one failed.",
            f'merge=$(sbatch --parsable --dependency="afterok:$array" --kill-on-invalid-dep=yes {MERGE})',
            'echo "merge ${merge%%;*}"',
        ]
    return _script(lines, login=False)


def _script(lines: Sequence[str], login: bool) -> str:
    # A login shell knows the command "module".
    return "\n".join([f"#!/bin/bash{' -l' if login else ''}", *lines]) + "\n"


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _place(options: SlurmOptions) -> str:
    if options.nodes == 1:
        return f"one for each element of this job array. Written by rsccli {__version__}"
    return f"one for each of the {options.nodes} nodes of an element of this job array. Written by rsccli {__version__}"


def _merge_partition(options: SlurmOptions) -> str | None:
    return options.merge_partition or options.partition


def _head(name: str, options: SlurmOptions, time: str | None, partition: str | None) -> list[str]:
    asked = {
        "job-name": name,
        "partition": partition,
        "account": options.account,
        "qos": options.qos,
        "time": time,
        "mem": options.memory,
        # A log is kept when its job starts again.
        "open-mode": "append",
    }
    lines = [f"#SBATCH --{key}={value}" for key, value in asked.items() if value is not None]
    return lines + [f"#SBATCH {directive}" for directive in options.directives]


def _surroundings(options: SlurmOptions, commands: JobCommands) -> list[str]:
    """Modules and the user's own lines, the folder, and variables."""
    first = [*(f"module load {word(module)}" for module in options.modules), *options.setup]
    # Modules and environments use variables that are not set.
    strict = ["set -eo pipefail", "", *first, "set -u"] if first else ["set -euo pipefail"]
    return [
        *strict,
        f"cd -- {word(commands.folder)}",
        "",
        *(["# No packages of the user's home within the container."] if options.container else []),
        *(["export PYTHONNOUSERSITE=1"] if options.container else []),
        "# All options stand below: none comes from the variables of who submits.",
        'unset "${!RSCCLI_@}"',
        "# A node has no network: nothing is looked up, models come from the shared file system.",
        "export HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 HF_DATASETS_OFFLINE=1 PROJ_NETWORK=OFF",
        "# No more threads than the job has cores; readers (-j) are threads already, so GDAL starts none.",
        'export OMP_NUM_THREADS="${SLURM_CPUS_PER_TASK:-1}" OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1',
        f"export GDAL_NUM_THREADS=1 GDAL_CACHEMAX={_cache_mb(commands.caption)}",
        "# srun gives a step as many cores as its job asked for only when it is told so.",
        'export SRUN_CPUS_PER_TASK="${SLURM_CPUS_PER_TASK:-1}"',
        "",
    ]


def _cache_mb(arguments: Sequence[Words]) -> str:
    """Of GDAL, in MB: what ``--cache-mb`` says, so that both ways to set it agree."""
    return next((value for flag, *rest in arguments if flag == "--cache-mb" for value in rest), "48")


def _command(options: SlurmOptions, commands: JobCommands, arguments: Sequence[Words], gpu: bool) -> list[str]:
    """An array of bash that holds a command, a path or an option with its value on each line."""
    lines: list[Words] = [(*options.program, *arguments[0]), *arguments[1:]]
    if options.container is not None:
        inside: list[Words] = [("--nv",)] if gpu else []
        inside += [("--pwd", commands.folder), *(("--bind", path) for path in options.binds)]
        lines = [("apptainer", "exec"), *inside, (options.container,), *lines]
    return ["run=(", *(f"  {' '.join(words(line))}" for line in lines), ")"]


def _run(options: SlurmOptions) -> list[str]:
    count = options.shards
    if options.nodes == 1:
        start = f'srun "${{run[@]}}" --shard "$SLURM_ARRAY_TASK_ID/{count}" &'
    else:
        number = f"$(( (SLURM_ARRAY_TASK_ID - 1) * {options.nodes} + SLURM_PROCID + 1 ))"
        start = f'srun --label bash -c \'exec "$@" --shard "{number}/{count}"\' rsccli "${{run[@]}}" &'
    return [
        'child=""',
        "# SLURM warns this script, which passes the warning on. scancel ends both.",
        "trap '[[ -z $child ]] || kill -USR1 \"$child\" || true' USR1",
        *(["cancelled=0", "trap 'cancelled=1' TERM"] if options.requeues else ["trap : TERM"]),
        *(["# shellcheck disable=SC2016  # each task finds its own shard"] if options.nodes > 1 else []),
        start,
        "child=$!",
        "status=0",
        'wait "$child" || status=$?',
        "# A signal ends the waiting, not the run.",
        'while kill -0 "$child" 2>/dev/null; do',
        "  status=0",
        '  wait "$child" || status=$?',
        "done",
        "if (( status > 128 )); then",
        '  last=0; wait "$child" 2>/dev/null || last=$?',
        "  (( last == 127 )) || status=$last",
        "fi",
        "",
    ]


def _end(options: SlurmOptions, of_list: bool) -> list[str]:
    lines = []
    if not of_list:
        lines += [
            "if (( status == 5 )); then",
            '  echo "Some tiles failed, the shard is whole: the merge says which." >&2',
            "  exit 0",
            "fi",
        ]
    if options.requeues:
        lines += [
            "# Stopped at a safe point (75), or met by a signal before its work or after it (138, 143): back into",
            "# the queue, unless somebody cancelled the job.",
            "if (( (status == 75 || status == 138 || status == 143) && ! cancelled )) &&",
            '   [[ $(squeue --noheader --job "$SLURM_JOB_ID" --format %T) == RUNNING ]]; then',
            f"  if (( ${{SLURM_RESTART_COUNT:-0}} < {options.requeues} )); then",
            '    echo "Stopped after start number $(( ${SLURM_RESTART_COUNT:-0} + 1 )): back into the queue." >&2',
            '    scontrol requeue "$SLURM_JOB_ID"',
            "  else",
            f'    echo "Stopped {options.requeues + 1} times: submit again to go on." >&2',
            "  fi",
            "fi",
        ]
    return [*lines, 'exit "$status"']

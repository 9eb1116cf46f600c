"""Which part of a run: ``--shard 3/8`` or ``--shard slurm``, and where that part is kept."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rsccli.errors import UsageProblem

#: Of the file that a finished shard leaves.
SUFFIX = ".rsccli-shard"
#: More parts than anybody has workers; names of shard files have room for them.
MOST_SHARDS = 9999

_NAMED = re.compile(r"(\d{1,9})/(\d{1,9})")
_FILE_NAME = re.compile(r"(\d{4})-of-(\d{4})" + re.escape(SUFFIX))


@dataclass(frozen=True, order=True)
class Shard:
    """One part of a run.

    Attributes:
        count: parts in all, 1 to 9999. index: which of them, 1 to ``count``.
    """

    count: int
    index: int

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST_SHARDS:
            raise UsageProblem(f"--shard {self}: a run has 1 to {MOST_SHARDS} shards")
        if not 1 <= self.index <= self.count:
            raise UsageProblem(f"--shard {self}: the first number counts from 1 to {self.count}")

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @property
    def file_name(self) -> str:
        """``0003-of-0008.rsccli-shard``: sorts in the order of the shards."""
        return f"{self.index:04d}-of-{self.count:04d}{SUFFIX}"

    @classmethod
    def of_file(cls, path: Path) -> Shard | None:
        """The shard that a file or its journal is named after, or None for another file."""
        found = _FILE_NAME.match(path.name)
        if found is None:
            return None
        index, count = int(found[1]), int(found[2])
        return cls(count, index) if 1 <= index <= count else None


def parse_shard(text: str, environment: Mapping[str, str] | None = None) -> Shard:
    """``3/8``, or ``slurm`` for the place of this process in its job array.

    Args:
        environment: where SLURM's variables are; the process's own unless given.

    Raises:
        UsageProblem: another text, numbers out of range, or no job array.
    """
    if text.strip().lower() == "slurm":
        return _of_array(os.environ if environment is None else environment)
    found = _NAMED.fullmatch(text.strip())
    if found is None:
        raise UsageProblem(
            f"--shard {text}: give i/n, e.g. 3/8 for the third of eight shards, or slurm in an element of a job array"
        )
    return Shard(int(found[2]), int(found[1]))


def _of_array(environment: Mapping[str, str]) -> Shard:
    """From the variables that sbatch sets in each element of ``--array=FIRST-LAST:STEP``."""
    if "SLURM_ARRAY_TASK_ID" not in environment:
        where = f"job {environment['SLURM_JOB_ID']} is" if "SLURM_JOB_ID" in environment else "this process is"
        raise UsageProblem(
            f"--shard slurm: SLURM_ARRAY_TASK_ID is not set: {where} no element of a job array. Submit the script with "
            "sbatch --array=1-8, or name the shard: --shard 1/8"
        )
    task, first, last = (_number(environment, f"SLURM_ARRAY_TASK_{name}") for name in ("ID", "MIN", "MAX"))
    step = _number(environment, "SLURM_ARRAY_TASK_STEP", 1)
    if step < 1 or not first <= task <= last or (task - first) % step:
        raise UsageProblem(
            f"--shard slurm: element {task} has no place in an array from {first} to {last} in steps of {step}: name "
            "the shard: --shard i/n"
        )
    count = (last - first) // step + 1
    told = _number(environment, "SLURM_ARRAY_TASK_COUNT", count)
    if told != count:
        raise UsageProblem(
            f"--shard slurm: the array has {told} elements, but {first} to {last} in steps of {step} would be {count}: "
            "which of a list of single elements this one is, nobody tells. Submit --array=1-N, or name the shard, e.g. "
            '--shard "$SLURM_ARRAY_TASK_ID/N"'
        )
    return Shard(count, (task - first) // step + 1)


def _number(environment: Mapping[str, str], name: str, default: int | None = None) -> int:
    text = environment.get(name)
    if text is None and default is not None:
        return default
    if text is None or not re.fullmatch(r"\d{1,9}", text):
        raise UsageProblem(f"--shard slurm: {name} is {text or 'not set'}: name the shard: --shard i/n")
    return int(text)


def shard_folder(output: Path) -> Path:
    """Where the shards of an output are kept: ``out.geojson.shards``."""
    return output.with_name(f"{output.name}.shards")


def shard_path(output: Path, shard: Shard) -> Path:
    """The file that a finished shard leaves: ``out.geojson.shards/0003-of-0008.rsccli-shard``."""
    return shard_folder(output) / shard.file_name

"""Which workers: ``--scheduler local:4``, ``tcp://host:8786`` or ``slurm:16``, as values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rsccli.errors import UsageProblem

_NAMED = re.compile(r"(local|slurm)(?::([1-9]\d{0,4}))?")
_ADDRESS = re.compile(r"(tcp|tls)://\S+:\d+")
#: Options of jobs, as `rsccli slurm` names them, and what they have to look like.
_JOB_OPTIONS = {
    "cpus-per-task": re.compile(r"[1-9]\d*"),
    "mem": re.compile(r"\d+[KMGT]B?"),
    "time": re.compile(r"(\d+-)?\d+(:\d{1,2}){0,2}"),
    "partition": re.compile(r"[A-Za-z0-9][A-Za-z0-9_.,+-]*"),
    "account": re.compile(r"[A-Za-z0-9][A-Za-z0-9_.,+@-]*"),
    "gpus": re.compile(r"([A-Za-z][A-Za-z0-9_.-]*:)?[1-9]\d*"),
    "interface": re.compile(r"[A-Za-z0-9_.@-]+"),
    "sbatch": re.compile(r"--?[a-z][a-z-]*(=[A-Za-z0-9_.,:;=@%+/*&|()\[\]-]+)?"),
    "setup": re.compile(r"[^\x00-\x1f\x7f]+"),
}
_REPEATED = ("sbatch", "setup")


@dataclass(frozen=True)
class JobOption:
    """One ``--scheduler-option NAME=VALUE``."""

    name: str
    value: str


@dataclass(frozen=True)
class Scheduler:
    """Where tasks run.

    Attributes:
        kind: processes of this machine, workers of a scheduler that runs somewhere, or jobs of SLURM.
        workers: how many of our own; None: as the kind sees fit. address: of the scheduler that runs.
        options: of the jobs.
    """

    kind: Literal["local", "address", "slurm"]
    workers: int | None = None
    address: str | None = None
    options: tuple[JobOption, ...] = ()

    def option(self, name: str) -> str | None:
        """The value of an option, or None."""
        return next((option.value for option in reversed(self.options) if option.name == name), None)

    def each(self, name: str) -> list[str]:
        """All values of an option that may be repeated."""
        return [option.value for option in self.options if option.name == name]


def parse_scheduler(text: str, options: Sequence[str] = ()) -> Scheduler:
    """Read ``--scheduler`` and ``--scheduler-option``.

    Raises:
        UsageProblem: another text, or options that do not go with it.
    """
    given = tuple(_option(option) for option in options)
    if _ADDRESS.fullmatch(text):
        scheduler = Scheduler("address", address=text, options=given)
    elif found := _NAMED.fullmatch(text):
        kind: Literal["local", "slurm"] = "local" if found[1] == "local" else "slurm"
        scheduler = Scheduler(kind, workers=int(found[2]) if found[2] else None, options=given)
    else:
        raise UsageProblem(
            f"--scheduler {text}: give local or local:N (processes of this machine), slurm:N (jobs), or the address of "
            "a scheduler of Dask, e.g. tcp://host:8786"
        )
    if given and scheduler.kind != "slurm":
        raise UsageProblem(f"--scheduler-option is of jobs: it goes with --scheduler slurm:N, not with {text}")
    if scheduler.kind == "slurm" and scheduler.workers is None:
        raise UsageProblem("--scheduler slurm: say how many jobs, e.g. slurm:16")
    return scheduler


def _option(text: str) -> JobOption:
    name, equals, value = text.partition("=")
    shape = _JOB_OPTIONS.get(name)
    if shape is None or not equals:
        raise UsageProblem(
            f"--scheduler-option {text}: give NAME=VALUE, where NAME is one of {', '.join(_JOB_OPTIONS)}"
        )
    if not shape.fullmatch(value):
        raise UsageProblem(f"--scheduler-option {text}: this is no value for {name}")
    return JobOption(name, value)

"""What a user asks of the scheduler, checked before it gets into a script."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rsccli.errors import UsageProblem
from rsccli.run.shard.name import MOST_SHARDS

#: SLURM takes these; what is none of them would be refused by sbatch, or be read as something else.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.,+@-]*")
_TIME = re.compile(r"(\d+-)?\d+(:\d{1,2}){0,2}")
_MEMORY = re.compile(r"\d+[KMGT]?")
_GPUS = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*:)?[1-9]\d*")
_ARRAY = re.compile(r"([1-9]\d{0,3})(%[1-9]\d*)?")
_DIRECTIVE = re.compile(r"--?[a-z][a-z-]*(=[A-Za-z0-9_.,:;=@%+/*&|()\[\]-]+)?")


@dataclass(frozen=True)
class SlurmOptions:
    """Resources and surroundings of the jobs.

    Attributes:
        array: elements, ``8``, or ``100%10`` for ten at a time. nodes: of an element, with one shard on each.
        cpus: of a shard. gpus: of a shard, ``1`` or ``a100:2``. memory: of a node, ``32G``.
        time, partition, account, qos: as sbatch takes them. directives: more of its options.
        merge_time, merge_partition: of the merge, as the array's where None.
        modules: loaded first. setup: lines of bash that come next. container: an image for Apptainer. binds: folders
            that it gets to see beside those that the run names.
        program: words that call rsccli. warn_s: how long before the end of its time a job is told to stop.
        requeues: how often an element that was stopped is put back into the queue.
    """

    array: str
    nodes: int = 1
    cpus: int = 4
    gpus: str | None = None
    memory: str | None = None
    time: str | None = None
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    directives: tuple[str, ...] = ()
    merge_time: str | None = None
    merge_partition: str | None = None
    modules: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    container: str | None = None
    binds: tuple[str, ...] = ()
    program: tuple[str, ...] = ("rsccli",)
    warn_s: int = 120
    requeues: int = 20

    def __post_init__(self) -> None:
        _check("--array", self.array, _ARRAY, "give the number of elements, e.g. 8, or 100%10 for ten at a time")
        for flag, number, least in (("--nodes", self.nodes, 1), ("--cpus-per-task", self.cpus, 1)):
            if number < least:
                raise UsageProblem(f"{flag} {number}: at least {least}")
        if not 0 <= self.requeues <= 1000:
            raise UsageProblem(f"--max-requeues {self.requeues}: give 0 to 1000")
        if not 10 <= self.warn_s <= 65535:
            raise UsageProblem(f"--warn {self.warn_s}: give 10 to 65535 seconds")
        if self.shards > MOST_SHARDS:
            raise UsageProblem(f"--array {self.array} --nodes {self.nodes}: a run has at most {MOST_SHARDS} shards")
        _check("--gpus", self.gpus, _GPUS, "give a number, or type and number, e.g. a100:2")
        _check("--mem", self.memory, _MEMORY, "give e.g. 32G")
        for flag, text in (("--time", self.time), ("--merge-time", self.merge_time)):
            _check(flag, text, _TIME, "give e.g. 04:00:00, or 2-12 for two and a half days")
        limit_s = None if self.time is None else seconds(self.time)
        if limit_s is not None and limit_s <= self.warn_s:
            raise UsageProblem(
                f"--time {self.time} is over before the warning of {self.warn_s} s: give more --time or less --warn"
            )
        for flag, text in (
            ("--partition", self.partition),
            ("--merge-partition", self.merge_partition),
            ("--account", self.account),
            ("--qos", self.qos),
        ):
            _check(flag, text, _NAME, "a name has letters, digits and _ . , + @ - only")
        for text in self.directives:
            _check("--sbatch", text, _DIRECTIVE, "give one option of sbatch, e.g. --sbatch=--constraint=a100")
        for flag, texts in (("--module", self.modules), ("--setup", self.setup)):
            for text in texts:
                if not text.strip() or not text.isprintable():
                    raise UsageProblem(f"{flag} {text!r}: give one line of printable text")
        for path in self.binds:
            if set(path) & {":", ","}:
                raise UsageProblem(
                    f"--container: {path}: Apptainer binds no folder with a colon or a comma in its name: rename it"
                )

    @property
    def elements(self) -> int:
        """Elements of the array."""
        return int(self.array.partition("%")[0])

    @property
    def shards(self) -> int:
        """Shards of the run: one for each node of each element."""
        return self.elements * self.nodes

    @property
    def gpu_count(self) -> int:
        """GPUs of a shard."""
        return int(self.gpus.rpartition(":")[2]) if self.gpus else 0


def seconds(time: str) -> int:
    """A limit as SLURM reads it: minutes, MM:SS, HH:MM:SS, or days before a dash, then D-HH, D-HH:MM, D-HH:MM:SS."""
    days, dash, rest = time.rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    if dash:
        hours, minutes, left = (*parts, 0, 0)[:3]
    elif len(parts) == 3:
        hours, minutes, left = parts
    else:
        hours, minutes, left = 0, parts[0], parts[1] if len(parts) == 2 else 0
    return int(days or 0) * 86400 + hours * 3600 + minutes * 60 + left


def _check(flag: str, text: str | None, shape: re.Pattern[str], advice: str) -> None:
    if text is not None and not shape.fullmatch(text):
        raise UsageProblem(f"{flag} {text!r}: {advice}")

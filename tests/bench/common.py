"""What the benchmarks share: the machine's name, tables, children that are timed and weighed."""

from __future__ import annotations

import datetime
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rsccli.peak_memory import peak_memory_bytes

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"
# Large generated inputs stay here between runs, outside of the tree.
CACHE = Path(os.environ.get("RSCCLI_BENCH_CACHE", Path(tempfile.gettempdir()) / "rsccli-bench"))


def machine() -> str:
    """One line: processor, cores that may be used, memory, versions, day."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{model}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GB, Python {platform.python_version()}, "
        f"{datetime.date.today().isoformat()}, load before {os.getloadavg()[0]:.1f}"
    )


@dataclass(frozen=True)
class Cost:
    """What a child took.

    Attributes:
        wall_s: seconds by the clock. cpu_s: seconds of processor time (user and system).
        peak_mb: largest resident set. returncode: its exit status. stdout, stderr: what it said.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float
    returncode: int
    stdout: str
    stderr: str


def run_child(command: Sequence[str], env: dict[str, str] | None = None, cores: int | None = None) -> Cost:
    """Run a child to its end; memory and time are the kernel's own figures for that child.

    Args:
        command: what to run. env: variables to add. cores: bind to so many cores.
    """
    bound = set(sorted(os.sched_getaffinity(0))[:cores]) if cores else None
    told, tell = os.pipe()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err, open(told) as cost:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(tell), *command],
            stdout=out,
            stderr=err,
            env={**os.environ, **(env or {})},
            pass_fds=[tell],
            preexec_fn=(lambda: os.sched_setaffinity(0, bound)) if bound else None,
        )
        os.close(tell)
        wall_s, cpu_s, peak_kb, returncode = json.loads(cost.read())
        process.wait()
        out.seek(0)
        err.seek(0)
        return Cost(wall_s, cpu_s, peak_kb / 1024, returncode, out.read(), err.read())


# Linux counts what a process was before exec into its largest resident set (see rsccli.peak_memory): a small process
# starts what is weighed.
_LAUNCHER = """
import os, sys, time
tell, command = int(sys.argv[1]), sys.argv[2:]
os.set_inheritable(tell, False)
begun = time.perf_counter()
child = os.posix_spawnp(command[0], command, os.environ)
_, status, usage = os.wait4(child, 0)
wall = time.perf_counter() - begun
told = [wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, os.waitstatus_to_exitcode(status)]
os.write(tell, repr(told).encode())
"""


def own_peak_mb() -> float:
    """Largest resident set of this process so far."""
    return peak_memory_bytes() / 2**20


def own_cpu_s() -> float:
    """Processor time of this process so far, all threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def last_json(cost: Cost) -> dict[str, float]:
    """The JSON object on the last line of a child's stdout; a child that failed is an error here."""
    if cost.returncode != 0:
        raise SystemExit(f"a measured child left with {cost.returncode}:\n{cost.stderr[-3000:]}")
    told: dict[str, float] = json.loads(cost.stdout.strip().splitlines()[-1])
    return told


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def spread(values: Sequence[float], digits: int = 0) -> str:
    """Median, with the range where it was measured more than once."""
    middle = f"{statistics.median(values):.{digits}f}"
    if len(values) < 2:
        return middle
    return f"{middle} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def rsccli() -> list[str]:
    """The console script of this environment."""
    return [str(Path(sys.executable).with_name("rsccli"))]


def say(line: str = "") -> None:
    """One line of the result, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def note(line: str) -> None:
    """One line of progress, beside the result."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()

"""Mutated rasters and tables, read by a process with little memory: no traceback, no crash, no hang, no more memory."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import mutated_rasters
import mutated_tables
import pytest

WORKER = Path(mutated_rasters.__file__).with_name("raster_worker.py")
#: What docs/security.md says: a hostile raster takes no more than this beside the program itself.
BOUND_MB = 512
HANG_S = 30

Make = Callable[[int], tuple[str, bytes]]


def _read(folder: Path, make: Make, first: int, count: int) -> Counter[str]:
    """Outcomes of the files from a number on; a file that ends the process, hangs it or finds a bug fails the test."""
    names = []
    for number in range(first, first + count):
        suffix, data = make(number)
        (folder / f"{number}{suffix}").write_bytes(data)
        names.append(f"{number}{suffix}")
    done = subprocess.run(
        [sys.executable, str(WORKER), str(folder), str(BOUND_MB * 2**20)],
        input="\n".join(names) + "\n",
        capture_output=True,
        text=True,
        errors="replace",
        timeout=HANG_S + count,
        check=False,
    )
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert [line[0] for line in lines] == names, f"{names[len(lines)]}: {done.returncode}\n{done.stderr[-1000:]}"
    bugs = [line for line in lines if line[1].startswith("BUG")]
    assert not bugs, bugs[:5]
    assert max(float(line[2]) for line in lines) < HANG_S
    return Counter(line[1] for line in lines)


@pytest.mark.parametrize("make", [mutated_rasters.mutated, mutated_tables.mutated], ids=["rasters", "tables"])
def test_a_few_mutated_files(make: Make, tmp_path: Path) -> None:
    found = _read(tmp_path, make, 0, 120)
    # Both kinds are there: what is refused, and what is read in spite of all.
    assert found["refused"] > 20 and found["read"] > 10


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
@pytest.mark.parametrize("make", [mutated_rasters.mutated, mutated_tables.mutated], ids=["rasters", "tables"])
def test_many_mutated_files(make: Make, part: int, tmp_path: Path) -> None:
    _read(tmp_path, make, 1000 + 1000 * part, 1000)

"""Memory of a process is its own, whoever started it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rsccli.peak_memory import peak_memory_bytes

ROOT = Path(__file__).resolve().parents[1]
CHILD = "from rsccli.peak_memory import peak_memory_bytes; print(peak_memory_bytes())"
LARGE = f"""
import subprocess, sys
from rsccli.peak_memory import peak_memory_bytes
room = bytearray(200 * 2**20)
room[::4096] = b"x" * len(room[::4096])
print(peak_memory_bytes())
print(subprocess.run([sys.executable, "-c", {CHILD!r}], capture_output=True, text=True, check=True).stdout)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_small_program_of_a_large_one_is_small() -> None:
    done = subprocess.run([sys.executable, "-c", LARGE], cwd=ROOT, capture_output=True, text=True, check=True)
    large, small = map(int, done.stdout.split())
    assert large > 200 * 2**20 > 100 * 2**20 > small > 2**20


def test_it_is_the_largest_so_far() -> None:
    before = peak_memory_bytes()
    room = bytearray(before + 50 * 2**20)
    room[::4096] = b"x" * len(room[::4096])
    del room
    assert peak_memory_bytes() > before + 40 * 2**20

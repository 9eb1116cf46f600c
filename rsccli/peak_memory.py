"""How much memory this process has taken."""

from __future__ import annotations

import resource
import sys
from pathlib import Path


def peak_memory_bytes() -> int:
    """Largest resident set of this process so far.

    Linux hands the largest resident set of the process that started this one on to ``getrusage`` (execve(2) keeps the
    maximum): from a large program every small one looks large. ``VmHWM`` of proc(5) begins with the program itself.
    """
    try:
        for line in Path("/proc/self/status").read_bytes().splitlines():
            if line.startswith(b"VmHWM:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass  # another system, or a container without /proc
    # Kilobytes, but for macOS.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

"""How much memory a run takes: sampled while it goes on, so that runs of one process can be told apart."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

_STATM = Path("/proc/self/statm")
_EVERY_S = 0.02
_MB = 1e6


def resident_mb() -> float | None:
    """Memory of this process that is in RAM, 10^6 bytes; None where the system does not tell."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / _MB
    except (OSError, ValueError, IndexError):
        return None


class PeakMemory:
    """The largest of what was sampled while it was entered.

    Args:
        free_mb: what a GPU has left, in 2**20 bytes, or None where nobody says; not asked where None.

    Attributes:
        peak_mb: of the process, 10^6 bytes. gpu_mb: what the GPU had less than at the start, for all who use it.
    """

    def __init__(self, free_mb: Callable[[], float | None] | None = None) -> None:
        self.peak_mb: float | None = None
        self.gpu_mb: float | None = None
        self._free_mb = free_mb
        self._free_before = free_mb() if free_mb is not None else None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="rsccli-memory", daemon=True)

    def __enter__(self) -> PeakMemory:
        self.sample()
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()
        self.sample()

    def _watch(self) -> None:
        while not self._stop.wait(_EVERY_S):
            self.sample()

    def sample(self) -> None:
        """Look once."""
        now = resident_mb()
        if now is not None:
            self.peak_mb = max(self.peak_mb or 0.0, now)
        if self._free_before is not None and self._free_mb is not None:
            free = self._free_mb()
            if free is not None:
                self.gpu_mb = max(self.gpu_mb or 0.0, (self._free_before - free) * 2**20 / _MB)

"""Where the time of a process goes: seconds by stage, added up over all of its threads.

Every layer says what it is doing (``with stage("read")``); the metrics of a run are the difference of two readings.
One stage costs about a microsecond, and stages are entered per superblock, tile or batch, never per pixel.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Literal

#: ``read`` and ``warp`` happen in reader threads; ``encode`` and ``decode`` are parts of ``model``, of all devices
#: together. ``wait_pixels``: the model waits for readers. ``wait_model``: superblocks that were read wait for it.
Stage = Literal["load", "read", "warp", "model", "encode", "decode", "journal", "write", "wait_pixels", "wait_model"]


class Stages:
    """Seconds by stage; any thread may add."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._adding = threading.Lock()

    def add(self, name: Stage, seconds: float) -> None:
        """Count seconds."""
        with self._adding:
            self._seconds[name] = self._seconds.get(name, 0.0) + seconds

    def read(self) -> dict[str, float]:
        """What was counted so far."""
        with self._adding:
            return dict(self._seconds)

    def since(self, before: Mapping[str, float]) -> dict[str, float]:
        """What was counted since an earlier reading."""
        return {name: seconds - before.get(name, 0.0) for name, seconds in self.read().items()}


#: Of this process.
STAGES = Stages()


class stage:
    """``with stage("read"):`` counts the time within it; also where that ends with an error."""

    __slots__ = ("_name", "_start")

    def __init__(self, name: Stage) -> None:
        self._name: Stage = name
        self._start = 0.0

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *exc: object) -> None:
        STAGES.add(self._name, time.perf_counter() - self._start)

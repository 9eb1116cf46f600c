"""The figures of a run: what its metrics file and its Prometheus textfile are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from rsccli.types import STATUSES

FORMAT = 1
State = Literal["running", "finished", "stopped", "failed"]
#: Stages that share the time of a run, disjoint.
SHARED = ("read", "warp", "encode", "decode", "model_rest", "journal", "write")


@dataclass(frozen=True)
class Who:
    """Which run, where.

    Attributes:
        output: file that is being written, as it was named; ``-`` for a stream. shard: ``3/8``, or None.
        run: hash of all that decides the result. model, revision: the captioner. devices: as they were asked for.
        batch_size: tiles of one model call on one device. host, pid: the process. version: of rsccli.
        statuses: what may become of a tile.
    """

    output: str
    shard: str | None
    run: str
    model: str
    revision: str
    devices: tuple[str, ...]
    batch_size: int
    host: str
    pid: int
    version: str
    statuses: tuple[str, ...] = STATUSES


@dataclass(frozen=True)
class Figures:
    """How far a run is, and where its time went.

    Attributes:
        who: it. state, error: how it stands; the message where it failed or was stopped.
        started, updated: seconds since 1970. planned: tiles in all. before: of them done by earlier processes.
        by_status: tiles of this process. wall_s: since ``started``. captioning_s: since the first tile was asked for.
        cpu_s, peak_memory_bytes: of the process so far. prepare_s: measuring the pair. stages: see `rsccli.stages`.
    """

    who: Who
    state: State
    error: str | None
    started: float
    updated: float
    planned: int
    before: int
    by_status: Mapping[str, int]
    wall_s: float
    captioning_s: float
    cpu_s: float
    peak_memory_bytes: int
    prepare_s: float
    stages: Mapping[str, float]

    @property
    def tiles(self) -> int:
        """Of this process."""
        return sum(self.by_status.values())

    @property
    def tiles_per_s(self) -> float:
        """Of this process, since the first tile was asked for."""
        return self.tiles / self.captioning_s if self.captioning_s > 0 else 0.0

    def seconds(self) -> dict[str, float]:
        """Seconds of every stage in ``SHARED``; ``model_rest`` is what of the model is neither encoder nor decoder."""
        found = {name: max(0.0, self.stages.get(name, 0.0)) for name in SHARED}
        # Several devices encode at once, within one call: then nothing is left over.
        found["model_rest"] = max(0.0, self.stages.get("model", 0.0) - found["encode"] - found["decode"])
        return found

    def to_json(self) -> dict[str, Any]:
        """The metrics file."""
        seconds = self.seconds()
        total = sum(seconds.values())
        who = self.who
        return {
            "rsccli_metrics": FORMAT,
            "version": who.version,
            "state": self.state,
            "error": self.error,
            "run": who.run,
            "output": who.output,
            "shard": who.shard,
            "host": who.host,
            "pid": who.pid,
            "started": utc(self.started),
            "ended": utc(self.updated),
            "model": {
                "name": who.model,
                "revision": who.revision,
                "devices": list(who.devices),
                "batch_size": who.batch_size,
            },
            "tiles": {
                "planned": self.planned,
                "done_before": self.before,
                "done_now": self.tiles,
                "by_status": dict(self.by_status),
            },
            "tiles_per_s": round(self.tiles_per_s, 3),
            "wall_s": round(self.wall_s, 3),
            "prepare_s": round(self.prepare_s, 3),
            "load_s": round(self.stages.get("load", 0.0), 3),
            "captioning_s": round(self.captioning_s, 3),
            "cpu_s": round(self.cpu_s, 3),
            "stages": {
                name: {"seconds": round(value, 4), "share": round(value / total, 4) if total else 0.0}
                for name, value in seconds.items()
            },
            "waits": {
                "model_for_pixels_s": round(self.stages.get("wait_pixels", 0.0), 4),
                "pixels_for_model_s": round(self.stages.get("wait_model", 0.0), 4),
            },
            "peak_memory_bytes": self.peak_memory_bytes,
        }


def utc(seconds: float) -> str:
    """Seconds since 1970 as ``2026-01-31T12:00:00Z``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

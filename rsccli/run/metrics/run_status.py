"""How one run, or one shard of it, stands: told from its lock, its journal and its output."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import orjson

from rsccli.output.paths import sidecar
from rsccli.run.detect.folder import hidden_path, work_folder, work_journal
from rsccli.run.journal import journal_path
from rsccli.run.lock import Holder, lock_holder
from rsccli.run.metrics.observe import metrics_path
from rsccli.run.metrics.progress import JournalProgress, read_progress
from rsccli.run.shard.name import Shard

RunState = Literal["running", "cut", "finished", "not begun"]
RUN_STATES: tuple[RunState, ...] = ("finished", "running", "cut", "not begun")
_TAIL_BYTES = 512


@dataclass(frozen=True)
class RunStatus:
    """One run, or one shard of it.

    Attributes:
        output: file that it makes. state: ``cut``: it was begun and nobody is at it. shard: ``3/8``, or None.
        run: hash of what decides the result, or None. host, pid: of the process that is at it, or was; or None.
        since: when that began. updated: last batch, or last write. Both seconds since 1970, or None.
        tiles, planned: finished, in all; None where nothing tells. by_status: finished tiles.
        tiles_per_s: of the last minutes, of a run that works. left_s: seconds to go at that rate; both may be None.
    """

    output: str
    state: RunState
    shard: str | None = None
    run: str | None = None
    host: str | None = None
    pid: int | None = None
    since: float | None = None
    updated: float | None = None
    tiles: int | None = None
    planned: int | None = None
    by_status: Mapping[str, int] | None = None
    tiles_per_s: float | None = None
    left_s: float | None = None


def run_status(output: Path, shard: Shard | None = None) -> RunStatus:
    """One run, by its output."""
    journal = journal_of(output)
    holder = lock_holder(journal)
    alive = holder is not None and holder.alive
    name = None if shard is None else str(shard)
    progress = read_progress(journal, holder.since if holder is not None and alive else 0.0)
    if alive or journal.exists():
        return _at_work(output, name, holder, alive, progress, journal)
    if not output.exists():
        return RunStatus(str(output), "not begun", name)
    return _finished(output, name)


def journal_of(output: Path) -> Path:
    """The journal of a run: beside the output, or in the work folder of a detection for itself or for phrases."""
    folders = (work_folder(output), work_folder(hidden_path(output)))
    beside = journal_path(output)
    return next((path for path in (beside, *map(work_journal, folders)) if path.exists()), beside)


def _at_work(
    output: Path, shard: str | None, holder: Holder | None, alive: bool, progress: JournalProgress | None, journal: Path
) -> RunStatus:
    state: RunState = "running" if alive else "cut"
    host, pid, since = (None, None, None) if holder is None else (holder.host, holder.pid, holder.since)
    if progress is None:
        # Another kind of run, or one that has just begun.
        updated = journal.stat().st_mtime if journal.exists() else None
        return RunStatus(str(output), state, shard, host=host, pid=pid, since=since, updated=updated)
    rate = progress.tiles_per_s if alive else None
    left = None if progress.planned is None or not rate else max(0, progress.planned - progress.tiles) / rate
    return RunStatus(
        str(output),
        state,
        shard,
        progress.run,
        host,
        pid,
        since,
        progress.updated,
        progress.tiles,
        progress.planned,
        progress.by_status,
        rate,
        left,
    )


def _finished(output: Path, shard: str | None) -> RunStatus:
    updated = output.stat().st_mtime
    if shard is not None:
        tiles = _shard_tiles(output)
        return RunStatus(str(output), "finished", shard, updated=updated, tiles=tiles, planned=tiles)
    for path, keys in ((sidecar(output, ".report.json"), ("summary", "by_status")), (metrics_path(output), ("tiles",))):
        counts = _counts(path, keys)
        if counts is not None:
            tiles = sum(counts.values())
            return RunStatus(
                str(output), "finished", None, updated=updated, tiles=tiles, planned=tiles, by_status=counts
            )
    return RunStatus(str(output), "finished", None, updated=updated)


def _counts(path: Path, keys: Sequence[str]) -> dict[str, int] | None:
    """Tiles by status from a report, or from the metrics of a run that one process made."""
    try:
        value = orjson.loads(path.read_bytes())
        for key in keys:
            value = value[key]
        if "done_before" in value:
            value = value["by_status"] if value["done_before"] == 0 else None
        return {str(name): int(count) for name, count in value.items() if count}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _shard_tiles(path: Path) -> int | None:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _TAIL_BYTES))
            return int(orjson.loads(file.read().splitlines()[-1])["end"])
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


def ago(seconds: float | None) -> float | None:
    """Seconds since a time."""
    return None if seconds is None else max(0.0, time.time() - seconds)

"""How far a journal is, read while another process may be writing it."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

#: The rate is that of so many seconds before the last batch.
WINDOW_S = 600.0
#: Within a text of JSON a quote has a backslash before it: this matches the member and nothing else.
_STATUS = re.compile(rb'"status":"([a-z_]{1,20})"')


@dataclass(frozen=True)
class JournalProgress:
    """What a journal holds.

    Attributes:
        run: hash of what decides the result, or None where the journal does not decide all of it: of a detection.
        planned: tiles in all, or None where it does not tell.
        tiles: finished. by_status: of them. updated: last write, seconds since 1970.
        tiles_per_s: of the last minutes, or None.
    """

    run: str | None
    planned: int | None
    tiles: int
    by_status: Mapping[str, int]
    updated: float
    tiles_per_s: float | None


def read_progress(path: Path, since: float = 0.0) -> JournalProgress | None:
    """Read a journal without touching it; None where it is none, or of something else than tiles.

    Args:
        since: when the process that writes it began: batches of earlier ones say nothing of its speed.
    """
    try:
        with path.open("rb") as file:
            head = orjson.loads(file.readline())
            found = _Found()
            if head.get("rsccli_journal") == 1:
                run = str(head["hash"])
                _read_captions(file, found)
            elif head.get("rsccli_line_journal") == 1 and "planned" in head:
                run = head.get("hash")
                _read_units(file, found)
            else:
                return None
            updated = path.stat().st_mtime
        planned = head.get("planned")
        return JournalProgress(
            run,
            planned if isinstance(planned, int) else None,
            found.counts.total(),
            dict(sorted(found.counts.items())),
            updated,
            _rate(found.batches, since),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


@dataclass
class _Found:
    """Finished tiles by status; and time and tiles of the last batches."""

    counts: Counter[str] = field(default_factory=Counter)
    batches: deque[tuple[float, int]] = field(default_factory=deque)


def _read_captions(lines: Iterable[bytes], found: _Found) -> None:
    """The journal of captions, `rsccli.run.journal`: a line for each tile, and one that commits a batch of them."""
    pending: list[str] = []
    for line in lines:
        if not line.endswith(b"\n"):
            break
        if line.startswith(b'{"commit"'):
            found.counts.update(pending)
            _add(found.batches, _object(line), len(pending))
            pending = []
        elif (status := _STATUS.search(line)) is not None:
            pending.append(status[1].decode())


def _read_units(lines: Iterable[bytes], found: _Found) -> None:
    """A journal with one line for each batch, or row of tiles; see `rsccli.run.line_journal.LineJournal.commit`."""
    for line in lines:
        if not line.endswith(b"\n"):
            break
        unit = _object(line)
        by_status = {str(status): int(count) for status, count in unit.get("by_status", {}).items()}
        found.counts.update(by_status)
        _add(found.batches, unit, sum(by_status.values()))


def _object(line: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _add(batches: deque[tuple[float, int]], unit: Mapping[str, Any], tiles: int) -> None:
    at = unit.get("at")
    if not isinstance(at, int | float):
        return  # an older version kept no time
    batches.append((float(at), tiles))
    while batches[0][0] < at - WINDOW_S and len(batches) > 2:
        batches.popleft()


def _rate(batches: deque[tuple[float, int]], since: float) -> float | None:
    own = [(at, tiles) for at, tiles in batches if at >= since]
    if not own:
        return None
    # The first batch was begun at an unknown time; alone it is all that there is.
    begun, counted = (own[0][0], own[1:]) if len(own) > 1 else (since, own)
    seconds = own[-1][0] - begun
    return sum(tiles for _, tiles in counted) / seconds if seconds > 0 and begun > 0 else None

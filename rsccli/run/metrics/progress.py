"""How far a journal is, read while another process may be writing it."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

#: The rate is that of so many seconds before the last batch.
WINDOW_S = 600.0
#: Within a text of JSON a quote has a backslash before it: this matches the member and nothing else.
_STATUS = re.compile(rb'"status":"([a-z_]{1,20})"')


@dataclass(frozen=True)
class JournalProgress:
    """What a journal holds.

    Attributes:
        run: hash of what decides the result. planned: tiles in all, or None where it does not tell.
        tiles: finished. by_status: of them. updated: last write, seconds since 1970.
        tiles_per_s: of the last minutes, or None.
    """

    run: str
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
            if head["rsccli_journal"] != 1:
                return None
            counts: Counter[str] = Counter()
            pending: list[str] = []
            batches: deque[tuple[float, int]] = deque()
            for line in file:
                if not line.endswith(b"\n"):
                    break
                if line.startswith(b'{"commit"'):
                    counts.update(pending)
                    _add(batches, line, len(pending))
                    pending = []
                elif (found := _STATUS.search(line)) is not None:
                    pending.append(found[1].decode())
            updated = path.stat().st_mtime
        planned = head.get("planned")
        return JournalProgress(
            str(head["hash"]),
            planned if isinstance(planned, int) else None,
            counts.total(),
            dict(sorted(counts.items())),
            updated,
            _rate(batches, since),
        )
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return None


def _add(batches: deque[tuple[float, int]], line: bytes, tiles: int) -> None:
    try:
        at = orjson.loads(line)["at"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return  # an older version kept no time
    if not isinstance(at, int | float):
        return
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

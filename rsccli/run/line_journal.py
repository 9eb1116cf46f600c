"""A journal of JSON lines: what is finished is kept when a run is cut, and is never done twice.

The first line says what decides the result; each further line is one finished unit. A torn last line, as a kill leaves
it, is cut on opening. One process writes at a time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from rsccli.errors import JournalMismatchError
from rsccli.output.text import json_bytes
from rsccli.run.locked_lines import LockedLines
from rsccli.run.spec import differences

FORMAT = 1


class LineJournal:
    """An open journal; use it as a context manager. Threads may append.

    Args:
        path: of the file. spec: all that decides the result, JSON values. fresh: drop what is there.
        afresh: option of the command that drops it, for messages.
        told: more of its first line, for those who ask how far it is; see `rsccli.run.metrics.progress`.

    Attributes:
        entries: what an earlier run appended, in order. resumed: whether a journal of this run was there.

    Raises:
        JournalMismatchError: it belongs to a run with another spec, or is no journal.
        OutputError: it cannot be written, or another process is writing it.
    """

    def __init__(
        self,
        path: Path,
        spec: Mapping[str, Any],
        fresh: bool = False,
        afresh: str = "--overwrite",
        told: Mapping[str, Any] | None = None,
    ) -> None:
        self.path = path
        self._afresh = afresh
        self.entries: list[dict[str, Any]] = []
        self._appending = threading.Lock()
        spec = orjson.loads(json_bytes(dict(spec)))  # as it will be read back: lists for tuples
        self._lines = LockedLines(path)
        with self._lines.opening():
            self.resumed = not fresh and self._resume(spec)
            if not self.resumed:
                self._lines.cut(0)
                self.entries = []
                self._write({"rsccli_line_journal": FORMAT, "spec": spec, **(told or {})}, sync=True)

    def __enter__(self) -> LineJournal:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _resume(self, spec: Mapping[str, Any]) -> bool:
        """Read what is there; False where there is nothing to go on from."""
        file = self._lines.file
        file.seek(0)
        first = file.readline()
        if not first.endswith(b"\n"):
            return False
        way_out = f"Repeat the old command to go on with it, choose another -o, or start afresh with {self._afresh}"
        head = _object(first)
        if head is None or head.get("rsccli_line_journal") != FORMAT or not isinstance(head.get("spec"), dict):
            raise JournalMismatchError(f"{self.path}: not a journal that this version reads. {way_out}")
        if head["spec"] != spec:
            lines = "\n  ".join(differences(head["spec"], dict(spec)))
            raise JournalMismatchError(f"{self.path}: it belongs to another run. What differs:\n  {lines}\n{way_out}")
        end = file.tell()
        for line in file:
            entry = _object(line) if line.endswith(b"\n") else None
            if entry is None:
                break
            self.entries.append(entry)
            end += len(line)
        self._lines.cut(end)
        return True

    def append(self, entry: Mapping[str, Any]) -> None:
        """Add one finished unit.

        Raises:
            OutputError: the disk is full or the folder is gone; what was appended before stays usable.
        """
        with self._appending:
            self._write(entry)

    def commit(self, by_status: Mapping[str, int], entry: Mapping[str, Any]) -> None:
        """Add finished tiles: so many of each status.

        Raises:
            OutputError: as `append`.
        """
        # Statuses and time are for those who ask how far it is; nothing else reads them.
        self.append({**entry, "by_status": dict(by_status), "at": round(time.time(), 3)})

    def _write(self, entry: Mapping[str, Any], sync: bool = False) -> None:
        self._lines.write([json_bytes(dict(entry))], "what is finished is", sync)

    def close(self) -> None:
        """Sync, close, and let the next process have it."""
        self._lines.close()

    def remove(self) -> None:
        """The output is whole: the journal has done its work."""
        self._lines.remove()


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None

"""A journal of JSON lines: what is finished is kept when a run is cut, and is never done twice.

The first line says what decides the result; each further line is one finished unit. A torn last line, as a kill leaves
it, is cut on opening. One process writes at a time.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from rsccli.errors import JournalMismatchError, OutputError
from rsccli.output.text import json_bytes
from rsccli.run.lock import OutputLock, refuse_deleted
from rsccli.run.spec import differences

logger = logging.getLogger(__name__)

FORMAT = 1
#: A kill loses nothing that was appended; a power cut at most what was appended in this time.
SYNC_SECONDS = 1.0


class LineJournal:
    """An open journal; use it as a context manager. Threads may append.

    Args:
        path: of the file. spec: all that decides the result, JSON values. fresh: drop what is there.
        afresh: option of the command that drops it, for messages.

    Attributes:
        entries: what an earlier run appended, in order. resumed: whether a journal of this run was there.

    Raises:
        JournalMismatchError: it belongs to a run with another spec, or is no journal.
        OutputError: it cannot be written, or another process is writing it.
    """

    def __init__(self, path: Path, spec: Mapping[str, Any], fresh: bool = False, afresh: str = "--overwrite") -> None:
        self.path = path
        self._afresh = afresh
        self.entries: list[dict[str, Any]] = []
        self._appending = threading.Lock()
        self._last_sync = time.monotonic()
        spec = orjson.loads(json_bytes(dict(spec)))  # as it will be read back: lists for tuples
        self._lock = OutputLock(path)
        try:
            self._file: BinaryIO = open(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b")
        except OSError as error:
            self._lock.release()
            raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
        try:
            self.resumed = not fresh and self._resume(spec)
            if not self.resumed:
                self._file.truncate(0)
                os.lseek(self._file.fileno(), 0, os.SEEK_SET)
                self.entries = []
                self._write({"rsccli_line_journal": FORMAT, "spec": spec}, sync=True)
        except BaseException as error:
            self._file.close()
            self._lock.release()
            if isinstance(error, OSError):
                raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
            raise

    def __enter__(self) -> LineJournal:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _resume(self, spec: Mapping[str, Any]) -> bool:
        """Read what is there; False where there is nothing to go on from."""
        self._file.seek(0)
        first = self._file.readline()
        if not first.endswith(b"\n"):
            return False
        way_out = f"Repeat the old command to go on with it, choose another -o, or start afresh with {self._afresh}"
        head = _object(first)
        if head is None or head.get("rsccli_line_journal") != FORMAT or not isinstance(head.get("spec"), dict):
            raise JournalMismatchError(f"{self.path}: not a journal that this version reads. {way_out}")
        if head["spec"] != spec:
            lines = "\n  ".join(differences(head["spec"], dict(spec)))
            raise JournalMismatchError(f"{self.path}: it belongs to another run. What differs:\n  {lines}\n{way_out}")
        end = self._file.tell()
        for line in self._file:
            entry = _object(line) if line.endswith(b"\n") else None
            if entry is None:
                break
            self.entries.append(entry)
            end += len(line)
        self._file.truncate(end)
        os.lseek(self._file.fileno(), end, os.SEEK_SET)
        return True

    def append(self, entry: Mapping[str, Any]) -> None:
        """Add one finished unit.

        Raises:
            OutputError: the disk is full or the folder is gone; what was appended before stays usable.
        """
        with self._appending:
            self._write(entry)

    def _write(self, entry: Mapping[str, Any], sync: bool = False) -> None:
        try:
            refuse_deleted(self._file.fileno(), self.path)
            # Past Python's buffer: after a failed write nothing may be left in it for later.
            rest = memoryview(json_bytes(dict(entry)) + b"\n")
            while rest:
                rest = rest[os.write(self._file.fileno(), rest) :]
            now = time.monotonic()
            if sync or now - self._last_sync > SYNC_SECONDS:
                os.fsync(self._file.fileno())
                self._last_sync = now
        except OSError as error:
            raise OutputError(
                f"{self.path}: cannot be written: {error.strerror or error}. Make room and run the same command "
                "again: what is finished is kept"
            ) from error

    def close(self) -> None:
        """Sync, close, and let the next process have it."""
        if not self._file.closed:
            try:
                os.fsync(self._file.fileno())
            except OSError:
                pass  # a full disk was reported by append
            self._file.close()
        self._lock.release()

    def remove(self) -> None:
        """The output is whole: the journal has done its work."""
        self._file.close()
        try:
            # Before the lock is given back: it may be another process's journal after that.
            self.path.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("%s: cannot be removed: %s. The output is whole", self.path, error.strerror)
        self._lock.release()


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None

"""The journal beside an output: one JSON line per finished tile, so that a killed run goes on where it was.

Layout: a header line with the run's spec; then for each batch its tile lines and one commit line. Lines after the
last commit (a torn tail of a kill) are cut on opening. Batches are committed in the plan's order, so what is done
is always a prefix of the plan. At the end the lines are read back in the order of tile rows and columns through an
index of 24 bytes per tile.
"""

from __future__ import annotations

import fcntl
import os
import time
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import orjson

from rsccli.errors import JournalMismatchError, OutputError
from rsccli.output.text import json_bytes
from rsccli.run.spec import RunSpec, differences
from rsccli.types import TileRecord

FORMAT = 1
#: A kill loses nothing that was flushed; a power cut loses at most this much.
SYNC_SECONDS = 1.0


def journal_path(output: Path) -> Path:
    """Where the journal of an output lies."""
    return output.with_name(output.name + ".journal")


def journal_batch_size(path: Path) -> int | None:
    """Batch size of the run that a journal belongs to, or None where there is none."""
    try:
        with path.open("rb") as file:
            size = orjson.loads(file.readline())["spec"]["model"]["batch_size"]
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return size if isinstance(size, int) else None


class Journal:
    """An open journal; use it as a context manager."""

    def __init__(self, path: Path, spec: RunSpec, fresh: bool = False) -> None:
        """Open or make it, and lock it.

        Args:
            path: of the journal. spec: of this run. fresh: drop what is there.

        Raises:
            JournalMismatchError: it was written by a run with another spec, or it is no journal.
            OutputError: it cannot be written, or another process is writing it.
        """
        self.path = path
        self.done: tuple[int, int] = (-1, -1)
        self.tiles = 0
        self._last_sync = time.monotonic()
        self._file = self._open(path)
        try:
            self._lock()
            if fresh:
                self._file.truncate(0)
            if not self._resume(spec):
                self._file.truncate(0)
                os.lseek(self._file.fileno(), 0, os.SEEK_SET)
                head = {"rsccli_journal": FORMAT, "hash": spec.hash, "spec": spec.to_dict()}
                self._write([json_bytes(head)], sync=True)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @staticmethod
    def _open(path: Path) -> BinaryIO:
        try:
            return open(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b")
        except OSError as error:
            raise OutputError(f"{path}: cannot be written: {error.strerror}. Choose another place with -o") from error

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutputError(
                f"{self.path}: another process is writing this output. Wait for it, or choose another -o"
            ) from error
        except OSError:
            pass  # a file system without locks (some parallel ones): go on without

    def _resume(self, spec: RunSpec) -> bool:
        """Read what is there, cut what was not committed; False where there is nothing to go on from."""
        self._file.seek(0)
        first = self._file.readline()
        if not first.endswith(b"\n"):
            return False
        try:
            head = orjson.loads(first)
            known = head["rsccli_journal"] == FORMAT
        except (orjson.JSONDecodeError, KeyError, TypeError):
            known = False
        if not known:
            raise JournalMismatchError(
                f"{self.path}: not a journal that this version reads. Move it away, or start afresh with --no-resume"
            )
        if head["hash"] != spec.hash:
            lines = differences(head["spec"], spec.to_dict())
            raise JournalMismatchError(
                f"{self.path}: it belongs to another run. What differs:\n  "
                + "\n  ".join(lines)
                + "\nRepeat the old command to go on with it, choose another -o, or start afresh with --no-resume"
            )
        end, pending, pending_bytes = self._file.tell(), 0, 0
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            if line.startswith(b'{"commit"'):
                block, batch = orjson.loads(line)["commit"]
                self.done = (block, batch)
                self.tiles += pending
                end += pending_bytes + len(line)
                pending = pending_bytes = 0
            else:
                pending += 1
                pending_bytes += len(line)
        self._file.truncate(end)
        os.lseek(self._file.fileno(), end, os.SEEK_SET)
        return True

    def commit(self, block: int, batch: int, records: Sequence[TileRecord]) -> None:
        """Append the tiles of one batch.

        Raises:
            OutputError: the disk is full or the folder is gone; what was committed before stays usable.
        """
        lines = [json_bytes(_line(record)) for record in records]
        lines.append(orjson.dumps({"commit": [block, batch]}))
        self._write(lines)
        self.done = (block, batch)
        self.tiles += len(records)

    def _write(self, lines: list[bytes], sync: bool = False) -> None:
        try:
            # Past Python's buffer: after a failed write nothing may be left in it for later.
            rest = memoryview(b"\n".join(lines) + b"\n")
            while rest:
                rest = rest[os.write(self._file.fileno(), rest) :]
            now = time.monotonic()
            if sync or now - self._last_sync > SYNC_SECONDS:
                os.fsync(self._file.fileno())
                self._last_sync = now
        except OSError as error:
            raise OutputError(
                f"{self.path}: cannot be written: {error.strerror}. Make room and run the same command again: "
                f"{self.tiles} finished tiles are kept"
            ) from error

    def records(self) -> Iterator[TileRecord]:
        """Every finished tile, by row and column; holds an index in memory, not the records."""
        with open(self.path, "rb") as file:
            offset = len(file.readline())
            places = array("q")
            for line in file:
                if not line.startswith(b'{"commit"'):
                    value = orjson.loads(line)
                    places.extend((value["row"], value["col"], offset))
                offset += len(line)
            table = np.frombuffer(places, np.int64).reshape(-1, 3)
            for index in np.lexsort((table[:, 1], table[:, 0])):
                file.seek(int(table[index, 2]))
                yield _record(orjson.loads(file.readline()))

    def close(self) -> None:
        """Sync and close."""
        if not self._file.closed:
            try:
                os.fsync(self._file.fileno())
            except OSError:
                pass  # a full disk was reported by commit
            self._file.close()

    def remove(self) -> None:
        """The output is whole: the journal has done its work."""
        self.close()
        self.path.unlink(missing_ok=True)


def _line(record: TileRecord) -> dict[str, Any]:
    value = asdict(record)
    if record.mask is None:
        # Only runs that write a mask have it.
        del value["mask"]
    return value


def _record(value: dict[str, Any]) -> TileRecord:
    return TileRecord(**{**value, "keywords": tuple(value["keywords"])})

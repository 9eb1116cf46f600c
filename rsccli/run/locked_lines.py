"""A file of lines that one process writes, and journals are made of: lines are added whole, and outlive a kill."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from rsccli.errors import OutputError
from rsccli.run.lock import OutputLock, refuse_deleted

logger = logging.getLogger(__name__)

#: A kill loses nothing that was written; a power cut loses at most what was written in this time.
SYNC_SECONDS = 1.0


class LockedLines:
    """The file, made where it is not there, and locked until it is closed.

    Attributes:
        path: of it. file: to read from; writing goes past its buffer.

    Raises:
        OutputError: it cannot be made, or another process writes it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._last_sync = time.monotonic()
        self._lock = OutputLock(path)
        try:
            self.file: BinaryIO = open(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b")
        except OSError as error:
            self._lock.release()
            raise _unwritable(path, error) from error

    @contextmanager
    def opening(self) -> Iterator[None]:
        """What its owner does first: after an error the file is closed, and free for others.

        Raises:
            OutputError: in place of an `OSError`.
        """
        try:
            yield
        except BaseException as error:
            self.file.close()
            self._lock.release()
            if isinstance(error, OSError):
                raise _unwritable(self.path, error) from error
            raise

    def cut(self, end: int) -> None:
        """Drop everything from a byte on; the next line comes there."""
        self.file.truncate(end)
        os.lseek(self.file.fileno(), end, os.SEEK_SET)

    def write(self, lines: Sequence[bytes], kept: str, sync: bool = False) -> None:
        """Add lines, given without their ends.

        Args:
            kept: what an error says is not lost. sync: do not wait for the next second.

        Raises:
            OutputError: the disk is full or the folder is gone; what was written before stays usable.
        """
        try:
            refuse_deleted(self.file.fileno(), self.path)
            # Past Python's buffer: after a failed write nothing may be left in it for later.
            rest = memoryview(b"\n".join(lines) + b"\n")
            while rest:
                rest = rest[os.write(self.file.fileno(), rest) :]
            now = time.monotonic()
            if sync or now - self._last_sync > SYNC_SECONDS:
                os.fsync(self.file.fileno())
                self._last_sync = now
        except OSError as error:
            raise OutputError(
                f"{self.path}: cannot be written: {error.strerror or error}. Make room and run the same command "
                f"again: {kept} kept"
            ) from error

    def close(self) -> None:
        """Sync, close, and let the next process have it."""
        if not self.file.closed:
            try:
                os.fsync(self.file.fileno())
            except OSError:
                pass  # a full disk was reported by write
            self.file.close()
        self._lock.release()

    def remove(self) -> None:
        """It has done its work: the output is whole."""
        self.file.close()
        try:
            # Before the lock is given back: it may be another process's journal after that.
            self.path.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("%s: cannot be removed: %s. The output is whole", self.path, error.strerror)
        self._lock.release()


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{path}: cannot be written: {error.strerror or error}. Choose another place with -o")

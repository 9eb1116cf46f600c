"""One process at a time writes an output: a lock that ends with its process.

It is ``flock`` on a small file beside the output. The kernel lets go of it when the process ends, however it ends: what
a crash leaves is a file without a lock, which stands in nobody's way. The file says who holds the lock (host and
process), for the message that the second one gets.

Limits: the lock reaches as far as the file system carries it. Local disks, NFS since Linux 2.6.12 (as locks of the
server), Lustre with ``-o flock``, GPFS and CephFS carry it to all nodes. NFS mounted with ``nolock`` or ``local_lock``,
and Lustre with ``localflock``, know it on one node only. Where there are no locks at all a warning says so. When a
whole node dies, an NFS server keeps its locks until their lease ends (NFS 4: some 90 s) or the node is back (NFS 3).
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import socket
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import orjson

from rsccli.errors import OutputError
from rsccli.output.paths import sidecar

logger = logging.getLogger(__name__)

#: A process that was just killed may hold it for a moment.
PATIENCE_S = 0.5
_PAUSE_S, _CHANGING_HANDS_S = 0.05, 5.0
_HELD = (errno.EWOULDBLOCK, errno.EACCES)
_UNKNOWN = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL)


def lock_path(path: Path) -> Path:
    """Where the lock of an output lies; ``path`` is the output or its journal."""
    return path.with_name(path.name.removesuffix(".journal") + ".lock")


class OutputLock:
    """A lock that is held; give it back with ``release``, or use it as a context manager.

    Args:
        path: of the output, or of its journal. way_out: what the second one may do, the end of a sentence.

    Raises:
        OutputError: another process holds it, or its file cannot be made.
    """

    def __init__(self, path: Path, way_out: str = "choose another one with -o") -> None:
        self.path = lock_path(path)
        self._output = path.with_name(path.name.removesuffix(".journal"))
        self._way_out = way_out
        self._handle: int | None = self._claim()

    def __enter__(self) -> OutputLock:
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()

    def _claim(self) -> int:
        patience = time.monotonic() + PATIENCE_S
        while time.monotonic() < patience + _CHANGING_HANDS_S:
            try:
                handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            except OSError as error:
                raise OutputError(
                    f"{self.path}: cannot be written: {error.strerror or error}. Choose another place with -o"
                ) from error
            try:
                if self._locked(handle):
                    # Whoever held it before may have removed the file after we had opened it.
                    if self._is_current(handle):
                        self._sign(handle)
                        return handle
                elif time.monotonic() >= patience:
                    raise OutputError(
                        f"{self._output}: another process is writing this output{_told(_holder(handle))}. Wait for it, "
                        f"or {self._way_out}"
                    )
            except BaseException:
                os.close(handle)
                raise
            os.close(handle)
            time.sleep(_PAUSE_S)
        raise OutputError(f"{self.path}: it is removed as soon as it is made. Choose another place with -o")

    def _locked(self, handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _HELD:
                return False
            if error.errno not in _UNKNOWN:
                raise OutputError(f"{self.path}: cannot be locked: {error.strerror or error}") from error
            logger.warning(
                "%s: this file system has no locks (%s): do not start a second process on the same output",
                self._output,
                error.strerror,
            )
        return True

    def _is_current(self, handle: int) -> bool:
        try:
            there = os.stat(self.path)
        except OSError:
            return False
        mine = os.fstat(handle)
        return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)

    def _sign(self, handle: int) -> None:
        """Say who holds it. A full disk must not keep anybody from the lock itself."""
        before = _holder(handle)
        if before is not None and before[0] != socket.gethostname():
            logger.warning(
                "%s: an earlier run%s did not end by itself; should it still be at work there (some file systems "
                "know locks on one node only), end one of the two",
                self._output,
                _told(before),
            )
        with suppress(OSError):
            os.ftruncate(handle, 0)
            os.pwrite(handle, orjson.dumps({"host": socket.gethostname(), "pid": os.getpid()}) + b"\n", 0)

    def release(self) -> None:
        """Let go, and remove the file."""
        if self._handle is None:
            return
        handle, self._handle = self._handle, None
        with suppress(OSError):
            if self._is_current(handle):
                # While it is still held: whoever opened it meanwhile sees that it is gone, and opens it again.
                self.path.unlink()
        os.close(handle)


def claim_beside(output: Path, mask: Path | None, report: bool) -> ExitStack:
    """Locks of what a run writes beside its output: ``a.geojson`` and ``a.gpkg`` have one report, perhaps one mask.

    Raises:
        OutputError: another process holds one of them.
    """
    with ExitStack() as stack:
        if mask is not None:
            stack.enter_context(OutputLock(mask, "name another --mask"))
        if report:
            stack.enter_context(OutputLock(sidecar(output, ".report"), "choose another name with -o"))
        return stack.pop_all()


@dataclass(frozen=True)
class Holder:
    """What a lock's file says: which process took it, where, and when (seconds since 1970).

    Attributes:
        alive: it holds the lock. False: what a crash left.
    """

    host: str
    pid: int
    since: float
    alive: bool


def lock_holder(path: Path) -> Holder | None:
    """Who writes an output, for those who only ask; None where nobody has begun to.

    Args:
        path: of the output, or of its journal.
    """
    try:
        handle = os.open(lock_path(path), os.O_RDONLY)
    except OSError:
        return None
    try:
        told = _holder(handle)
        if told is None:
            return None
        try:
            # For a moment, and shared: a process that begins just now waits longer than that.
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            alive = False
        except OSError as error:
            # Where there are no locks, a process of this machine can still be asked for.
            alive = error.errno in _HELD or (told[0] == socket.gethostname() and _lives(told[1]))
        return Holder(*told, os.fstat(handle).st_mtime, alive)
    finally:
        os.close(handle)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def refuse_deleted(handle: int, path: Path) -> None:
    """A deleted file takes all that is written to it: told now, not when hours of work are gone.

    Raises:
        OutputError: the file has no name any more.
    """
    if os.fstat(handle).st_nlink == 0:
        raise OutputError(
            f"{path}: it, or its folder, was deleted during the run, and what was finished went with it. Make the "
            "folder and run the same command again"
        )


def _holder(handle: int) -> tuple[str, int] | None:
    """Host and process of a lock's file, or None where it does not tell."""
    try:
        found = orjson.loads(os.pread(handle, 4096, 0))
        return str(found["host"]), int(found["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _told(holder: tuple[str, int] | None) -> str:
    return "" if holder is None else f" (process {holder[1]} on {holder[0]})"

"""Events as JSON, one object a line: what ``--log-json`` writes.

There is one log to a process, as there is one stderr. Without it telling costs nothing. A log that cannot be written (a
full disk, a reader that left) never stops a run: what cannot be told is dropped, and stderr says so once.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from rsccli.errors import OutputError, RsccliError, StoppedError
from rsccli.run.signals import StoppedAtOnce

Event = Literal["start", "prepared", "loaded", "committed", "warning", "written", "stopped", "failed"]
Level = Literal["info", "warning", "error"]


class EventLog:
    """An open log.

    Args:
        path: lines are added at its end, each in one write, so that several processes may share it; None: stderr.

    Raises:
        OutputError: the file cannot be opened.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._context: dict[str, Any] = {}
        self._writing = threading.Lock()
        self._lost = False
        self._handle: int | None = None
        if path is not None:
            try:
                self._handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            except OSError as error:
                raise OutputError(
                    f"--log-json {path}: cannot be written: {error.strerror or error}. Name a file in a folder that is "
                    "there, or - for stderr"
                ) from error

    def bind(self, context: dict[str, Any]) -> None:
        """Members of every line from now on: which run this is."""
        self._context = context

    def write(self, event: Event, level: Level, members: dict[str, Any]) -> None:
        """One line."""
        from rsccli.output.text import json_bytes

        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = json_bytes({"time": now, "level": level, "event": event, **self._context, **members}) + b"\n"
        with self._writing:
            try:
                if self._handle is None:
                    sys.stderr.write(line.decode())
                    sys.stderr.flush()
                elif os.write(self._handle, line) != len(line):
                    raise OSError(28, "only a part was written")
            except (OSError, ValueError) as error:
                if self._handle is not None and not self._lost:
                    self._lost = True
                    with suppress(OSError, ValueError):
                        sys.stderr.write(f"rsccli: warning: --log-json {self.path}: {error}; lines are lost\n")

    def close(self) -> None:
        """Close the file."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


class _Warnings(logging.Handler):
    """What modules warn of becomes an event."""

    def emit(self, record: logging.LogRecord) -> None:
        level: Level = "warning" if record.levelno < logging.ERROR else "error"
        tell("warning", level, message=record.getMessage(), source=record.name)


class _Open:
    """The log of this process, or None."""

    log: EventLog | None = None


def tell(event: Event, level: Level = "info", **members: Any) -> None:  # noqa: ANN401 - any JSON value
    """Write an event, where there is a log."""
    if _Open.log is not None:
        _Open.log.write(event, level, members)


def bind(**context: Any) -> None:  # noqa: ANN401 - any JSON value
    """Members of every event from now on."""
    if _Open.log is not None:
        _Open.log.bind(context)


def on_stderr() -> bool:
    """Whether stderr carries events: then nothing else may be on it."""
    return _Open.log is not None and _Open.log.path is None


def open_log(target: str, command: str, version: str) -> None:
    """Begin the log of this process; it ends with the process.

    Args:
        target: a file; a folder, in which every process has a file of its own; or ``-`` for stderr.
        command: name of it.

    Raises:
        OutputError: the file cannot be opened.
    """
    path = None if target == "-" else Path(target)
    if path is not None and path.is_dir():
        path /= f"rsccli_{socket.gethostname()}_{os.getpid()}.jsonl"
    log = EventLog(path)
    _Open.log = log
    package = logging.getLogger("rsccli")
    package.addHandler(_Warnings())
    if log.path is not None and logging.lastResort is not None:
        # A logger without handlers speaks on stderr; one with a handler no longer does.
        package.addHandler(logging.lastResort)
    job: dict[str, Any] = {
        name.removeprefix("SLURM_").lower(): os.environ[name]
        for name in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID")
        if name in os.environ
    }
    tell("start", command=command, version=version, host=socket.gethostname(), pid=os.getpid(), **job)


def close_log() -> None:
    """End the log."""
    if _Open.log is not None:
        _Open.log.close()
        _Open.log = None
        package = logging.getLogger("rsccli")
        for handler in [each for each in package.handlers if isinstance(each, _Warnings)]:
            package.removeHandler(handler)
        if logging.lastResort is not None:
            package.removeHandler(logging.lastResort)


@contextmanager
def end_is_told() -> Iterator[None]:
    """The last event: ``stopped`` or ``failed`` with the message and the exit code; nothing where all is well."""
    try:
        yield
    except (StoppedError, StoppedAtOnce) as error:
        tell("stopped", "warning", message=str(error), exit_code=error.exit_code)
        raise
    except RsccliError as error:
        cause = None if error.__cause__ is None else f"{type(error.__cause__).__name__}: {error.__cause__}"
        tell("failed", "error", message=str(error), kind=type(error).__name__, cause=cause, exit_code=error.exit_code)
        raise
    except Exception as error:
        tell("failed", "error", message=str(error), kind=type(error).__name__, exit_code=1)
        raise

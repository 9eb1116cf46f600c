"""The journal beside an output: one JSON line per finished tile, so that a killed run goes on where it was.

Layout: a header line with the run's spec; then for each batch its tile lines and one commit line. Lines after the
last commit (a torn tail of a kill), and all from a damaged line on (a power cut), are cut on opening. Batches are
committed in the plan's order, so what is done is always a prefix of the plan. At the end the lines are read back in the
order of tile rows and columns through an index of 24 bytes per tile.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import orjson

from rsccli.errors import JournalMismatchError, OutputError
from rsccli.output.text import json_bytes
from rsccli.run.locked_lines import LockedLines
from rsccli.run.spec import differences
from rsccli.types import STATUSES, TileRecord

FORMAT = 1


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


class Decisive(Protocol):
    """What decides the result of a run: a `rsccli.run.spec.RunSpec`, or that with the part of it that a shard is."""

    @property
    def hash(self) -> str:
        """Of all of it."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON gives it back."""


class _Removable(Protocol):
    def remove(self) -> None: ...


def refuse_output_of_another(output: Path, overwrite: bool, journal: _Removable) -> None:
    """Look once more, now that the lock is held: another process may have finished this output in the meantime.

    Args:
        journal: just begun; it is removed where the output is refused.

    Raises:
        OutputError: the output is there, and is not to be replaced.
    """
    if output.exists() and not overwrite:
        journal.remove()
        raise OutputError(f"{output} exists; add --overwrite to replace it, or name another file with -o")


class Journal:
    """An open journal; use it as a context manager."""

    def __init__(self, path: Path, spec: Decisive, fresh: bool = False, planned: int | None = None) -> None:
        """Open or make it, and lock it.

        Args:
            path: of the journal. spec: of this run. fresh: drop what is there.
            planned: tiles of it in all, for those who ask how far it is.

        ``resumed`` says whether a journal of this run was there.

        Raises:
            JournalMismatchError: it was written by a run with another spec, or it is no journal.
            OutputError: it cannot be written, or another process is writing it.
        """
        self.path = path
        self.done: tuple[int, int] = (-1, -1)
        self.tiles = 0
        self._lines = LockedLines(path)
        with self._lines.opening():
            if fresh:
                self._lines.cut(0)
            self.resumed = self._resume(spec)
            if not self.resumed:
                self._lines.cut(0)
                head = {"rsccli_journal": FORMAT, "hash": spec.hash, "spec": spec.to_dict(), "planned": planned}
                self._write([json_bytes(head)], sync=True)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _resume(self, spec: Decisive) -> bool:
        """Read what is there, cut what was not committed; False where there is nothing to go on from."""
        file = self._lines.file
        file.seek(0)
        first = file.readline()
        if not first.endswith(b"\n"):
            return False
        try:
            head = orjson.loads(first)
            known = head["rsccli_journal"] == FORMAT
            known = known and isinstance(head["hash"], str) and isinstance(head["spec"], dict)
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
        end, pending, pending_bytes = file.tell(), 0, 0
        for line in file:
            value = _object(line)
            if value is None or not (_is_commit(value) if "commit" in value else is_record(value)):
                break
            if "commit" in value:
                block, batch = value["commit"]
                self.done = (block, batch)
                self.tiles += pending
                end += pending_bytes + len(line)
                pending = pending_bytes = 0
            else:
                pending += 1
                pending_bytes += len(line)
        self._lines.cut(end)
        return True

    def commit(self, block: int, batch: int, records: Sequence[TileRecord]) -> None:
        """Append the tiles of one batch.

        Raises:
            OutputError: the disk is full or the folder is gone; what was committed before stays usable.
        """
        lines = [record_line(record) for record in records]
        # The time is for those who ask how fast it goes; nothing else reads it.
        lines.append(orjson.dumps({"commit": [block, batch], "at": round(time.time(), 3)}))
        self._write(lines)
        self.done = (block, batch)
        self.tiles += len(records)

    def _write(self, lines: list[bytes], sync: bool = False) -> None:
        self._lines.write(lines, f"{self.tiles} finished tiles are", sync)

    def records(self) -> Iterator[TileRecord]:
        """Every finished tile, by row and column; holds an index in memory, not the records.

        Raises:
            OutputError: the journal cannot be read, or holds a tile twice or not at all: nothing is written then.
        """
        try:
            with open(self.path, "rb") as file:
                offset = len(file.readline())
                places = array("q")
                for line in file:
                    if not line.startswith(b'{"commit"'):
                        value = orjson.loads(line)
                        places.extend((value["row"], value["col"], offset))
                    offset += len(line)
                table = np.frombuffer(places, np.int64).reshape(-1, 3)
                order = np.lexsort((table[:, 1], table[:, 0]))
                twice = int((np.diff(table[order, :2], axis=0) == 0).all(axis=1).sum())
                if twice or len(table) != self.tiles:
                    raise ValueError(f"{len(table)} tiles where {self.tiles} were finished, {twice} of them twice")
                for index in order:
                    file.seek(int(table[index, 2]))
                    yield record_of(orjson.loads(file.readline()))
        except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise OutputError(
                f"{self.path}: it cannot be read back ({reason}): run the same command again; should it fail again, "
                "start afresh with --no-resume"
            ) from error

    def close(self) -> None:
        """Sync, close, and let the next process have it."""
        self._lines.close()

    def remove(self) -> None:
        """The output is whole: the journal has done its work."""
        self._lines.remove()


def _object(line: bytes) -> dict[str, Any] | None:
    """A whole line, or None."""
    try:
        value = orjson.loads(line) if line.endswith(b"\n") else None
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def record_line(record: TileRecord) -> bytes:
    """A record as one line of JSON, without its end."""
    value = asdict(record)
    if record.mask is None:
        # Only runs that write a mask have it.
        del value["mask"]
    return json_bytes(value)


def record_of(value: Any) -> TileRecord:  # noqa: ANN401 - any JSON value
    """The record of a line, once it is parsed.

    Raises:
        TypeError: it is no record: a member is missing, unknown or of another kind.
    """
    if not is_record(value):
        raise TypeError(f"no record of a tile: {str(value)[:60]}")
    return TileRecord(**{**value, "keywords": tuple(value["keywords"])})


_TEXT, _NUMBER, _NONE = (str,), (int, float), (type(None),)
_KINDS: dict[str, tuple[type, ...]] = {
    "tile_id": _TEXT,
    "row": (int,),
    "col": (int,),
    "status": _TEXT,
    "valid_fraction": _NUMBER,
    "caption": _TEXT + _NONE,
    "change_score": _NUMBER + _NONE,
    "logprob": _NUMBER + _NONE,
    "keywords": (list,),
    "changed_area_m2": _NUMBER + _NONE,
    "changed_fraction": _NUMBER + _NONE,
    "reason": _TEXT + _NONE,
    "mask": _TEXT + _NONE,
}
_NEEDED = _KINDS.keys() - {"mask"}
_MOST = 2**31


def is_record(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    """Whether a parsed line is what `record_line` writes: another program may have been at the file."""
    return (
        isinstance(value, dict)
        and _KINDS.keys() >= value.keys() >= _NEEDED
        # Compared exactly: true is no number here.
        and all(type(member) in _KINDS[name] for name, member in value.items())
        and 0 <= value["row"] < _MOST
        and 0 <= value["col"] < _MOST
        and value["status"] in STATUSES
        and all(type(word) is str for word in value["keywords"])
    )


def _is_commit(value: dict[str, Any]) -> bool:
    told = value["commit"]
    return isinstance(told, list) and len(told) == 2 and all(type(number) is int for number in told)

"""What an ONNX file names outside of itself, read from its bytes without loading it.

A graph may keep weights in other files ("external data") and name a compiled engine in an ``EPContext`` node. ONNX
Runtime opens what stands there, so it is looked at first. The file is walked by protobuf's wire format alone (the
numbers of the fields are those of ONNX's onnx.proto): weights are stepped over by their length, and importing onnx
would cost half a second at every start.
"""

from __future__ import annotations

import errno
import mmap
import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from rsccli.errors import BundleError, OutOfMemoryError

#: Graphs within graphs (bodies of loops): deeper ones are refused.
MAX_DEPTH = 32
#: By message: number of a field, the message that it holds. Others are stepped over.
_MESSAGES: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
_OP_TYPE, _KEY, _VALUE = 4, 1, 2
_TELLING = (b"location", b"EPContext")
_SEARCHED_BYTES = 64_000_000


@dataclass(frozen=True)
class Outside:
    """What a graph names.

    Attributes:
        files: of external data, as they stand there. operators: of its nodes; none where there are no such files and
            no engines.
    """

    files: frozenset[str]
    operators: frozenset[str]


def outside_of(path: Path) -> Outside:
    """Walk a graph's file.

    Raises:
        BundleError: it is no ONNX file, or cannot be read. OutOfMemoryError: not even the file itself fits.
    """
    try:
        state = path.stat()
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror}): copy or export the bundle again") from error
    return _outside(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=256)
def _outside(path: Path, size: int, mtime_ns: int) -> Outside:
    """The same; remembered as long as the file is the same."""
    files: set[str] = set()
    operators: set[str] = set()
    try:
        # Without these words there is nothing to be found: to walk a graph of thousands of nodes takes 0.05 s.
        if size <= _SEARCHED_BYTES and not any(word in path.read_bytes() for word in _TELLING):
            return Outside(frozenset(), frozenset())
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            with memoryview(data) as view:
                _walk(view, 0, len(view), "model", files, operators, 0)
    except (MemoryError, OSError, ValueError, IndexError, OverflowError) as error:
        if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
            raise OutOfMemoryError(
                f"{path.name} does not fit into the memory of cpu: end other programs, or raise the job's memory limit"
            ) from error
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise BundleError(f"{path} is no ONNX graph ({reason}): copy or export the bundle again") from error
    return Outside(frozenset(files), frozenset(operators))


def check_graph(path: Path, listed: Collection[str] | None = None) -> None:
    """Refuse a graph that names what lies outside of its folder.

    Args:
        path: the graph. listed: files of the manifest, which are hashed; external data must be among them. None: any
            plain file of the folder will do.

    Raises:
        BundleError: names the graph and what it refers to.
    """
    found = outside_of(path)
    if "EPContext" in found.operators:
        raise BundleError(f"{path} runs an engine from another file (EPContext), which is not done: export it again")
    for name in sorted(found.files):
        why = _why_refused(path.parent, name, listed)
        if why is not None:
            raise BundleError(f"{path} keeps weights in {name[:120]!r}, {why}: copy or export the bundle again")


def _why_refused(folder: Path, name: str, listed: Collection[str] | None) -> str | None:
    if name in ("", ".", "..") or "/" in name or "\\" in name or "\0" in name:
        return "which is no plain file name of its own folder"
    if listed is not None and name not in listed:
        return "which the manifest does not list"
    return why_outside(folder, name)


def why_outside(folder: Path, name: str) -> str | None:
    """Why a file of a folder is none of its own; None where all is well, or where it is not there at all."""
    try:
        # A link may lead anywhere; one within the folder is as good as the file.
        state = os.stat(folder / name)
        inside = os.path.dirname(os.path.realpath(folder / name)) == os.path.realpath(folder)
    except (OSError, ValueError):
        return None
    if not inside:
        return "a link to a file outside of the folder (copy the folder with cp -rL)"
    return None if stat.S_ISREG(state.st_mode) else "which is no regular file"


def _walk(
    data: memoryview, start: int, end: int, message: str, files: set[str], operators: set[str], depth: int
) -> None:
    if depth > 4 * MAX_DEPTH:
        raise ValueError("graphs within graphs without end")
    inner = _MESSAGES[message]
    for number, first, last in _fields(data, start, end):
        if message == "node" and number == _OP_TYPE:
            operators.add(bytes(data[first:last]).decode("utf-8", "replace"))
        kind = inner.get(number)
        if kind == "entry":
            _entry(data, first, last, files)
        elif kind is not None:
            _walk(data, first, last, kind, files, operators, depth + 1)


def _entry(data: memoryview, start: int, end: int, files: set[str]) -> None:
    """One pair of external data: only ``location`` names a file."""
    pair = {
        number: bytes(data[first:last]).decode("utf-8", "replace") for number, first, last in _fields(data, start, end)
    }
    if pair.get(_KEY) == "location":
        files.add(pair.get(_VALUE, ""))


def _fields(data: memoryview, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, first byte and end of every field that has a length; the others are stepped over."""
    while start < end:
        tag, start = _varint(data, start)
        kind = tag & 7
        if kind == 2:
            length, start = _varint(data, start)
            if start + length > end:
                raise ValueError("it ends in the middle")
            yield tag >> 3, start, start + length
            start += length
        elif kind == 0:
            _, start = _varint(data, start)
        elif kind in (1, 5):
            start += 8 if kind == 1 else 4
        else:
            raise ValueError("bytes that are no protobuf")


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
        if shift > 63:
            raise ValueError("bytes that are no protobuf")

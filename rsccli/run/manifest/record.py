"""What is kept of finished and failed scenes: a journal for each process, in one folder beside the summary.

It stays: the same list, perhaps with more lines, goes on from it another day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from rsccli.errors import OutputError
from rsccli.output.scenes import SceneResult
from rsccli.run.line_journal import LineJournal
from rsccli.run.shard.name import Shard

_ENDING = ".journal"
#: All journals of a list are of one kind: what decides a scene's result stands with the scene.
SPEC: Mapping[str, Any] = {"scenes": 1}


@dataclass(frozen=True)
class SceneEntry:
    """A scene that somebody began (``not done``) or tried.

    Attributes:
        spec: all that decided its result, JSON values. bytes: size of its output. result: see `SceneResult`.
    """

    spec: Mapping[str, Any]
    bytes: int
    result: SceneResult

    def to_json(self) -> dict[str, Any]:
        """A line of a journal."""
        return {"spec": dict(self.spec), "bytes": self.bytes, "result": asdict(self.result)}


def journal_folder(base: Path) -> Path:
    """Where the journals of a summary lie: ``scenes.summary.journals``."""
    return base.with_name(f"{base.name}.journals")


def scene_journal(base: Path, shard: Shard | None, fresh: bool) -> LineJournal:
    """The journal of this process, open and locked.

    Raises:
        OutputError: it cannot be written, or another process is this shard.
    """
    folder = journal_folder(base)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made: {error.strerror or error}; name another --summary") from error
    name = "all" if shard is None else f"{shard.index:04d}-of-{shard.count:04d}"
    return LineJournal(folder / f"{name}{_ENDING}", SPEC, fresh=fresh, afresh="--no-resume")


def read_entries(folder: Path) -> dict[str, SceneEntry]:
    """What all processes have written so far, by scene.

    Within a journal the last word counts; of several journals, that a scene is done counts before that it failed.

    Lines that cannot be read, as the one that another process is writing just now, are passed over.
    """
    found: dict[str, SceneEntry] = {}
    try:
        paths = sorted(path for path in folder.iterdir() if path.name.endswith(_ENDING))
    except OSError:
        return found
    for path in paths:
        own: dict[str, SceneEntry] = {}
        try:
            lines = path.read_bytes().splitlines(keepends=True)
        except OSError:
            continue
        for line in lines:
            entry = _entry(line) if line.endswith(b"\n") else None
            if entry is None:
                continue
            own[entry.result.id] = entry
        for name, entry in own.items():
            before = found.get(name)
            if before is None or before.result.state != "done" or entry.result.state == "done":
                found[name] = entry
    return found


def _entry(line: bytes) -> SceneEntry | None:
    try:
        value = orjson.loads(line)
        result = SceneResult(**{**value["result"], "tiles": tuple(int(n) for n in value["result"]["tiles"])})
        return SceneEntry(dict(value["spec"]), int(value["bytes"]), result)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None

"""A list of scenes: CSV with the columns id, pre, post, output (and mask), or JSON lines with these members."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from rsccli.errors import InputError, OutputError, RsccliError, UsageProblem
from rsccli.geo.identity import is_remote
from rsccli.output.writers import writer_for
from rsccli.run.detect.rasters import SUFFIXES

NEEDED = ("id", "pre", "post", "output")
OPTIONAL = ("mask",)
JSON_LINES = (".jsonl", ".ndjson")
#: A list of this size is no list of scenes.
MOST_BYTES = 256 * 2**20
_MOST_TOLD = 20
_MOST_ID = 200


@dataclass(frozen=True)
class Scene:
    """One pair of a list.

    Attributes:
        id: its name in messages and in the summary. pre, post: paths from where the process runs, or URLs.
        output: the map. mask: its mask, or None. line: in the list, from 1.
        listed: pre, post and output as they stand there.
    """

    id: str
    pre: str
    post: str
    output: Path
    mask: Path | None
    line: int
    listed: tuple[str, str, str]


def read_scenes(manifest: Path, folder: Path | None = None) -> tuple[tuple[Scene, ...], tuple[str, ...]]:
    """Read a list and check all that can be told without opening an image.

    Paths are relative to the folder of the list; outputs to ``folder`` where that is given, and they stay within it.

    Returns:
        The scenes in their order, and notes for a person.

    Raises:
        InputError: no list of scenes, or lines that cannot be used: the message names them.
    """
    rows, notes = _rows(manifest)
    base = folder or manifest.parent
    scenes: list[Scene] = []
    problems: list[str] = []
    for line, row in rows:
        try:
            scenes.append(_scene(row, line, manifest.parent, base))
        except RsccliError as error:
            problems.append(f"line {line}: {error}")
    problems += _doubled(scenes)
    if problems:
        more = [f"and {len(problems) - _MOST_TOLD} more"] if len(problems) > _MOST_TOLD else []
        told = "\n  ".join([*problems[:_MOST_TOLD], *more])
        raise InputError(f"{manifest}: {len(problems)} problems, nothing was captioned:\n  {told}")
    if not scenes:
        raise InputError(f"{manifest}: it has no scenes: below a line with {','.join(NEEDED)} each line is one")
    return tuple(scenes), notes


def _rows(manifest: Path) -> tuple[list[tuple[int, dict[str, str]]], tuple[str, ...]]:
    try:
        if manifest.stat().st_size > MOST_BYTES:
            raise InputError(f"{manifest}: too large for a list of scenes")
        content = manifest.read_bytes()
    except OSError as error:
        raise InputError(f"{manifest}: cannot be read: {error.strerror or error}") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{manifest}: not UTF-8 at byte {error.start}: save it as UTF-8") from error
    if manifest.suffix.lower() in JSON_LINES:
        rows = list(_json_rows(manifest, text))
        columns = {name for _, row in rows for name in row}
    else:
        rows, columns = _csv_rows(manifest, text)
    unknown = sorted(columns - {*NEEDED, *OPTIONAL})
    note = f"{manifest}: not used: {', '.join(unknown[:_MOST_TOLD])}. Columns are {', '.join((*NEEDED, *OPTIONAL))}"
    return rows, (note,) if unknown else ()


def _csv_rows(manifest: Path, text: str) -> tuple[list[tuple[int, dict[str, str]]], set[str]]:
    reader = csv.reader(io.StringIO(text), strict=True)
    rows: list[tuple[int, dict[str, str]]] = []
    names: list[str] = []
    try:
        for values in reader:
            if not any(value.strip() for value in values) or values[0].lstrip().startswith("#"):
                continue
            if not names:
                names = [name.strip().lower() for name in values]
                _check_columns(manifest, names)
            elif len(values) != len(names):
                raise InputError(
                    f"{manifest}: line {reader.line_num}: {len(values)} fields, the first line has {len(names)}; a "
                    'path with a comma goes "in quotes"'
                )
            else:
                rows.append((reader.line_num, dict(zip(names, (value.strip() for value in values), strict=True))))
    except csv.Error as error:
        raise InputError(f"{manifest}: line {reader.line_num}: not CSV: {error}") from error
    if not names:
        _check_columns(manifest, names)
    return rows, {*names}


def _check_columns(manifest: Path, names: list[str]) -> None:
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise InputError(
            f"{manifest}: its first line does not name {', '.join(missing)}; it is to name the columns: "
            f"{','.join(NEEDED)}"
        )
    double = sorted({name for name in names if name in (*NEEDED, *OPTIONAL) and names.count(name) > 1})
    if double:
        raise InputError(f"{manifest}: its first line names {', '.join(double)} twice")


def _json_rows(manifest: Path, text: str) -> Iterator[tuple[int, dict[str, str]]]:
    for line, content in enumerate(text.splitlines(), 1):
        if not content.strip():
            continue
        try:
            value: Any = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            raise InputError(f"{manifest}: line {line}: not JSON: {error}") from error
        if not isinstance(value, dict) or not all(isinstance(value.get(name, ""), (str, int)) for name in NEEDED):
            raise InputError(f"{manifest}: line {line}: give an object with the texts {', '.join(NEEDED)}")
        yield line, {name: str(member).strip() for name, member in value.items() if member is not None}


def _scene(row: dict[str, str], line: int, folder: Path, base: Path) -> Scene:
    empty = [name for name in NEEDED if not row.get(name)]
    if empty:
        raise InputError(f"{', '.join(empty)} {'is' if len(empty) == 1 else 'are'} empty")
    if any("\x00" in value for value in row.values()):
        raise InputError("a NUL character")
    if len(row["id"]) > _MOST_ID or not row["id"].isprintable():
        raise InputError(f"id {row['id'][:20]!r}: give up to {_MOST_ID} characters on one line")
    output = _within(row["output"], base, "output")
    writer_for(output)
    mask = _within(row["mask"], base, "mask") if row.get("mask") else None
    if mask is not None and mask.suffix.lower() not in SUFFIXES:
        raise UsageProblem(f"mask {row['mask']}: it becomes a GeoTIFF, name it .tif")
    listed = (row["pre"], row["post"], row["output"])
    return Scene(row["id"], _input(row["pre"], folder), _input(row["post"], folder), output, mask, line, listed)


def _input(text: str, folder: Path) -> str:
    if is_remote(text) or text.startswith(("/vsi", "file://")):
        return text
    return str(folder / text)


def _within(text: str, base: Path, column: str) -> Path:
    """A place below a folder: a list from somewhere else must not write all over the disk."""
    path = base / text
    try:
        inside = path.resolve().is_relative_to(base.resolve())
    except (OSError, RuntimeError):  # a loop of links
        inside = False
    if not inside:
        raise OutputError(f"{column} {text}: it leads out of {base}: name a folder for all outputs with -o FOLDER")
    return path


def _doubled(scenes: Iterable[Scene]) -> list[str]:
    """Ids and places that two scenes have."""
    ids: dict[str, int] = {}
    places: dict[Path, int] = {}
    problems = []
    for scene in scenes:
        if scene.id in ids:
            problems.append(f"line {scene.line}: id {scene.id} is on line {ids[scene.id]}, too")
        ids.setdefault(scene.id, scene.line)
        for place in filter(None, (scene.output, scene.mask)):
            # The same name without its suffix would share report and style.
            for key in {place.resolve(), place.resolve().with_suffix("")}:
                if key in places and places[key] != scene.line:
                    problems.append(
                        f"line {scene.line}: {place} is an output on line {places[key]}, too, or shares its report"
                    )
                    break
                places.setdefault(key, scene.line)
    return problems

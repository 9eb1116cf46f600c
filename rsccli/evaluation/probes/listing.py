"""Files and folders that name pairs: CSV, JSON, JSON lines, and folders with ``A`` and ``B`` as LEVIR-CC has them.

Names of columns and members, the first one that is there counts: pre (``pre``, ``pre_image``), post (``post``,
``post_image``), name (``id``), captions (``captions``, ``caption``, ``change_caption``), ``changed`` (or ``status``),
``place`` (or ``group``), ``region``, ``split``, ``gsd_m`` (or ``gsd``). Only pre and post are needed. Paths are
relative to the file.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rsccli.errors import InputError

LISTINGS = (".csv", ".json", ".jsonl", ".ndjson")
#: Names of the file of pairs in a folder, the first one that is there.
IN_FOLDER = ("pairs.json", "pairs.jsonl", "pairs.ndjson", "pairs.csv")
#: Folders of the two dates, by name.
DATES = (("A", "B"), ("pre", "post"), ("before", "after"))
IMAGES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
_CHANGED = {
    **dict.fromkeys(("changed", "change", "true", "yes", "1"), True),
    **dict.fromkeys(("unchanged", "no change", "no_change", "false", "no", "0"), False),
    **dict.fromkeys(("", "unsure", "unknown", "minor", "none"), None),
}


@dataclass(frozen=True)
class Listed:
    """One pair as its file names it.

    Attributes:
        name: its id, or what its files are called. where: file and line. pre, post: the images.
        flagged: whether its file says anything of change, be it that nobody can tell.
        captions, changed, place, region, split, gsd_m: see `rsccli.evaluation.probes.pairs`; what nobody said is None
            or empty.
    """

    name: str
    where: str
    pre: Path
    post: Path
    captions: tuple[str, ...]
    changed: bool | None
    flagged: bool
    place: str
    region: str
    split: str | None
    gsd_m: float | None


def is_listing(path: Path) -> bool:
    """Whether a path is a folder or a file that may name pairs."""
    return path.is_dir() or path.suffix.lower() in LISTINGS


def read_listing(path: Path, references: Path | None = None) -> tuple[list[Listed], list[str]]:
    """Read the pairs of a file or folder.

    Args:
        path: see the module. references: file of captions for pairs that have none, see `rsccli.evaluation.records`.

    Returns:
        Pairs, and what a reader should know.

    Raises:
        InputError: no pairs, or a file that cannot be used; the message names file and line.
    """
    found = _folder(path) if path.is_dir() else _file(path)
    if not found:
        raise InputError(f"{path}: no pair in it; a pair needs pre and post")
    return _with_captions(found, references) if references is not None else (found, [])


def _folder(folder: Path) -> list[Listed]:
    for name in IN_FOLDER:
        if (folder / name).is_file():
            return _file(folder / name)
    for first, second in DATES:
        if (folder / first).is_dir() and (folder / second).is_dir():
            return _two_folders(folder, first, second)
    raise InputError(
        f"{folder}: no {', '.join(IN_FOLDER)} and no folders {' or '.join('/ and '.join(d) + '/' for d in DATES)} in it"
    )


def _two_folders(folder: Path, first: str, second: str) -> list[Listed]:
    names = [
        {each.name for each in (folder / date).iterdir() if each.suffix.lower() in IMAGES} for date in (first, second)
    ]
    lone = sorted(names[0] ^ names[1])
    if lone:
        raise InputError(f"{folder}: {lone[0]} is in one of {first}/ and {second}/ alone ({len(lone)} files are)")
    region = folder.name
    return [
        Listed(
            name,
            f"{folder}/{first}/{name}",
            folder / first / name,
            folder / second / name,
            (),
            None,
            False,
            "",
            region,
            None,
            None,
        )
        for name in sorted(names[0])
    ]


def _file(path: Path) -> list[Listed]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text ({error}); save it as UTF-8") from error
    return [_listed(values, where, path) for where, values in _rows(path, text)]


def _rows(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    suffix = path.suffix.lower()
    if suffix == ".csv":
        reader = csv.DictReader(text.splitlines(keepends=True), strict=True)
        try:
            for row in reader:
                where = f"{path}, line {reader.line_num}"
                if None in row:
                    raise InputError(f"{where}: more columns than the header has; quote values that hold commas")
                yield where, {key.strip().lower(): value for key, value in row.items() if value}
        except csv.Error as error:
            raise InputError(f"{path}, line {reader.line_num}: not CSV: {error}") from error
        return
    if suffix == ".json":
        whole = _json(text, str(path))
        if not isinstance(whole, list):
            raise InputError(f"{path}: a list of pairs is needed, not {type(whole).__name__}")
        members: Sequence[tuple[str, object]] = [(f"{path}, pair {i}", each) for i, each in enumerate(whole, start=1)]
    else:
        lines = enumerate(text.splitlines(), start=1)
        members = [(f"{path}, line {i}", _json(line, f"{path}, line {i}")) for i, line in lines if line.strip()]
    for where, member in members:
        if not isinstance(member, dict):
            raise InputError(f'{where}: a pair is an object, for example {{"pre": "a.tif", "post": "b.tif"}}')
        yield where, member


def _json(text: str, where: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON: {error}") from error


def _listed(values: Mapping[str, Any], where: str, path: Path) -> Listed:
    pre, post = (_image(values, date, where, path.parent) for date in ("pre", "post"))
    if pre == post:
        raise InputError(f"{where}: pre and post are the same file, {pre}; rsccli probe same makes such pairs itself")
    flag = _first(values, "changed", "status", "label", "changeflag")
    region = _text(_first(values, "region")) or (path.parent.name if path.name in IN_FOLDER else path.stem)
    return Listed(
        name=_text(_first(values, "id", "name")) or f"{pre.stem} {post.stem}",
        where=where,
        pre=pre,
        post=post,
        captions=_captions(_first(values, "captions", "caption", "change_caption"), where),
        changed=_changed(flag, where),
        flagged=_text(flag) != "",
        place=_text(_first(values, "place", "group")),
        region=region,
        split=_text(_first(values, "split")) or None,
        gsd_m=_metres(_first(values, "gsd_m", "gsd"), where),
    )


def _first(values: Mapping[str, Any], *names: str) -> Any:  # noqa: ANN401 - any JSON value
    return next((values[name] for name in names if values.get(name) is not None), None)


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()


def _image(values: Mapping[str, Any], date: str, where: str, folder: Path) -> Path:
    value = _first(values, date, f"{date}_image")
    if not isinstance(value, str) or not value.strip():
        known = ", ".join(sorted(map(str, values))[:8]) or "nothing"
        raise InputError(f"{where}: no {date}: give the path of that image (it has {known})")
    path = folder / value
    if not os.path.isfile(path):  # of a name that is too long Path.is_file makes an error
        raise InputError(f"{where}: {date} is {value}, but there is no file {path}")
    return path


def _captions(given: object, where: str) -> tuple[str, ...]:
    if isinstance(given, str):
        # A cell of a table: a JSON list, or sentences between bars.
        given = _json(given, where) if given.lstrip().startswith("[") else given.split("|")
    sentences = []
    for each in given if isinstance(given, list) else [] if given is None else [given]:
        if not isinstance(each, str):
            raise InputError(f"{where}: captions are sentences; found {each!r:.60}")
        sentences.append(" ".join(each.split()))
    return tuple(filter(None, sentences))


def _changed(given: object, where: str) -> bool | None:
    text = _text(given).lower()
    if text not in _CHANGED:
        raise InputError(f"{where}: changed is {given!r}: give true, false or nothing")
    return _CHANGED[text]


def _metres(given: object, where: str) -> float | None:
    if given is None or _text(given) == "":
        return None
    try:
        value = float(_text(given))
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise InputError(f"{where}: gsd_m is {given!r}: give metres per pixel")
    return value


def _with_captions(found: list[Listed], references: Path) -> tuple[list[Listed], list[str]]:
    """Captions of people from another file, joined by id or by the names of the images."""
    from rsccli.evaluation.records import read_captions

    by_name: dict[str, list[str]] = {}
    flags: dict[str, bool] = {}
    for record in read_captions(references).records:
        for key in {record.key, *_names(record.pre, record.post)}:
            by_name.setdefault(key, []).extend(record.captions)
            if record.changed is not None:
                flags[key] = record.changed
    joined, number = [], 0
    for each in found:
        keys = (each.name, *_names(each.pre.name, each.post.name))
        known = next((key for key in keys if key in by_name), None)
        if known is not None and not each.captions:
            if not each.flagged and known in flags:
                each = replace(each, changed=flags[known], flagged=True)
            each = replace(each, captions=tuple(by_name[known]))
            number += 1
        joined.append(each)
    if not number:
        raise InputError(f"{references}: no caption of it belongs to a pair of {found[0].where.split(',')[0]}")
    return joined, [f"{number} of {len(found)} pairs have captions of {references.name}"]


def _names(pre: str | None, post: str | None) -> tuple[str, ...]:
    names = [Path(name).name for name in (pre, post) if name]
    if len(names) < 2:
        return tuple(names)
    return (names[0],) if names[0] == names[1] else (" ".join(names),)

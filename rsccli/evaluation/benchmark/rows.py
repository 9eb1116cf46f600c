"""Files that list pairs, as rows of named fields: captions and images by the names of `rsccli.evaluation.records`.

What else a row says (metres per pixel, counts, dates) is in its values, for `rsccli.evaluation.benchmark.told`.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsccli.errors import InputError
from rsccli.evaluation.records import CaptionRecord, read_captions
from rsccli.evaluation.records.columns import caption_columns
from rsccli.evaluation.records.fields import Row, read_rows
from rsccli.evaluation.records.source import as_objects, json_lines, parse_json, read_text
from rsccli.evaluation.records.table import header_of

SUFFIXES = (".json", ".jsonl", ".ndjson", ".csv", ".tsv")
# LEVIR-CC (Liu et al. 2022) is sampled at half a metre, and its file does not say so.
LEVIR_GSD_M = 0.5


@dataclass(frozen=True)
class ListedRow:
    """One record of a file of pairs.

    Attributes:
        record: its captions and how it names its images. values: all fields, names in lower case.
    """

    record: CaptionRecord
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Listing:
    """A file of pairs.

    Attributes:
        format: ``levir``, ``list``, ``jsonl`` or ``csv``. captioned: whether it holds captions.
        problems: of reading the captions, see `rsccli.evaluation.records.RecordFile`.
    """

    path: Path
    format: str
    rows: tuple[ListedRow, ...]
    captioned: bool
    problems: tuple[str, ...] = ()


def read_listing(path: Path) -> Listing:
    """Read a file of pairs.

    Raises:
        InputError: missing, damaged, or of a layout that names no images; the message names the line.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{path}: pairs are listed in {', '.join(SUFFIXES)}, or in a folder with such a file")
    text = read_text(path)
    if suffix in (".csv", ".tsv"):
        return _of_rows(path, "csv", list(_table(text, path)))
    stripped = text.lstrip()
    if suffix == ".json" and not stripped.startswith("["):
        content = parse_json(text, path)
        if isinstance(content, dict) and isinstance(content.get("images"), list):
            return _levir(path, content["images"])
        raise InputError(
            f'{path}: no list of pairs; one is [{{"id": "7", "pre": "a.png", "post": "b.png", "captions": ["..."]}}]'
        )
    if stripped.startswith("["):
        members = as_objects(parse_json(text, path), path)
        rows = [Row(i, f"record {i}", f"{path}:{i}", each) for i, each in enumerate(members, start=1)]
        return _of_rows(path, "list", rows)
    lines = json_lines(text, path)
    return _of_rows(path, "jsonl", [Row(i, f"line {i}", f"{path}:{i}", each) for i, each in lines])


def _levir(path: Path, images: list[Any]) -> Listing:
    file = read_captions(path, role="references")
    if file.format != "levir":
        raise InputError(f"{path}: a file of captions that names no images of pairs ({file.format})")
    values = [{"gsd_m": LEVIR_GSD_M, **_plain(image)} for image in images]
    rows = tuple(ListedRow(record, value) for record, value in zip(file.records, values, strict=True))
    return Listing(path, "levir", rows, True, file.problems)


def _of_rows(path: Path, name: str, rows: list[Row]) -> Listing:
    if not rows:
        raise InputError(f"{path}: no pair in it; a pair needs pre and post")
    try:
        caption_columns(dict.fromkeys(key for row in rows for key in row.values), None, "references", path)
        captioned = True
    except InputError:
        # Pairs without captions: these are in another file.
        captioned = False
        rows = [Row(row.number, row.place, row.where, {**row.values, "captions": []}) for row in rows]
    problems: list[str] = []
    records = read_rows(rows, path, None, "references", problems)
    listed = tuple(ListedRow(record, _plain(row.values)) for record, row in zip(records, rows, strict=True))
    return Listing(path, name, listed, captioned, tuple(problems) if captioned else ())


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {str(name).strip().lower(): value for name, value in values.items()}


def _table(text: str, path: Path) -> Iterator[Row]:
    _, delimiter = header_of(text)
    before = csv.field_size_limit(sys.maxsize)
    # Not text.splitlines: a cell may hold line breaks of any kind.
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for number, cells in enumerate(reader, start=1):
            if None in cells:
                raise InputError(
                    f"{path}, line {reader.line_num}: more cells than the first line has columns; put quotes around "
                    "captions that hold commas"
                )
            values = {name: _cell(name, value) for name, value in cells.items() if value}
            yield Row(number, f"line {reader.line_num}", f"{path}:{reader.line_num}", values)
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num + 1}: not CSV ({error}); mend that line") from error
    finally:
        csv.field_size_limit(before)


def _cell(name: str, value: str) -> object:
    """Sentences of one cell in a column ``captions`` may stand between bars, as in `rsccli.evaluation.records`."""
    if name.strip().lower() == "captions" and "|" in value and not value.lstrip().startswith("["):
        return value.split("|")
    return value

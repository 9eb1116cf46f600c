"""The table of formats, and which one a file is in: by its suffix, then by what it holds."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsccli.errors import InputError, UsageProblem
from rsccli.evaluation.records.coco import coco_bytes, coco_results_bytes, read_coco
from rsccli.evaluation.records.columns import Role
from rsccli.evaluation.records.levir import levir_bytes, read_levir
from rsccli.evaluation.records.lines import lines_bytes, read_lines
from rsccli.evaluation.records.listed import list_bytes, read_list
from rsccli.evaluation.records.outputs import read_output
from rsccli.evaluation.records.record import CaptionRecord
from rsccli.evaluation.records.rscc import rscc_bytes
from rsccli.evaluation.records.source import json_lines, parse_json, read_text
from rsccli.evaluation.records.splits import is_splits, read_splits, splits_bytes
from rsccli.evaluation.records.table import header_of, read_table, table_bytes

Writer = Callable[[Iterable[CaptionRecord]], bytes]


@dataclass(frozen=True)
class Format:
    """One layout of captions.

    Attributes:
        name: to write it with. title: for people. suffixes: of its files. example: its shortest form.
        write: all of a file from records; None where it is only read.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    example: str
    write: Writer | None = None


_LINES, _WHOLE, _TABLE = (".jsonl", ".ndjson", ".geojsonl", ".geojsons"), (".json", ".geojson"), (".csv", ".tsv")
_BINARY = (".gpkg", ".fgb", ".parquet", ".geoparquet")
FORMATS: dict[str, Format] = {
    each.name: each
    for each in (
        Format("jsonl", "JSON lines", (".jsonl", ".ndjson"), '{"id": "7", "caption": "a house is built"}', lines_bytes),
        Format(
            "rscc",
            "RSCC JSON lines",
            (".jsonl",),
            '{"model_id": "m", "inference_type": "zero-shot", "pre_image": "a.png", "post_image": "b.png", '
            '"change_caption": "a house is built"}',
            rscc_bytes,
        ),
        Format("csv", "CSV", _TABLE, "id,caption", table_bytes),
        Format("list", "JSON list of pairs", (".json",), '[{"id": "7", "captions": ["a house is built"]}]', list_bytes),
        Format(
            "levir",
            "LEVIR-CC JSON",
            (".json",),
            '{"images": [{"filename": "7.png", "changeflag": 1, "sentences": [{"raw": "a house is built"}]}]}',
            levir_bytes,
        ),
        Format("splits", "JSON by split and id", (".json",), '{"val": {"7": ["a house is built"]}}', splits_bytes),
        Format(
            "coco",
            "COCO captions",
            (".json",),
            '{"images": [{"id": 7}], "annotations": [{"image_id": 7, "caption": "a house is built"}]}',
            coco_bytes,
        ),
        Format(
            "coco-results",
            "COCO results",
            (".json",),
            '[{"image_id": 7, "caption": "a house is built"}]',
            coco_results_bytes,
        ),
        Format(
            "output",
            "an output of rsccli caption",
            (".geojson", ".geojsonl", ".geojsons", ".gpkg", ".fgb", ".parquet", ".csv"),
            "rsccli caption pre.tif post.tif -o out.geojson",
        ),
    )
}
SUFFIXES = (*_LINES, *_WHOLE, *_TABLE, *_BINARY)

# An output of ours may have millions of features: known by its beginning, read by its own reader.
_HEAD = 4096
_COLLECTION = re.compile(r'\s*\{\s*"type"\s*:\s*"FeatureCollection"')
_FEATURE = re.compile(r'[\x1e\s]*\{\s*"type"\s*:\s*"Feature"')


def read_any(path: Path, column: str | None, role: Role | None, problems: list[str]) -> tuple[str, list[CaptionRecord]]:
    """Name of the format of a file, and its records.

    Raises:
        UsageProblem: unknown suffix, a column that the format does not have, or several that may be meant.
        InputError: missing, damaged, or of no known layout; the message names the line where there is one.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageProblem(f"{path}: no file of captions has the suffix {suffix or '(none)'!r}.\n{formats_text()}")
    if not path.is_file():
        raise InputError(f"{path} does not exist or is no file; name a file of captions")
    if suffix in _BINARY:
        return "output", read_output(path, suffix, column, problems)
    head = _head(path)
    if suffix in (*_LINES, *_WHOLE) and (_FEATURE.match(head) or _COLLECTION.match(head)):
        return "output", read_output(path, ".geojson" if _COLLECTION.match(head) else ".geojsonl", column, problems)
    text = read_text(path)
    if not text.strip():
        raise InputError(f"{path}: an empty file; name a file of captions")
    if suffix in _TABLE:
        names, _ = header_of(text)
        if {"id", "status", "tile_row", "wkt"} <= set(names):
            return "output", read_output(path, ".csv", column, problems)
        return "csv", read_table(text, path, column, role, problems)
    if suffix in _LINES and not text.lstrip().startswith("["):
        return _lines(text, path, column, role, problems)
    return _whole(text, path, column, role, problems)


def _head(path: Path) -> str:
    try:
        with path.open("rb") as source:
            return source.read(_HEAD).decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error


def _lines(
    text: str, path: Path, column: str | None, role: Role | None, problems: list[str]
) -> tuple[str, list[CaptionRecord]]:
    first = next((values for _, values in json_lines(text, path)), {})
    return ("rscc" if "change_caption" in first else "jsonl"), read_lines(text, path, column, role, problems)


def _whole(
    text: str, path: Path, column: str | None, role: Role | None, problems: list[str]
) -> tuple[str, list[CaptionRecord]]:
    if _is_lines(text):
        return _lines(text, path, column, role, problems)
    content = parse_json(text, path)
    if isinstance(content, list):
        members = [member for member in content if isinstance(member, Mapping)]
        results = bool(members) and all({"image_id", "caption"} <= set(member) for member in members)
        return ("coco-results" if results else "list"), read_list(content, path, column, role, problems)
    if isinstance(content, dict):
        if content.get("type") == "FeatureCollection":
            return "output", read_output(path, ".geojson", column, problems)
        found = _of_object(content, path, column, problems)
        if found is not None:
            return found
    raise InputError(f"{path}: of no layout that is known.\n{formats_text()}")


def _of_object(
    content: Mapping[str, Any], path: Path, column: str | None, problems: list[str]
) -> tuple[str, list[CaptionRecord]] | None:
    if isinstance(content.get("annotations"), list):
        return "coco", read_coco(content, path, column, problems)
    images = content.get("images")
    if isinstance(images, list) and any(isinstance(image, dict) and "sentences" in image for image in images):
        return "levir", read_levir(content, path, column, problems)
    if is_splits(content):
        return "splits", read_splits(content, path, column, problems)
    return None


def _is_lines(text: str) -> bool:
    """Whether a .json file holds JSON lines: its first line is a whole object, and more follows."""
    first, _, rest = text.strip().partition("\n")
    if not first.startswith("{") or not rest.lstrip().startswith("{"):
        return False
    try:
        return isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False


def formats_text() -> str:
    """The formats with an example of each, for messages and pages."""
    width = max(len(each.title) for each in FORMATS.values())
    lines = [f"  {each.title:{width}}  {' '.join(each.suffixes)}  {each.example}" for each in FORMATS.values()]
    return "Captions are read from:\n" + "\n".join(lines)

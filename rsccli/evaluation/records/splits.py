"""A JSON object of captions by id: ``{"train": {"7": ["...", "..."]}, "val": {...}}``, or ``{"7": ["..."]}`` alone.

The second is also what pycocoevalcap's scorers take (``{"7": [{"caption": "..."}]}``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rsccli.errors import InputError, UsageProblem
from rsccli.evaluation.records.clean import clean_captions
from rsccli.evaluation.records.fields import split_name
from rsccli.evaluation.records.record import CaptionRecord
from rsccli.output.text import json_bytes


def is_splits(content: object) -> bool:
    """Whether a JSON value is captions by id, or by split and id."""
    if not isinstance(content, dict) or not content:
        return False
    by_split = all(isinstance(member, dict) for member in content.values())
    ids = [member for part in content.values() for member in part.values()] if by_split else list(content.values())
    return all(member is None or isinstance(member, str | list) for member in ids)


def read_splits(content: Mapping[str, Any], path: Path, column: str | None, problems: list[str]) -> list[CaptionRecord]:
    """One record per id.

    Raises:
        UsageProblem: a column was named; there are none.
    """
    if column is not None:
        raise UsageProblem(f"{path}: it holds captions by id, without fields: leave the column {column!r} out")
    by_split = all(isinstance(member, dict) for member in content.values())
    parts: dict[str | None, Any] = {split_name(name): part for name, part in content.items()} if by_split else {}
    if by_split and len(parts) < len(content):
        raise InputError(f"{path}: two of its splits are the same one: {', '.join(content)}")
    return [
        _record(key, value, split, path, problems)
        for split, part in (parts or {None: content}).items()
        for key, value in part.items()
    ]


def _record(key: str, value: object, split: str | None, path: Path, problems: list[str]) -> CaptionRecord:
    def note(what: str) -> None:
        problems.append(f"id {key}: {what}")

    captions = clean_captions(value, "captions", note)
    return CaptionRecord(key.strip(), captions, split=split, where=f"{path}:{key}")


def splits_bytes(records: Iterable[CaptionRecord]) -> bytes:
    """Captions by split and id where records name splits, else by id; records of one id are put together."""
    parts: dict[str | None, dict[str, list[str]]] = {}
    for record in records:
        parts.setdefault(record.split, {}).setdefault(record.key, []).extend(record.captions)
    if set(parts) <= {None}:
        return json_bytes(parts.get(None, {}), indent=True)
    return json_bytes({name or "none": part for name, part in parts.items()}, indent=True)

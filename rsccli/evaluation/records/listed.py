"""A JSON list of pairs: ``[{"id": "7", "pre": "a.png", "post": "b.png", "captions": ["...", "..."]}]``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rsccli.evaluation.records.columns import Role
from rsccli.evaluation.records.fields import Row, read_rows
from rsccli.evaluation.records.lines import members_of
from rsccli.evaluation.records.record import CaptionRecord
from rsccli.evaluation.records.source import as_objects
from rsccli.output.text import json_bytes


def read_list(
    content: object, path: Path, column: str | None, role: Role | None, problems: list[str]
) -> list[CaptionRecord]:
    """One record per member; fields as in JSON lines.

    Raises:
        UsageProblem, InputError: a member is no object; no field of captions, or several.
    """
    rows = [
        Row(number, f"record {number}", f"{path}:{number}", values)
        for number, values in enumerate(as_objects(content, path), start=1)
    ]
    return read_rows(rows, path, column, role, problems)


def list_bytes(records: Iterable[CaptionRecord]) -> bytes:
    """A JSON list, one object per record."""
    return json_bytes(members_of(records), indent=True)

"""JSON lines: one pair a line, in fields of many names.

``{"id": "7", "caption": "a house is built"}``, ``{"pre": "a.tif", "post": "b.tif", "references": ["...", "..."]}``, or
EarthDial's (Soni et al. 2025): ``{"question": "...", "answer": "...", "caption0": "...", ..., "caption4": "..."}``,
which holds a prediction and its references in one line.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rsccli.evaluation.records.columns import Role
from rsccli.evaluation.records.fields import Row, read_rows
from rsccli.evaluation.records.record import CaptionRecord
from rsccli.evaluation.records.source import json_lines
from rsccli.output.text import json_bytes


def read_lines(
    text: str, path: Path, column: str | None, role: Role | None, problems: list[str]
) -> list[CaptionRecord]:
    """One record per line that is not blank.

    Raises:
        UsageProblem, InputError: a damaged line; no field of captions, or several.
    """
    rows = [Row(number, f"line {number}", f"{path}:{number}", values) for number, values in json_lines(text, path)]
    return read_rows(rows, path, column, role, problems)


def lines_bytes(records: Iterable[CaptionRecord]) -> bytes:
    """One object per record, without the members of which it says nothing."""
    return b"".join(json_bytes(member) + b"\n" for member in members_of(records))


def members_of(records: Iterable[CaptionRecord]) -> list[dict[str, object]]:
    """Records as objects: ``caption`` where no record has more than one, else ``captions``."""
    records = list(records)
    several = any(len(record.captions) > 1 for record in records)
    return [
        {
            **({} if record.keyed == "pre and post" else {"id": record.key}),
            **{
                name: value
                for name, value in (
                    ("pre", record.pre),
                    ("post", record.post),
                    ("changed", record.changed),
                    ("split", record.split),
                    ("model", record.model),
                    ("regime", record.regime),
                )
                if value is not None
            },
            **({"captions": record.captions} if several else {"caption": "".join(record.captions)}),
        }
        for record in records
    ]

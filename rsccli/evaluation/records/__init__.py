"""Captions of people and models, from and to every format that the field uses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from rsccli.errors import InputError, UsageProblem
from rsccli.evaluation.records.columns import Role
from rsccli.evaluation.records.fields import split_name
from rsccli.evaluation.records.formats import FORMATS, SUFFIXES, Format, formats_text, read_any
from rsccli.evaluation.records.record import CaptionRecord, RecordFile, base_name, grouped, names_key
from rsccli.evaluation.records.systems import of_system, systems_of
from rsccli.output.writers.atomic import replacing

__all__ = [
    "FORMATS",
    "SUFFIXES",
    "CaptionRecord",
    "Format",
    "RecordFile",
    "Role",
    "base_name",
    "formats_text",
    "grouped",
    "names_key",
    "of_system",
    "read_captions",
    "systems_of",
    "write_captions",
]

_BY_SUFFIX = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}


def read_captions(
    path: Path, *, column: str | None = None, split: str | None = None, role: Role | None = None
) -> RecordFile:
    """Read a file of captions; suffix and content tell its format.

    Captions come with single spaces; what is empty, missing, no text, or a list that was written as text is mended or
    left out, and counted among the problems. A record of which nothing is left stays, without captions: an empty
    prediction is a wrong one. Records of one key are not put together here: `rsccli.evaluation.join` does it.

    Args:
        column: field that holds the captions, or a pattern of fields (``caption*``), where the format has fields.
        split: take only the pairs of this split.
        role: what the captions are for; decides in files that hold predictions and references in one line
            (EarthDial's: ``answer`` are predictions, ``caption*`` references).

    Raises:
        UsageProblem: unknown suffix, a column or split that the format does not have, several fields that may be meant.
        InputError: missing, damaged (the message names the line), of no known layout, or without any record.
    """
    problems: list[str] = []
    name, records = read_any(path, column, role, problems)
    if not records:
        why = f": {'; '.join(grouped(problems)[:3])}" if problems else ""
        raise InputError(f"{path}: no captions in it{why}")
    file = RecordFile(path, name, tuple(records), tuple(problems))
    return file if split is None else _of_split(file, split)


def _of_split(file: RecordFile, split: str) -> RecordFile:
    wanted = split_name(split.strip())
    there = {record.split for record in file.records}
    if there == {None}:
        raise UsageProblem(f"{file.path}: it does not say which pair is of which split; leave --split {split} out")
    kept = tuple(record for record in file.records if record.split == wanted)
    if not kept:
        names = ", ".join(sorted(name for name in there if name is not None))
        raise InputError(f"{file.path}: no pair of the split {split!r}; it has {names}")
    without = sum(record.split is None for record in file.records)
    note = (f"{file.path.name}: {without} records of no split, left out",) if without else ()
    return replace(file, records=kept, problems=(*file.problems, *note))


def write_captions(path: Path, records: Iterable[CaptionRecord], format: str | None = None) -> None:
    """Write captions; the file appears whole or not at all, and replaces what is there.

    Args:
        format: a name in ``FORMATS``; without it the suffix decides: ``.jsonl`` and ``.csv``. JSON has several.

    Raises:
        UsageProblem: the suffix does not decide, the format is only read, or it cannot hold the records.
        OutputError: the file cannot be written.
    """
    name = format or _BY_SUFFIX.get(path.suffix.lower())
    writable = [each.name for each in FORMATS.values() if each.write is not None]
    found = FORMATS.get(name or "")
    if found is None or found.write is None:
        what = f"captions are not written as {format!r}" if format else f"the suffix {path.suffix!r} does not say how"
        raise UsageProblem(f"{path}: {what}; name the format: {', '.join(writable)}")
    content = found.write(records)
    with replacing(path) as part:
        part.write_bytes(content)

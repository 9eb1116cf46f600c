"""CSV: ``id,caption`` and perhaps ``pre``, ``post``, ``changed``, ``split``, ``model``, ``regime``.

Several rows of one id are several references of one pair. Commas, or semicolons or tabs where the first line has no
comma; a cell with a comma or a line break stands in double quotes (RFC 4180).
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rsccli.errors import InputError
from rsccli.evaluation.records.columns import Role
from rsccli.evaluation.records.fields import Row, read_rows
from rsccli.evaluation.records.record import CaptionRecord
from rsccli.output.formulas import shielded, unshielded
from rsccli.output.text import storable

# Sentences of one cell in a column of this name may stand between bars, as in files of training pairs.
_JOINED = "captions"


def header_of(text: str) -> tuple[list[str], str]:
    """Names of the columns in lower case, and what separates them."""
    first = next((line for line in text.split("\n") if line.strip()), "")
    delimiter = next((mark for mark in ",;\t" if mark in first), ",")
    try:
        names = next(csv.reader([first], delimiter=delimiter), [])
    except csv.Error:
        names = first.split(delimiter)  # damaged: whoever reads the whole file says where
    return [name.strip().lower() for name in names], delimiter


def read_table(
    text: str, path: Path, column: str | None, role: Role | None, problems: list[str]
) -> list[CaptionRecord]:
    """One record per row.

    Raises:
        UsageProblem, InputError: damaged, more cells than columns, no column of captions, or several.
    """
    _, delimiter = header_of(text)
    with _long_cells():
        # Not text.splitlines: a cell may hold line breaks of any kind.
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        rows: list[Row] = []
        try:
            for number, cells in enumerate(reader, start=1):
                place = f"line {reader.line_num}"
                if None in cells:
                    raise InputError(
                        f"{path}, {place}: more cells than the first line has columns; put quotes around captions that "
                        "hold commas"
                    )
                values = {name: _cell(name, value) for name, value in cells.items() if value is not None}
                rows.append(Row(number, place, f"{path}:{reader.line_num}", values))
        except csv.Error as error:
            # The reader counts the lines of whole rows: the damaged one begins after them.
            raise InputError(f"{path}, line {reader.line_num + 1}: not CSV ({error}); mend that line") from error
    return read_rows(rows, path, column, role, problems)


def _cell(name: str, value: str) -> object:
    value = unshielded(value)
    if name.strip().lower() == _JOINED and "|" in value and not value.lstrip().startswith("["):
        return value.split("|")
    return value


@contextmanager
def _long_cells() -> Iterator[None]:
    """Cells of any length: a caption that a model repeats without end is longer than the module's 128 KiB."""
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def table_bytes(records: Iterable[CaptionRecord]) -> bytes:
    """One row per caption, and an empty one for a record without any; columns that no record needs are left out."""
    records = list(records)
    optional = [
        name
        for name in ("pre", "post", "changed", "split", "model", "regime")
        if any(getattr(record, name) is not None for record in records)
    ]
    out = io.StringIO(newline="")
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(["id", "caption", *optional])
    for record in records:
        name = "" if record.keyed == "pre and post" else record.key
        extra = [_text(getattr(record, column)) for column in optional]
        for caption in record.captions or ("",):
            rows.writerow([shielded(storable(name)), shielded(storable(caption)), *extra])
    return out.getvalue().encode()


def _text(value: str | bool | None) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else shielded(storable(value))

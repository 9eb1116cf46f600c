"""A table before it has a form: cells are text already, the first column names the row, the others are numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One row; ``heading`` rows have one cell and stand over the rows below them."""

    cells: tuple[str, ...]
    heading: bool = False


@dataclass(frozen=True)
class Sheet:
    """One table.

    Attributes:
        name: for programs and labels, e.g. ``scores``. title: over the table. head: names of the columns; the first may
            be empty. rows: of as many cells, or headings. notes: sentences under the table.
    """

    name: str
    title: str
    head: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """Everything that is shown: a title, facts as sentences, tables, and notes at the end."""

    title: str
    facts: tuple[str, ...]
    sheets: tuple[Sheet, ...]
    notes: tuple[str, ...]

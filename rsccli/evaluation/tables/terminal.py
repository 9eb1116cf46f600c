"""A page for the terminal: aligned columns, at most 100 characters where the names allow it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rsccli.evaluation.tables.sheet import Page, Sheet

_WIDTH = 100
_GAP = "  "


def render_terminal(page: Page) -> str:
    """The page as lines of plain text."""
    parts = [page.title, "\n".join(_wrapped(page.facts)), *(_table(sheet) for sheet in page.sheets)]
    if page.notes:
        parts.append("\n".join(["Notes", *_wrapped(page.notes, "- ")]))
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(sheet: Sheet) -> str:
    table = [sheet.head, *(row.cells for row in sheet.rows if not row.heading)]
    widths = [max(len(cells[column]) for cells in table) for column in range(len(sheet.head))]
    lines = [sheet.title, _line(sheet.head, widths)]
    lines.append("-" * len(lines[-1]))
    lines += [row.cells[0] if row.heading else _line(row.cells, widths) for row in sheet.rows]
    return "\n".join([*(line.rstrip() for line in lines), *_wrapped(sheet.notes)])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first = cells[0].ljust(widths[0])
    others = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return _GAP.join([first, *others])


def _wrapped(sentences: Sequence[str], bullet: str = "") -> list[str]:
    return [
        line
        for sentence in sentences
        for line in textwrap.wrap(
            sentence,
            _WIDTH,
            initial_indent=bullet,
            subsequent_indent=" " * len(bullet),
            break_long_words=False,
            break_on_hyphens=False,
        )
    ]

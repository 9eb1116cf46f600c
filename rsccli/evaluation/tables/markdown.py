"""A page as Markdown, for repositories and messages."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rsccli.evaluation.tables.sheet import Page, Row, Sheet

_SPECIAL = re.compile(r"[\\`*_\[\]|~<>]")


def render_markdown(page: Page, level: int = 2) -> str:
    """The page as Markdown; what a file says cannot become markup.

    Args:
        level: of the page's heading; tables get the next.
    """
    parts = [f"{'#' * level} {text(page.title)}", _list(page.facts)]
    parts += [table(sheet, level + 1) for sheet in page.sheets]
    if page.notes:
        parts += [f"{'#' * (level + 1)} Notes", _list(page.notes)]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(sheet: Sheet, level: int = 3) -> str:
    """One table with its heading and notes."""
    lines = [_line(sheet.head), "|---|" + "---:|" * (len(sheet.head) - 1)]
    lines += [_row(row, len(sheet.head)) for row in sheet.rows]
    parts = [f"{'#' * level} {text(sheet.title)}", "\n".join(lines), *(text(note) for note in sheet.notes)]
    return "\n\n".join(parts)


def text(value: str) -> str:
    """Any text as plain words on one line."""
    return _SPECIAL.sub(r"\\\g<0>", " ".join(value.split()).replace("&", "&amp;"))


def _row(row: Row, columns: int) -> str:
    if row.heading:
        return f"| **{text(row.cells[0])}** |" + " |" * (columns - 1)
    return _line(row.cells)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(text(cell) for cell in cells) + " |"


def _list(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {text(sentence)}" for sentence in sentences)

r"""A page as LaTeX tables, with the rules of the package booktabs: put ``\usepackage{booktabs}`` in the preamble."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rsccli.evaluation.tables.sheet import Page, Row, Sheet

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}
_SPECIAL = re.compile("[" + re.escape("".join(_ESCAPES)) + "]")
_QUOTED = re.compile(r'"([^"]*)"')


def render_latex(page: Page) -> str:
    """One ``table`` environment for each table; facts and notes stand above as comments."""
    comments = [f"% {' '.join(line.split())}" for line in (page.title, *page.facts, *page.notes)]
    head = [*comments, r"% Needs \usepackage{booktabs}."]
    return "\n\n".join(["\n".join(head), *(_table(sheet) for sheet in page.sheets)]) + "\n"


def _table(sheet: Sheet) -> str:
    caption = " ".join([sheet.title.rstrip(".") + ".", *sheet.notes])
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_text(caption)}}}",
        rf"\label{{tab:{sheet.name}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(sheet.head) - 1)}}}",
        r"\toprule",
        _line(sheet.head),
        r"\midrule",
        *(_row(row, len(sheet.head)) for row in sheet.rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines)


def _row(row: Row, columns: int) -> str:
    return rf"\multicolumn{{{columns}}}{{l}}{{\emph{{{_text(row.cells[0])}}}}} \\" if row.heading else _line(row.cells)


def _line(cells: Sequence[str]) -> str:
    return " & ".join(_text(cell) for cell in cells) + r" \\"


def _text(value: str) -> str:
    escaped = _SPECIAL.sub(lambda found: _ESCAPES[found[0]], " ".join(value.split()))
    return _QUOTED.sub(r"``\1''", escaped)

"""Forms of an evaluation: for the terminal, programs, repositories and papers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from rsccli.evaluation.result import Evaluation
from rsccli.evaluation.tables.document import render_json
from rsccli.evaluation.tables.latex import render_latex
from rsccli.evaluation.tables.markdown import render_markdown
from rsccli.evaluation.tables.page import page_of
from rsccli.evaluation.tables.terminal import render_terminal

Form = Literal["table", "json", "markdown", "latex"]
FORMS: dict[Form, Callable[[Evaluation], str]] = {
    "table": lambda evaluation: render_terminal(page_of(evaluation)),
    "json": render_json,
    "markdown": lambda evaluation: render_markdown(page_of(evaluation)),
    "latex": lambda evaluation: render_latex(page_of(evaluation)),
}


def render(evaluation: Evaluation, form: Form) -> str:
    """The evaluation in one form, with a line end."""
    return FORMS[form](evaluation)

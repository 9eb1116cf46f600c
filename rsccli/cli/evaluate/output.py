"""Where a result goes and in which form; settled before anything is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from rsccli.cli.pipes import reader_may_leave
from rsccli.errors import OutputError, UsageProblem

if TYPE_CHECKING:
    from rsccli.cli.evaluate.options import FormatChoice
    from rsccli.evaluation.result import Evaluation

Form = Literal["table", "json", "markdown", "latex"]
_SUFFIXES: dict[str, Form] = {".json": "json", ".md": "markdown", ".tex": "latex", ".txt": "table"}


@dataclass(frozen=True)
class Place:
    """One output; ``path`` None is stdout."""

    path: Path | None
    form: Form


def places(
    json_output: bool, form: FormatChoice | None, outputs: Sequence[Path] | None, overwrite: bool
) -> tuple[Place, ...]:
    """Where to write what.

    Raises:
        UsageProblem: flags that contradict each other, or a suffix without a form.
        OutputError: a file that exists, or a folder that does not.
    """
    if json_output and form not in (None, "json"):
        raise UsageProblem(f"--json and --format {form}: leave one of them out")
    on_stdout: Form = "json" if json_output else form.value if form is not None else "table"
    if not outputs:
        return (Place(None, on_stdout),)
    told = []
    for path in outputs:
        if str(path) == "-":
            told.append(Place(None, on_stdout))
            continue
        found = _SUFFIXES.get(path.suffix.lower())
        if found is None:
            raise UsageProblem(f"-o {path}: name a file that ends in {', '.join(_SUFFIXES)}, or - for stdout")
        if path.exists() and not overwrite:
            raise OutputError(f"{path} exists; add --overwrite to replace it, or name another file with -o")
        if not path.parent.is_dir():
            raise OutputError(f"the folder {path.parent} does not exist; make it with: mkdir -p {path.parent}")
        told.append(Place(path, found))
    if (json_output or form is not None) and not any(place.path is None for place in told):
        raise UsageProblem("--json and --format are about stdout, and the suffix about a file: add -o - for both")
    return tuple(told)


def write(evaluation: Evaluation, where: Sequence[Place]) -> None:
    """Write the result to every place; files appear whole or not at all."""
    from rsccli.evaluation.tables import render
    from rsccli.output.writers.atomic import replacing

    for place in where:
        text = render(evaluation, place.form)
        if place.path is None:
            with reader_may_leave():
                typer.echo(text, nl=False)
        else:
            with replacing(place.path) as part:
                part.write_text(text, encoding="utf-8")
            typer.echo(str(place.path), err=True)

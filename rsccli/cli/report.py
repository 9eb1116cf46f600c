"""``rsccli report``: the report of a run, made again from any of its outputs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsccli.cli.pipes import reader_may_leave
from rsccli.errors import OutputError, UsageProblem

if TYPE_CHECKING:
    from rsccli.output.report import Form, Thumbnails
    from rsccli.output.summary import Summary
    from rsccli.types import RunFacts


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("report")(report)


def report(
    output: Annotated[
        Path,
        typer.Argument(metavar="OUTPUT", help="What rsccli caption wrote: any of its formats.", show_default=False),
    ],
    page: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="PAGE",
            envvar="RSCCLI_REPORT_OUTPUT",
            help="Write one form, picked by the suffix .html, .md or .json; - is stdout. "
            "Without it all three are written beside OUTPUT, replacing what is there.",
        ),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(envvar="RSCCLI_FORM", metavar="html|md|json", help="The form on stdout, md unless given."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", envvar="RSCCLI_OVERWRITE", help="Replace PAGE if it exists.")
    ] = False,
) -> None:
    """Make the report of a run again, from any of its outputs.

    The pictures are read from the inputs of the run; where those are gone, the report goes without them.

    Examples:

    \b
      rsccli report out.geojson              # out.report.html, .md and .json beside it
      rsccli report out.gpkg -o page.html    # one page, the suffix picks the form
      rsccli report out.fgb -o - --form md   # Markdown on stdout
      rsccli report out.parquet -o - --form json | jq .summary.by_status
    """
    wanted = _wanted(page, form, overwrite)
    from rsccli.output.readers import read_outputs
    from rsccli.output.report import render_report, write_report, write_reports
    from rsccli.output.summary import summarise

    facts, features = read_outputs(output)
    summary = summarise(features, facts)
    if wanted is None:
        for path in write_reports(output, summary, facts, _thumbnails(summary, facts)):
            typer.echo(str(path), err=True)
        return
    content = render_report(wanted, summary, facts, _thumbnails(summary, facts) if wanted == "html" else None)
    if page == "-":
        with reader_may_leave():
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()
    else:
        write_report(Path(str(page)), content)
        typer.echo(str(page), err=True)


def _wanted(page: str | None, form: str | None, overwrite: bool) -> Form | None:
    """The one form to write, or None for all three beside the output; settled before anything is read."""
    if form not in (None, "html", "md", "json"):
        raise UsageProblem(f"--form {form}: choose html, md or json")
    if page is None:
        if form is not None:
            raise UsageProblem("--form names the form on stdout: add -o -")
        return None
    if page == "-":
        return "html" if form == "html" else "json" if form == "json" else "md"
    path = Path(page)
    forms: dict[str, Form] = {".html": "html", ".htm": "html", ".md": "md", ".json": "json"}
    found = forms.get(path.suffix.lower())
    if found is None:
        raise UsageProblem(f"-o {page}: a report has the suffix .html, .md or .json")
    if form not in (None, found):
        raise UsageProblem(f"-o {page} says {found}, --form says {form}: leave one of them out")
    if path.exists() and not overwrite:
        raise OutputError(f"{page} exists; add --overwrite to replace it, or name another file with -o")
    if not path.parent.is_dir():
        raise OutputError(f"the folder {path.parent} of the page does not exist; make it with: mkdir -p {path.parent}")
    return found


def _thumbnails(summary: Summary, facts: RunFacts | None) -> Thumbnails | None:
    """Pictures of the strongest changes from the run's inputs, where these still are what they were."""
    if facts is None or not summary.ranked:
        return None
    from rsccli.run.thumbnails import read_thumbnails

    return read_thumbnails(facts, [tile.tile_id for tile in summary.ranked])

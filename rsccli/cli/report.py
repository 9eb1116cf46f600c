"""``rsccli report``: the report of a run, made again from any of its outputs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rsccli.cli import options as flags
from rsccli.cli.pipes import reader_may_leave
from rsccli.cli.summary_model import SummaryModelOption, tell_phrasing
from rsccli.errors import InputError, OutputError, UsageProblem

if TYPE_CHECKING:
    from rsccli.output.features import Feature
    from rsccli.output.report import Form, Pictures
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
            help="Write one form, picked by the suffix .html, .md, .json or .pdf; - is stdout. "
            "Without it html, md and json are written beside OUTPUT, replacing what is there.",
        ),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(envvar="RSCCLI_FORM", metavar="html|md|json", help="The form on stdout, md unless given."),
    ] = None,
    pdf: Annotated[
        bool,
        typer.Option(
            "--pdf",
            envvar="RSCCLI_PDF",
            help="Print the page to OUTPUT's .report.pdf, too, with a Chromium, Chrome or Edge that is installed "
            "(RSCCLI_CHROMIUM names one).",
        ),
    ] = False,
    mask: Annotated[
        Path | None,
        typer.Option(
            "--mask",
            envvar="RSCCLI_REPORT_MASK",
            metavar="FILE",
            help="Raster of what changed, as rsccli detect writes it: shown on the map and beside the pictures.",
            show_default=False,
        ),
    ] = None,
    basemap: flags.Basemap = None,
    summary_model: SummaryModelOption = None,
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
      rsccli report out.geojson -o page.pdf  # printed by an installed Chromium
      rsccli report out.geojson --mask mask.tif
      rsccli report out.fgb -o - --form md   # Markdown on stdout
      rsccli report out.parquet -o - --form json | jq .summary.by_status
    """
    wanted = _wanted(page, form, pdf, overwrite)
    if mask is not None and not mask.is_file():
        raise InputError(f"{mask}: no such file; name the mask that rsccli detect wrote")
    from rsccli.output.paths import sidecar
    from rsccli.output.readers import read_outputs
    from rsccli.output.report import ShownTiles, render_report, write_report, write_reports
    from rsccli.output.report.basemap import parse_basemap
    from rsccli.output.report.pdf import find_chromium, print_pdf
    from rsccli.output.summary import summarise
    from rsccli.run.phrase import phrase_summary
    from rsccli.run.phrase import summary_model as chosen_model

    phrasing = chosen_model(summary_model)
    if phrasing is not None:
        phrasing.describe()
    background = parse_basemap(basemap)
    # A browser that is missing is told before anything is read.
    chromium = find_chromium(os.environ.get("RSCCLI_CHROMIUM")) if pdf or wanted == "pdf" else None
    facts, features = read_outputs(output)
    shown = ShownTiles()
    summary = phrase_summary(summarise(shown.of(features), facts), phrasing)
    tell_phrasing(summary.scene)
    tiles = shown.strongest()
    pictures = _pictures(summary, facts, tiles, mask) if wanted in (None, "html", "pdf") else None
    if wanted is None:
        for path in write_reports(output, summary, facts, pictures, tiles, background):
            typer.echo(str(path), err=True)
        target = sidecar(output, ".report.pdf") if pdf else None
    else:
        target = Path(str(page)) if wanted == "pdf" else None
    if target is not None and chromium is not None:
        content = render_report("html", summary, facts, pictures, tiles, background)
        print_pdf(content, target, chromium, network=background is not None)
        typer.echo(str(target), err=True)
    if wanted is None or wanted == "pdf":
        return
    content = render_report(wanted, summary, facts, pictures, tiles, background)
    if page == "-":
        with reader_may_leave():
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()
    else:
        write_report(Path(str(page)), content)
        typer.echo(str(page), err=True)


def _wanted(page: str | None, form: str | None, pdf: bool, overwrite: bool) -> Form | Literal["pdf"] | None:
    """The one form to write, or None for those beside the output; settled before anything is read."""
    if form not in (None, "html", "md", "json"):
        raise UsageProblem(f"--form {form}: choose html, md or json")
    if pdf and page is not None:
        raise UsageProblem("--pdf prints beside the other forms: leave out -o, or name the one file with -o page.pdf")
    if page is None:
        if form is not None:
            raise UsageProblem("--form names the form on stdout: add -o -")
        return None
    if page == "-":
        return "html" if form == "html" else "json" if form == "json" else "md"
    path = Path(page)
    forms: dict[str, Form | Literal["pdf"]] = {
        ".html": "html",
        ".htm": "html",
        ".md": "md",
        ".json": "json",
        ".pdf": "pdf",
    }
    found = forms.get(path.suffix.lower())
    if found is None:
        raise UsageProblem(f"-o {page}: a report has the suffix .html, .md, .json or .pdf")
    if form not in (None, found):
        raise UsageProblem(f"-o {page} says {found}, --form says {form}: leave one of them out")
    if path.exists() and not overwrite:
        raise OutputError(f"{page} exists; add --overwrite to replace it, or name another file with -o")
    if not path.parent.is_dir():
        raise OutputError(f"the folder {path.parent} of the page does not exist; make it with: mkdir -p {path.parent}")
    return found


def _pictures(summary: Summary, facts: RunFacts | None, tiles: list[Feature], mask: Path | None) -> Pictures | None:
    """Pictures from the run's inputs, where these still are what they were."""
    if facts is None or not tiles:
        return None
    from rsccli.run.pictures import read_pictures, worth_a_look

    return read_pictures(facts, [tile.tile_id for tile in summary.ranked], worth_a_look(tiles), mask)

"""``rsccli ask``: questions about what changed, answered tile by tile and for the whole scene."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsccli.cli import observe as observe_options
from rsccli.cli import options as flags
from rsccli.cli import tilewise
from rsccli.cli.flag_groups import with_group
from rsccli.cli.pipes import reader_may_leave
from rsccli.errors import FailedTilesError

if TYPE_CHECKING:
    from rsccli.run.ask.job import Asking, PreparedAsk
    from rsccli.run.caption import CaptionJob


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("ask")(with_group(ask, "pair", tilewise.PAIR))


def ask(
    *,
    output: Annotated[
        str,
        typer.Option(
            "-o",
            "--output",
            envvar="RSCCLI_OUTPUT",
            metavar="FILE",
            show_envvar=False,
            help="Where to write; the suffix picks the format: .geojson .geojsonl .geojsons .gpkg .fgb .parquet .csv. "
            "- streams GeoJSONSeq to stdout.",
        ),
    ],
    pair: CaptionJob,
    question: Annotated[
        str | None,
        typer.Argument(
            metavar="QUESTION",
            envvar="RSCCLI_QUESTION",
            help="What to ask of every tile and of the scene.",
            show_envvar=False,
        ),
    ] = None,
    more: Annotated[
        list[str] | None,
        typer.Option(
            "-q",
            "--question",
            # A variable would be cut at its spaces: there a file (RSCCLI_QUESTIONS) has more than one.
            help="One more question; the images are looked at once for all. May be repeated.",
        ),
    ] = None,
    questions: Annotated[
        Path | None,
        typer.Option(
            "--questions",
            envvar="RSCCLI_QUESTIONS",
            metavar="FILE",
            help="Text file with one question a line; lines that begin with # are left out.",
            show_envvar=False,
        ),
    ] = None,
    report: Annotated[
        bool,
        typer.Option(
            "--report/--no-report",
            envvar="RSCCLI_REPORT",
            help="Write the answers about the scene as Markdown (.md) beside the output.",
            show_envvar=False,
        ),
    ] = True,
    config: flags.Config = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", envvar="RSCCLI_QUIET", help="Errors only on stderr.", show_envvar=False)
    ] = False,
    json_output: flags.JsonOutput = False,
) -> None:
    """Answer questions about what changed: of every tile as a map, of the scene in words that cite tiles.

    A large model (-m BUNDLE) answers anything in its own words. The bundled captioner answers from its numbers what
    they can tell: whether something changed, what kind of change, how much, where, and how many separate parts of the
    mask. Of any other question it says that it cannot answer; docs/ask.md has the forms.
    Kill it and run the same command again: it goes on where it was.

    \b
    Examples:
      rsccli ask pre.tif post.tif "Did anything change?" -o answers.geojson
      rsccli ask pre.tif post.tif "What changed?" -q "How many hectares of water were lost?" -o answers.gpkg
      rsccli ask pre.tif post.tif --questions questions.txt -o answers.geojson -m BUNDLE
      rsccli ask pre.tif post.tif "Where are new buildings?" -o answers.geojson --json | jq -r '.answers[].text'
    """
    from rsccli.run.ask.job import prepare_ask, read_questions, run_ask, stream_ask
    from rsccli.run.tilewise import TilewiseJob

    quiet = quiet or observe_options.stderr_is_log()
    job = TilewiseJob(pair, None if output == "-" else Path(output), pair.overwrite, pair.resume)
    asked = [*([question] if question is not None else []), *(more or [])]
    asking = prepare_ask(job, [*asked, *(read_questions(questions) if questions else [])], report)
    if not quiet:
        _tell_before(asking)
    from rsccli.cli.progress import TileProgress

    with TileProgress(len(asking.prepared.pair.plan), quiet) as progress:
        if job.output is None:
            with reader_may_leave():
                result = stream_ask(asking, sys.stdout.buffer, progress)
        else:
            result = run_ask(asking, progress)
    _tell_answers(asking, result, json_output, quiet)
    if result.failed:
        raise FailedTilesError(
            f"{result.failed} of {result.tiles} tiles failed (status read_error or model_error, with the reason in the "
            "feature); the output is whole"
        )


def _tell_before(asking: PreparedAsk) -> None:
    for warning in asking.prepared.facts.warnings:
        print(f"rsccli: warning: {warning}", file=sys.stderr)
    for text, reason in asking.refused:
        print(f'rsccli: {asking.prepared.info.name} cannot answer "{text}": {reason}', file=sys.stderr)


def _tell_answers(asking: PreparedAsk, result: Asking, as_json: bool, quiet: bool) -> None:
    """The scene's answers on stdout; on stderr where stdout carries the features."""
    from rsccli.run.ask.job import answers_json, page_path

    output = asking.job.output
    # A stream of features is not to be mixed with sentences.
    to = sys.stderr if output is None else sys.stdout
    if as_json and output is not None:
        from rsccli.output.text import json_bytes

        sys.stdout.write(json_bytes(answers_json(result, output), indent=True).decode())
    elif output is not None or not quiet:
        for each in result.answers:
            print(f"{each.question}\n  {each.text}", file=to)
    if output is not None and not quiet:
        beside = f", {page_path(output)}" if asking.page else ""
        print(
            f"rsccli: {output}{beside}: {result.tiles} tiles, {len(result.answers)} "
            f"{'question' if len(result.answers) == 1 else 'questions'}",
            file=sys.stderr,
        )

"""``rsccli ground``: where a phrase is, as boxes or polygons on the map."""

from __future__ import annotations

import sys
from enum import StrEnum
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
    from rsccli.run.caption import CaptionJob
    from rsccli.run.ground.boxes import Grounding
    from rsccli.run.ground.job import PreparedGround

MASK, MODEL = "Polygons of a mask", "Boxes of a large model"


class BoxScale(StrEnum):
    """Numbers of a model's boxes; see `rsccli.models.large.boxes`."""

    absolute = "absolute"
    normalised = "normalised"
    percent = "percent"
    thousand = "thousand"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("ground")(with_group(ground, "pair", tilewise.PAIR))


def ground(
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
    phrase: Annotated[
        str | None,
        typer.Argument(metavar="PHRASE", envvar="RSCCLI_PHRASE", help="What to look for.", show_envvar=False),
    ] = None,
    more: Annotated[
        list[str] | None,
        typer.Option(
            "-p",
            "--phrase",
            # A variable would be cut at its spaces: there a file (RSCCLI_PHRASES) has more than one.
            help="One more phrase; the images are looked at once for all. May be repeated.",
        ),
    ] = None,
    phrases: Annotated[
        Path | None,
        typer.Option(
            "--phrases",
            envvar="RSCCLI_PHRASES",
            metavar="FILE",
            help="Text file with one phrase a line; lines that begin with # are left out.",
            show_envvar=False,
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            envvar="RSCCLI_THRESHOLD",
            help="Least probability of a changed pixel. Default: 0.5.",
            rich_help_panel=MASK,
            show_envvar=False,
        ),
    ] = None,
    min_area: Annotated[
        float | None,
        typer.Option(
            "--min-area",
            envvar="RSCCLI_MIN_AREA",
            metavar="M2",
            help="Leave out smaller polygons. Default: 16 pixels.",
            rich_help_panel=MASK,
            show_envvar=False,
        ),
    ] = None,
    judge_anyway: Annotated[
        bool,
        typer.Option(
            "--judge-anyway",
            envvar="RSCCLI_JUDGE_ANYWAY",
            help="Take the captioner's numbers also where it says that it cannot judge (sampling, sensor, clouds).",
            rich_help_panel=MASK,
            show_envvar=False,
        ),
    ] = False,
    boxes: Annotated[
        BoxScale | None,
        typer.Option(
            "--boxes",
            envvar="RSCCLI_BOXES",
            help="Numbers of a model's boxes: pixels of the image as the model sees it, 0-1, 0-100 or 0-1000. Default: "
            "what was published for the model's family.",
            rich_help_panel=MODEL,
            show_envvar=False,
        ),
    ] = None,
    config: flags.Config = None,
    quiet: flags.Quiet = False,
    json_output: flags.JsonOutput = False,
) -> None:
    """Find where a phrase is: polygons of the change mask, or boxes that a large model writes.

    The bundled captioner knows classes of change: building, road, vegetation, water, bare soil, burn, debris. Words of
    the phrase stand for them by a table (docs/ground.md); a phrase without such a word is refused.
    A large model (-m BUNDLE) is asked for boxes. What it answers is read strictly: an answer that is no box is counted
    as malformed, and nothing is made of it.

    \b
    Examples:
      rsccli ground pre.tif post.tif "flooded road" -o places.geojson
      rsccli ground pre.tif post.tif "water" -p "new buildings" -o places.gpkg --min-area 500
      rsccli ground pre.tif post.tif "flooded road" -o boxes.geojson -m BUNDLE
      rsccli ground pre.tif post.tif "destroyed house" -o boxes.geojson -m BUNDLE --boxes percent
    """
    from rsccli.run.ask.job import read_questions
    from rsccli.run.ground.job import GroundJob, base_of, plain_phrases, prepare_ground, run_ground, stream_ground

    quiet = quiet or observe_options.stderr_is_log()
    given = [*([phrase] if phrase is not None else []), *(more or [])]
    job = GroundJob(
        pair,
        output=None if output == "-" else Path(output),
        phrases=plain_phrases([*given, *(read_questions(phrases, "--phrases", "phrase") if phrases else [])]),
        scale=None if boxes is None else boxes.value,
        threshold=threshold,
        min_area_m2=min_area,
        judge_anyway=judge_anyway,
        overwrite=pair.overwrite,
        resume=pair.resume,
    )
    prepared = prepare_ground(job)
    if not quiet:
        _tell_before(prepared)
    from rsccli.cli.progress import TileProgress

    with TileProgress(len(base_of(prepared).pair.plan), quiet) as progress:
        if job.output is None:
            with reader_may_leave():
                result = stream_ground(prepared, sys.stdout.buffer, progress)
        else:
            result = run_ground(prepared, progress)
    _tell_found(job.output, result, json_output, quiet)
    if result.failed:
        raise FailedTilesError(f"{result.failed} of {result.tiles} tiles failed; the output is whole but for them")


def _tell_before(prepared: PreparedGround) -> None:
    from rsccli.run.ground.job import base_of
    from rsccli.run.ground.polygons import PreparedPolygons

    for warning in base_of(prepared).facts.warnings:
        print(f"rsccli: warning: {warning}", file=sys.stderr)
    if not isinstance(prepared, PreparedPolygons):
        return
    for each in prepared.phrases:
        classes = " or ".join(each.classes) or "any class"
        print(f'rsccli: "{each.text}" is looked for as change of {classes}', file=sys.stderr)
        for wider in each.wider:
            print(f"rsccli:   {wider}: the mask does not tell them apart", file=sys.stderr)
        if each.unread:
            print(f"rsccli:   not in a mask, and not used: {', '.join(each.unread)}", file=sys.stderr)


def _tell_found(output: Path | None, result: Grounding, as_json: bool, quiet: bool) -> None:
    """What was found on stdout; on stderr where stdout carries the rows."""
    if as_json and output is not None:
        from rsccli.output.text import json_bytes

        told = {"output": str(output), "tiles": result.tiles, "failed_tiles": result.failed}
        phrases = [each.to_json() for each in result.phrases]
        sys.stdout.write(json_bytes({**told, "phrases": phrases}, indent=True).decode())
    elif output is not None or not quiet:
        for each in result.phrases:
            print(f"{each.phrase}: {each.text}", file=sys.stderr if output is None else sys.stdout)
    if output is not None and not quiet:
        print(f"rsccli: {output}: {result.tiles} tiles", file=sys.stderr)

"""``rsccli detect``: which pixels changed, as polygons with a class and an area, and as rasters."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsccli.cli import observe as observe_options
from rsccli.cli import options as flags
from rsccli.cli import tilewise
from rsccli.cli.detected import print_found, print_json, print_plan
from rsccli.cli.flag_groups import with_group
from rsccli.cli.pipes import reader_may_leave
from rsccli.errors import FailedTilesError

if TYPE_CHECKING:
    from rsccli.run.caption import CaptionJob

RESULT = "What is told"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    command = with_group(detect, "pair", tilewise.PAIR, leave_out=("max_new_tokens", "min_valid"))
    app.command("detect")(command)


def detect(
    *,
    output: Annotated[
        str,
        typer.Option(
            "-o",
            "--output",
            envvar="RSCCLI_OUTPUT",
            metavar="FILE",
            show_envvar=False,
            help="Where to write polygons; the suffix picks the format: .gpkg .geojson .geojsonl .geojsons .fgb "
            ".parquet .csv. - streams GeoJSONSeq to stdout.",
        ),
    ],
    pair: CaptionJob,
    mask: Annotated[
        Path | None,
        typer.Option(
            "--mask",
            envvar="RSCCLI_MASK",
            metavar="FILE.tif",
            help="Write the class of every pixel, too: a cloud-optimised GeoTIFF with colours and names.",
            rich_help_panel=RESULT,
            show_envvar=False,
        ),
    ] = None,
    score: Annotated[
        Path | None,
        typer.Option(
            "--score",
            envvar="RSCCLI_SCORE",
            metavar="FILE.tif",
            help="Write the probability of change of every pixel, too: a cloud-optimised GeoTIFF in steps of 0.004.",
            rich_help_panel=RESULT,
            show_envvar=False,
        ),
    ] = None,
    threshold: Annotated[
        float,
        typer.Option(
            "--threshold",
            envvar="RSCCLI_THRESHOLD",
            help="Least probability of a changed pixel.",
            rich_help_panel=RESULT,
            show_envvar=False,
        ),
    ] = 0.5,
    classes: Annotated[
        str,
        typer.Option(
            "--classes",
            envvar="RSCCLI_CLASSES",
            metavar="all|change|NAME[,NAME]",
            help="all: every class of the captioner. change: what changed, whatever it is. Names: these classes alone.",
            rich_help_panel=RESULT,
            show_envvar=False,
        ),
    ] = "all",
    min_area: Annotated[
        float | None,
        typer.Option(
            "--min-area",
            envvar="RSCCLI_MIN_AREA",
            metavar="M2",
            help="Leave out smaller polygons, square metres. Default: the area of 16 pixels. The mask keeps all.",
            rich_help_panel=RESULT,
            show_envvar=False,
        ),
    ] = None,
    simplify: Annotated[
        float,
        typer.Option(
            "--simplify",
            envvar="RSCCLI_SIMPLIFY",
            metavar="PX",
            help="How far an outline may move to lose vertices, pixels; 0 keeps every pixel's corner.",
            rich_help_panel=RESULT,
            show_envvar=False,
        ),
    ] = 1.0,
    judge_anyway: Annotated[
        bool,
        typer.Option(
            "--judge-anyway",
            envvar="RSCCLI_JUDGE_ANYWAY",
            help="Take the captioner's numbers also where it says that it cannot judge (sampling, sensor, clouds).",
            rich_help_panel=RESULT,
            show_envvar=False,
        ),
    ] = False,
    dry_run: tilewise.DryRun = False,
    config: flags.Config = None,
    quiet: flags.Quiet = False,
    verbose: flags.Verbose = False,
    json_output: flags.JsonOutput = False,
) -> None:
    """Find which pixels changed between two images: polygons with class, area and probability.

    Tiles overlap by a quarter (--overlap says otherwise) and are blended: no seams. Kill it and run the same command
    again: it goes on with the first row of tiles that was not finished.

    \b
    Examples:
      rsccli detect pre.tif post.tif -o changes.gpkg
      rsccli detect pre.tif post.tif -o changes.geojson --mask mask.tif --score score.tif
      rsccli detect pre.tif post.tif -o buildings.gpkg --classes building --min-area 40 --threshold 0.7
      rsccli detect pre.tif post.tif -o changes.parquet --classes change
    """
    from rsccli.run.detect.job import DetectJob, overlapped, prepare_detect
    from rsccli.run.detect.run import run_detect, stream_detect

    quiet = quiet or observe_options.stderr_is_log()
    job = DetectJob(
        # Every pixel is judged: no tile is too empty.
        replace(pair, geometry=overlapped(pair.geometry), min_valid=0.0, report=False),
        output=None if output == "-" else Path(output),
        mask=mask,
        score=score,
        threshold=threshold,
        classes=parse_classes(classes),
        min_area_m2=min_area,
        simplify_px=simplify,
        judge_anyway=judge_anyway,
        overwrite=pair.overwrite,
        resume=pair.resume,
    )
    prepared = prepare_detect(job)
    if not quiet:
        for warning in prepared.base.facts.warnings:
            print(f"rsccli: warning: {warning}", file=sys.stderr)
    if dry_run:
        print_plan(prepared, json_output)
        return
    if verbose and not observe_options.stderr_is_log():
        print_plan(prepared, False, to=sys.stderr)
    from rsccli.cli.progress import TileProgress

    with TileProgress(len(prepared.base.pair.plan), quiet) as progress:
        if job.output is None:
            with reader_may_leave():
                found = stream_detect(prepared, sys.stdout.buffer, progress)
        else:
            found = run_detect(prepared, progress)
    if not quiet:
        print_found(prepared, found)
    if json_output and job.output is not None:
        print_json(prepared, found)
    if found.looked.failed:
        first = "; ".join(found.looked.failures[:3])
        raise FailedTilesError(
            f"{found.looked.failed} of {len(prepared.base.pair.plan)} tiles failed ({first}); the output is whole but "
            "for them"
        )


def parse_classes(text: str) -> tuple[str, ...] | None:
    """``all``, ``change``, or names separated by commas."""
    names = tuple(dict.fromkeys(name for part in text.split(",") if (name := part.strip().lower())))
    return None if names in ((), ("all",)) else names

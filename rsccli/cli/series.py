"""What ``rsccli caption`` does with a time series: its options, and the run."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsccli.errors import FailedTilesError, UsageProblem

if TYPE_CHECKING:
    from rsccli.geo.pair import PairOptions
    from rsccli.output.timeline.pairs import SeriesPair
    from rsccli.output.timeline.summary import Timeline
    from rsccli.run.caption import CaptionJob, PreparedJob, Progress
    from rsccli.run.series.prepare import PreparedSeries

PANEL = "Time series"


class PairsChoice(StrEnum):
    """Which pairs of a series are compared."""

    consecutive = "consecutive"
    first_last = "first-last"
    both = "both"
    all = "all"


Pairs = Annotated[
    PairsChoice | None,
    typer.Option(
        "--pairs",
        envvar="RSCCLI_PAIRS",
        help="Of a series: each date with the next, the first with the last, both (default), or every pair.",
        rich_help_panel=PANEL,
        show_envvar=False,
    ),
]
Dates = Annotated[
    str | None,
    typer.Option(
        "--dates",
        envvar="RSCCLI_DATES",
        metavar="DATE,DATE,...",
        help="Of the images of a series in their order (2020, 2020-07 or 2020-07-31), instead of tags and names.",
        rich_help_panel=PANEL,
        show_envvar=False,
    ),
]
Asset = Annotated[
    str | None,
    typer.Option(
        "--asset",
        envvar="RSCCLI_ASSET",
        metavar="KEY",
        help="Of a STAC item collection: which asset of an item is the image. Default: visual, image, data ...",
        rich_help_panel=PANEL,
        show_envvar=False,
    ),
]


@dataclass(frozen=True)
class AskedSeries:
    """A series as it was typed."""

    images: tuple[str, ...]
    pairs: PairsChoice
    dates: tuple[str, ...] | None
    asset: str | None


def asked_series(
    images: Sequence[str], pairs: PairsChoice | None, dates: str | None, asset: str | None
) -> AskedSeries | None:
    """The series that was asked for, or None for a pair.

    Raises:
        UsageProblem: one image, or options of a series with a pair.
    """
    from rsccli.run.series.images import is_series

    if is_series(images):
        given = tuple(part.strip() for part in dates.split(",")) if dates else None
        return AskedSeries(tuple(images), pairs or PairsChoice.both, given, asset)
    if len(images) == 1:
        raise UsageProblem(
            f"only one image is named ({images[0]}): give the one after, too; or a folder or a STAC item collection "
            "(.json) for a time series"
        )
    refuse_for_pair(pairs, dates, asset)
    return None


def refuse_for_pair(pairs: PairsChoice | None, dates: str | None, asset: str | None) -> None:
    """Options of a series say nothing of a pair.

    Raises:
        UsageProblem: one of them was given.
    """
    for flag, value in (("--pairs", pairs), ("--dates", dates), ("--asset", asset)):
        if value is not None:
            raise UsageProblem(f"{flag} is for a time series: give three images or more, a folder, or a collection")


def refuse_sides(geometry: PairOptions) -> None:
    """Options of one side of a pair make no sense: an image of a series is pre of one pair and post of another.

    Raises:
        UsageProblem: the two sides are not read alike.
    """
    if geometry.pre != geometry.post:
        raise UsageProblem(
            "an image of a series is pre of one pair and post of another: give --bands and --nodata for all images, "
            "and put a missing CRS into the files (gdal_edit.py -a_srs EPSG:n FILE)"
        )


def caption_series(
    asked: AskedSeries,
    template: CaptionJob,
    folder: Path,
    dry_run: bool,
    quiet: bool,
    verbose: bool,
    json_output: bool,
) -> None:
    """Prepare and run a series, and say what came out.

    Raises:
        FailedTilesError: some tiles failed; the outputs are whole.
    """
    from rsccli.run.series.prepare import SeriesJob, prepare_series
    from rsccli.run.series.run import run_series

    job = SeriesJob(asked.images, folder, replace(template, output=folder), asked.pairs.value, asked.dates, asked.asset)
    series = prepare_series(job)
    if not quiet:
        for warning in series.warnings:
            print(f"rsccli: warning: {warning}", file=sys.stderr)
    if dry_run or verbose:
        _print_plan(series, json_output and dry_run, dry_run)
    if dry_run:
        return

    @contextmanager
    def progress(index: int, pair: SeriesPair, prepared: PreparedJob) -> Iterator[Progress]:
        from rsccli.cli.progress import announced

        with announced(f"pair {index + 1} of {len(series.pairs)}", pair.label, prepared, quiet) as shown:
            yield shown

    timeline = run_series(series, progress)
    _tell(timeline, folder, template.report, quiet)
    if json_output:
        from rsccli.output.timeline.document import timeline_json

        sys.stdout.write(timeline_json(timeline).decode())
    if timeline.failed:
        tiles = sum(pair.tiles for pair in timeline.pairs)
        raise FailedTilesError(
            f"{timeline.failed} of {tiles} tiles of all pairs failed (status read_error or model_error, with the "
            "reason in the feature); the outputs are whole"
        )


def _tell(timeline: Timeline, folder: Path, report: bool, quiet: bool) -> None:
    if quiet:
        return
    for pair in timeline.pairs:
        counts = f"{pair.changed} of {pair.tiles} tiles changed, {pair.seasonal} of them seasonal"
        print(f"rsccli: {pair.pair.label}: {counts}", file=sys.stderr)
    print(f"rsccli: timeline: {folder / 'timeline.geojson'}", file=sys.stderr)
    if report:
        print(f"rsccli: report: {folder / 'timeline.html'}", file=sys.stderr)


def _print_plan(series: PreparedSeries, as_json: bool, to_stdout: bool) -> None:
    from rsccli.geo.grid import grid_gsd_m
    from rsccli.output.timeline.facts import pair_json

    stream = sys.stdout if to_stdout else sys.stderr
    grid = series.grid
    if as_json:
        import orjson

        plan = {
            "images": [
                {"path": image.info.path, "date": image.moment.iso, "dated_by": image.dated_by}
                for image in series.images
            ],
            "pairs": [pair_json(pair) for pair in series.pairs],
            "grid_crs": grid.crs,
            "grid_size_px": [grid.width, grid.height],
            "gsd_m": round(grid_gsd_m(grid), 4),
            "model": series.info.name,
            "model_revision": series.info.revision,
            "batch_size": series.batch_size,
            "warnings": list(series.warnings),
        }
        print(orjson.dumps(plan, option=orjson.OPT_INDENT_2).decode(), file=stream)
        return
    for image in series.images:
        print(f"{image.moment.iso:20} {image.info.path} (dated by {image.dated_by})", file=stream)
    print(f"{'grid':20} {grid.crs[:60]}, {grid.width}x{grid.height} px of {grid_gsd_m(grid):.3g} m", file=stream)
    for pair in series.pairs:
        print(f"{pair.kind:20} {pair.label} ({pair.interval})", file=stream)

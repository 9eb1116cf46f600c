"""``rsccli merge``: the shards of a run become its map, its mask and its report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsccli.cli import options as flags
from rsccli.cli.summary_model import SummaryModelOption, tell_phrasing
from rsccli.errors import FailedTilesError

if TYPE_CHECKING:
    from rsccli.run.shard.merge import Merged


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("merge")(merge)


def merge(
    shards: Annotated[
        list[Path],
        typer.Argument(
            metavar="SHARDS...",
            help="Files that rsccli caption --shard left, or folders of them (OUT.shards).",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            envvar="RSCCLI_OUTPUT",
            metavar="FILE",
            show_envvar=False,
            help="Where to write; the suffix picks the format, as for rsccli caption.",
        ),
    ],
    allow_missing: Annotated[
        bool,
        typer.Option(
            "--allow-missing",
            envvar="RSCCLI_ALLOW_MISSING",
            help="Merge what is there; tiles of shards that are not are marked, in the map and in the report (exit 5).",
            show_envvar=False,
        ),
    ] = False,
    mask: Annotated[
        Path | None,
        typer.Option(
            "--mask",
            envvar="RSCCLI_MASK",
            metavar="FILE.tif",
            help="Write the mask of a run whose shards were made with --mask.",
            show_envvar=False,
        ),
    ] = None,
    report: flags.Report = True,
    summary_model: SummaryModelOption = None,
    basemap: flags.Basemap = None,
    overwrite: flags.Overwrite = False,
    config: flags.Config = None,
    quiet: flags.Quiet = False,
    json_output: flags.JsonOutput = False,
) -> None:
    """Put the shards of a run together.

    All shards must be there, whole, and of one run: the same inputs, model and options. The files are what one run
    without shards writes, byte for byte; neither the model nor the inputs are needed, but for the report's pictures.

    \b
    Examples:
      rsccli caption pre.tif post.tif -o out.geojson --shard 1/2
      rsccli caption pre.tif post.tif -o out.geojson --shard 2/2
      rsccli merge out.geojson.shards -o out.geojson
      rsccli merge out.geojson.shards -o out.geojson --allow-missing
    """
    from rsccli.output.report.basemap import parse_basemap
    from rsccli.run.phrase import summary_model as chosen_model
    from rsccli.run.shard.merge import MergeJob
    from rsccli.run.shard.merge import merge as merge_shards

    merged = merge_shards(
        MergeJob(
            shards=tuple(shards),
            output=output,
            mask=mask,
            report=report,
            basemap=parse_basemap(basemap),
            summary_model=chosen_model(summary_model),
            allow_missing=allow_missing,
            overwrite=overwrite,
        )
    )
    tell_phrasing(merged.summary.scene, quiet)
    if not quiet:
        _tell(merged, output, mask, report)
    if json_output:
        from rsccli.output.report import render_report

        sys.stdout.write(render_report("json", merged.summary, merged.facts).decode())
    _refuse_failed(merged)


def _tell(merged: Merged, output: Path, mask: Path | None, report: bool) -> None:
    from rsccli.output.paths import sidecar

    summary = merged.summary
    counts = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in summary.by_status if count)
    print(f"rsccli: {output}: {summary.tiles} tiles of {merged.shards} shards: {counts}", file=sys.stderr)
    if report:
        print(f"rsccli: report: {sidecar(output, '.report.html')}", file=sys.stderr)
    if merged.masks and mask is None:
        print("rsccli: the shards hold masks, too: --mask FILE.tif writes them", file=sys.stderr)


def _refuse_failed(merged: Merged) -> None:
    if merged.missing:
        names = ", ".join(map(str, merged.missing[:20])) + (" ..." if len(merged.missing) > 20 else "")
        raise FailedTilesError(
            f"{merged.missing_tiles} of {merged.summary.tiles} tiles are missing with the shards {names}: they are "
            "marked read_error, with the reason. Run these shards and merge again with --overwrite"
        )
    if merged.summary.failed_total:
        raise FailedTilesError(
            f"{merged.summary.failed_total} of {merged.summary.tiles} tiles failed (status read_error or model_error, "
            "with the reason in the feature); the output is whole"
        )

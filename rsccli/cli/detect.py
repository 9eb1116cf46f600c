"""``rsccli detect``: which pixels changed, as polygons with a class and an area, and as rasters."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from rsccli.cli import options as flags
from rsccli.cli import tilewise
from rsccli.cli.detected import print_found, print_json, print_plan
from rsccli.cli.options import EdgeChoice, RadiometryChoice
from rsccli.cli.pipes import reader_may_leave
from rsccli.errors import FailedTilesError

RESULT = "What is told"
#: Of a tile: neighbours share so much where nothing else is said.
_OVERLAP_SHARE = 0.25


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("detect")(detect)


def detect(
    pre: tilewise.Pre,
    post: tilewise.Post,
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
    overwrite: tilewise.Overwrite = False,
    resume: tilewise.Resume = True,
    model: tilewise.Model = "rsccli-small",
    device: tilewise.Device = "auto",
    provider_option: tilewise.ProviderOption = None,
    batch_size: tilewise.BatchSize = None,
    threads: tilewise.Threads = None,
    jobs: tilewise.Jobs = 2,
    bands: flags.Bands = None,
    pre_bands: flags.PreBands = None,
    post_bands: flags.PostBands = None,
    nodata: flags.Nodata = None,
    pre_nodata: flags.PreNodata = None,
    post_nodata: flags.PostNodata = None,
    pre_crs: flags.PreCrs = None,
    post_crs: flags.PostCrs = None,
    rpc_height: flags.RpcHeight = None,
    dst_crs: flags.DstCrs = None,
    res: flags.Res = None,
    like: flags.Like = None,
    bbox: flags.Bbox = None,
    aoi: flags.Aoi = None,
    tile_size: flags.TileSize = 256,
    overlap: flags.Overlap = None,
    stride: flags.Stride = None,
    edge: flags.EdgeRule = EdgeChoice.pad,
    radiometry: flags.RadiometryRule = RadiometryChoice.auto,
    coregister: flags.Coregister = False,
    allow_same: flags.AllowSame = False,
    allow_upsampling: flags.AllowUpsampling = False,
    allow_linked: flags.AllowLinked = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            envvar="RSCCLI_DRY_RUN",
            help="Print grid, tiles and expected memory; load no model, write nothing.",
            show_envvar=False,
        ),
    ] = False,
    cache_mb: flags.CacheMb = 48,
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
    from rsccli.models.captioner import CaptionerOptions
    from rsccli.models.providers import parse_provider_options
    from rsccli.run.caption import CaptionJob
    from rsccli.run.detect.job import DetectJob, prepare_detect
    from rsccli.run.detect.run import run_detect, stream_detect

    if overlap is None and stride is None:
        overlap = int(_OVERLAP_SHARE * tile_size)
    geometry = flags.pair_options(
        bands=bands,
        pre_bands=pre_bands,
        post_bands=post_bands,
        nodata=nodata,
        pre_nodata=pre_nodata,
        post_nodata=post_nodata,
        pre_crs=pre_crs,
        post_crs=post_crs,
        rpc_height=rpc_height,
        dst_crs=dst_crs,
        res=res,
        like=like,
        bbox=bbox,
        aoi=aoi,
        tile_size=tile_size,
        overlap=overlap,
        stride=stride,
        edge=edge,
        radiometry=radiometry,
        coregister=coregister,
        allow_same=allow_same,
        allow_upsampling=allow_upsampling,
        cache_mb=cache_mb,
    )
    job = DetectJob(
        CaptionJob(
            pre=pre,
            post=post,
            geometry=geometry,
            model=model,
            captioner=CaptionerOptions(
                device=device,
                provider_options=tuple(sorted(parse_provider_options(provider_option or []).items())),
                threads=threads,
            ),
            batch_size=flags.parse_batch_size(batch_size),
            min_valid=0.0,
            jobs=jobs,
            report=False,
        ),
        output=None if output == "-" else Path(output),
        mask=mask,
        score=score,
        threshold=threshold,
        classes=parse_classes(classes),
        min_area_m2=min_area,
        simplify_px=simplify,
        judge_anyway=judge_anyway,
        overwrite=overwrite,
        resume=resume,
    )
    prepared = prepare_detect(job)
    if not quiet:
        for warning in prepared.base.facts.warnings:
            print(f"rsccli: warning: {warning}", file=sys.stderr)
    if dry_run:
        print_plan(prepared, json_output)
        return
    if verbose:
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

"""``rsccli caption``: describe what changed between two images, tile by tile."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from rsccli.cli import options as flags
from rsccli.cli.options import CountRule, CountsChoice, EdgeChoice, RadiometryChoice
from rsccli.cli.pipes import reader_may_leave
from rsccli.errors import FailedTilesError

if TYPE_CHECKING:
    from rsccli.output.summary import Summary
    from rsccli.run.caption import PreparedJob

ASKING = "What a large model is asked"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("caption")(caption)


def caption(
    pre: Annotated[str, typer.Argument(metavar="PRE", help="Image before: a GeoTIFF, or anything that GDAL opens.")],
    post: Annotated[str, typer.Argument(metavar="POST", help="Image after. https:// and s3:// work too.")],
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
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", envvar="RSCCLI_OVERWRITE", help="Replace the output.", show_envvar=False),
    ] = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume/--no-resume",
            envvar="RSCCLI_RESUME",
            help="Go on from the journal of a run that was cut, or start afresh.",
            show_envvar=False,
        ),
    ] = True,
    model: Annotated[
        str,
        typer.Option(
            "-m",
            "--model",
            envvar="RSCCLI_MODEL",
            metavar="NAME|DIR",
            help="Captioner: a name from `rsccli models`, or the folder of a bundle (rsccli export-onnx).",
            show_envvar=False,
        ),
    ] = "rsccli-small",
    device: Annotated[
        str,
        typer.Option(
            "--device",
            envvar="RSCCLI_DEVICE",
            metavar="auto|cpu|cuda[:i,..|:all]|tensorrt",
            help="Where the model runs. cuda is an error where it would fall back to the CPU; cuda:0,1 or cuda:all "
            "runs one model on each GPU.",
            show_envvar=False,
        ),
    ] = "auto",
    dtype: Annotated[
        str,
        typer.Option(
            "--dtype", envvar="RSCCLI_DTYPE", help="What the bundle must hold; auto takes any.", show_envvar=False
        ),
    ] = "auto",
    decoder: Annotated[
        str,
        typer.Option(
            "--decoder",
            envvar="RSCCLI_DECODER",
            metavar="auto|lean|optimum",
            help="lean: greedy or sampling, onnxruntime alone. optimum: beam search; loads torch. auto: as needed.",
            show_envvar=False,
        ),
    ] = "auto",
    backend: Annotated[
        str,
        typer.Option(
            "--backend",
            envvar="RSCCLI_BACKEND",
            metavar="onnx|torch",
            help="onnx: a bundle. torch: -m is the folder of a checkpoint, run through transformers as it is.",
            show_envvar=False,
        ),
    ] = "onnx",
    provider_option: Annotated[
        list[str] | None,
        typer.Option(
            "--provider-option",
            envvar="RSCCLI_PROVIDER_OPTION",
            metavar="NAME=VALUE",
            help="For ONNX Runtime's execution provider, e.g. gpu_mem_limit=8000000000. May be repeated.",
            show_envvar=False,
        ),
    ] = None,
    num_beams: Annotated[
        int,
        typer.Option("--num-beams", envvar="RSCCLI_NUM_BEAMS", help="Beams; 1 is greedy.", show_envvar=False),
    ] = 1,
    temperature: Annotated[
        float,
        typer.Option(
            "--temperature",
            envvar="RSCCLI_TEMPERATURE",
            help="Above 0 tokens are drawn; 0 takes the best one always.",
            show_envvar=False,
        ),
    ] = 0.0,
    top_p: Annotated[
        float,
        typer.Option(
            "--top-p",
            envvar="RSCCLI_TOP_P",
            help="Draw from the most probable tokens that together have this share.",
            show_envvar=False,
        ),
    ] = 1.0,
    seed: Annotated[
        int,
        typer.Option(
            "--seed", envvar="RSCCLI_SEED", help="Of the draws: the same seed, the same captions.", show_envvar=False
        ),
    ] = 0,
    repetition_guard: Annotated[
        bool,
        typer.Option(
            "--repetition-guard/--no-repetition-guard",
            envvar="RSCCLI_REPETITION_GUARD",
            help="End a caption that repeats itself, and say so in the feature.",
            show_envvar=False,
        ),
    ] = True,
    prompt: Annotated[
        str,
        typer.Option(
            "--prompt",
            envvar="RSCCLI_PROMPT",
            metavar="auto|naive|textual|visual|FILE",
            help="What a large model is asked. A file may hold {disaster} {counts} {pre_date} {post_date} {place} "
            "{gsd}.",
            rich_help_panel=ASKING,
            show_envvar=False,
        ),
    ] = "auto",
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels",
            envvar="RSCCLI_LABELS",
            metavar="FILE",
            help="Buildings with levels of damage (GeoJSON, GeoPackage, xBD's JSON ...), counted for the prompt.",
            rich_help_panel=ASKING,
            show_envvar=False,
        ),
    ] = None,
    labels_field: Annotated[
        str | None,
        typer.Option(
            "--labels-field",
            envvar="RSCCLI_LABELS_FIELD",
            help="Column with the level. Default: subtype or damage.",
            rich_help_panel=ASKING,
            show_envvar=False,
        ),
    ] = None,
    count_rule: Annotated[
        CountRule,
        typer.Option(
            "--count-rule",
            envvar="RSCCLI_COUNT_RULE",
            help="A building counts in the tile of its centroid, or in every tile that it touches.",
            rich_help_panel=ASKING,
            show_envvar=False,
        ),
    ] = CountRule.centroid,
    counts_from: Annotated[
        CountsChoice,
        typer.Option(
            "--counts-from",
            envvar="RSCCLI_COUNTS_FROM",
            help="Counts of the textual and visual prompts: labels, or the bundled captioner's mask.",
            rich_help_panel=ASKING,
            show_envvar=False,
        ),
    ] = CountsChoice.auto,
    disaster: Annotated[
        str | None,
        typer.Option(
            "--disaster",
            envvar="RSCCLI_DISASTER",
            metavar="TYPE",
            help="Type of disaster for the prompt, e.g. wildfire.",
            rich_help_panel=ASKING,
            show_envvar=False,
        ),
    ] = None,
    place: Annotated[
        str | None,
        typer.Option(
            "--place",
            envvar="RSCCLI_PLACE",
            help="Name of the place for the prompt. Default: each tile's coordinates.",
            rich_help_panel=ASKING,
            show_envvar=False,
        ),
    ] = None,
    skip_unchanged: Annotated[
        bool,
        typer.Option(
            "--skip-unchanged",
            envvar="RSCCLI_SKIP_UNCHANGED",
            help="Do not let a large model caption what the bundled captioner calls unchanged; each such tile is still "
            "a feature.",
            rich_help_panel=ASKING,
            show_envvar=False,
        ),
    ] = False,
    words: Annotated[
        str,
        typer.Option(
            "--words",
            envvar="RSCCLI_WORDS",
            metavar="auto|decoder|grammar",
            help="Who words a caption, where the model has both. auto: what its bundle says.",
            show_envvar=False,
        ),
    ] = "auto",
    register: Annotated[
        str,
        typer.Option(
            "--register",
            envvar="RSCCLI_REGISTER",
            metavar="short|news",
            help="short: plain clauses, left and right. news: fuller sentences, compass directions.",
            show_envvar=False,
        ),
    ] = "short",
    max_new_tokens: Annotated[
        int | None,
        typer.Option(
            "--max-new-tokens",
            envvar="RSCCLI_MAX_NEW_TOKENS",
            help="Longest caption. Default: what the model says.",
            show_envvar=False,
        ),
    ] = None,
    batch_size: Annotated[
        str | None,
        typer.Option(
            "--batch-size",
            envvar="RSCCLI_BATCH_SIZE",
            metavar="N|auto",
            help="Tiles that the model sees at once; auto: what fits into memory. Default: what the model likes.",
            show_envvar=False,
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads",
            envvar="RSCCLI_THREADS",
            help="Threads of the model. Default: the cores that this process may use.",
            show_envvar=False,
        ),
    ] = None,
    jobs: Annotated[
        int, typer.Option("-j", "--jobs", envvar="RSCCLI_JOBS", help="Reader threads.", show_envvar=False)
    ] = 2,
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
    min_valid: Annotated[
        float,
        typer.Option(
            "--min-valid",
            envvar="RSCCLI_MIN_VALID",
            help="Tiles with a smaller share of valid pixels are skipped (and say so).",
            show_envvar=False,
        ),
    ] = 0.1,
    radiometry: flags.RadiometryRule = RadiometryChoice.auto,
    coregister: flags.Coregister = False,
    allow_same: flags.AllowSame = False,
    allow_upsampling: flags.AllowUpsampling = False,
    report: Annotated[
        bool,
        typer.Option(
            "--report/--no-report",
            envvar="RSCCLI_REPORT",
            help="Write the report (.html, .md, .json) and the QGIS style beside the output.",
            show_envvar=False,
        ),
    ] = True,
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
    """Describe in words what changed between two images, tile by tile, as a map and a report.

    A normal pair needs no option. The common grid is pre's own over the area that both images cover.
    Kill it and run the same command again: it goes on where it was.

    \b
    Examples:
      rsccli caption pre.tif post.tif -o out.geojson
      rsccli caption pre.tif post.tif -o out.gpkg --bands 3,2,1 --coregister
      rsccli caption pre.tif post.tif -o out.geojson --aoi town.geojson --tile-size 512
      rsccli caption pre.tif post.tif -o - --quiet | jq -r .properties.caption
      rsccli caption pre.tif post.tif -o out.geojson -m BUNDLE --skip-unchanged --batch-size auto
      rsccli caption pre.tif post.tif -o out.geojson -m BUNDLE --prompt textual --labels damage.geojson
      rsccli caption https://host/pre.tif s3://bucket/post.tif -o out.fgb --dry-run
    """
    from rsccli.models.captioner import CaptionerOptions
    from rsccli.models.providers import parse_provider_options
    from rsccli.run.caption import CaptionJob, failed_tiles, prepare_job, run_caption, stream_caption
    from rsccli.run.captioners import AskingOptions

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
    job = CaptionJob(
        pre=pre,
        post=post,
        output=None if output == "-" else Path(output),
        geometry=geometry,
        model=model,
        captioner=CaptionerOptions(
            device=device,
            dtype=dtype,
            backend=backend,  # type: ignore[arg-type]
            decoder=decoder,  # type: ignore[arg-type]
            num_beams=num_beams,
            temperature=temperature,
            top_p=top_p,
            seed=seed,
            repetition_guard=repetition_guard,
            prompt=prompt,
            provider_options=tuple(sorted(parse_provider_options(provider_option or []).items())),
            max_new_tokens=max_new_tokens,
            words=words,  # type: ignore[arg-type]
            register=register,  # type: ignore[arg-type]
            threads=threads,
        ),
        asking=AskingOptions(
            labels=labels,
            labels_field=labels_field,
            count_rule=count_rule.value,
            counts_from=counts_from.value,
            disaster=disaster,
            place=place,
            skip_unchanged=skip_unchanged,
        ),
        batch_size=flags.parse_batch_size(batch_size),
        min_valid=min_valid,
        jobs=jobs,
        overwrite=overwrite,
        resume=resume,
        report=report,
    )
    prepared = prepare_job(job)
    if not quiet:
        for warning in prepared.facts.warnings:
            print(f"rsccli: warning: {warning}", file=sys.stderr)
    if dry_run:
        _print_plan(prepared, json_output)
        return
    if verbose:
        _print_plan(prepared, False, to=sys.stderr)
    from rsccli.cli.progress import TileProgress

    with TileProgress(len(prepared.pair.plan), quiet) as progress:
        if job.output is None:
            with reader_may_leave():
                counts = stream_caption(prepared, sys.stdout.buffer, progress)
            failed = counts.get("read_error", 0) + counts.get("model_error", 0)
        else:
            summary = run_caption(prepared, progress)
            failed = failed_tiles(summary)
    if job.output is not None:
        _print_summary(job.output, summary, report, quiet)
        if json_output:
            from rsccli.output.report import render_report

            sys.stdout.write(render_report("json", summary, prepared.facts).decode())
    if failed:
        raise FailedTilesError(
            f"{failed} of {len(prepared.pair.plan)} tiles failed (status read_error or model_error, with the reason in "
            "the feature); the output is whole"
        )


def _print_plan(prepared: PreparedJob, as_json: bool, to: TextIO | None = None) -> None:
    from rsccli.run.estimate import estimate

    plan = estimate(prepared)
    stream = to or sys.stdout
    if as_json:
        import orjson

        print(orjson.dumps(plan, option=orjson.OPT_INDENT_2).decode(), file=stream)
        return
    for key, value in plan.items():
        text = ", ".join(map(str, value)) if isinstance(value, list) else value
        print(f"{key.replace('_', ' '):24} {text}", file=stream)


def _print_summary(output: Path, summary: Summary, report: bool, quiet: bool) -> None:
    from rsccli.output.paths import sidecar

    if quiet:
        return
    counts = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in summary.by_status if count)
    print(f"rsccli: {output}: {summary.tiles} tiles: {counts}", file=sys.stderr)
    if report:
        print(f"rsccli: report: {sidecar(output, '.report.html')}", file=sys.stderr)

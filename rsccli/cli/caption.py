"""``rsccli caption``: describe what changed between two images, tile by tile."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from rsccli.cli import manifest as manifest_options
from rsccli.cli import model_options, tilewise
from rsccli.cli import observe as observe_options
from rsccli.cli import options as flags
from rsccli.cli import series as series_options
from rsccli.cli import shard as shard_options
from rsccli.cli import workers as worker_options
from rsccli.cli.flag_groups import with_group
from rsccli.cli.options import CountRule, CountsChoice
from rsccli.cli.pipes import reader_may_leave
from rsccli.cli.summary_model import SummaryModelOption, tell_phrasing
from rsccli.errors import FailedTilesError, UsageProblem

if TYPE_CHECKING:
    from rsccli.geo.pair import PairOptions
    from rsccli.output.summary import Summary
    from rsccli.run.caption import PreparedJob

ASKING = "What a large model is asked"


def caption(
    *,
    images: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PRE POST...",
            help="Image before and image after: GeoTIFF, JPEG 2000, VRT, ...; https:// and s3:// work too. "
            "Three or more, a folder of them, or a STAC item collection are a time series.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            envvar="RSCCLI_OUTPUT",
            metavar="FILE",
            show_envvar=False,
            help="Where to write; the suffix picks the format: .geojson .geojsonl .geojsons .gpkg .fgb .parquet .csv. "
            "- streams GeoJSONSeq to stdout. A series writes a folder.",
        ),
    ] = None,
    overwrite: flags.Overwrite = False,
    resume: tilewise.Resume = True,
    model: model_options.Model = "rsccli-small",
    device: model_options.Devices = "auto",
    dtype: model_options.Dtype = "auto",
    decoder: model_options.Decoder = "auto",
    backend: model_options.Backend = "onnx",
    provider_option: model_options.ProviderOption = None,
    num_beams: model_options.NumBeams = 1,
    temperature: model_options.Temperature = 0.0,
    top_p: model_options.TopP = 1.0,
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
    words: model_options.Words = "auto",
    register: model_options.Register = "short",
    max_new_tokens: model_options.MaxNewTokens = None,
    batch_size: model_options.BatchSize = None,
    threads: model_options.Threads = None,
    jobs: tilewise.Jobs = 2,
    geometry: PairOptions,
    min_valid: tilewise.MinValid = 0.1,
    report: flags.Report = True,
    mask: Annotated[
        Path | None,
        typer.Option(
            "--mask",
            envvar="RSCCLI_MASK",
            metavar="FILE.tif",
            help="Write what kind of change each pixel shows, from the same run, as a cloud-optimised GeoTIFF; a "
            "caption that names what its pixels do not show says so in its reason.",
            show_envvar=False,
        ),
    ] = None,
    summary_model: SummaryModelOption = None,
    pairs: series_options.Pairs = None,
    dates: series_options.Dates = None,
    asset: series_options.Asset = None,
    shard: shard_options.ShardOption = None,
    manifest: manifest_options.Manifest = None,
    summary_file: manifest_options.SummaryFile = None,
    scheduler: worker_options.SchedulerOption = None,
    scheduler_option: worker_options.JobOptions = None,
    log_json: observe_options.LogJson = None,
    metrics: observe_options.Metrics = False,
    metrics_textfile: observe_options.MetricsTextfile = None,
    basemap: flags.Basemap = None,
    dry_run: tilewise.DryRun = False,
    config: flags.Config = None,
    quiet: flags.Quiet = False,
    verbose: flags.Verbose = False,
    json_output: flags.JsonOutput = False,
) -> None:
    """Describe in words what changed between two images, tile by tile, as a map and a report.

    A normal pair needs no option. The common grid is pre's own over the area that both images cover.
    Kill it and run the same command again: it goes on where it was.

    Three images or more are a time series: they are put in the order of their dates, compared pair by pair on one grid,
    and written into a folder with a timeline.

    \b
    Examples:
      rsccli caption pre.tif post.tif -o out.geojson
      rsccli caption pre.tif post.tif -o out.gpkg --bands 3,2,1 --coregister
      rsccli caption pre.tif post.tif -o out.geojson --shard 3/8
      rsccli caption pre.tif post.tif -o out.geojson --aoi town.geojson --tile-size 512
      rsccli caption pre.tif post.tif -o - --quiet | jq -r .properties.caption
      rsccli caption pre.tif post.tif -o out.geojson -m BUNDLE --skip-unchanged --batch-size auto
      rsccli caption pre.tif post.tif -o out.geojson -m BUNDLE --prompt textual --labels damage.geojson
      rsccli caption https://host/pre.tif s3://bucket/post.tif -o out.fgb --dry-run
      rsccli caption 2009.tif 2010.tif 2012.tif 2014.tif -o series
      rsccli caption folder/ -o series --pairs all
      rsccli caption items.json -o series --asset visual
      rsccli caption --manifest scenes.csv
      rsccli caption pre.tif post.tif -o out.geojson --scheduler local:4
    """
    images, output = manifest_options.asked_output(images, output, manifest, summary_file)
    series = None if manifest is not None else series_options.asked_series(images, pairs, dates, asset)
    from rsccli.models.captioner import CaptionerOptions
    from rsccli.models.providers import parse_provider_options
    from rsccli.output.report.basemap import parse_basemap
    from rsccli.run.caption import CaptionJob, failed_tiles, prepare_job, run_caption, stream_caption
    from rsccli.run.captioners import AskingOptions
    from rsccli.run.phrase import summary_model as chosen_model

    observe = observe_options.observe("caption", log_json, metrics, metrics_textfile, scheduler)
    quiet = quiet or observe_options.stderr_is_log()
    job = CaptionJob(
        pre=images[0] if images else "",
        post=images[-1] if images else "",
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
        basemap=parse_basemap(basemap),
        summary_model=chosen_model(summary_model, device, threads),
        mask=mask,
        observe=observe,
    )
    worker_options.refuse_options_alone(scheduler, scheduler_option, shard)
    if series is not None:
        if scheduler is not None:
            raise UsageProblem("--scheduler is of a pair or a manifest, not of a series: list its pairs in a manifest")
        if shard is not None:
            raise UsageProblem("--shard is of one pair, not of a series: run its pairs one by one, each in shards")
        if mask is not None:
            raise UsageProblem("--mask is of one pair, not of a series: run its pairs one by one, or rsccli detect")
        series_options.refuse_sides(geometry)
        series_options.caption_series(series, job, Path(output), dry_run, quiet, verbose, json_output)
        return
    if manifest is not None:
        series_options.refuse_for_pair(pairs, dates, asset)
        manifest_options.caption_manifest(
            manifest, job, output, summary_file, shard, dry_run, quiet, json_output, scheduler, scheduler_option
        )
        return
    if scheduler is not None and not dry_run:
        worker_options.caption_on_scheduler(scheduler, scheduler_option, job, quiet, json_output)
        return
    if shard is not None:
        shard_options.caption_shard(shard, job, dry_run, quiet, json_output)
        return
    prepared = prepare_job(job)
    if not quiet:
        for warning in prepared.facts.warnings:
            print(f"rsccli: warning: {warning}", file=sys.stderr)
    if dry_run:
        _print_plan(prepared, json_output)
        return
    if verbose and not observe_options.stderr_is_log():
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
        tell_phrasing(summary.scene, quiet)
        _print_summary(job.output, summary, report, quiet)
        if json_output:
            from rsccli.output.report import render_report

            sys.stdout.write(render_report("json", summary, prepared.facts).decode())
    if failed:
        raise FailedTilesError(
            f"{failed} of {len(prepared.pair.plan)} tiles failed (status read_error or model_error, with the reason in "
            "the feature); the output is whole"
        )


#: The command, with the flags of a pair.
COMMAND = with_group(caption, "geometry", flags.pair_options)


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("caption")(COMMAND)


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

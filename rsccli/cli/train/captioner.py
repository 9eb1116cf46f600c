"""``rsccli train captioner``: trains the small captioner on generated changes, and makes a bundle of it."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from rsccli.cli.options import Config
from rsccli.cli.train.options import (
    RESULT,
    SCHEDULE,
    Data,
    Device,
    DeviceChoice,
    Output,
    Plot,
    Precision,
    PrecisionChoice,
    Seed,
)
from rsccli.errors import UsageProblem


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command("captioner")(captioner)


def captioner(
    data: Data,
    output: Output,
    minutes: Annotated[
        float | None,
        typer.Option(
            envvar="RSCCLI_MINUTES", min=0.1, help="Length of the schedule by the clock.", rich_help_panel=SCHEDULE
        ),
    ] = None,
    pairs: Annotated[
        int | None,
        typer.Option(
            envvar="RSCCLI_PAIRS",
            min=1,
            help="Length of the schedule in generated pairs: the same weights on every undisturbed run of one machine.",
            rich_help_panel=SCHEDULE,
        ),
    ] = None,
    seed: Seed = 1,
    batch_size: Annotated[
        int,
        typer.Option(
            envvar="RSCCLI_TRAIN_BATCH_SIZE", min=2, help="Pairs of 128 px in a step.", rich_help_panel=SCHEDULE
        ),
    ] = 24,
    rate: Annotated[
        float, typer.Option(envvar="RSCCLI_RATE", min=1e-6, help="Highest learning rate.", rich_help_panel=SCHEDULE)
    ] = 1.5e-3,
    checkpoint_minutes: Annotated[
        float,
        typer.Option(
            envvar="RSCCLI_CHECKPOINT_MINUTES",
            min=0.1,
            help="Minutes from one checkpoint to the next.",
            rich_help_panel=SCHEDULE,
        ),
    ] = 5.0,
    development_pairs: Annotated[
        int,
        typer.Option(
            envvar="RSCCLI_DEVELOPMENT_PAIRS",
            min=20,
            help="Generated pairs on held-out places, beside the real ones, that checkpoints are chosen by.",
            rich_help_panel=SCHEDULE,
        ),
    ] = 240,
    start: Annotated[
        Path | None,
        typer.Option(
            envvar="RSCCLI_START",
            metavar="WEIGHTS.pt",
            help="Begin with the network of this checkpoint or of a bundle's weights.pt, not with a random one.",
            show_default=False,
            rich_help_panel=SCHEDULE,
        ),
    ] = None,
    real_share: Annotated[
        float,
        typer.Option(
            envvar="RSCCLI_REAL_SHARE",
            min=0.0,
            max=1.0,
            help="Share of the pairs that are cut around real change marked by eye.",
            rich_help_panel=SCHEDULE,
        ),
    ] = 0.4,
    polish_steps: Annotated[
        int,
        typer.Option(
            envvar="RSCCLI_POLISH_STEPS",
            min=0,
            help="With --export: steps in which the decoder alone learns to say the facts that it is told.",
            rich_help_panel=SCHEDULE,
        ),
    ] = 1200,
    threads: Annotated[
        int, typer.Option(envvar="RSCCLI_THREADS", min=1, help="Threads of the network.", rich_help_panel=SCHEDULE)
    ] = 1,
    workers: Annotated[
        int,
        typer.Option(
            envvar="RSCCLI_WORKERS",
            min=0,
            help="Processes that generate pairs; 0: none beside this one.",
            rich_help_panel=SCHEDULE,
        ),
    ] = 1,
    export: Annotated[
        Path | None,
        typer.Option(
            envvar="RSCCLI_EXPORT",
            metavar="BUNDLE_DIR",
            help="When the schedule is done: calibrate the best checkpoint and write it as a bundle.",
            show_default=False,
            rich_help_panel=RESULT,
        ),
    ] = None,
    export_int8: Annotated[
        Path | None,
        typer.Option(
            "--export-int8",
            envvar="RSCCLI_EXPORT_INT8",
            metavar="BUNDLE_DIR",
            help="With --export: also write the bundle with 8-bit weights.",
            show_default=False,
            rich_help_panel=RESULT,
        ),
    ] = None,
    words: Annotated[
        str,
        typer.Option(
            envvar="RSCCLI_WORDS",
            metavar="decoder|grammar",
            help="Who words captions by default in the bundle.",
            rich_help_panel=RESULT,
        ),
    ] = "decoder",
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", envvar="RSCCLI_OVERWRITE", help="Replace BUNDLE_DIR if it exists.", rich_help_panel=RESULT
        ),
    ] = False,
    plot: Plot = None,
    device: Device = DeviceChoice.auto,
    precision: Precision = PrecisionChoice.auto,
    config: Config = None,
) -> None:
    """Train the small captioner on changes drawn over real image pairs.

    Pairs are generated from --seed, every one once. Checkpoints are chosen by real pairs of places that are
    held out, and so are the thresholds of the bundle. Stopped or killed, the same command goes on from the last
    checkpoint; after the schedule it only exports.

    Examples:

    \b
      rsccli train captioner --data ../shared/data -o runs/a --minutes 60            # train
      rsccli train captioner --data ../shared/data -o runs/a --minutes 60 --export runs/a/bundle
      rsccli train captioner --config captioner.toml                                 # all settings from a file
      rsccli caption pre.tif post.tif -o out.geojson -m runs/a/bundle                # use it
    """
    if (minutes is None) == (pairs is None):
        raise UsageProblem("the schedule needs one of --minutes and --pairs; add for example --minutes 60")
    if export is not None and export.exists() and not overwrite:
        raise UsageProblem(f"{export} exists already; add --overwrite, or name another folder with --export")
    if export_int8 is not None and export is None:
        raise UsageProblem("--export-int8 is made from the bundle that --export writes; add --export BUNDLE_DIR")
    if words not in ("decoder", "grammar"):
        raise UsageProblem(f"--words {words!r} is unknown; choose decoder or grammar")
    if plot is not None and plot.suffix.lower() != ".svg":
        raise UsageProblem(f"--plot {plot}: curves are drawn as SVG; name a file that ends in .svg")
    # torch takes seconds to import: not before the options are known to be good.
    from rsccli.training.bundle import export_run
    from rsccli.training.curves import LOG, draw_curves
    from rsccli.training.loop import Trainer, TrainSpec, best_checkpoint, say_on_stderr
    from rsccli.training.recipe import Recipe, option_names, write_recipe

    spec = TrainSpec(
        data=data,
        output=output,
        minutes=minutes,
        pairs=pairs,
        seed=seed,
        batch_size=batch_size,
        rate=rate,
        checkpoint_minutes=checkpoint_minutes,
        threads=threads,
        workers=workers,
        development_pairs=development_pairs,
        start=start,
        real_share=real_share,
        device=device.value,
        precision=precision.value,
    )
    trainer = Trainer(spec)
    settings = {**asdict(spec), "polish-steps": polish_steps, "words": words, "export": export}
    write_recipe(output, Recipe("captioner", (), option_names(settings), {}))
    try:
        trainer.run()
    finally:
        # A run that was stopped has curves too.
        if (output / LOG).is_file():
            draw_curves(output / LOG, plot or output / "curves.svg")
    if export is None:
        typer.echo(str(best_checkpoint(output)))
        return
    done = export_run(
        data,
        output,
        export,
        development_pairs=development_pairs,
        polish_steps=polish_steps,
        words=words,
        overwrite=overwrite,
        say=say_on_stderr,
    )
    if export_int8 is not None:
        from rsccli.training.int8 import quantise_bundle

        quantise_bundle(export, export_int8, data, seed=seed, overwrite=overwrite)
    print(f"exported {done.checkpoint}: {done.development.as_dict()}", file=sys.stderr)
    typer.echo(str(done.folder))

"""``rsccli train finetune``: adapts the small captioner to a user's labelled pairs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsccli.cli.options import Config, JsonOutput
from rsccli.cli.train.options import MACHINE, RESULT, SCHEDULE, Device, DeviceChoice, Output, Seed

if TYPE_CHECKING:
    from rsccli.training.finetune import Gain

PAIRS = "Pairs"
_ROWS = {
    "auc": "AUC, changed against unchanged",
    "auc_vectors": "  the same by change vectors alone",
    "accuracy": "accuracy at the threshold",
    "balanced": "  mean of both classes",
    "keyword_precision": "keyword precision",
    "keyword_recall": "keyword recall",
    "mask_iou": "mask IoU",
    "foreign": "called foreign (lower is better)",
}


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command("finetune")(finetune)


def finetune(
    pairs: Annotated[
        Path,
        typer.Argument(metavar="PAIRS", help="Labelled pairs: .jsonl, .json, .csv or .geojson.", show_default=False),
    ],
    output: Output,
    start: Annotated[
        Path | None,
        typer.Option(
            "--from",
            envvar="RSCCLI_FROM",
            metavar="CHECKPOINT",
            help="Checkpoint or bundle folder to start from. Default: the bundled captioner.",
            show_default=False,
            rich_help_panel=SCHEDULE,
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            envvar="RSCCLI_DATA",
            help="Imagery that generated pairs are drawn over; mixed in, they keep what the captioner knows.",
            show_default=False,
            rich_help_panel=SCHEDULE,
        ),
    ] = None,
    held_out: Annotated[
        float,
        typer.Option(
            envvar="RSCCLI_HELD_OUT",
            min=0.01,
            max=0.9,
            help="Share of the pairs, by whole places, that is only measured.",
            rich_help_panel=PAIRS,
        ),
    ] = 0.3,
    validation: Annotated[
        float,
        typer.Option(
            envvar="RSCCLI_VALIDATION",
            min=0.01,
            max=0.9,
            help="Share of the others that stops the training and sets thresholds.",
            rich_help_panel=PAIRS,
        ),
    ] = 0.25,
    place_km: Annotated[
        float,
        typer.Option(
            envvar="RSCCLI_PLACE_KM",
            min=0.01,
            help="Side of a place, for records that name none.",
            rich_help_panel=PAIRS,
        ),
    ] = 2.0,
    gsd: Annotated[
        float,
        typer.Option(
            envvar="RSCCLI_GSD",
            min=0.01,
            help="Metres per pixel of images without a georeference.",
            rich_help_panel=PAIRS,
        ),
    ] = 0.6,
    epochs: Annotated[
        int,
        typer.Option(envvar="RSCCLI_EPOCHS", min=1, help="Most passes over the pairs.", rich_help_panel=SCHEDULE),
    ] = 12,
    patience: Annotated[
        int,
        typer.Option(
            envvar="RSCCLI_PATIENCE",
            min=1,
            help="Stop after so many passes without progress on validation places.",
            rich_help_panel=SCHEDULE,
        ),
    ] = 3,
    batch_size: Annotated[
        int, typer.Option(envvar="RSCCLI_TRAIN_BATCH_SIZE", min=1, help="Pairs in a step.", rich_help_panel=SCHEDULE)
    ] = 8,
    rate: Annotated[
        float, typer.Option(envvar="RSCCLI_RATE", min=1e-7, help="Highest learning rate.", rich_help_panel=SCHEDULE)
    ] = 3e-4,
    seed: Seed = 1,
    threads: Annotated[
        int, typer.Option(envvar="RSCCLI_THREADS", min=1, help="Threads of the network.", rich_help_panel=MACHINE)
    ] = 1,
    device: Device = DeviceChoice.auto,
    bundle: Annotated[
        bool,
        typer.Option(
            "--bundle/--no-bundle",
            envvar="RSCCLI_BUNDLE",
            help="Write the adapted captioner as a bundle, DIR/bundle.",
            rich_help_panel=RESULT,
        ),
    ] = True,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", envvar="RSCCLI_OVERWRITE", help="Replace DIR/bundle if it exists.", rich_help_panel=RESULT
        ),
    ] = False,
    as_json: JsonOutput = False,
    config: Config = None,
) -> None:
    """Adapt the small captioner to your own labelled pairs.

    A record has pre, post, and one or more of caption, status (changed or unchanged), keywords, polygons. Whole
    places are held out; what was gained is measured there, before and after, never on pairs that were learned
    from. Stopped or killed, the same command goes on from the last epoch.

    Examples:

    \b
      rsccli train finetune pairs.jsonl -o runs/mine
      rsccli train finetune pairs.csv -o runs/mine --data ../shared/data      # forgets less
      rsccli caption pre.tif post.tif -o out.geojson -m runs/mine/bundle      # use it
    """
    # torch takes seconds to import: not before the options are known to be good.
    from rsccli.training.finetune import FinetuneSpec
    from rsccli.training.finetune import finetune as adapt
    from rsccli.training.records import read_records

    spec = FinetuneSpec(
        output=output,
        start=start,
        data=data,
        held_out=held_out,
        validation=validation,
        epochs=epochs,
        patience=patience,
        batch_size=batch_size,
        rate=rate,
        seed=seed,
        threads=threads,
        device=device.value,
        gsd_m=gsd,
    )
    gain = adapt(read_records(pairs, place_km), spec, bundle=bundle, overwrite=overwrite)
    typer.echo(json.dumps(gain.as_dict()) if as_json else table(gain))


def table(gain: Gain) -> str:
    """What was gained, for people."""
    lines = []
    for name, title in (("training", "learned from"), ("validation", "thresholds"), ("held_out", "held out")):
        side = gain.sides[name]
        lines.append(
            f"{title + ':':<14}{side['pairs']} pairs of {side['places']} places "
            f"({side['changed']} changed, {side['unchanged']} unchanged)"
        )
    lines += [f"epochs:       {gain.epochs}, kept: {gain.best_epoch or 'none, the start was best'}", ""]
    lines.append(f"{'On held-out places':<36}{'before':>10}{'new limits':>12}{'after':>10}")
    columns = [figure.as_dict() for figure in (gain.before, gain.recalibrated, gain.after)]
    for name, title in _ROWS.items():
        values = ["-" if column[name] is None else f"{column[name]:.3f}" for column in columns]
        if set(values) != {"-"}:
            lines.append(f"{title:<36}{values[0]:>10}{values[1]:>12}{values[2]:>10}")
    lines += ["", *(f"note: {note}" for note in gain.notes)]
    if gain.bundle:
        lines.append(f"bundle: {gain.bundle}")
    return "\n".join(lines).rstrip()

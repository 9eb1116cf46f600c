"""``rsccli train lora``: adapts a large checkpoint to labelled pairs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from rsccli.cli.options import Config, JsonOutput, Quiet
from rsccli.cli.train.options import MACHINE, RESULT, SCHEDULE, Device, DeviceChoice, Output, Precision, PrecisionChoice

ADAPTERS = "Adapters"
PAIRS = "Pairs"
PROMPT_HELP = "What the model is asked. Default: describe in one or two sentences what changed."
TARGETS_HELP = "Regular expression on whole names of linear layers. Default: attention and MLP of the language model."


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command("lora")(lora)


def lora(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            metavar="CHECKPOINT", help="Folder of a transformers checkpoint (config.json, weights, processor)."
        ),
    ],
    pairs: Annotated[
        Path, typer.Argument(metavar="PAIRS", help="Labelled pairs: .jsonl, .json, .csv or .geojson, with captions.")
    ],
    output: Output,
    prompt: Annotated[
        str | None,
        typer.Option(envvar="RSCCLI_PROMPT", metavar="TEXT", help=PROMPT_HELP, rich_help_panel=PAIRS),
    ] = None,
    max_side: Annotated[
        int,
        typer.Option(
            envvar="RSCCLI_MAX_SIDE", min=32, help="Larger images are averaged down, pixels.", rich_help_panel=PAIRS
        ),
    ] = 448,
    held_out: Annotated[
        float,
        typer.Option(
            envvar="RSCCLI_HELD_OUT",
            min=0.01,
            max=0.9,
            help="Share of the pairs, in whole places, that is never trained on.",
            rich_help_panel=PAIRS,
        ),
    ] = 0.2,
    place_km: Annotated[
        float,
        typer.Option(
            envvar="RSCCLI_PLACE_KM",
            min=0.001,
            help="Pairs without a place: side of the cells that make one, kilometres.",
            rich_help_panel=PAIRS,
        ),
    ] = 2.0,
    rank: Annotated[int, typer.Option(envvar="RSCCLI_RANK", min=1, help="Rank.", rich_help_panel=ADAPTERS)] = 16,
    alpha: Annotated[
        int,
        typer.Option(envvar="RSCCLI_ALPHA", min=1, help="Adapters count alpha / rank.", rich_help_panel=ADAPTERS),
    ] = 32,
    dropout: Annotated[
        float,
        typer.Option(
            envvar="RSCCLI_DROPOUT", min=0.0, max=0.9, help="Dropout before adapters.", rich_help_panel=ADAPTERS
        ),
    ] = 0.05,
    targets: Annotated[
        str | None,
        typer.Option(envvar="RSCCLI_TARGETS", metavar="REGEX", help=TARGETS_HELP, rich_help_panel=ADAPTERS),
    ] = None,
    epochs: Annotated[
        int,
        typer.Option(envvar="RSCCLI_EPOCHS", min=1, help="Times that every pair is seen.", rich_help_panel=SCHEDULE),
    ] = 3,
    rate: Annotated[
        float,
        typer.Option(envvar="RSCCLI_LORA_RATE", min=1e-8, help="Highest learning rate.", rich_help_panel=SCHEDULE),
    ] = 1e-4,
    batch_size: Annotated[
        int, typer.Option(envvar="RSCCLI_LORA_BATCH_SIZE", min=1, help="Pairs at once.", rich_help_panel=SCHEDULE)
    ] = 1,
    accumulate: Annotated[
        int,
        typer.Option(
            envvar="RSCCLI_ACCUMULATE", min=1, help="Batches whose gradients make a step.", rich_help_panel=SCHEDULE
        ),
    ] = 8,
    seed: Annotated[
        int,
        typer.Option(
            envvar="RSCCLI_SEED", min=0, help="Of held-out places, order and adapters.", rich_help_panel=SCHEDULE
        ),
    ] = 1,
    checkpoint_steps: Annotated[
        int,
        typer.Option(
            envvar="RSCCLI_CHECKPOINT_STEPS",
            min=1,
            help="Steps from one checkpoint to the next.",
            rich_help_panel=SCHEDULE,
        ),
    ] = 50,
    device: Device = DeviceChoice.auto,
    precision: Precision = PrecisionChoice.auto,
    save_memory: Annotated[
        bool,
        typer.Option(
            "--save-memory",
            envvar="RSCCLI_SAVE_MEMORY",
            help="Compute activations twice instead of keeping them: slower, in less memory.",
            rich_help_panel=MACHINE,
        ),
    ] = False,
    samples: Annotated[
        int,
        typer.Option(
            envvar="RSCCLI_SAMPLES",
            min=0,
            help="Held-out pairs that are captioned before and after, for the report.",
            rich_help_panel=RESULT,
        ),
    ] = 4,
    quiet: Quiet = False,
    json_output: JsonOutput = False,
    config: Config = None,
) -> None:
    """Fine-tune a large checkpoint on your own labelled pairs, with adapters (LoRA).

    CHECKPOINT is a folder on this machine; nothing is downloaded. It must read two images and a prompt: Qwen2-VL,
    Qwen2.5-VL, LLaVA, LLaVA-Interleave, LLaVA-OneVision. Only the captions' tokens are learnt. Some places are held
    out; what is reported before and after is of those alone. DIR then holds adapter/, merged/ (a checkpoint like the
    one that came in), report.json, log.jsonl, curves.svg and recipe.toml. Stopped or killed, the same command goes on
    from the last checkpoint. Needs pip install 'rsccli[train]'.

    Examples:

    \b
      rsccli train lora checkpoints/qwen2-vl-2b pairs.jsonl -o runs/lora
      rsccli train lora checkpoints/qwen2-vl-2b pairs.csv -o runs/lora --rank 32 --epochs 5 --save-memory
      rsccli train lora checkpoints/qwen2-vl-2b pairs.geojson --config runs/lora/recipe.toml -o runs/again
    """
    # torch and transformers take seconds to import: not before the options are known to be good.
    from rsccli.training.adapters import TARGETS
    from rsccli.training.chat import PROMPT
    from rsccli.training.lora import LoraSpec, LoraTrainer

    def say(text: str) -> None:
        if not quiet:
            print(f"rsccli: {text}", file=sys.stderr, flush=True)

    spec = LoraSpec(
        checkpoint=checkpoint,
        pairs=pairs,
        output=output,
        prompt=prompt or PROMPT,
        max_side=max_side,
        rank=rank,
        alpha=alpha,
        dropout=dropout,
        targets=targets or TARGETS,
        epochs=epochs,
        rate=rate,
        batch_size=batch_size,
        accumulate=accumulate,
        held_out=held_out,
        place_km=place_km,
        samples=samples,
        seed=seed,
        device=device.value,
        precision=precision.value,
        checkpoint_steps=checkpoint_steps,
        save_memory=save_memory,
    )
    report = LoraTrainer(spec, say).run()
    if json_output:
        typer.echo(json.dumps(report, ensure_ascii=False))
        return
    for when in ("before", "after"):
        figures = report["held_out"][when]
        typer.echo(
            f"{when:<7} loss {figures['loss']:.4f}  tokens {100 * figures['token_accuracy']:.1f} %  "
            f"exact captions {figures['exact_captions']} of {figures['pairs']}"
        )
    typer.echo(str(output / "merged"))

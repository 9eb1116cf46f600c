"""Flags of a captioner that more than one command has, defined once.

| name | flag | what it does |
|---|---|---|
| `Model` | `-m` | which captioner |
| `Device`, `Devices` | `--device` | where it runs: one device, or several |
| `Backend`, `Dtype` | `--backend`, `--dtype` | what runs it, and with which weights |
| `ProviderOption` | `--provider-option` | for ONNX Runtime |
| `Decoder`, `NumBeams`, `Temperature`, `TopP` | `--decoder`, `--num-beams`, ... | how a caption is searched for |
| `Words`, `Register`, `MaxNewTokens` | `--words`, ... | how a caption is worded |
| `BatchSize`, `PairsAtOnce` | `--batch-size` | with ``auto``, or a number alone |
| `Threads` | `--threads` | threads of the model |
"""

from __future__ import annotations

from typing import Annotated

import typer

CAPTIONER = "Captioner"

Model = Annotated[
    str,
    typer.Option(
        "-m",
        "--model",
        envvar="RSCCLI_MODEL",
        metavar="NAME|DIR",
        help="Captioner: a name from `rsccli models`, or the folder of a bundle (rsccli export-onnx).",
        rich_help_panel=CAPTIONER,
        show_envvar=False,
    ),
]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        envvar="RSCCLI_DEVICE",
        metavar="auto|cpu|cuda[:i]|tensorrt",
        help="Where the model runs. cuda is an error where it would fall back to the CPU.",
        rich_help_panel=CAPTIONER,
        show_envvar=False,
    ),
]
Devices = Annotated[
    str,
    typer.Option(
        "--device",
        envvar="RSCCLI_DEVICE",
        metavar="auto|cpu|cuda[:i,..|:all]|tensorrt",
        help="Where the model runs. cuda is an error where it would fall back to the CPU; cuda:0,1 or cuda:all runs "
        "one model on each GPU.",
        rich_help_panel=CAPTIONER,
        show_envvar=False,
    ),
]
Dtype = Annotated[
    str,
    typer.Option(
        "--dtype",
        envvar="RSCCLI_DTYPE",
        help="What the bundle must hold; auto takes any.",
        rich_help_panel=CAPTIONER,
        show_envvar=False,
    ),
]
Decoder = Annotated[
    str,
    typer.Option(
        "--decoder",
        envvar="RSCCLI_DECODER",
        metavar="auto|lean|optimum",
        help="lean: greedy or sampling, onnxruntime alone. optimum: beam search; loads torch. auto: as needed.",
        rich_help_panel=CAPTIONER,
        show_envvar=False,
    ),
]
Backend = Annotated[
    str,
    typer.Option(
        "--backend",
        envvar="RSCCLI_BACKEND",
        metavar="onnx|torch",
        help="onnx: a bundle. torch: -m is the folder of a checkpoint, run through transformers as it is.",
        rich_help_panel=CAPTIONER,
        show_envvar=False,
    ),
]
ProviderOption = Annotated[
    list[str] | None,
    typer.Option(
        "--provider-option",
        envvar="RSCCLI_PROVIDER_OPTION",
        metavar="NAME=VALUE",
        help="For ONNX Runtime's execution provider, e.g. gpu_mem_limit=8000000000. May be repeated.",
        rich_help_panel=CAPTIONER,
        show_envvar=False,
    ),
]
NumBeams = Annotated[
    int,
    typer.Option(
        "--num-beams",
        envvar="RSCCLI_NUM_BEAMS",
        help="Beams; 1 is greedy.",
        rich_help_panel=CAPTIONER,
        show_envvar=False,
    ),
]
Temperature = Annotated[
    float,
    typer.Option(
        "--temperature",
        envvar="RSCCLI_TEMPERATURE",
        help="Above 0 tokens are drawn; 0 takes the best one always.",
        rich_help_panel=CAPTIONER,
        show_envvar=False,
    ),
]
TopP = Annotated[
    float,
    typer.Option(
        "--top-p",
        envvar="RSCCLI_TOP_P",
        help="Draw from the most probable tokens that together have this share.",
        rich_help_panel=CAPTIONER,
        show_envvar=False,
    ),
]
Words = Annotated[
    str,
    typer.Option(
        "--words",
        envvar="RSCCLI_WORDS",
        metavar="auto|decoder|grammar",
        help="Who words a caption, where the model has both. auto: what its bundle says.",
        rich_help_panel=CAPTIONER,
        show_envvar=False,
    ),
]
Register = Annotated[
    str,
    typer.Option(
        "--register",
        envvar="RSCCLI_REGISTER",
        metavar="short|news",
        help="short: plain clauses, left and right. news: fuller sentences, compass directions.",
        rich_help_panel=CAPTIONER,
        show_envvar=False,
    ),
]
MaxNewTokens = Annotated[
    int | None,
    typer.Option(
        "--max-new-tokens",
        envvar="RSCCLI_MAX_NEW_TOKENS",
        help="Longest caption. Default: what the model says.",
        rich_help_panel=CAPTIONER,
        show_envvar=False,
    ),
]
BatchSize = Annotated[
    str | None,
    typer.Option(
        "--batch-size",
        envvar="RSCCLI_BATCH_SIZE",
        metavar="N|auto",
        help="Tile pairs that the model sees at once; auto: what fits into memory. Default: what the model likes.",
        rich_help_panel=CAPTIONER,
        show_envvar=False,
    ),
]
PairsAtOnce = Annotated[
    int | None,
    typer.Option(
        "--batch-size",
        envvar="RSCCLI_BATCH_SIZE",
        min=1,
        help="Pairs that the model sees at once. Default: what the model likes.",
        rich_help_panel=CAPTIONER,
        show_envvar=False,
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        envvar="RSCCLI_THREADS",
        help="Threads of the model. Default: the cores that this process may use.",
        rich_help_panel=CAPTIONER,
        show_envvar=False,
    ),
]

"""Flags that more than one command under ``rsccli train`` has.

| name | flag | what it does |
|---|---|---|
| `Data` | `--data` | folder with the imagery that pairs are generated from |
| `Seed` | `--seed` | of all that is drawn by chance |
| `Output` | `-o` | folder of the run |
| `Device` | `--device` | where the network runs |
| `Precision` | `--precision` | of the network's arithmetic |
| `Plot` | `--plot` | curves of the run, as a picture |
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

SCHEDULE = "Schedule"
MACHINE = "Machine"
RESULT = "Result"


class DeviceChoice(StrEnum):
    """Where a network is trained."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class PrecisionChoice(StrEnum):
    """Arithmetic of the network."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"


Data = Annotated[
    Path,
    typer.Option(
        envvar="RSCCLI_DATA",
        help="Folder with the imagery: naip/ (CITY_YEAR_N.tif, trees.csv) and prairie/.",
        show_default=False,
    ),
]
Seed = Annotated[
    int,
    typer.Option(envvar="RSCCLI_SEED", min=0, help="Of weights and pairs.", rich_help_panel=SCHEDULE),
]
Output = Annotated[
    Path,
    typer.Option(
        "-o",
        "--output",
        envvar="RSCCLI_TRAIN_OUTPUT",
        metavar="DIR",
        help="Folder of the run: checkpoints, log, curves. The same command again goes on where it stopped.",
        show_default=False,
    ),
]
Device = Annotated[
    DeviceChoice,
    typer.Option(
        envvar="RSCCLI_TRAIN_DEVICE",
        help="Where the network runs. auto: the GPU where torch can use one, else the CPU.",
        rich_help_panel=MACHINE,
    ),
]
Precision = Annotated[
    PrecisionChoice,
    typer.Option(
        envvar="RSCCLI_PRECISION",
        help="Arithmetic of the network. auto: bf16 on a GPU that has it, else fp32.",
        rich_help_panel=MACHINE,
    ),
]
Plot = Annotated[
    Path | None,
    typer.Option(
        envvar="RSCCLI_PLOT",
        metavar="CURVES.svg",
        help="Draw the curves of losses and development figures here. Default: curves.svg in the folder of the run.",
        show_default=False,
        rich_help_panel=RESULT,
    ),
]

"""Flags of the commands that go through a pair tile by tile: ``caption``, ``ask``, ``ground`` and ``detect``.

| name | flag | what it does |
|---|---|---|
| `Pre`, `Post` | arguments | the images |
| `Resume` | `--resume` | what happens to a run that was cut |
| `MaxNewTokens` | `--max-new-tokens` | longest answer |
| `Jobs`, `MinValid` | `--jobs`, `--min-valid` | the run |

`Overwrite` and the flags of the captioner are those of all commands, named here to have them in one place.
"""

from __future__ import annotations

from typing import Annotated

import typer

from rsccli.cli.model_options import BatchSize as BatchSize
from rsccli.cli.model_options import Device as Device
from rsccli.cli.model_options import Model as Model
from rsccli.cli.model_options import ProviderOption as ProviderOption
from rsccli.cli.model_options import Threads as Threads
from rsccli.cli.options import Overwrite as Overwrite

Pre = Annotated[str, typer.Argument(metavar="PRE", help="Image before: GeoTIFF, JPEG 2000, VRT, ...")]
Post = Annotated[str, typer.Argument(metavar="POST", help="Image after. https:// and s3:// work too.")]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume/--no-resume",
        envvar="RSCCLI_RESUME",
        help="Go on from the journal of a run that was cut, or start afresh.",
        show_envvar=False,
    ),
]
MaxNewTokens = Annotated[
    int | None,
    typer.Option(
        "--max-new-tokens",
        envvar="RSCCLI_MAX_NEW_TOKENS",
        help="Longest answer of a large model. Default: what the model says.",
        show_envvar=False,
    ),
]
Jobs = Annotated[int, typer.Option("-j", "--jobs", envvar="RSCCLI_JOBS", help="Reader threads.", show_envvar=False)]
MinValid = Annotated[
    float,
    typer.Option(
        "--min-valid",
        envvar="RSCCLI_MIN_VALID",
        help="Tiles with a smaller share of valid pixels are skipped (and say so).",
        show_envvar=False,
    ),
]

"""Flags that more than one command under ``rsccli dataset`` has.

| name | flag | what it does |
|---|---|---|
| `Output` | `-o` | folder of the data set |
| `Rule` | `--count-rule` | where a building counts |
| `Jobs` | `-j` | threads |
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rsccli.cli.options import CountRule

Output = Annotated[
    Path,
    typer.Option(
        "-o",
        "--output",
        envvar="RSCCLI_DATASET_OUTPUT",
        metavar="OUT",
        help="Folder of the data set. The same command again goes on where it stopped.",
        show_default=False,
        show_envvar=False,
    ),
]
Rule = Annotated[
    CountRule,
    typer.Option(
        "--count-rule",
        envvar="RSCCLI_COUNT_RULE",
        help="A building counts in the part that holds its centroid, or in every part that it touches (as RSCC did: up "
        "to four times).",
        show_envvar=False,
    ),
]
Jobs = Annotated[
    int,
    typer.Option("-j", "--jobs", envvar="RSCCLI_JOBS", min=1, help="Threads; same result.", show_envvar=False),
]

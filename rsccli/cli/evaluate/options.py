"""Flags that scoring captions and floors share.

| name | flag | what it does |
|---|---|---|
| `Protocol` | `--protocol` | how texts are normalised and which scores belong to it |
| `Train` | `--train` | pairs to learn the keyword floor from |
| `FullFloors` | `--full-floors` | floors in the scores of Java too |
| `Json`, `Format`, `Output`, `Overwrite` | `--json`, `--format`, `-o`, `--overwrite` | the form of the result |

What other commands have too is in `rsccli.cli.evaluation_options`.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rsccli.cli.evaluation_options import SCORES, ProtocolChoice

RESULT = "Result"


class FormatChoice(StrEnum):
    """How the result is written."""

    table = "table"
    json = "json"
    markdown = "markdown"
    latex = "latex"


Protocol = Annotated[
    ProtocolChoice,
    typer.Option(
        envvar="RSCCLI_PROTOCOL",
        help="words: lower case, no full stops; word-ids: captions as numbers, as most LEVIR-CC repositories score "
        "them; rscc: the scores of RSCC's long captions. Never compare results of two protocols.",
        rich_help_panel=SCORES,
    ),
]
Train = Annotated[
    Path | None,
    typer.Option(
        envvar="RSCCLI_TRAIN",
        metavar="FILE",
        help="Captions to learn the keyword floor from. Default: the train split of REF, if another split is scored.",
        rich_help_panel=SCORES,
    ),
]
FullFloors = Annotated[
    bool,
    typer.Option(
        "--full-floors",
        envvar="RSCCLI_FULL_FLOORS",
        help="Floors in METEOR 1.5 and S*m too; Java takes its time.",
        rich_help_panel=SCORES,
    ),
]
Json = Annotated[
    bool,
    typer.Option(
        "--json", envvar="RSCCLI_JSON", help="The same as --format json, for programs.", rich_help_panel=RESULT
    ),
]
Format = Annotated[
    FormatChoice | None,
    typer.Option(
        "--format",
        envvar="RSCCLI_EVALUATE_FORMAT",
        help="The form on stdout, table unless given. Of a file its suffix decides.",
        rich_help_panel=RESULT,
    ),
]
Output = Annotated[
    list[Path] | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        envvar="RSCCLI_EVALUATE_OUTPUT",
        help="Write to a file: .json, .md, .tex or .txt; - is stdout. May be given several times.",
        rich_help_panel=RESULT,
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", envvar="RSCCLI_OVERWRITE", help="Replace files that exist.", rich_help_panel=RESULT),
]

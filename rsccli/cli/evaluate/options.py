"""Flags that scoring captions and floors share.

| name | flag | what it does |
|---|---|---|
| `Protocol` | `--protocol` | how texts are normalised and which scores belong to it |
| `Split` | `--split` | the part of REF that is evaluated |
| `RefColumn` | `--ref-column` | where a messy REF keeps its captions |
| `Train` | `--train` | pairs to learn the keyword floor from |
| `FullFloors` | `--full-floors` | floors in the scores of Java too |
| `Bootstrap`, `Seed` | `--bootstrap`, `--seed` | intervals |
| `Json`, `Format`, `Output`, `Overwrite` | `--json`, `--format`, `-o`, `--overwrite` | the form of the result |
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

SCORES = "Scores"
RESULT = "Result"


class ProtocolChoice(StrEnum):
    """How texts are normalised."""

    words = "words"
    word_ids = "word-ids"
    rscc = "rscc"


class MeteorVariant(StrEnum):
    """Which METEOR."""

    auto = "auto"
    java = "java"
    nltk = "nltk"
    off = "off"


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
Split = Annotated[
    str | None,
    typer.Option(envvar="RSCCLI_SPLIT", metavar="NAME", help="Only this split of REF: train, val, test or another."),
]
RefColumn = Annotated[
    str | None,
    typer.Option(
        envvar="RSCCLI_REF_COLUMN", metavar="NAME", help="Where REF keeps its captions, if that is not clear."
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
Bootstrap = Annotated[
    int,
    typer.Option(
        envvar="RSCCLI_BOOTSTRAP",
        metavar="N",
        min=0,
        help="Samples for the 95 % intervals; 0 for none.",
        rich_help_panel=SCORES,
    ),
]
Seed = Annotated[int, typer.Option(envvar="RSCCLI_SEED", min=0, help="Of all random numbers.", rich_help_panel=SCORES)]
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

"""Flags that more than one of ``evaluate``, ``benchmark`` and ``probe`` has, defined once.

| name | flag | what it does |
|---|---|---|
| `Split`, `Limit`, `Seed` | `--split`, `--limit`, `--seed` | which pairs |
| `References`, `RefColumn` | `--references`, `--ref-column` | captions of people |
| `Gsd` | `--gsd` | size of a pixel, where nothing tells it |
| `Meteor`, `Wordnet` | `--meteor`, `--wordnet` | which METEOR |
| `SentenceModel`, `BertModel` | `--sentence-model`, `--bert-model` | models of scores |
| `BertScoreLayers` | `--bert-score-layers` | whose hidden states BERTScore compares |
| `Bootstrap` | `--bootstrap` | intervals |
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

PAIRS = "Pairs"
SCORES = "Scores"


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


Split = Annotated[
    str | None,
    typer.Option(
        "--split",
        envvar="RSCCLI_SPLIT",
        metavar="NAME",
        help="Only pairs of this split: train, val, test or another.",
        rich_help_panel=PAIRS,
    ),
]
Limit = Annotated[
    int,
    typer.Option(
        "--limit",
        envvar="RSCCLI_LIMIT",
        min=0,
        help="Most pairs, drawn at random; 0 takes all.",
        rich_help_panel=PAIRS,
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        "--seed",
        envvar="RSCCLI_SEED",
        min=0,
        help="Of all random numbers: the same seed, the same result.",
        rich_help_panel=SCORES,
    ),
]
References = Annotated[
    Path | None,
    typer.Option(
        "--references",
        envvar="RSCCLI_REFERENCES",
        metavar="FILE",
        help="Captions of people for pairs that have none, in any format of `rsccli evaluate`, joined by id or file "
        "names.",
        rich_help_panel=PAIRS,
    ),
]
RefColumn = Annotated[
    str | None,
    typer.Option(
        "--ref-column",
        envvar="RSCCLI_REF_COLUMN",
        metavar="NAME",
        help="Where the references keep their captions, if that is not clear.",
        rich_help_panel=PAIRS,
    ),
]
Gsd = Annotated[
    float | None,
    typer.Option(
        "--gsd",
        envvar="RSCCLI_GSD",
        metavar="METRES",
        help="Metres per pixel of images without a georeference whose record does not say.",
        rich_help_panel=PAIRS,
    ),
]
Meteor = Annotated[
    MeteorVariant,
    typer.Option(
        "--meteor",
        envvar="RSCCLI_METEOR",
        help="java: METEOR 1.5; nltk: that of nltk; auto: java where it is there; off: none. The result names which it "
        "was. RSCC's is always that of nltk.",
        rich_help_panel=SCORES,
    ),
]
Wordnet = Annotated[
    Path | None,
    typer.Option(
        "--wordnet",
        envvar="RSCCLI_WORDNET",
        metavar="DIR",
        help="Folder of WordNet 3 for the METEOR of nltk. Default: NLTK_DATA, then Debian's wordnet-base.",
        rich_help_panel=SCORES,
    ),
]
SentenceModel = Annotated[
    Path | None,
    typer.Option(
        "--sentence-model",
        envvar="RSCCLI_SENTENCE_MODEL",
        metavar="DIR",
        help="sentence-transformers folder, for ST5-SCS and cosine (RSCC takes sentence-t5-xxl).",
        rich_help_panel=SCORES,
    ),
]
BertModel = Annotated[
    Path | None,
    typer.Option(
        "--bert-model",
        envvar="RSCCLI_BERT_MODEL",
        metavar="DIR",
        help="transformers encoder folder, for BERTScore, and with --protocol rscc for RSCC's BERT too (RSCC takes "
        "roberta-large).",
        rich_help_panel=SCORES,
    ),
]
BertScoreLayers = Annotated[
    int | None,
    typer.Option(
        "--bert-score-layers",
        envvar="RSCCLI_BERT_SCORE_LAYERS",
        metavar="N",
        min=1,
        help="Layer of BERTScore. Default: the published one, by the name of the folder.",
        rich_help_panel=SCORES,
    ),
]
Bootstrap = Annotated[
    int,
    typer.Option(
        "--bootstrap",
        envvar="RSCCLI_BOOTSTRAP",
        metavar="N",
        min=0,
        help="Samples for the 95 % intervals; 0 for none.",
        rich_help_panel=SCORES,
    ),
]

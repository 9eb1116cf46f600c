"""``rsccli evaluate floors REF``: what predictors reach on a split that look at no pixel."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rsccli.cli.evaluate.options import Format, FullFloors, Json, Output, Overwrite, Protocol, Train
from rsccli.cli.evaluate.output import places, write
from rsccli.cli.evaluation_options import Bootstrap, ProtocolChoice, RefColumn, Seed, Split


def register(group: typer.Typer) -> None:
    """Add the command to the group."""
    group.command("floors")(floors)


def floors(
    ref: Annotated[
        Path, typer.Argument(metavar="REF", help="Captions of people, one or more a pair.", show_default=False)
    ],
    protocol: Protocol = ProtocolChoice.words,
    split: Split = None,
    ref_column: RefColumn = None,
    full_floors: FullFloors = False,
    train: Train = None,
    bootstrap: Bootstrap = 1000,
    seed: Seed = 0,
    json_output: Json = False,
    form: Format = None,
    output: Output = None,
    overwrite: Overwrite = False,
) -> None:
    """What a split gives away: scores of constant sentences, of a perfect change flag, of the people themselves.

    A model that does not stand clear of these has learned which sentence to repeat. No predictions are needed.

    Examples:

    \b
      rsccli evaluate floors LevirCCcaptions.json --split test
      rsccli evaluate floors people.csv --train more_people.csv -o floors.md
    """
    where = places(json_output, form, output, overwrite)
    from rsccli.evaluation.evaluate import EvaluateOptions
    from rsccli.evaluation.files import Request, evaluate_files
    from rsccli.evaluation.protocols import MetricChoices

    # Without the full floors METEOR is not needed, nor Java for it; that of rscc belongs to its table.
    needed = full_floors or protocol is ProtocolChoice.rscc
    request = Request(
        references=ref,
        protocol=protocol.value,
        split=split,
        reference_column=ref_column,
        train=train,
        options=EvaluateOptions(
            choices=MetricChoices(meteor="auto" if needed else "off", spice=False),
            samples=bootstrap,
            seed=seed,
            full_floors=full_floors,
        ),
    )
    write(evaluate_files(request), where)

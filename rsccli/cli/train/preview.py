"""``rsccli train preview``: look at what the small captioner learns from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rsccli.cli.options import Config
from rsccli.cli.train.options import Data, Seed
from rsccli.errors import UsageProblem

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command("preview")(preview)


def preview(
    sheet: Annotated[Path, typer.Argument(metavar="SHEET.png", help="Picture to write.", show_default=False)],
    data: Data,
    seed: Seed = 1,
    pairs: Annotated[
        int, typer.Option(envvar="RSCCLI_PREVIEW_PAIRS", min=1, max=600, help="How many pairs to draw.")
    ] = 48,
    config: Config = None,
) -> None:
    """Draw the first generated pairs with masks and captions into one picture.

    They are the pairs that `rsccli train captioner` with the same --data and --seed learns from.

    Examples:

    \b
      rsccli train preview sheet.png --data ../shared/data
      rsccli train preview sheet.png --data ../shared/data --seed 3 --pairs 96
    """
    if sheet.suffix.lower() not in PICTURES:
        raise UsageProblem(f"{sheet}: the suffix picks the format; name a picture, for example sheet.png")
    from rsccli.datasets.backgrounds import read_sources
    from rsccli.datasets.sheet import contact_sheet

    contact_sheet(read_sources(data, "train"), seed, pairs, sheet)
    typer.echo(str(sheet))

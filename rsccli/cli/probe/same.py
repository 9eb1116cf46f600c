"""``rsccli probe same``: one date against itself and its copies."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from rsccli.cli.probe.asked import Asked, told
from rsccli.cli.probe.run import names, run


class Which(StrEnum):
    """Whose copies are made."""

    pre = "pre"
    post = "post"


def register(group: typer.Typer) -> None:
    """Add the command to the group."""
    group.command("same")(told(same))


def same(
    *,
    date: Annotated[
        Which, typer.Option("--date", envvar="RSCCLI_DATE", help="Which date is shown twice.", show_envvar=False)
    ] = Which.pre,
    copies: Annotated[
        str,
        typer.Option(
            "--copies",
            envvar="RSCCLI_COPIES",
            metavar="NAME,...",
            help="Some of gain-0.8, gain-1.25, gamma-0.75, gamma-1.33, haze-15, haze-30, cast, jpeg-75, jpeg-40, "
            "together. Default: all.",
            show_default=False,
            show_envvar=False,
        ),
    ] = "",
    asked: Asked,
) -> None:
    """Show one date against itself, and against copies under other light: nothing has changed.

    \b
    Examples:
      rsccli probe same pre.tif post.tif
      rsccli probe same pairs.csv --date post --copies haze-30,jpeg-40 -o probes
    """
    from rsccli.evaluation.probes.same import SameSpec

    chosen = names(copies)
    run(asked, SameSpec(date.value, chosen) if chosen else SameSpec(date.value))

"""``rsccli probe shift``: one date moved by a few pixels."""

from __future__ import annotations

from typing import Annotated

import typer

from rsccli.cli.probe.asked import Asked, told
from rsccli.cli.probe.run import numbers, run


def register(group: typer.Typer) -> None:
    """Add the command to the group."""
    group.command("shift")(told(shift))


def shift(
    *,
    shifts: Annotated[
        str,
        typer.Option(
            "--shifts",
            envvar="RSCCLI_SHIFTS",
            metavar="PIXELS,...",
            help="How far the later date is moved; 0 is what the others are compared with.",
            show_envvar=False,
        ),
    ] = "0,0.5,1,2,3,4,6,8",
    asked: Asked,
) -> None:
    """Move the later date by whole and half pixels: when do answer and words change, when is shift taken for change?

    \b
    Examples:
      rsccli probe shift pre.tif post.tif
      rsccli probe shift pairs.csv --shifts 0,0.25,0.5,1,2 -o probes
    """
    from rsccli.evaluation.probes.shift import ShiftSpec

    run(asked, ShiftSpec(numbers(shifts, "--shifts")))

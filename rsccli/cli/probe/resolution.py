"""``rsccli probe resolution``: the same ground at coarser sampling."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from rsccli.cli.probe.asked import Asked, told
from rsccli.cli.probe.run import numbers, run


class Shown(StrEnum):
    """How coarse pairs are shown."""

    coarse = "coarse"
    enlarged = "enlarged"


def register(group: typer.Typer) -> None:
    """Add the command to the group."""
    group.command("resolution")(told(resolution))


def resolution(
    *,
    levels: Annotated[
        str,
        typer.Option(
            "--levels",
            envvar="RSCCLI_LEVELS",
            metavar="METRES,...",
            help="Metres per pixel. A level finer than the pairs stands for the pairs as they are.",
            show_envvar=False,
        ),
    ] = "0.5,2,10",
    shown: Annotated[
        Shown,
        typer.Option(
            "--shown",
            envvar="RSCCLI_SHOWN",
            help="coarse: fewer pixels, and the captioner is told their true size. enlarged: interpolated back to as "
            "many pixels, so that only detail is lost.",
            show_envvar=False,
        ),
    ] = Shown.coarse,
    asked: Asked,
) -> None:
    """Show the same ground at coarser and coarser sampling, and compare with the finest and with labels.

    Pixels are averaged by area; geometry is kept, and the captioner is told how many metres a pixel has.

    \b
    Examples:
      rsccli probe resolution pre.tif post.tif --tile-size 512
      rsccli probe resolution pairs.csv --levels 0.6,1.2,2.4,5,10 -o probes
      rsccli probe resolution LEVIR/test --references captions.json --gsd 0.5 -m BUNDLE
    """
    from rsccli.evaluation.probes.resolution import ResolutionSpec

    run(asked, ResolutionSpec(numbers(levels, "--levels"), shown.value))

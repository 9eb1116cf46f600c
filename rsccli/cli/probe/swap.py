"""``rsccli probe swap``: the dates exchanged."""

from __future__ import annotations

import typer

from rsccli.cli.probe.asked import Asked, told
from rsccli.cli.probe.run import run


def register(group: typer.Typer) -> None:
    """Add the command to the group."""
    group.command("swap")(told(swap))


def swap(asked: Asked) -> None:
    """Exchange the dates: the answer must stay, and what was built must have been demolished.

    Words are the captioner's keywords, or what its sentences say to have appeared or gone.

    \b
    Examples:
      rsccli probe swap pre.tif post.tif
      rsccli probe swap pairs.csv -m BUNDLE -o probes
    """
    from rsccli.evaluation.probes.job import SwapSpec

    run(asked, SwapSpec())

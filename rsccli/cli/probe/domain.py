"""``rsccli probe domain``: what was set on one region, used on another."""

from __future__ import annotations

from typing import Annotated

import typer

from rsccli.cli.probe.asked import Asked, told
from rsccli.cli.probe.run import names, run


def register(group: typer.Typer) -> None:
    """Add the command to the group."""
    group.command("domain")(told(domain))


def domain(
    *,
    home: Annotated[
        str,
        typer.Option(
            "--from",
            envvar="RSCCLI_FROM",
            metavar="REGION,...",
            help="Region (or regions, together) that thresholds and calibration are fitted on.",
            show_default=False,
            show_envvar=False,
        ),
    ],
    away: Annotated[
        str,
        typer.Option(
            "--to",
            envvar="RSCCLI_TO",
            metavar="REGION,...",
            help="Regions that are scored, each by itself. Default: all others.",
            show_default=False,
            show_envvar=False,
        ),
    ] = "",
    asked: Asked,
) -> None:
    """Fit threshold and calibration of the change score on one region, score others, and tell the drop.

    A pair's region is its column region, else the name of its file. Pairs need a column changed, or captions. A model
    that was trained on one region (`rsccli train finetune`) is given with -m.

    \b
    Examples:
      rsccli probe domain pairs.csv --from long_beach --to riverside -o probes
      rsccli probe domain town.csv valley.jsonl --from town
    """
    from rsccli.evaluation.probes.domain import DomainSpec

    run(asked, DomainSpec(names(home), names(away)))

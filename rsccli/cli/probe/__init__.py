"""``rsccli probe``: how a captioner behaves when its input changes in a known way. One file per command."""

from __future__ import annotations

import typer

from rsccli.cli.probe import domain, resolution, same, shift, swap


def register(app: typer.Typer) -> None:
    """Add the group of commands to the application."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

    @group.callback()
    def probe() -> None:
        """Probe a captioner: coarser pixels, another region, exchanged dates, one date twice, shifted dates.

        Every probe takes files or folders of pairs, or two rasters whose tiles are the pairs, and works with every
        captioner. It needs no labels, and uses those there are.
        """

    for command in (resolution, domain, swap, same, shift):
        command.register(group)
    app.add_typer(group, name="probe")

"""``rsccli dataset``: makes, checks and captions data sets. One file per command."""

from __future__ import annotations

import typer

from rsccli.cli.dataset import caption, levir, tiles, xbd


def register(app: typer.Typer) -> None:
    """Add the group of commands to the application."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

    @group.callback()
    def dataset() -> None:
        """Make data sets of image pairs with counts and prompts, check them, and have them captioned."""

    for command in (xbd, levir, tiles, caption):
        command.register(group)
    app.add_typer(group, name="dataset")

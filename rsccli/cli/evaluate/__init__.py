"""``rsccli evaluate``: how well captions agree with what people wrote. One file per command."""

from __future__ import annotations

import typer

from rsccli.cli.evaluate import captions, floors, retrieval
from rsccli.cli.evaluate.group import CommandWithCommands


def register(app: typer.Typer) -> None:
    """Add ``rsccli evaluate PRED REF`` and the commands below it to the application."""
    group = typer.Typer(
        cls=CommandWithCommands,
        invoke_without_command=True,
        no_args_is_help=True,
        rich_markup_mode=None,
        subcommand_metavar="| COMMAND [ARGS]...",
        context_settings={"allow_interspersed_args": True},
    )
    for command in (captions, floors, retrieval):
        command.register(group)
    app.add_typer(group, name="evaluate")

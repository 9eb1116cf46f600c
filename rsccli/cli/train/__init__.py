"""``rsccli train``: makes and adapts captioners. One file per command."""

from __future__ import annotations

import typer

from rsccli.cli.train import captioner, finetune, lora, preview


def register(app: typer.Typer) -> None:
    """Add the group of commands to the application."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

    @group.callback()
    def train() -> None:
        """Train the small captioner, or adapt a large checkpoint to your own pairs."""

    for command in (captioner, finetune, preview, lora):
        command.register(group)
    app.add_typer(group, name="train")

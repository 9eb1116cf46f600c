"""A group that is a command itself: ``rsccli evaluate PRED REF`` beside ``rsccli evaluate retrieval ...``."""

from __future__ import annotations

import typer
from typer.core import TyperGroup


class CommandWithCommands(TyperGroup):
    """Reads its own arguments unless the first word names one of its commands.

    A file that has a command's name is given as ``./retrieval``. The callback of the group runs in both cases; it
    leaves at once where ``context.invoked_subcommand`` is set.
    """

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Without this a group would take the name of its command for its own first argument."""
        if args and args[0] in self.commands:
            # The group is made anew for every call: its own arguments and options are simply not there this time.
            self.params = []
            ctx.allow_interspersed_args = False
        return super().parse_args(ctx, args)

"""Flags of one command as flags of another, which hands them on in what it writes.

`rsccli slurm` takes every flag of `rsccli caption`, so that a mistake is told before anything waits in a queue, and
writes those that were given (on the command line, by a variable or in a configuration file) into its scripts.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, cast

import typer

#: A flag with its value, as words of a command line.
Words = tuple[str, ...]


@dataclass(frozen=True)
class Forwarded:
    """Flags of another command, with what was given.

    Attributes:
        values: by the names of parameters. defaults: of the same.
    """

    values: dict[str, Any]
    defaults: dict[str, Any] = field(repr=False)

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - a flag's value
        return self.values[name]

    def words(self, context: typer.Context, leave_out: Collection[str] = ()) -> Iterator[Words]:
        """What differs from the defaults, as it is typed.

        Args:
            context: of the command that has the flags. leave_out: names of parameters.
        """
        flags = {str(parameter.name): parameter for parameter in context.command.params}
        for name, value in self.values.items():
            if name in leave_out or value == self.defaults[name]:
                continue
            parameter = flags[name]
            flag = next(option for option in reversed(parameter.opts) if option.startswith("--"))
            if isinstance(value, bool):
                yield (flag if value else parameter.secondary_opts[-1],)
                continue
            for each in value if isinstance(value, list | tuple) else (value,):
                yield (flag, str(each.value if isinstance(each, Enum) else each))


def flags_of(command: Callable[..., None], leave_out: Collection[str]) -> Callable[..., Forwarded]:
    """The flags of a command as a group, see `rsccli.cli.flag_groups.with_group`.

    Args:
        leave_out: names of parameters that the other command has itself, or must not have.
    """
    parameters = [
        each.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for each in inspect.signature(command, eval_str=True).parameters.values()
        if each.name not in leave_out
    ]
    defaults = {each.name: each.default for each in parameters}

    def group(**given: Any) -> Forwarded:  # noqa: ANN401 - what Typer parsed
        return Forwarded(given, defaults)

    cast(Any, group).__signature__ = inspect.Signature(parameters)
    group.__annotations__ = {"return": "Forwarded"}
    return group

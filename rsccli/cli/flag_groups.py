"""Gives a command the flags of another function, so that a group of flags is written down once.

Typer takes the flags of a command from its signature. A group is a function of flags that returns what they say; a
command that takes this value as one of its parameters is registered with `with_group`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection
from typing import Any


def with_group(
    command: Callable[..., Any],
    name: str,
    group: Callable[..., object],
    leave_out: Collection[str] = (),
    **defaults: object,
) -> Callable[..., Any]:
    """A command whose parameter ``name`` is replaced by the flags of a group.

    Args:
        command: takes what the group returns as ``name``. Its other parameters are flags of its own.
        name: the flags of the group stand in the help where this parameter stands in the signature.
        group: every parameter is a flag with its default; the annotation of what it returns is the name of a class,
            which need not be imported when the program runs. It may have a group itself.
        leave_out: flags of the group that this command does not have: they keep their defaults.
        defaults: of flags that have another default in this command.

    Raises:
        TypeError: a default of a flag that the group does not have.
    """
    returned = {str(each.__annotations__["return"]): Any for each in (group, command)}
    own = inspect.signature(command, eval_str=True, locals=returned).parameters
    shared = {
        each.name: each.replace(default=defaults.get(each.name, each.default))
        for each in inspect.signature(group, eval_str=True, locals=returned).parameters.values()
        if each.name not in leave_out
    }

    if unknown := defaults.keys() - shared.keys():
        raise TypeError(f"the group has no flag {', '.join(sorted(unknown))}")

    @functools.wraps(command)
    def run(**given: Any) -> Any:  # noqa: ANN401 - what Typer parsed
        value = group(**{flag: given.pop(flag) for flag in shared})
        return command(**{name: value}, **given)

    parameters: list[inspect.Parameter] = []
    for each in own.values():
        parameters += shared.values() if each.name == name else [each]
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters]
    )
    run.__annotations__ = {each.name: each.annotation for each in parameters} | {
        "return": command.__annotations__["return"]
    }
    del run.__wrapped__
    return run

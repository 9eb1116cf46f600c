"""Families of large models by name and by checkpoint: built-in ones and those of other packages alike."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

from rsccli.errors import ModelError
from rsccli.models.large.family import Family

GROUP = "rsccli.families"
_registered: dict[str, type[Family]] = {}


def register_family(name: str, family: type[Family]) -> None:
    """Make a family known in this process, before any installed one of that name."""
    _registered[name] = family


def family_names() -> tuple[str, ...]:
    """Names of all families, sorted."""
    return tuple(sorted({*_registered, *(point.name for point in entry_points(group=GROUP))}))


def find_family(name: str) -> Family | None:
    """The family of a name, or None.

    Raises:
        ModelError: the package that brings it cannot be imported.
    """
    if name in _registered:
        return _registered[name]()
    points = tuple(entry_points(group=GROUP, name=name))
    if not points:
        return None
    try:
        family: Family = points[0].load()()
    except (ImportError, AttributeError, TypeError, NameError, SyntaxError) as error:
        raise ModelError(f"family {name!r} cannot be imported ({error}): install its package again") from error
    return family


def family_named(name: str) -> Family:
    """The family of a name.

    Raises:
        ModelError: there is none.
    """
    family = find_family(name)
    if family is None:
        raise ModelError(f"no family {name!r} is installed: known are {', '.join(family_names())}")
    return family


def family_of(config: Mapping[str, Any], where: str) -> Family:
    """The family that reads a checkpoint.

    Args:
        config: its ``config.json``. where: for the message.

    Raises:
        ModelError: nobody reads it, or its family says why this one cannot be exported.
    """
    for name in family_names():
        family = find_family(name)
        if family is not None and family.reads(config):
            reason = family.check(config)
            if reason is not None:
                raise ModelError(f"{where}: {reason}")
            return family
    kind = config.get("model_type")
    raise ModelError(
        f"{where}: no family reads model_type {kind!r}: known are {', '.join(family_names())}. "
        "rsccli caption --backend torch may run it through transformers"
    )

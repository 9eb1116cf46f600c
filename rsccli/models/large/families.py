"""Families of large models by name and by checkpoint: built-in ones and those of other packages alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

from rsccli.errors import ModelError
from rsccli.models.large.compared import compared_rows
from rsccli.models.large.family import Family, Published

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


@dataclass(frozen=True)
class ListedFamily:
    """One line of the table of families.

    Attributes:
        name: in manifests. title: for people. package: that brought it, or None. pairing: how it gets two dates.
        published: checkpoints that belong to it, with their licence. compared: what was compared with PyTorch, words.
        problem: why it cannot be used, or None.
    """

    name: str
    title: str
    package: str | None
    pairing: str
    published: tuple[Published, ...]
    compared: tuple[str, ...]
    problem: str | None = None


def list_families() -> list[ListedFamily]:
    """Describe every family; one that cannot be imported is listed with the reason."""
    packages = {point.name: point.dist.name if point.dist else None for point in entry_points(group=GROUP)}
    listed = []
    for name in family_names():
        try:
            family = family_named(name)
        except ModelError as error:
            listed.append(ListedFamily(name, name, packages.get(name), "", (), (), str(error)))
            continue
        compared = tuple(f"{row.layout}, {row.words}" for row in compared_rows() if row.family == name)
        listed.append(ListedFamily(name, family.title, packages.get(name), family.pairing, family.published, compared))
    return listed


def usable_families() -> tuple[list[Family], list[str]]:
    """Every family that can be imported, by name, and why the others cannot: they are in nobody's way."""
    families, problems = [], []
    for name in family_names():
        try:
            families.append(family_named(name))
        except ModelError as error:
            problems.append(str(error))
    return families, problems


def family_of(config: Mapping[str, Any], where: str) -> Family:
    """The family that reads a checkpoint.

    Args:
        config: its ``config.json``. where: for the message.

    Raises:
        ModelError: nobody reads it, or its family says why this one cannot be exported.
    """
    families, problems = usable_families()
    for family in families:
        if family.reads(config):
            reason = family.check(config)
            if reason is not None:
                raise ModelError(f"{where}: {reason}")
            return family
    kind = config.get("model_type")
    raise ModelError(
        f"{where}: no family reads model_type {kind!r}: known are {', '.join(family_names())}. "
        + "".join(f"{problem}. " for problem in problems)
        + "rsccli caption --backend torch may run it through transformers"
    )

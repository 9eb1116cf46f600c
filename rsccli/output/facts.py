"""The facts of a run as JSON and back: the foreign member ``rsccli`` of every output."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any, TypeVar, cast

from affine import Affine

from rsccli.errors import InputError
from rsccli.output.text import json_bytes
from rsccli.types import Grid, InputFacts, Registration, RunFacts

JsonDict = dict[str, Any]
_T = TypeVar("_T")


def facts_to_json(facts: RunFacts) -> JsonDict:
    """The facts as plain JSON values; ``facts_from_json`` gives the same facts back."""
    return {
        **_plain(facts),
        "pre": _plain(facts.pre),
        "post": _plain(facts.post),
        "grid": {
            "crs": facts.grid.crs,
            "transform": list(facts.grid.transform[:6]),
            "width": facts.grid.width,
            "height": facts.grid.height,
        },
        "registration": _plain(facts.registration),
    }


def facts_from_json(value: object, where: str) -> RunFacts:
    """Facts from their JSON form; members that this version does not know are ignored.

    Args:
        where: the file they come from, for the message.

    Raises:
        InputError: a member is missing or of the wrong kind.
    """
    try:
        whole = dict(cast(JsonDict, value))
        grid = whole["grid"]
        whole["grid"] = Grid(
            str(grid["crs"]), Affine(*(float(v) for v in grid["transform"])), int(grid["width"]), int(grid["height"])
        )
        whole["pre"] = _build(InputFacts, whole["pre"])
        whole["post"] = _build(InputFacts, whole["post"])
        whole["registration"] = _build(Registration, whole["registration"])
        return _build(RunFacts, whole)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{where}: its run facts (member 'rsccli') are damaged or of another version ({error}); "
            "make the output again with rsccli caption"
        ) from error


def facts_to_bytes(facts: RunFacts) -> bytes:
    """The facts as one line of JSON."""
    return json_bytes(facts_to_json(facts))


def _plain(value: RunFacts | InputFacts | Registration) -> JsonDict:
    found = {field.name: getattr(value, field.name) for field in fields(value)}
    return {name: list(item) if isinstance(item, tuple) else item for name, item in found.items()}


def _build(kind: type[_T], members: JsonDict) -> _T:
    known = fields(cast(Any, kind))
    missing = [f.name for f in known if f.name not in members and f.default is MISSING and f.default_factory is MISSING]
    if missing:
        raise KeyError(f"missing {', '.join(missing)}")
    found = {f.name: members[f.name] for f in known if f.name in members}
    return kind(**{name: tuple(item) if isinstance(item, list) else item for name, item in found.items()})

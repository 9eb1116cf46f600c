"""The facts of a run as JSON and back: the foreign member ``rsccli`` of every output."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import MISSING, fields
from functools import lru_cache
from types import UnionType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from affine import Affine

from rsccli.errors import InputError
from rsccli.output.text import json_bytes
from rsccli.types import Grid, InputFacts, Registration, RunFacts

JsonDict = dict[str, Any]
_T = TypeVar("_T")
#: More pixels a side than any raster has.
_MOST_PX = 2**31


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
    except (KeyError, TypeError, ValueError, OverflowError) as error:
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
    made = {name: tuple(item) if isinstance(item, list) else item for name, item in found.items()}
    hints = _hints(cast(Hashable, kind))
    wrong = [name for name, item in made.items() if not _fits(item, hints[name])]
    if wrong:
        raise TypeError(f"{wrong[0]} is {str(made[wrong[0]])[:40]!r}")
    return kind(**made)


@lru_cache(maxsize=8)
def _hints(kind: Hashable) -> dict[str, Any]:
    return get_type_hints(cast(Any, kind))


def _fits(value: object, hint: Any) -> bool:  # noqa: ANN401 - an annotation
    """Whether a value is of an annotated kind, as far as facts have them: texts, numbers, tuples, values of ours."""
    if isinstance(hint, UnionType):
        return any(_fits(value, each) for each in get_args(hint))
    if get_origin(hint) is tuple:
        kinds = get_args(hint)
        if not isinstance(value, tuple):
            return False
        if kinds[-1] is Ellipsis:
            return all(_fits(item, kinds[0]) for item in value)
        return len(value) == len(kinds) and all(map(_fits, value, kinds))
    if hint in (int, float):
        return isinstance(value, (int, hint)) and not isinstance(value, bool) and math.isfinite(value)
    return isinstance(value, hint)


def sensible(facts: RunFacts, where: str) -> RunFacts:
    """The same, if a grid can be laid with these numbers.

    Args:
        where: the file they come from, for the message.

    Raises:
        InputError: it cannot.
    """
    grid, transform = facts.grid, tuple(facts.grid.transform)[:6]
    sizes = (grid.width, grid.height, facts.tile_size, facts.stride)
    good = all(0 < size < _MOST_PX for size in sizes) and facts.tiles >= 0 and facts.gsd_m >= 0
    if not good or not all(map(math.isfinite, transform)) or grid.transform.determinant == 0:
        raise InputError(
            f"{where}: the grid in its run facts is none ({grid.width}x{grid.height} pixels, {transform}, tiles of "
            f"{facts.tile_size}, stride {facts.stride}); make the output again with rsccli caption"
        )
    return facts

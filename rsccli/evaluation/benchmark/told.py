"""What a record says of its pair beside images and captions: metres per pixel, counts of damage, dates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rsccli.errors import InputError
from rsccli.models.outlines import LEVELS
from rsccli.run.context import labels_context
from rsccli.run.labels import TileLabels
from rsccli.types import TileContext

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Told:
    """Facts of a pair for the regimes that tell them.

    Attributes:
        counts: buildings of each of `rsccli.models.outlines.LEVELS`, zeros included; None where the record has none.
        source: where the counts come from. disaster: type. pre_date, post_date: ISO 8601. None: nobody knows.
        annotated: image of the later date with outlines on it, as the record names it, or None.
    """

    counts: Mapping[str, int] | None = None
    source: str = ""
    disaster: str | None = None
    pre_date: str | None = None
    post_date: str | None = None
    annotated: str | None = None

    @property
    def context(self) -> TileContext:
        """What a model that is asked in words is told; outlines are on the annotated image already."""
        assert self.counts is not None
        told = labels_context(TileLabels(self.counts, (), self.source, self.disaster))
        return replace(told, pre_date=self.pre_date, post_date=self.post_date)


def told_of(values: Mapping[str, Any], where: str) -> Told:
    """Facts of a record as ``rsccli dataset`` writes them, or with one column for each level.

    Args:
        values: fields, names in lower case: ``counts`` (an object of levels), or ``no_damage``, ``minor_damage``,
            ``major_damage``, ``destroyed``, ``un_classified``; ``counts_from``, ``count_rule``; ``disaster_type`` or
            ``disaster``; ``pre_date``, ``post_date``; ``annotated``.
        where: ``file:line``.

    Raises:
        InputError: counts that are none.
    """
    counts = _counts(values, where)
    rule = _text(values.get("count_rule"))
    fields = f"fields of {Path(where.rpartition(':')[0]).name}" + (f" ({rule})" if rule else "")
    disaster = _text(values.get("disaster_type")) or _text(values.get("disaster"))
    return Told(
        counts=counts,
        source=(_text(values.get("counts_from")) or fields) if counts is not None else "",
        disaster=None if disaster == UNKNOWN else disaster,
        pre_date=_text(values.get("pre_date")),
        post_date=_text(values.get("post_date")),
        annotated=_text(values.get("annotated")),
    )


def gsd_of(values: Mapping[str, Any], where: str) -> float | None:
    """Metres per pixel that a record gives.

    Raises:
        InputError: it gives something else.
    """
    given = next((values[name] for name in ("gsd_m", "gsd") if values.get(name) not in (None, "")), None)
    if given is None:
        return None
    try:
        metres = float(given)
    except (TypeError, ValueError):
        metres = 0.0
    if not 0 < metres < 1e6:
        raise InputError(f"{where}: gsd_m is {given!r}: give metres per pixel")
    return metres


def _counts(values: Mapping[str, Any], where: str) -> dict[str, int] | None:
    given = values.get("counts")
    if isinstance(given, str) and given.strip():
        try:
            given = json.loads(given)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{where}: counts is no object of levels and numbers: {given!r:.60}") from error
    if given in (None, ""):
        given = {name: values[name] for level in LEVELS for name in (level, level.replace("-", "_")) if name in values}
        if not given:
            return None
    if not isinstance(given, Mapping) or not given:
        raise InputError(f"{where}: counts is {given!r:.60}: give an object, for example {{'destroyed': 3}}")
    counts = dict.fromkeys(map(str, LEVELS), 0)
    for name, value in given.items():
        level = str(name).strip().lower().replace("_", "-")
        if level not in counts:
            raise InputError(f"{where}: counts of {name!r}: levels are {', '.join(LEVELS)}")
        counts[level] = _number(value, level, where)
    return counts


def _number(value: object, level: str, where: str) -> int:
    try:
        number = int(str(value)) if not isinstance(value, bool) else -1
    except ValueError:
        number = -1
    if number < 0:
        raise InputError(f"{where}: {level} is {value!r}: give a number of buildings, 0 or more")
    return number


def _text(value: object) -> str | None:
    text = "" if value is None else str(value).strip()
    return text or None

"""Words of the scene summary: places, counts and citations; every number comes from geometry and masks."""

from __future__ import annotations

from collections.abc import Sequence

from rsccli.output import numbers

#: Tiles named in a sentence; the rest is counted.
CITED = 3


def shown(tile_ids: Sequence[str], total: int) -> tuple[str, ...]:
    """The tiles that a sentence cites: the first ones, and all where only one would be left out."""
    return tuple(tile_ids[: total if total <= CITED + 1 else CITED])


def cited(tile_ids: Sequence[str], total: int | None = None) -> str:
    """``[r00000c00001, r00000c00002, r00000c00003 and 5 more]``.

    Args:
        tile_ids: the first ones at least. total: how many tiles there are, if not these.
    """
    total = len(tile_ids) if total is None else total
    named = shown(tile_ids, total)
    rest = f" and {numbers.count(total - len(named))} more" if total > len(named) else ""
    return f"[{', '.join(named)}{rest}]"


def counted(number: int, one: str, many: str | None = None) -> str:
    """``1 tile``, ``2 tiles``."""
    return f"{numbers.count(number)} {one if number == 1 else many or one + 's'}"


def kind_name(keyword: str) -> str:
    """A kind of change for people."""
    return keyword or "change of no named kind"


def where(towards: str | None) -> str:
    """A direction within the scene as the end of a clause."""
    if towards is None:
        return ""
    if towards == "all parts":
        return " across the scene"
    return f" in the {towards} of the scene"


def area_sentence(
    area_id: str, keyword: str, tile_ids: Sequence[str], towards: str | None, area_m2: float | None, bound: bool
) -> str:
    """One sentence about a change area."""
    tiles = "1 tile" if len(tile_ids) == 1 else f"{numbers.count(len(tile_ids))} neighbouring tiles"
    text = f"{area_id}: {kind_name(keyword)} in {tiles}{where(towards)}"
    if area_m2 is not None:
        text += f", {'up to ' if bound else ''}{numbers.area(area_m2)} of changed ground"
    return f"{text} {cited(tile_ids)}."

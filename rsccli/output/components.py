"""Tiles that touch, gathered into connected groups.

Two tiles touch where they share an edge or a corner, or overlap. Along one axis tiles ``i`` and ``j`` touch where the
stretches of pixels that they cover share at least an end; on the ground both axes must.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rsccli.types import RunFacts

Place = tuple[int, int]


def tile_span(index: int, size: int, facts: RunFacts) -> tuple[int, int]:
    """First pixel of a tile along one axis and the one behind its last.

    Args:
        index: of the tile. size: pixels of the grid along that axis.
    """
    start = index * facts.stride
    if facts.edge == "shift" and start + facts.tile_size > size:
        start = max(0, size - facts.tile_size)
    return start, start + facts.tile_size


def reach(facts: RunFacts | None) -> int:
    """Tiles of at most so many rows (columns) apart may touch: 1 side by side, more where they overlap by half.

    Without facts it is 1: neighbours in the plan touch whatever the overlap.
    """
    if facts is None:
        return 1
    # A last tile that was moved back inside may touch one more.
    return facts.tile_size // facts.stride + (1 if facts.edge == "shift" and facts.stride < facts.tile_size else 0)


def touching_groups(places: Sequence[Place], facts: RunFacts | None) -> list[list[int]]:
    """Groups of tiles that are connected by touching.

    Args:
        places: (row, column) of each tile in the plan; places may be named twice.
        facts: of the run, for overlap and edges; None where they are lost.

    Returns:
        Indices into ``places``, each in one group; in a group and among groups in the order of their places.
    """
    order = sorted(range(len(places)), key=lambda index: places[index])
    first_at: dict[Place, int] = {}
    parent = list(range(len(places)))
    for index in order:
        seen = first_at.setdefault(places[index], index)
        parent[index] = seen
    near = reach(facts)
    for place, index in first_at.items():
        for other in _before(place, near):
            found = first_at.get(other)
            if found is not None and _touch(place, other, facts):
                _join(parent, found, index)
    groups: dict[int, list[int]] = {}
    for index in order:
        groups.setdefault(_root(parent, index), []).append(index)
    return list(groups.values())


def _before(place: Place, near: int) -> Iterator[Place]:
    """Places that may touch one and come before it in reading order."""
    row, col = place
    for other_row in range(row - near, row + 1):
        for other_col in range(col - near, (col if other_row == row else col + near + 1)):
            yield other_row, other_col


def _touch(one: Place, other: Place, facts: RunFacts | None) -> bool:
    if facts is None or (facts.stride == facts.tile_size and facts.edge != "shift"):
        return True
    for axis, size in ((0, facts.grid.height), (1, facts.grid.width)):
        low, high = tile_span(one[axis], size, facts), tile_span(other[axis], size, facts)
        if min(low[1], high[1]) < max(low[0], high[0]):
            return False
    return True


def _root(parent: list[int], index: int) -> int:
    while parent[index] != index:
        parent[index] = parent[parent[index]]
        index = parent[index]
    return index


def _join(parent: list[int], one: int, other: int) -> None:
    a, b = _root(parent, one), _root(parent, other)
    if a != b:
        parent[max(a, b)] = min(a, b)

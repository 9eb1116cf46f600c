"""Places of the plan on the ground: ids, windows, footprints, and the ground that tiles cover together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from rsccli.geo.footprint import Footprint, footprints, window_areas_m2
from rsccli.geo.tiles import TilePlan
from rsccli.types import Grid, PxWindow, RunFacts

# Footprints are computed for this many tiles at a time.
_BATCH = 2048


def tile_id(row: int, col: int) -> str:
    """The id of a place in the plan."""
    return f"r{row:05d}c{col:05d}"


def tiles_overlap(facts: RunFacts) -> bool:
    """Whether ground may lie in two tiles."""
    grid, size = facts.grid, facts.tile_size
    return facts.stride < size or (facts.edge == "shift" and bool(grid.width % size or grid.height % size))


def apart(windows: Sequence[PxWindow]) -> list[PxWindow]:
    """Windows that cover the same pixels without overlapping: rows between two edges, runs of columns in them."""
    edges = sorted({edge for window in windows for edge in (window.row, window.row + window.height)})
    by_rows: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for window in windows:
        by_rows.setdefault((window.row, window.row + window.height), []).append((window.col, window.col + window.width))
    found = []
    for top, bottom in pairwise(edges):
        spans = [span for (low, high), own in by_rows.items() if low <= top and high >= bottom for span in own]
        runs: list[tuple[int, int]] = []
        for left, right in sorted(spans):
            if runs and left <= runs[-1][1]:
                runs[-1] = (runs[-1][0], max(runs[-1][1], right))
            else:
                runs.append((left, right))
        found += [PxWindow(left, top, right - left, bottom - top) for left, right in runs]
    return found


def footprints_of(grid: Grid, windows: Sequence[PxWindow]) -> Iterator[Footprint]:
    """Footprints, a batch at a time."""
    for start in range(0, len(windows), _BATCH):
        yield from footprints(grid, windows[start : start + _BATCH])


def tile_windows(facts: RunFacts, places: Sequence[tuple[int, int]]) -> list[PxWindow]:
    """Pixel windows of places (row, column) of the plan."""
    edge = facts.edge if facts.edge in ("shift", "drop") else "pad"
    plan = TilePlan(facts.grid, facts.tile_size, facts.stride, edge, 1, 1, 1, 1)  # type: ignore[arg-type]
    return [plan.tile(row, col).px_window for row, col in places]


def covered_m2(facts: RunFacts, windows: Sequence[PxWindow]) -> float:
    """Ground that tiles cover together on the grid, square metres; what two of them share counts once."""
    whole = apart(windows) if tiles_overlap(facts) else windows
    return round(float(window_areas_m2(facts.grid, whole, clip=True).sum()), 2)

"""How scores and changed areas are spread over the tiles: counts in fixed bins, made in one pass."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TypeGuard

from rsccli.output.features import Feature
from rsccli.types import STATUSES, Status

SCORE_BINS = 20
#: Fewer would not show where on the scale they lie.
LEAST_AREA_BINS = 8


@dataclass(frozen=True)
class ScoreCounts:
    """Tiles of one status by change score.

    Attributes:
        counts: for 20 bins of 0.05 from 0 to 1; the last one holds 1 itself.
    """

    status: Status
    counts: tuple[int, ...]


@dataclass(frozen=True)
class AreaBin:
    """Changed tiles whose changed area lies from ``low_m2`` up to, not with, ``high_m2``."""

    low_m2: float
    high_m2: float
    count: int


#: Of more no file tells the truth.
_EARTH_M2 = 5.2e14


class Spread:
    """Counts features into the bins."""

    def __init__(self) -> None:
        self._scores: Counter[tuple[Status, int]] = Counter()
        self._areas: Counter[int] = Counter()

    def add(self, feature: Feature) -> None:
        """Count one tile; a file that another tool wrote may hold what is no number."""
        if _known(feature.change_score):
            place = min(SCORE_BINS - 1, max(0, int(min(1.0, feature.change_score) * SCORE_BINS + 1e-9)))
            self._scores[feature.status, place] += 1
        if feature.status == "changed" and _known(feature.changed_area_m2):
            self._areas[_area_place(min(feature.changed_area_m2, _EARTH_M2))] += 1

    def scores(self) -> tuple[ScoreCounts, ...]:
        """Statuses that have scores, in the order of ``STATUSES``."""
        seen = {status for status, _ in self._scores}
        return tuple(
            ScoreCounts(status, tuple(self._scores[status, place] for place in range(SCORE_BINS)))
            for status in STATUSES
            if status in seen
        )

    def areas(self) -> tuple[AreaBin, ...]:
        """Bins that end at 1, 2, 5, 10 ... m2 from the first with a tile to the last, and at least eight of them."""
        if not self._areas:
            return ()
        first, last = min(self._areas), max(self._areas)
        spare = max(0, LEAST_AREA_BINS - (last - first + 1))
        first = max(0, first - spare // 2)
        places = range(first, max(last + 1, first + LEAST_AREA_BINS))
        return tuple(AreaBin(_area_edge(place), _area_edge(place + 1), self._areas[place]) for place in places)


def _known(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def _area_edge(place: int) -> float:
    """0, 1, 2, 5, 10, 20, 50 ... for 0, 1, 2, 3, 4, 5, 6 ..."""
    if place == 0:
        return 0.0
    decade, step = divmod(place - 1, 3)
    return float((1, 2, 5)[step] * 10**decade)


def _area_place(area_m2: float) -> int:
    place = 0
    while area_m2 >= _area_edge(place + 1):
        place += 1
    return place

"""What every pair of a series says of every tile, kept in five bytes each."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from rsccli.output.features import Feature
from rsccli.output.timeline.seasonal import Judged
from rsccli.types import STATUSES

Place = tuple[int, int]


class PairTable:
    """Status and keywords of one pair's tiles, by their place in the plan.

    Args:
        rows, cols: of the plan. features: of the pair, each place once.
    """

    def __init__(self, rows: int, cols: int, features: Iterable[Feature]) -> None:
        # 0: no such tile; else one more than the index of the status.
        self._status = np.zeros((rows, cols), np.uint8)
        self._words = np.zeros((rows, cols), np.uint32)
        self._known: dict[tuple[str, ...], int] = {(): 0}
        for feature in features:
            place = feature.tile_row, feature.tile_col
            self._status[place] = 1 + STATUSES.index(feature.status)
            self._words[place] = self._known.setdefault(feature.keywords, len(self._known))
        self._by_index = list(self._known)

    def at(self, place: Place) -> Judged | None:
        """What the pair says of a place, or None where it has no such tile."""
        code = int(self._status[place])
        return None if code == 0 else Judged(STATUSES[code - 1], self._by_index[int(self._words[place])])

    def changed(self) -> list[Place]:
        """Places called changed, in reading order."""
        found = np.argwhere(self._status == 1 + STATUSES.index("changed"))
        return [(int(row), int(col)) for row, col in found]

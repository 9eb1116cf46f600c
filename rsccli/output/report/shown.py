"""The tiles that a page shows one by one: all of them, or of a very large run those that matter most."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rsccli.output.features import Feature
from rsccli.types import STATUSES, Status

#: More tiles make a page slow to open; they are all in the map file.
MOST_TILES = 20_000
#: What a reader looks for first.
_ORDER: tuple[Status, ...] = ("changed", "unsure", "model_error", "read_error", "unchanged", "skipped", "nodata")
assert set(_ORDER) == set(STATUSES)


class ShownTiles:
    """Keeps the tiles that matter most of a stream of features, however long it is.

    ``summarise(shown.of(features), facts)`` makes the summary and fills this in one pass.
    """

    def __init__(self, most: int = MOST_TILES) -> None:
        self._most = most
        self._heap: list[_Entry] = []
        #: Features that passed.
        self.total = 0

    def of(self, features: Iterable[Feature]) -> Iterator[Feature]:
        """The same features, each noted on the way."""
        for feature in features:
            self.total += 1
            entry = _Entry((_ORDER.index(feature.status), -(feature.change_score or 0.0), feature.id), feature)
            if len(self._heap) < self._most:
                heapq.heappush(self._heap, entry)
            elif entry.key < self._heap[0].key:
                heapq.heapreplace(self._heap, entry)
            yield feature

    def strongest(self) -> list[Feature]:
        """What was kept: changed ones first, higher scores first."""
        return [entry.feature for entry in sorted(self._heap, key=lambda entry: entry.key)]


@dataclass(frozen=True, slots=True)
class _Entry:
    """Orders a heap so that its first entry is the one to give up next."""

    key: tuple[int, float, str]
    feature: Feature

    def __lt__(self, other: _Entry) -> bool:
        return self.key > other.key

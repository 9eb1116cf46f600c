"""What was found of each phrase, gathered while rows stream by: counts, areas of masks, tiles that are cited."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from rsccli.models.small.answers import area_text
from rsccli.run.ground.record import GROUND_STATUSES, TileGround

#: Tiles that are named beside their number.
CITED, LISTED = 6, 50


@dataclass(frozen=True)
class PhraseFound:
    """One phrase.

    Attributes:
        phrase: as it was given. places: boxes or polygons. area_m2: of polygons on the ellipsoid; None for boxes,
            which may overlap and hold more than what they are drawn around.
        classes: of the mask that it stands for; None for boxes. by_status: tiles by what became of them.
        tiles: ids of tiles with boxes, in reading order, at most `LISTED`. tile_count: how many there are.
        malformed: ids of tiles whose answer could not be read, likewise.
    """

    phrase: str
    text: str
    places: int
    area_m2: float | None = None
    classes: tuple[str, ...] | None = None
    by_status: tuple[tuple[str, int], ...] = ()
    tiles: tuple[str, ...] = ()
    tile_count: int = 0
    malformed: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For the collection's foreign member, and for programs."""
        return {**asdict(self), "by_status": dict(self.by_status)}


class _Tiles:
    """The first tiles in reading order, and how many there are; they come superblock by superblock."""

    def __init__(self) -> None:
        self.count = 0
        self._kept: list[tuple[int, int, str]] = []

    def add(self, record: TileGround) -> None:
        self.count += 1
        # The heap's smallest is what stands last in reading order.
        entry = (-record.row, -record.col, record.tile_id)
        if len(self._kept) < LISTED:
            heapq.heappush(self._kept, entry)
        else:
            heapq.heappushpop(self._kept, entry)

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(tile_id for _, _, tile_id in sorted(self._kept, reverse=True))

    def cited(self) -> str:
        ids = self.ids[:CITED] if self.count > CITED + 1 else self.ids
        more = f" and {self.count - len(ids):,} more" if self.count > len(ids) else ""
        return f"[{', '.join(ids)}{more}]"


class BoxTally:
    """Gathers what boxes a phrase got.

    Args:
        phrase: as it was given. place: of it among the phrases, from 0.
    """

    def __init__(self, phrase: str, place: int) -> None:
        self._phrase, self._place = phrase, place
        self._boxes = 0
        self._counts: Counter[str] = Counter()
        self._by_status = {status: _Tiles() for status in GROUND_STATUSES}

    def add(self, record: TileGround) -> None:
        """Take in one tile."""
        finds = record.finds[self._place]
        self._counts[finds.status] += 1
        self._by_status[finds.status].add(record)
        self._boxes += len(finds.boxes)

    def found(self) -> PhraseFound:
        """What was found in all tiles that were taken in."""
        found, malformed = self._by_status["found"], self._by_status["malformed"]
        asked = found.count + self._by_status["nothing"].count + malformed.count
        text = "no boxes"
        if found.count:
            text = f"{self._boxes:,} {_things('box', 'boxes', self._boxes)} in {found.count:,} {_tiles(found.count)} "
            text += found.cited()
        text += f"; {asked:,} {_tiles(asked)} {'was' if asked == 1 else 'were'} asked"
        if malformed.count:
            text += f", {malformed.count:,} of them answered with what is no box {malformed.cited()}"
        order = tuple((status, self._counts[status]) for status in GROUND_STATUSES if self._counts[status])
        return PhraseFound(self._phrase, text, self._boxes, None, None, order, found.ids, found.count, malformed.ids)


class PolygonTally:
    """Gathers the polygons of a phrase.

    Args:
        phrase: as it was given. classes: that it stands for; empty: all.
    """

    def __init__(self, phrase: str, classes: tuple[str, ...]) -> None:
        self._phrase, self._classes = phrase, classes
        self._polygons: Counter[str] = Counter()
        self._areas: dict[str, float] = {}

    def wants(self, class_name: str) -> bool:
        """Whether polygons of a class are of this phrase."""
        return not self._classes or class_name in self._classes

    def add(self, class_name: str, area_m2: float) -> None:
        """Take in one polygon."""
        self._polygons[class_name] += 1
        self._areas[class_name] = self._areas.get(class_name, 0.0) + area_m2

    def found(self, by_status: tuple[tuple[str, int], ...]) -> PhraseFound:
        """What was found.

        Args:
            by_status: tiles by what became of them.
        """
        number, area = sum(self._polygons.values()), sum(self._areas.values())
        text = "no polygons"
        if number:
            text = f"{number:,} {_things('polygon', 'polygons', number)}, {area_text(area)}"
            each = [f"{name} {count:,}" for name, count in self._polygons.most_common()]
            text += f": {', '.join(each)}" if len(each) > 1 else f" of {each[0].rpartition(' ')[0]}"
        not_judged = dict(by_status).get("not_judged", 0)
        if not_judged:
            text += f"; {not_judged:,} {_tiles(not_judged)} could not be judged"
        return PhraseFound(self._phrase, text, number, round(area, 2), self._classes, by_status)


def _things(one: str, many: str, number: int) -> str:
    return one if number == 1 else many


def _tiles(number: int) -> str:
    return "tile" if number == 1 else "tiles"

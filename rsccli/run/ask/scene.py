"""Answers for the whole scene, gathered while tiles stream by: every claim cites tiles, every number is measured.

Nothing that a language model says is added up. A scene answer counts tiles, adds areas and parts of masks, and quotes.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rsccli.models.small.answers import ANSWER_STATUSES, AnswerStatus, TileAnswer
from rsccli.run.ask.record import TileAnswers

#: Tiles that a scene answer names beside their number: in words, and in its list.
CITED, LISTED = 6, 50


@dataclass(frozen=True)
class SceneAnswer:
    """The answer to one question about the scene.

    Attributes:
        question: as it was asked. status: as of a tile. text: one or a few sentences that cite tiles.
        value, unit: the number that was asked for, or None.
        tiles: ids that the answer rests on, strongest first, at most `LISTED`. tile_count: how many there are.
        by_status: tiles by status of their answer.
    """

    question: str
    status: AnswerStatus
    text: str
    value: float | None = None
    unit: str | None = None
    tiles: tuple[str, ...] = ()
    tile_count: int = 0
    by_status: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, order=True)
class Cited:
    """A tile that an answer rests on; the largest is the strongest.

    Attributes:
        weight: area, parts or score. order: the negative place in the plan: of equals the first comes first.
        row, col: of the tile in the plan. place: words on where in the tile.
    """

    weight: float
    order: tuple[int, int]
    tile_id: str = field(compare=False)
    row: int = field(compare=False, default=0)
    col: int = field(compare=False, default=0)
    place: str = field(compare=False, default="")


class TileList:
    """The strongest of many tiles, and how many there were; memory holds `LISTED` of them."""

    def __init__(self) -> None:
        self.count = 0
        self._kept: list[Cited] = []

    def add(self, record: TileAnswers, weight: float = 0.0, place: str = "") -> None:
        """Take in one more."""
        self.count += 1
        cited = Cited(weight, (-record.row, -record.col), record.tile_id, record.row, record.col, place)
        if len(self._kept) < LISTED:
            heapq.heappush(self._kept, cited)
        else:
            heapq.heappushpop(self._kept, cited)

    @property
    def strongest(self) -> list[Cited]:
        """Strongest first."""
        return sorted(self._kept, reverse=True)

    @property
    def ids(self) -> tuple[str, ...]:
        """Their ids."""
        return tuple(each.tile_id for each in self.strongest)

    def cited(self) -> str:
        """``[r00000c00001, r00000c00002 and 3 more]``."""
        ids = self.ids[:CITED] if self.count > CITED + 1 else self.ids
        more = f" and {self.count - len(ids):,} more" if self.count > len(ids) else ""
        return f"[{', '.join(ids)}{more}]"

    def told(self, one: str = "tile") -> str:
        """``2 tiles [..]``."""
        return f"{self.count:,} {one if self.count == 1 else one + 's'} {self.cited()}"


class Tally(Protocol):
    """Gathers the answers to one question."""

    def add(self, record: TileAnswers, answer: TileAnswer) -> None:
        """Take in one tile."""
        ...

    def answer(self) -> SceneAnswer:
        """The answer for all tiles that were taken in."""
        ...


class Looked:
    """How many tiles have which status, and the ground that was looked at."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(ANSWER_STATUSES, 0)
        self.ground_m2 = 0.0
        self.unsure, self.missing = TileList(), TileList()
        self._reasons: Counter[str] = Counter()

    def add(self, record: TileAnswers, answer: TileAnswer) -> None:
        """Take in one tile."""
        self.counts[answer.status] += 1
        if answer.status in ("answered", "unsure"):
            self.ground_m2 += record.own_m2
        if answer.status == "unsure":
            self.unsure.add(record, answer.total or 0.0)
            if answer.reason and (answer.reason in self._reasons or len(self._reasons) < LISTED):
                self._reasons[answer.reason] += 1
        elif answer.status not in ("answered", "cannot_answer"):
            self.missing.add(record)

    @property
    def tiles(self) -> int:
        """Tiles with an answer, sure or not."""
        return self.counts["answered"] + self.counts["unsure"]

    def why_unsure(self) -> str:
        """The reason that most of the unsure tiles share, in brackets with a space before, or nothing."""
        reason, count = next(iter(self._reasons.most_common(1)), ("", 0))
        return f" ({reason})" if 2 * count > self.unsure.count else ""

    @property
    def by_status(self) -> tuple[tuple[str, int], ...]:
        """Statuses that occur."""
        return tuple((status, count) for status, count in self.counts.items() if count)

    def rest(self, already: bool = False) -> str:
        """What the answer leaves out, sentences with a space before, or nothing.

        Args:
            already: whether the unsure tiles were told of.
        """
        text = ""
        if self.unsure.count and not already:
            text += f" Not sure about {self.unsure.told()}{self.why_unsure()}."
        if self.missing.count:
            text += f" Not looked at: {self.missing.told()}."
        return text


def status_without_answers(looked: Looked) -> AnswerStatus | None:
    """The scene's status where no tile has an answer, else None."""
    if looked.tiles:
        return None
    present: Sequence[AnswerStatus] = [status for status in ANSWER_STATUSES if looked.counts[status]]
    return present[0] if len(present) == 1 else "cannot_answer" if "cannot_answer" in present else "nodata"

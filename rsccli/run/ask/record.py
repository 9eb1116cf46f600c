"""The answers about one tile, and as a journal keeps them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from rsccli.models.small.answers import TileAnswer
from rsccli.types import Tile


@dataclass(frozen=True, slots=True)
class TileAnswers:
    """All answers about one tile.

    Attributes:
        valid_fraction: share of the tile's pixels that both dates cover, 0-1.
        own_m2: ground of it that both dates cover and that no other tile counts; 0 where no model looked.
        answers: one for each question, in their order.
    """

    tile_id: str
    row: int
    col: int
    valid_fraction: float
    own_m2: float
    answers: tuple[TileAnswer, ...]

    @property
    def status(self) -> str:
        """What became of the tile: of the first question."""
        return self.answers[0].status

    @property
    def looked_at(self) -> bool:
        """Whether a model saw the tile, or would have if a question had needed it."""
        return any(each.status in ("answered", "unsure", "cannot_answer") for each in self.answers)


def same_answers(tile: Tile, valid_fraction: float, answer: TileAnswer, questions: int) -> TileAnswers:
    """A tile that gets one answer to every question: nobody looked at it."""
    return TileAnswers(tile.id, tile.row, tile.col, valid_fraction, 0.0, (answer,) * questions)


def to_json(record: TileAnswers) -> dict[str, Any]:
    """JSON values of a record; ``from_json`` gives the record back."""
    return asdict(record)


def from_json(value: dict[str, Any]) -> TileAnswers:
    """The record of ``to_json``."""
    answers = tuple(TileAnswer(**{**each, "kinds": tuple(each["kinds"])}) for each in value["answers"])
    return TileAnswers(**{**value, "answers": answers})

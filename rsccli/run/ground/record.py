"""What was found in one tile, and as a journal keeps it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from rsccli.types import PxWindow, Tile

GroundStatus = Literal["found", "nothing", "malformed", "skipped", "nodata", "read_error", "model_error"]
GROUND_STATUSES: tuple[GroundStatus, ...] = (
    "found",
    "nothing",
    "malformed",
    "skipped",
    "nodata",
    "read_error",
    "model_error",
)


@dataclass(frozen=True, slots=True)
class FoundBox:
    """One box on the grid. px_window: whole pixels. label: as the model calls it, or empty."""

    px_window: PxWindow
    label: str


@dataclass(frozen=True, slots=True)
class TileFinds:
    """What one phrase gave in one tile.

    Attributes:
        logprob: of the answer. reason: why there are no boxes. answer: the model's words where they are malformed.
    """

    status: GroundStatus
    boxes: tuple[FoundBox, ...] = ()
    logprob: float | None = None
    reason: str | None = None
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class TileGround:
    """All phrases of one tile.

    Attributes:
        finds: one for each phrase, in their order.
    """

    tile_id: str
    row: int
    col: int
    finds: tuple[TileFinds, ...]

    @property
    def status(self) -> str:
        """What became of the tile: of the first phrase."""
        return self.finds[0].status


def same_finds(tile: Tile, finds: TileFinds, phrases: int) -> TileGround:
    """A tile in which every phrase has the same fate: nobody looked at it."""
    return TileGround(tile.id, tile.row, tile.col, (finds,) * phrases)


def to_json(record: TileGround) -> dict[str, Any]:
    """JSON values of a record; ``from_json`` gives the record back."""
    return asdict(record)


def from_json(value: dict[str, Any]) -> TileGround:
    """The record of ``to_json``."""
    finds = tuple(
        TileFinds(
            **{
                **each,
                "boxes": tuple(FoundBox(PxWindow(*box["px_window"]), box["label"]) for box in each["boxes"]),
            }
        )
        for each in value["finds"]
    )
    return TileGround(value["tile_id"], value["row"], value["col"], finds)

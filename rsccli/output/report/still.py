"""The map as a still drawing: for paper, and for browsers that run no script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rsccli.output.features import Feature
from rsccli.output.report.places import places
from rsccli.types import MapBounds, Status

#: Footprints that are drawn; more are no longer told apart on paper.
MOST_DRAWN = 1_500
_WIDTH = 1000


@dataclass(frozen=True)
class StillMap:
    """Footprints of tiles over a picture.

    Attributes:
        width, height: of the drawing, its units. outlines: status and SVG path of tiles that are not unchanged.
        left_out: how many such tiles are not drawn.
    """

    width: int
    height: int
    outlines: tuple[tuple[Status, str], ...]
    left_out: int


def still_map(features: Sequence[Feature], bounds: MapBounds | None) -> StillMap | None:
    """The drawing over given bounds (metres of Web Mercator), or around the tiles without them.

    Args:
        features: those that matter most first.

    Returns:
        None where the tiles have no place on a web map.
    """
    telling = [feature for feature in features if feature.status not in ("unchanged", "nodata", "skipped")]
    where = places(telling[:MOST_DRAWN] or features[:1])
    if where is None:
        return None
    frame = bounds or where.bounds
    scale = _WIDTH / (frame.right - frame.left)
    height = max(1, round((frame.top - frame.bottom) * scale))

    def path(ring: tuple[int, ...]) -> str:
        x = (where.left_m + ring[0] * where.step_m - frame.left) * scale
        y = (frame.top - where.bottom_m - ring[1] * where.step_m) * scale
        step = where.step_m * scale
        moves = " ".join(f"{dx * step:.1f} {-dy * step:.1f}" for dx, dy in zip(ring[2::2], ring[3::2], strict=True))
        return f"M{x:.1f} {y:.1f}l{moves}z"

    outlines = [
        (feature.status, "".join(map(path, rings))) for feature, rings in zip(telling, where.rings, strict=False)
    ]
    return StillMap(_WIDTH, height, tuple(outlines), max(0, len(telling) - MOST_DRAWN))

"""What a detection found, in numbers."""

from __future__ import annotations

from dataclasses import dataclass, field

from rsccli.run.detect.polygons import Dropped
from rsccli.run.detect.scan import Looked


@dataclass
class Kind:
    """Polygons of one class: how many, and how much ground."""

    polygons: int = 0
    area_m2: float = 0.0


@dataclass
class Found:
    """What a run found.

    Attributes:
        looked: what became of the tiles. classes: polygons by class. dropped: changes below the least area.
        judged_px, not_judged_px: pixels with data, by whether the model judged them.
    """

    looked: Looked
    classes: dict[str, Kind]
    dropped: Dropped = field(default_factory=Dropped)
    judged_px: int = 0
    not_judged_px: int = 0

    @property
    def polygons(self) -> int:
        """All of them."""
        return sum(kind.polygons for kind in self.classes.values())

    @property
    def area_m2(self) -> float:
        """Of all polygons."""
        return sum(kind.area_m2 for kind in self.classes.values())

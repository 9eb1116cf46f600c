"""What the values of a mask mean: 0 no change, 1, 2, ... the classes, 254 not judged, 255 no data."""

from __future__ import annotations

from dataclasses import dataclass

UNCHANGED, NOT_JUDGED, NODATA = 0, 254, 255
#: A probability of 1 in the scores of a raster; steps are 0.004.
SCORE_STEPS = 250
#: More classes than this do not fit beside the codes that are taken.
MOST_CLASSES = 250
#: The one class of a binary mask.
CHANGE = "change"

Colour = tuple[int, int, int, int]

_KNOWN: dict[str, Colour] = {
    "building": (228, 26, 28, 255),
    "road": (90, 90, 90, 255),
    "vegetation": (51, 160, 44, 255),
    "water": (31, 120, 180, 255),
    "bare soil": (177, 120, 60, 255),
    "burn": (60, 20, 20, 255),
    "debris": (152, 78, 163, 255),
    "other": (255, 127, 0, 255),
    CHANGE: (228, 26, 28, 255),
}
# Classes of other captioners take these in turn.
_SPARE: tuple[Colour, ...] = (
    (166, 206, 227, 255),
    (251, 154, 153, 255),
    (253, 191, 111, 255),
    (202, 178, 214, 255),
    (178, 223, 138, 255),
    (255, 255, 153, 255),
)
# A TIFF's palette has no transparency: what did not change is white.
_WHITE: Colour = (255, 255, 255, 255)
_GREY: Colour = (200, 200, 200, 255)


@dataclass(frozen=True)
class Legend:
    """The classes of a mask.

    Attributes:
        classes: code 1 is the first one.
    """

    classes: tuple[str, ...]

    def code(self, name: str) -> int:
        """Of a class."""
        return self.classes.index(name) + 1

    @property
    def names(self) -> dict[int, str]:
        """What each code in use means."""
        classes = dict(enumerate(self.classes, 1))
        return {UNCHANGED: "no change", **classes, NOT_JUDGED: "not judged", NODATA: "no data"}

    @property
    def colours(self) -> dict[int, Colour]:
        """Red, green, blue, alpha of each code in use."""
        spare = [name for name in self.classes if name not in _KNOWN]
        classes = {
            code: _KNOWN.get(name) or _SPARE[spare.index(name) % len(_SPARE)]
            for code, name in enumerate(self.classes, 1)
        }
        return {UNCHANGED: _WHITE, **classes, NOT_JUDGED: _GREY, NODATA: (0, 0, 0, 0)}

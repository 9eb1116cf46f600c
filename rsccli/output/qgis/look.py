"""What a layer of polygons looks like, before it becomes QGIS's XML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

#: Red, green, blue, alpha, 0-255.
Colour: TypeAlias = tuple[int, int, int, int]


@dataclass(frozen=True)
class Paint:
    """A filled polygon.

    Attributes:
        fill, line: colours. width_mm: of the line. dashed: the line is broken.
        cased: a white line lies under it, so that it is seen on ground of its own colour.
    """

    fill: Colour
    line: Colour
    width_mm: float
    dashed: bool = False
    cased: bool = False


@dataclass(frozen=True)
class Entry:
    """One line of the legend.

    Attributes:
        value: of the look's expression. label: for a person.
    """

    value: str
    label: str
    paint: Paint


@dataclass(frozen=True)
class Section:
    """A part of the legend that is shown or hidden as a whole: one question of many, one pair of dates.

    Attributes:
        label: for a person. condition: QGIS expression of the rows that belong to it. shown: at first.
    """

    label: str
    condition: str
    shown: bool


@dataclass(frozen=True)
class Look:
    """How a layer is drawn.

    Attributes:
        name: of the style. expression: whose value picks the entry.
        entries: lines of the legend. sections: none, or parts that each hold all entries.
        tip: HTML of the map tip, with expressions in ``[% %]``. label: expression of the text on a polygon, or None.
        strength: expression from 0 to 1 that makes a fill stronger, or None.
    """

    name: str
    expression: str
    entries: tuple[Entry, ...]
    tip: str
    sections: tuple[Section, ...] = ()
    label: str | None = None
    strength: str | None = None


def quoted(text: str) -> str:
    """A text as a string of QGIS's expressions."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def shown(expression: str) -> str:
    """The value of an expression inside of HTML: what a model wrote is text there, whatever it holds."""
    return f"[% replace(replace(coalesce({expression}, ''), '&', '&amp;'), '<', '&lt;') %]"


def column(name: str) -> str:
    """The value of a column inside of HTML."""
    return shown(f'"{name}"')

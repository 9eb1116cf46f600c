"""Plots of the probes as SVG, by plain strings: lines over an axis, or points in rows, with intervals.

Colours differ in lightness and markers in shape, so that a grey print can be read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from rsccli.evaluation.probes.estimates import Estimate

WIDTH, LEFT, RIGHT, TOP = 640, 64, 28, 44
PLOT_HEIGHT = 230
#: Height of a row with one or two kinds of points, and what each further kind adds.
ROW, FURTHER = 22, 7
#: Letters of a row's name.
LONGEST = 40
#: Colour, dashes of the line, marker.
STYLES = (
    ("#0b3c6f", "", "circle"),
    ("#c2410c", "7 4", "square"),
    ("#0f766e", "2 3", "triangle"),
    ("#7e22ce", "9 3 2 3", "diamond"),
    ("#a16207", "4 2", "ring"),
    ("#475569", "1 4", "box"),
)
INK, GRID = "#1f2933", "#d5dbe1"


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
        title: with the unit. ticks: values with their texts. log: by octaves. low, high: ends; None: of ticks.
    """

    title: str
    ticks: tuple[tuple[float, str], ...]
    log: bool = False

    def place(self, value: float) -> float:
        """0-1 along the axis."""
        ends = [self._scale(tick) for tick, _ in self.ticks]
        low, high = min(ends), max(ends)
        return (self._scale(value) - low) / (high - low) if high > low else 0.5

    def _scale(self, value: float) -> float:
        return math.log2(value) if self.log else value


@dataclass(frozen=True)
class Series:
    """One line, or the points of one kind: values with intervals at places of the axis or of rows."""

    name: str
    points: tuple[tuple[float, Estimate], ...]


@dataclass(frozen=True)
class Plot:
    """A plot.

    Attributes:
        title: one line. x, y: axes; ``y`` None: rows. rows: names of rows, top first; their points lie at 0, 1, ...
        series: in the order of the legend. note: one line under the plot.
    """

    title: str
    x: Axis
    y: Axis | None
    series: tuple[Series, ...]
    rows: tuple[str, ...] = field(default=())
    note: str = ""


def per_cent(title: str) -> Axis:
    """An axis of shares."""
    return Axis(title, tuple((tick / 100, f"{tick} %") for tick in (0, 25, 50, 75, 100)))


def points_axis(title: str, values: Sequence[float], log: bool = False) -> Axis:
    """An axis with a tick at each of some values."""
    return Axis(title, tuple((value, f"{value:g}") for value in values), log)


def draw(plot: Plot) -> str:
    """The plot as SVG."""
    series = tuple(Series(each.name, tuple(p for p in each.points if p[1].value is not None)) for each in plot.series)
    shown = [(index, each) for index, each in enumerate(series) if each.points]
    if plot.y is None:
        return _rows(plot, shown)
    frame = _Frame(LEFT, TOP, WIDTH - LEFT - RIGHT, PLOT_HEIGHT, inset=14)
    parts = [*_vertical(frame, plot.x), *_horizontal(frame, plot.y)]
    for index, each in shown:
        # Intervals of several lines at one place would hide each other.
        aside = (index - (len(series) - 1) / 2) * 4
        places = [
            (frame.x(plot.x.place(at)) + aside, tuple(frame.y(plot.y.place(v)) for v in _bounds(estimate)))
            for at, estimate in each.points
        ]
        colour, dash, _ = STYLES[index % len(STYLES)]
        line = " ".join(f"{x:.1f},{y[1]:.1f}" for x, y in places)
        parts.append(
            f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.8"'
            + (f' stroke-dasharray="{dash}"' if dash else "")
            + "/>"
        )
        for x, (low, middle, high) in places:
            parts.append(_bar(x, low, x, high, colour, index))
            parts.append(_marker(x, middle, index))
    return _page(plot, frame, parts, shown, lines=True)


def _rows(plot: Plot, shown: Sequence[tuple[int, Series]]) -> str:
    names = [name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…" for name in plot.rows]
    left = 16 + max([60.0, *(6.9 * len(name) for name in names)])
    height = ROW + FURTHER * max(0, len(shown) - 2)
    frame = _Frame(left, TOP, WIDTH - left - RIGHT, height * max(1, len(plot.rows)) + 10)
    parts = list(_vertical(frame, plot.x))
    for row, name in enumerate(names):
        y = frame.top + 5 + height * (row + 0.5)
        parts.append(f'<path d="M{frame.left:.1f} {y:.1f}h{frame.width:.1f}" stroke="{GRID}" stroke-dasharray="1 3"/>')
        parts.append(f'<text x="{frame.left - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">{escape(name)}</text>')
    for order, (index, each) in enumerate(shown):
        colour = STYLES[index % len(STYLES)][0]
        for at, estimate in each.points:
            y = frame.top + 5 + height * (at + 0.5) + (order - (len(shown) - 1) / 2) * FURTHER
            low, middle, high = (frame.x(plot.x.place(v)) for v in _bounds(estimate))
            parts.append(_bar(low, y, high, y, colour, index))
            parts.append(_marker(middle, y, index))
    return _page(plot, frame, parts, shown, lines=False)


@dataclass(frozen=True)
class _Frame:
    left: float
    top: float
    width: float
    height: float
    #: Kept free at the left and right ends of a horizontal axis, for markers.
    inset: float = 0.0

    def x(self, part: float) -> float:
        return self.left + self.inset + (self.width - 2 * self.inset) * part

    def y(self, part: float) -> float:
        return self.top + self.height * (1 - part)


def _bounds(estimate: Estimate) -> tuple[float, float, float]:
    value = estimate.value or 0.0
    return (
        value if estimate.low is None else estimate.low,
        value,
        value if estimate.high is None else estimate.high,
    )


def _vertical(frame: _Frame, axis: Axis) -> list[str]:
    """Lines up from the horizontal axis, with their texts."""
    bottom = frame.top + frame.height
    parts = [f'<path d="M{frame.left:.1f} {bottom:.1f}h{frame.width:.1f}" stroke="{INK}"/>']
    for value, text in axis.ticks:
        x = frame.x(axis.place(value))
        parts.append(f'<path d="M{x:.1f} {frame.top:.1f}V{bottom + 4:.1f}" stroke="{GRID}"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 18:.1f}" text-anchor="middle">{escape(text)}</text>')
    middle = frame.left + frame.width / 2
    parts.append(f'<text x="{middle:.1f}" y="{bottom + 36:.1f}" text-anchor="middle">{escape(axis.title)}</text>')
    return parts


def _horizontal(frame: _Frame, axis: Axis) -> list[str]:
    parts = []
    for value, text in axis.ticks:
        y = frame.y(axis.place(value))
        parts.append(f'<path d="M{frame.left:.1f} {y:.1f}h{frame.width:.1f}" stroke="{GRID}"/>')
        parts.append(f'<text x="{frame.left - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">{escape(text)}</text>')
    middle = frame.top + frame.height / 2
    parts.append(
        f'<text transform="translate(16 {middle:.1f}) rotate(-90)" text-anchor="middle">{escape(axis.title)}</text>'
    )
    return parts


def _bar(x0: float, y0: float, x1: float, y1: float, colour: str, index: int) -> str:
    if abs(x0 - x1) + abs(y0 - y1) < 0.05:
        return ""
    return f'<path d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}" stroke="{colour}" stroke-width="1.6" stroke-opacity=".55"/>'


def _marker(x: float, y: float, index: int) -> str:
    colour, _, shape = STYLES[index % len(STYLES)]
    if shape in ("circle", "ring"):
        fill = "#fff" if shape == "ring" else colour
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.6" fill="{fill}" stroke="{colour}" stroke-width="1.4"/>'
    corners = {
        "square": ((-3.4, -3.4), (3.4, -3.4), (3.4, 3.4), (-3.4, 3.4)),
        "box": ((-3.4, -3.4), (3.4, -3.4), (3.4, 3.4), (-3.4, 3.4)),
        "triangle": ((0.0, -4.4), (4.2, 3.2), (-4.2, 3.2)),
        "diamond": ((0.0, -4.6), (4.6, 0.0), (0.0, 4.6), (-4.6, 0.0)),
    }[shape]
    points = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in corners)
    fill = "#fff" if shape == "box" else colour
    return f'<polygon points="{points}" fill="{fill}" stroke="{colour}" stroke-width="1.4"/>'


def _page(plot: Plot, frame: _Frame, parts: Sequence[str], shown: Sequence[tuple[int, Series]], lines: bool) -> str:
    y: float = frame.top + frame.height + 58
    legend: list[str] = []
    start = frame.left if lines else 16.0
    x = start
    for index, each in shown if len(shown) > 1 or lines else ():
        length = 34 + 6.6 * len(each.name)
        if x > start and x + length > WIDTH - 8:
            x, y = start, y + 20
        colour, dash, _ = STYLES[index % len(STYLES)]
        if lines:
            legend.append(
                f'<path d="M{x:.1f} {y - 4:.1f}h22" stroke="{colour}" stroke-width="1.8"'
                + (f' stroke-dasharray="{dash}"' if dash else "")
                + "/>"
            )
        legend.append(_marker(x + 11, y - 4, index))
        legend.append(f'<text x="{x + 28:.1f}" y="{y:.1f}">{escape(each.name)}</text>')
        x += length + 10
    if plot.note:
        y += 22 if legend else 0
        legend.append(f'<text x="{start:.1f}" y="{y:.1f}" font-size="11" fill="#52606d">{escape(plot.note)}</text>')
    height = round(y + 16)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'font-family="system-ui, sans-serif" font-size="12" fill="{INK}" role="img">'
        f"<title>{escape(plot.title)}</title>"
        f'<rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="16" y="24" font-size="14" font-weight="600">{escape(plot.title)}</text>'
    )
    return "\n".join([head, *filter(None, parts), *legend, "</svg>"]) + "\n"

"""Bars of the page's charts, in units of their drawings; the page draws them as SVG without any script."""

from __future__ import annotations

from dataclasses import dataclass

from rsccli.output import numbers
from rsccli.output.histograms import SCORE_BINS
from rsccli.output.report.words import STATUS_WORDS
from rsccli.output.summary import Summary
from rsccli.types import STATUSES, Status

WIDTH, HEIGHT = 600, 160
_GAP = 3


@dataclass(frozen=True)
class Bar:
    """One rectangle; ``told`` says in words what it stands for."""

    kind: str
    x: float
    y: float
    width: float
    height: float
    told: str


@dataclass(frozen=True)
class Mark:
    """One label below the bars, at x; ``anchor`` as in SVG."""

    x: float
    text: str
    anchor: str = "middle"


@dataclass(frozen=True)
class Chart:
    """One histogram.

    Attributes:
        title: what is counted. about: one sentence that says what the drawing shows.
        bars: from left to right. marks: below them. most: tiles of the highest bar.
        legend: kinds and their names, where there is more than one.
    """

    title: str
    about: str
    bars: tuple[Bar, ...]
    marks: tuple[Mark, ...]
    most: int
    legend: tuple[tuple[Status, str], ...] = ()


def score_chart(summary: Summary) -> Chart | None:
    """Tiles by change score, stacked by status; None where no tile has a score."""
    stacks = [[counts.counts[place] for counts in summary.scores] for place in range(SCORE_BINS)]
    most = max((sum(stack) for stack in stacks), default=0)
    if not most:
        return None
    bars, step = [], WIDTH / SCORE_BINS
    for place, stack in enumerate(stacks):
        y = float(HEIGHT)
        for counts, count in zip(summary.scores, stack, strict=True):
            if count:
                height = HEIGHT * count / most
                y -= height
                told = (
                    f"score {place / SCORE_BINS:.2f} to {(place + 1) / SCORE_BINS:.2f}, "
                    f"{STATUS_WORDS[counts.status]}: {tiles(count)}"
                )
                bars.append(_bar(counts.status, place * step, y, step, height, told))
    shown = [status for status in STATUSES if any(counts.status == status for counts in summary.scores)]
    marks = tuple(
        Mark(WIDTH * value, f"{value:g}", "start" if value == 0 else "end" if value == 1 else "middle")
        for value in (0.0, 0.25, 0.5, 0.75, 1.0)
    )
    about = f"Tiles by change score, 0 to 1 in steps of 0.05. The highest bar stands for {tiles(most)}."
    legend = tuple((status, STATUS_WORDS[status]) for status in shown)
    return Chart("Change score", about, tuple(bars), marks, most, legend)


def area_chart(summary: Summary) -> Chart | None:
    """Changed tiles by changed area; None where there is none."""
    most = max((part.count for part in summary.areas), default=0)
    if not most:
        return None
    step = WIDTH / len(summary.areas)
    bars = []
    for place, part in enumerate(summary.areas):
        if part.count:
            height = HEIGHT * part.count / most
            told = f"{area_edge(part.low_m2)} to {area_edge(part.high_m2)}: {tiles(part.count)}"
            bars.append(_bar("changed", place * step, HEIGHT - height, step, height, told))
    edges = [part.low_m2 for part in summary.areas] + [summary.areas[-1].high_m2]
    every = max(1, -(-len(edges) // 6))
    marks = tuple(
        Mark(round(place * step, 1), area_edge(edge), "start" if place == 0 else "middle")
        for place, edge in enumerate(edges[:-1])
        if place % every == 0
    )
    about = f"Tiles called changed by changed area. The highest bar stands for {tiles(most)}."
    return Chart("Changed area of a tile", about, tuple(bars), marks, most)


def area_edge(area_m2: float) -> str:
    """The end of a bin, a round number: ``50 m²``, ``2 ha``."""
    if area_m2 < 1000:
        return f"{area_m2:g}\u202fm²"
    hectares = area_m2 / 10_000
    return f"{hectares:g}\u202fha" if hectares < 1000 else f"{numbers.count(round(hectares))}\u202fha"


def tiles(count: int) -> str:
    """``1 tile``, ``12 tiles``."""
    return f"{numbers.count(count)} {'tile' if count == 1 else 'tiles'}"


def _bar(kind: str, x: float, y: float, step: float, height: float, told: str) -> Bar:
    return Bar(kind, round(x + _GAP / 2, 2), round(y, 2), round(step - _GAP, 2), round(max(height, 1.0), 2), told)

"""Drawings of the timeline as numbers for SVG: dates on their true scale, and one small map for each pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rsccli.output.timeline.dates import Moment
from rsccli.output.timeline.seasonal import Verdict
from rsccli.output.timeline.summary import SeriesJudge, Timeline
from rsccli.types import FAILED, Status

Mark = Literal["changed", "seasonal", "unsure", "unchanged", "none", "failed"]
MARKS: tuple[Mark, ...] = ("changed", "seasonal", "unsure", "unchanged", "none", "failed")
MARK_WORDS: dict[Mark, str] = {
    "changed": "changed",
    "seasonal": "changed, seasonal",
    "unsure": "unsure",
    "unchanged": "unchanged",
    "none": "not compared",
    "failed": "failed",
}

#: Units of the drawing of dates: width, margin at both ends, height of a lane.
AXIS_WIDTH, AXIS_MARGIN, LANE = 1000.0, 60.0, 26.0


@dataclass(frozen=True)
class Tick:
    """One image on the axis; ``up`` tells whether its label stands above, so that neighbours do not collide."""

    x: float
    label: str
    up: bool


@dataclass(frozen=True)
class Bar:
    """One pair below the axis: from date to date, as dark as the share of tiles called changed."""

    x: float
    y: float
    width: float
    opacity: float
    label: str
    share: float


@dataclass(frozen=True)
class Axis:
    """Dates and pairs. Attributes: height: of the whole drawing, units."""

    ticks: tuple[Tick, ...]
    bars: tuple[Bar, ...]
    height: float


@dataclass(frozen=True)
class Run:
    """Tiles of one row side by side with one mark: a rectangle in units of tiles."""

    x: int
    y: int
    width: int
    mark: Mark


def axis(timeline: Timeline) -> Axis:
    """The axis of a series."""
    moments = [image.moment for image in timeline.facts.images]
    first, last = moments[0].decimal_year, moments[-1].decimal_year
    scale = (AXIS_WIDTH - 2 * AXIS_MARGIN) / (last - first) if last > first else 0.0

    def x_of(moment: Moment) -> float:
        return round(AXIS_MARGIN + scale * (moment.decimal_year - first), 1)

    ticks = tuple(Tick(x_of(moment), moment.label, index % 2 == 0) for index, moment in enumerate(moments))
    lanes: list[float] = []
    bars = []
    for pair in timeline.pairs:
        left, right = x_of(pair.pair.pre_date), x_of(pair.pair.post_date)
        lane = next((index for index, end in enumerate(lanes) if end <= left), len(lanes))
        lanes[lane : lane + 1] = [right]
        share = pair.changed / pair.tiles if pair.tiles else 0.0
        y = 74 + lane * LANE
        bars.append(Bar(left + 2, y, max(4.0, right - left - 4), round(0.15 + 0.85 * share, 3), pair.pair.label, share))
    return Axis(ticks, tuple(bars), 74 + len(lanes) * LANE + 8)


def map_runs(timeline: Timeline, judged: SeriesJudge, pair: int) -> list[Run]:
    """One pair's tiles as rectangles, equal neighbours of a row as one."""
    facts = timeline.facts
    runs: list[Run] = []
    for row in range(facts.rows):
        for col in range(facts.cols):
            there = judged.tables[pair].at((row, col))
            if there is None:
                continue
            mark = _mark(there.status, judged.verdict(pair, (row, col)))
            before = runs[-1] if runs else None
            if before is not None and before.y == row and before.mark == mark and before.x + before.width == col:
                runs[-1] = Run(before.x, row, before.width + 1, mark)
            else:
                runs.append(Run(col, row, 1, mark))
    return runs


def _mark(status: Status, verdict: Verdict) -> Mark:
    if status == "changed":
        return "seasonal" if verdict.seasonal else "changed"
    if status in FAILED:
        return "failed"
    if status == "unsure":
        return "unsure"
    return "unchanged" if status == "unchanged" else "none"

"""Curves of a run, drawn from its log as an SVG by plain strings: one small panel for every figure."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from rsccli.errors import InputError, OutputError

LOG = "log.jsonl"
#: The members of a log line that hold figures, with the colour of their curves.
GROUPS = {"losses": "#1f5fa8", "development": "#b4471d"}
COLUMNS = 3
PANEL_WIDTH, PANEL_HEIGHT = 300, 170
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 30, 26


@dataclass(frozen=True)
class Curve:
    """One figure over the steps of a run.

    Attributes:
        group: ``losses`` or ``development``. name: of the figure.
        points: (step, value), steps rising, values finite.
    """

    group: str
    name: str
    points: tuple[tuple[int, float], ...]


def read_curves(log: Path) -> list[Curve]:
    """Every figure of a run's log, in the order in which they appear.

    A run that was killed and resumed repeats some steps: what the later lines say holds. A last line that is cut off
    (the run is alive, or was killed while it wrote) is left out.

    Raises:
        InputError: the file cannot be read, or a line of it is no log line.
    """
    try:
        lines = log.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{log}: cannot be read as the log of a run: {error}") from error
    found: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            step = int(entry["step"])
            figures = [
                (group, str(name), value) for group in GROUPS for name, value in (entry.get(group) or {}).items()
            ]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if number == len(lines):
                break
            raise InputError(f"{log}, line {number}: not a line of a run's log ({error}); remove it") from error
        for points in found.values():
            while points and points[-1][0] > step:
                points.pop()
        for group, name, value in figures:
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
                points = found.setdefault((group, name), [])
                if points and points[-1][0] == step:
                    points.pop()
                points.append((step, float(value)))
    return [Curve(group, name, tuple(points)) for (group, name), points in found.items() if points]


def draw_curves(log: Path, svg: Path) -> None:
    """Draw a run's log.

    Raises:
        InputError: as ``read_curves``. OutputError: the picture cannot be written.
    """
    text = curves_svg(read_curves(log), title=log.parent.name)
    try:
        svg.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write {svg}: {error}; name a file in a folder that can be written") from error


def curves_svg(curves: Sequence[Curve], title: str) -> str:
    """The picture: panels in rows of three, losses first."""
    ordered = sorted(curves, key=lambda curve: list(GROUPS).index(curve.group))
    rows = max(1, -(-len(ordered) // COLUMNS))
    width, height = COLUMNS * PANEL_WIDTH, rows * PANEL_HEIGHT + 30
    end = max((curve.points[-1][0] for curve in ordered), default=1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="11" fill="#333">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="10" y="20" font-size="14">{escape(title)}</text>',
    ]
    if not ordered:
        parts.append('<text x="10" y="60">No figures in the log yet.</text>')
    for index, curve in enumerate(ordered):
        x, y = index % COLUMNS * PANEL_WIDTH, index // COLUMNS * PANEL_HEIGHT + 30
        parts.append(f'<g transform="translate({x},{y})">{_panel(curve, end)}</g>')
    return "\n".join([*parts, "</svg>\n"])


def _panel(curve: Curve, end: int) -> str:
    values = [value for _, value in curve.points]
    low, high = min(values), max(values)
    if high - low < 1e-12:
        pad = abs(high) * 0.1 or 1.0
        low, high = low - pad, high + pad
    inner_width, inner_height = PANEL_WIDTH - LEFT - RIGHT, PANEL_HEIGHT - TOP - BOTTOM

    def place(step: int, value: float) -> str:
        x = LEFT + inner_width * step / max(end, 1)
        y = TOP + inner_height * (high - value) / (high - low)
        return f"{x:.1f},{y:.1f}"

    colour = GROUPS[curve.group]
    last_x, last_y = place(*curve.points[-1]).split(",")
    bottom = TOP + inner_height
    return "".join(
        [
            f'<text x="{LEFT}" y="{TOP - 9}" font-weight="bold">{escape(curve.group)}: {escape(curve.name)}</text>',
            f'<text x="{PANEL_WIDTH - RIGHT}" y="{TOP - 9}" text-anchor="end" fill="{colour}">{values[-1]:.4g}</text>',
            f'<path d="M{LEFT},{TOP}V{bottom}H{PANEL_WIDTH - RIGHT}" fill="none" stroke="#999"/>',
            f'<text x="{LEFT - 5}" y="{TOP + 8}" text-anchor="end">{high:.3g}</text>',
            f'<text x="{LEFT - 5}" y="{bottom}" text-anchor="end">{low:.3g}</text>',
            f'<text x="{LEFT}" y="{bottom + 15}">0</text>',
            f'<text x="{PANEL_WIDTH - RIGHT}" y="{bottom + 15}" text-anchor="end">step {end}</text>',
            f'<polyline points="{" ".join(place(*point) for point in curve.points)}" fill="none" stroke="{colour}" '
            'stroke-width="1.5"/>',
            f'<circle cx="{last_x}" cy="{last_y}" r="2.5" fill="{colour}"/>',
        ]
    )

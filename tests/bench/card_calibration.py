"""Whether a score of 0.7 is right seven times in ten: expected calibration error and a reliability plot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from card_bench import Bench, Section
from card_stats import F64, calibration_error
from common import table

PLOT = "reliability.svg"
SIDE, MARGIN = 320, 46


def _point(x: float, y: float) -> tuple[float, float]:
    span = SIDE - 2 * MARGIN
    return MARGIN + span * x, SIDE - MARGIN - span * y


def reliability(rows: list[tuple[int, float, float]], name: str) -> str:
    """The plot as SVG: share changed over mean score, areas by number of pairs."""
    most = max(n for n, _, _ in rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIDE} {SIDE}" width="{SIDE}" height="{SIDE}" '
        'font-family="system-ui, sans-serif" font-size="11" fill="#222">',
        '<rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="{SIDE / 2}" y="20" text-anchor="middle" font-size="12">{name}</text>',
    ]
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        (x, low), (_, high) = _point(tick, 0), _point(tick, 1)
        (left, y), (right, _) = _point(0, tick), _point(1, tick)
        parts += [
            f'<path d="M{x:.1f} {low:.1f}V{high:.1f}M{left:.1f} {y:.1f}H{right:.1f}" stroke="#ddd" fill="none"/>',
            f'<text x="{x:.1f}" y="{low + 15:.1f}" text-anchor="middle">{tick:g}</text>',
            f'<text x="{left - 5:.1f}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>',
        ]
    (ax, ay), (bx, by) = _point(0, 0), _point(1, 1)
    parts.append(f'<path d="M{ax:.1f} {ay:.1f}L{bx:.1f} {by:.1f}" stroke="#888" stroke-dasharray="4 3" fill="none"/>')
    line = " ".join("{:.1f},{:.1f}".format(*_point(mean, seen)) for _, mean, seen in rows)
    parts.append(f'<polyline points="{line}" fill="none" stroke="#1864ab"/>')
    for n, mean, seen in rows:
        x, y = _point(mean, seen)
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{2 + 8 * np.sqrt(n / most):.1f}" fill="#1864ab" fill-opacity=".7"/>'
        )
    parts += [
        f'<text x="{SIDE / 2}" y="{SIDE - 8}" text-anchor="middle">mean score of the bin</text>',
        f'<text transform="translate(12 {SIDE / 2}) rotate(-90)" text-anchor="middle">share labelled changed</text>',
        "</svg>",
    ]
    return "".join(parts)


def _brier(scores: F64, changed: npt.NDArray[np.bool_]) -> float:
    return float(((scores - changed) ** 2).mean())


def calibration(bench: Bench, folder: Path) -> Section:
    """The figures, and the plot beside the page."""
    whole = bench.seen("chips").labelled("changed", "unchanged")
    parts = bench.seen("quarters")
    rows = []
    joined: list[tuple[F64, npt.NDArray[np.bool_]]] = []
    for name, seen in (("chips, 256 px", whole), ("quarters, 128 px", parts)):
        changed = np.array([item.seen == "changed" for item in seen.items])
        joined.append((seen.scores, changed))
        rows.append(_row(name, seen.scores, changed))
    scores, changed = (np.concatenate([pair[at] for pair in joined]) for at in (0, 1))
    rows.append(_row("both", scores, changed.astype(bool)))
    _, bins = calibration_error(scores, changed.astype(bool))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PLOT).write_text(reliability(bins, f"NAIP test pairs (n = {len(scores)})") + "\n", encoding="utf-8")
    head = (
        "NAIP test pairs",
        "n",
        "labelled changed",
        "expected calibration error",
        "Brier score",
        "floor: Brier score of the base rate",
    )
    body = f"""Real pairs with a label, chips and quarters of the same places. Ten bins of equal width. The score was
calibrated on development pairs, where changed and unchanged pairs are about as common as here; in most real runs
unchanged tiles are far more common, and the score then reads too high. A constant score of the base rate has no
calibration error and no use; the Brier score tells the two apart.

{table(head, rows)}

![Reliability: share labelled changed over mean score, area by number of pairs]({folder.name}/{PLOT})"""
    return Section("Calibration", body)


def _row(name: str, scores: F64, changed: npt.NDArray[np.bool_]) -> list[str]:
    error, _ = calibration_error(scores, changed)
    base = float(changed.mean())
    return [
        name,
        str(len(scores)),
        f"{100 * base:.0f} %",
        f"{error:.3f}",
        f"{_brier(scores, changed):.3f}",
        f"{base * (1 - base):.3f}",
    ]

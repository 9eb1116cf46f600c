"""Large flat-roofed buildings: their shape, and how they are drawn."""

from __future__ import annotations

import numpy as np

from rsccli.datasets.canvas import F32, rectangle, uniform
from rsccli.datasets.sketch import F64, PALE, Sketch, Surface, heading

FLAT_ROOFS = np.array(
    [[210, 208, 204], [226, 224, 220], [182, 178, 172], [158, 154, 150], [200, 190, 174], [140, 146, 154],
     [176, 156, 126], [120, 118, 116], [96, 100, 106], [150, 110, 92], [190, 194, 200]],
    np.float32,
)  # fmt: skip
# Parts, colour of the roof, height in metres.
Hall = tuple[list[F64], F32, float]


def plan_hall(sketch: Sketch, beside: Hall | None = None, low_m: float = 16.0, high_m: float = 90.0) -> Hall:
    """A hall of one to three parts somewhere in the scene, or beside another one and like it."""
    rng, px = sketch.rng, sketch.stage.px
    smallest = max(low_m, 6.0 * sketch.stage.gsd_m)
    length = min(
        px(float(np.exp(uniform(rng, np.log(smallest), np.log(max(high_m, 2 * smallest)))))), 0.8 * sketch.cols
    )
    width = max(px(0.6 * smallest), length * uniform(rng, 0.35, 0.9))
    if beside is None:
        angle = uniform(rng, 0.0, np.pi)
        spot = np.array([uniform(rng, 0.12, 0.88) * sketch.cols, uniform(rng, 0.12, 0.88) * sketch.rows])
        colour = sketch.tone(FLAT_ROOFS, spot)
    else:
        first = beside[0][0]
        side = first[3] - first[0]
        angle = float(np.arctan2(*(first[1] - first[0])[::-1]))
        reach = float(np.hypot(*side))
        spot = first.mean(0) + side / reach * ((reach + width) / 2 + px(uniform(rng, 6, 22)))
        colour = beside[1]
    along, across = heading(angle)
    parts = [rectangle(spot[0], spot[1], length, width, angle)]
    for _ in range(int(rng.choice([0, 1, 2], p=[0.5, 0.3, 0.2]))):
        place = spot + along * length * uniform(rng, -0.4, 0.4) + across * width * float(rng.choice([-0.5, 0.5]))
        parts.append(
            rectangle(place[0], place[1], length * uniform(rng, 0.2, 0.55), width * uniform(rng, 0.3, 0.8), angle)
        )
    return parts, colour, uniform(rng, 4.0, 12.0)


def draw_hall(sketch: Sketch, hall: Hall, apron: bool = True) -> None:
    """Apron, shadow, roof with parapet, and what stands on it."""
    parts, colour, height_m = hall
    rng, px = sketch.rng, sketch.stage.px
    main = parts[0]
    if apron and rng.random() < 0.5:
        centre = main.mean(0)
        kind: Surface = str(rng.choice(["asphalt", "concrete", "soil", "grass"], p=[0.5, 0.25, 0.15, 0.1]))  # type: ignore[assignment]
        grown = centre + (main - centre) * uniform(rng, 1.15, 1.45) + rng.normal(0, px(3), 2)
        sketch.fill(grown, sketch.surface(kind), uniform(rng, 0.8, 1.0))
    if height_m:
        sketch.shadow(parts, height_m)
    patchy = np.float32(uniform(rng, 0.0, 0.05))
    paint = colour * (1.0 + patchy * _slow(sketch) + 0.025 * sketch.grain)[..., None]
    for part in parts[1:] + parts[:1]:
        own = np.clip(paint * np.float32(uniform(rng, 0.93, 1.07)), 5, 250).astype(np.float32)
        sketch.fill(part, own)
        if rng.random() < 0.7:
            rim = colour * np.float32(uniform(rng, 0.7, 1.25))
            for first, last in zip(part, np.roll(part, -1, 0), strict=True):
                sketch.strip(np.array([first, last]), px(0.7), rim, 0.7)
    _furniture(sketch, main, colour)


def _slow(sketch: Sketch) -> F32:
    """Stains and patches of a roof."""
    rows, cols = sketch.rows, sketch.cols
    y, x = np.mgrid[:rows, :cols].astype(np.float32)
    wave = sketch.stage.px(uniform(sketch.rng, 8, 40))
    turn, phase = uniform(sketch.rng, 0, np.pi), uniform(sketch.rng, 0, 6.3)
    waves: F32 = np.sin((x * np.cos(turn) + y * np.sin(turn)) * 6.3 / wave + phase).astype(np.float32)
    return waves


def _furniture(sketch: Sketch, roof: F64, colour: F32) -> None:
    """Seams, rows of skylights, air-conditioning units with shadows, a darker part."""
    rng, px = sketch.rng, sketch.stage.px
    along, across = roof[1] - roof[0], roof[3] - roof[0]
    angle = float(np.arctan2(along[1], along[0]))
    if rng.random() < 0.25:
        low, high = sorted(rng.uniform(0, 1, 2))
        part = np.array([roof[0] + along * low, roof[0] + along * high, roof[3] + along * high, roof[3] + along * low])
        sketch.fill(part, colour * np.float32(uniform(rng, 0.8, 1.15)), 0.9)
    if rng.random() < 0.35:
        for share in np.linspace(0.08, 0.92, int(rng.integers(4, 14))):
            seam = np.array([roof[0] + along * share, roof[3] + along * share])
            sketch.strip(seam, px(0.35), colour * np.float32(0.8), 0.6)
    size = px(uniform(rng, 1.2, 2.6))
    if rng.random() < 0.35 and sketch.stage.gsd_m < 2.0:
        bright = np.float32(uniform(rng, 0.75, 1.2))
        many, few = int(rng.integers(4, 10)), int(rng.integers(2, 6))
        for u in np.linspace(0.08, 0.92, many):
            for v in np.linspace(0.12, 0.88, few):
                spot = roof[0] + along * u + across * v
                sketch.fill(rectangle(spot[0], spot[1], size, size * 0.6, angle), colour * bright, 0.8)
    for _ in range(int(rng.integers(0, 12))):
        spot = roof[0] + along * uniform(rng, 0.06, 0.94) + across * uniform(rng, 0.08, 0.92)
        side = px(uniform(rng, 1.3, 4.0))
        unit = rectangle(spot[0], spot[1], side, side * uniform(rng, 0.5, 1.0), angle)
        sketch.shadow([unit], 1.4, 0.8)
        sketch.fill(unit, sketch.tone(PALE) * np.float32(uniform(rng, 0.6, 1.15)), 0.9)

"""Houses: their shape, where they stand, and how they are drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rsccli.datasets.canvas import F32, Rng, Stage, rectangle, uniform
from rsccli.datasets.sketch import F64, PALE, Sketch, Surface, heading, ribbon

ROOFS = np.array(
    [[168, 148, 132], [152, 136, 124], [128, 120, 114], [108, 102, 98], [178, 140, 120], [160, 104, 82], [136, 92, 74],
     [92, 86, 84], [190, 180, 168], [206, 202, 196], [122, 104, 88], [104, 116, 128], [146, 150, 148]],
    np.float32,
)  # fmt: skip
CARS = np.array(
    [[228, 228, 228], [206, 206, 208], [42, 42, 46], [70, 72, 76], [124, 126, 130], [140, 40, 36], [44, 62, 112]],
    np.float32,
)
MOST_HOUSES = 90
BUSHES = np.array([[52, 70, 42], [66, 86, 52], [44, 58, 40], [84, 98, 62]], np.float32)


@dataclass(frozen=True)
class Plot:
    """Ground of one house.

    Attributes:
        centre: (x, y) in pixels. angle: of the street, radians. width, depth: pixels along and across the street.
        front: 1 or -1, the side of the street across ``angle``.
    """

    centre: F64
    angle: float
    width: float
    depth: float
    front: int


@dataclass(frozen=True)
class House:
    """One house.

    Attributes:
        parts: corners (4, 2) of each wing, the main one first. hips: how far the ridge ends lie inside, 0 gable, 1 hip.
        height_m: metres above ground. colour: of the roof.
    """

    parts: tuple[F64, ...]
    hips: tuple[float, ...]
    height_m: float
    colour: F32


def draw_roof(sketch: Sketch, corners: F64, hip: float, colour: F32) -> None:
    """A roof of two slopes, or four on a hipped one, lit by the sun of the scene."""
    a, b, c, d = corners
    if np.hypot(*(b - a)) < np.hypot(*(d - a)):
        a, b, c, d = b, c, d, a
    length, width = float(np.hypot(*(b - a))), float(np.hypot(*(d - a)))
    inset = min(0.5 * width * hip, 0.48 * length) / max(length, 1e-6)
    start, end = (a + d) / 2, (b + c) / 2
    first, last = start + (end - start) * inset, end + (start - end) * inset
    sketch.fill(corners, colour, grain=0.06)
    if width < 3.0:
        return
    slopes = [np.array([a, b, last, first]), np.array([d, c, last, first])]
    if hip > 0.1:
        slopes += [np.array([a, d, first]), np.array([b, c, last])]
    centre, sun = corners.mean(0), np.array(sketch.stage.sun)
    for slope in slopes:
        facing = (slope[0] + slope[1]) / 2 - centre
        light = 1.0 - sketch.relief * float(facing @ sun) / max(float(np.hypot(*facing)), 1e-6)
        sketch.fill(slope, np.clip(colour * light, 5, 250).astype(np.float32), grain=0.06)
    if width > 9 and sketch.relief > 0.1:
        sketch.strip(np.array([first, last]), 0.5, colour * np.float32(1.12))


def plan_house(sketch: Sketch, plot: Plot, roofs: F32 = ROOFS) -> House:
    """A house that fits a plot: one to three wings, and a roof in one of some colours (n, 3)."""
    rng, px = sketch.rng, sketch.stage.px
    length = min(px(uniform(rng, 10.0, 18.0)), 0.92 * plot.width)
    width = min(px(uniform(rng, 8.0, 12.5)), 0.7 * plot.depth)
    along, across = heading(plot.angle)
    across = across * plot.front
    centre = plot.centre + across * uniform(rng, -0.08, 0.1) * plot.depth
    parts = [rectangle(centre[0], centre[1], length, width, plot.angle)]
    hips = [float(rng.choice([0.0, 0.9, 1.0]))]
    for sign, share in ((1.0, 0.55), (-1.0, 0.35)):
        if rng.random() < share:
            wing = uniform(rng, 0.35, 0.55) * length
            depth = uniform(rng, 0.35, 0.75) * width
            spot = centre + along * sign * (length - wing) / 2 * uniform(rng, 0.8, 1.0)
            spot = spot + across * float(rng.choice([-1, 1, 1])) * (width + depth) / 2 * 0.75
            parts.append(rectangle(spot[0], spot[1], wing, depth * 1.5, plot.angle))
            hips.append(hips[0])
    return House(tuple(parts), tuple(hips), uniform(rng, 2.6, 6.0), sketch.tone(roofs, centre))


def draw_house(sketch: Sketch, house: House) -> None:
    """Shadow, wings, and small things on the roof."""
    if sketch.stage.px(house.height_m) > 1.0:
        sketch.shadow(list(house.parts), house.height_m)
    for part, hip in zip(reversed(house.parts), reversed(house.hips), strict=True):
        draw_roof(sketch, part, hip, house.colour)
    if sketch.stage.gsd_m > 1.0:
        return
    a, b, _, d = house.parts[0]
    for _ in range(int(sketch.rng.integers(0, 4))):
        spot = a + (b - a) * uniform(sketch.rng, 0.1, 0.9) + (d - a) * uniform(sketch.rng, 0.15, 0.85)
        size = sketch.stage.px(uniform(sketch.rng, 0.6, 1.3))
        vent = rectangle(spot[0], spot[1], size, size, 0.0)
        sketch.fill(vent, house.colour * np.float32(uniform(sketch.rng, 0.5, 1.4)), 0.8)


def draw_car(sketch: Sketch, spot: F64, angle: float) -> None:
    """One car with its windows and a sliver of shadow; cars are no change."""
    px = sketch.stage.px
    body = rectangle(spot[0], spot[1], px(uniform(sketch.rng, 4.1, 5.3)), px(uniform(sketch.rng, 1.7, 2.1)), angle)
    fallen = body + np.array(sketch.stage.sun) * px(0.8 * sketch.stretch)
    sketch.fill(fallen, np.full(3, 28.0, np.float32), 0.6 * (1.0 - sketch.shade), mark=False)
    colour = sketch.tone(CARS)
    sketch.fill(body, colour, 0.92, mark=False)
    if sketch.stage.gsd_m < 0.8:
        glass = rectangle(spot[0], spot[1], px(2.4), px(1.5), angle)
        sketch.fill(glass, colour * np.float32(0.55), 0.6, mark=False)


def draw_bush(sketch: Sketch, spot: F64, radius: float) -> None:
    """A round plant with its shadow."""
    angles = np.linspace(0, 2 * np.pi, 9)[:-1]
    reach = radius * sketch.rng.uniform(0.75, 1.15, 8)
    outline = spot + np.stack([np.cos(angles) * reach, np.sin(angles) * reach], 1)
    sketch.shadow([outline], 2.5, 0.7)
    sketch.fill(outline, sketch.tone(BUSHES), 0.9, grain=0.15, mark=False)


def draw_plot(sketch: Sketch, plot: Plot, yard: Surface | None, lawn: Surface | None, drive: F32) -> None:
    """Yard, front lawn, driveway to the street, fence."""
    rng, px = sketch.rng, sketch.stage.px
    along, across = heading(plot.angle)
    across = across * plot.front
    x, y = plot.centre
    if yard is not None:
        shape = rectangle(x, y, plot.width, plot.depth, plot.angle) + rng.normal(0, px(0.4), (4, 2))
        sketch.fill(shape, sketch.surface(yard), uniform(rng, 0.8, 1.0))
        if rng.random() < 0.6 and sketch.stage.gsd_m < 1.2:
            back = [plot.centre + along * s * plot.width / 2 - across * plot.depth / 2 for s in (-1, 1)]
            post = plot.centre + along * plot.width / 2 + across * plot.depth * 0.2
            tone = sketch.image[int(np.clip(y, 0, sketch.rows - 1)), int(np.clip(x, 0, sketch.cols - 1))]
            fence = tone * np.float32(uniform(rng, 0.55, 1.35))
            sketch.strip(np.array([back[0], back[1], post]), px(0.4), fence, 0.8)
    if lawn is not None:
        deep = 0.3 * plot.depth
        spot = plot.centre + across * (plot.depth - deep) / 2
        sketch.fill(rectangle(spot[0], spot[1], 0.94 * plot.width, deep, plot.angle), sketch.surface(lawn), 0.9)
        if rng.random() < 0.5:
            spot = plot.centre - across * (plot.depth - deep) / 2
            size = uniform(rng, 0.3, 0.9) * plot.width
            sketch.fill(rectangle(spot[0], spot[1], size, deep * 0.9, plot.angle), sketch.surface(lawn), 0.9)
    side = float(rng.choice([-1, 1])) * 0.26 * plot.width
    start = plot.centre + along * side
    drives = ribbon(np.array([start, start + across * (plot.depth / 2 + px(1.5))]), px(uniform(rng, 3.0, 6.5)))
    sketch.fill(drives, drive, 0.95)
    if sketch.stage.gsd_m > 1.5:
        return
    if rng.random() < 0.35:
        draw_car(sketch, start + across * 0.4 * plot.depth, plot.angle + np.pi / 2)
    for _ in range(int(rng.integers(0, 3))):
        spot = plot.centre + along * uniform(rng, -0.45, 0.45) * plot.width
        spot = spot + across * float(rng.choice([-1, 1])) * uniform(rng, 0.36, 0.47) * plot.depth
        draw_bush(sketch, spot, px(uniform(rng, 0.7, 2.2)))


def row_plots(rng: Rng, stage: Stage, rows: int, cols: int, count: int, both: bool) -> tuple[list[Plot], F64]:
    """Plots along one side, or both, of a straight or bent street, and the street's middle line (n, 2)."""
    angle = uniform(rng, 0.0, np.pi)
    along, across = heading(angle)
    centre = np.array([uniform(rng, 0.15, 0.85) * cols, uniform(rng, 0.15, 0.85) * rows])
    width, depth = stage.px(uniform(rng, 14.0, 23.0)), stage.px(uniform(rng, 24.0, 34.0))
    bend = uniform(rng, -0.008, 0.008) / max(stage.px(1.0), 0.2) * (rng.random() < 0.5)
    kerb = stage.px(5.5)

    def at(step: float) -> tuple[F64, float]:
        turn = angle + bend * step
        return centre + along * step + across * (bend * step**2 / 2), turn

    plots = []
    for side in (-1, 1) if both else (-1,):
        for index in range(count):
            spot, turn = at((index - (count - 1) / 2) * width)
            beside = heading(turn)[1] * side * (kerb + depth / 2)
            plots.append(Plot(spot + beside, turn, width, depth, -side))
    reach = (count / 2 + 0.6) * width
    street = np.array([at(step)[0] for step in np.linspace(-reach, reach, 14)])
    return plots, street


def block_plots(rng: Rng, stage: Stage, rows: int, cols: int) -> tuple[list[Plot], list[F64]]:
    """Plots and streets of a subdivision: parallel streets with houses on both sides, in a part of the scene."""
    angle = uniform(rng, 0.0, np.pi)
    along, across = heading(angle)
    centre = np.array([uniform(rng, 0.2, 0.8) * cols, uniform(rng, 0.2, 0.8) * rows])
    width, depth = stage.px(uniform(rng, 13.0, 20.0)), stage.px(uniform(rng, 22.0, 30.0))
    street_px = stage.px(10.5)
    pitch = 2 * depth + street_px
    wide = float(np.exp(uniform(rng, np.log(0.35), np.log(1.4)))) * max(rows, cols)
    tall = float(np.exp(uniform(rng, np.log(0.35), np.log(1.4)))) * max(rows, cols)
    plots, streets = [], []
    streets_each = max(1, round(tall / pitch))
    across_count = max(3, round(wide / width))
    # Time and truth: a coarse scene could hold a town, but one is not built between two dates.
    across_count = max(3, min(across_count, MOST_HOUSES // 2))
    streets_each = min(streets_each, max(1, MOST_HOUSES // (2 * across_count)))
    for number in range(streets_each):
        offset = (number - (streets_each - 1) / 2) * pitch
        middle = centre + across * offset
        reach = (across_count / 2 + 0.4) * width
        streets.append(middle + np.linspace(-reach, reach, 8)[:, None] * along)
        for index in range(across_count):
            spot = middle + along * (index - (across_count - 1) / 2) * width
            for side in (-1, 1):
                place = spot + across * side * (street_px + depth) / 2
                # Not every lot is built on yet.
                if rng.random() < 0.95 and -0.5 * depth < place[0] < cols + 0.5 * depth:
                    if -0.5 * depth < place[1] < rows + 0.5 * depth:
                        plots.append(Plot(place, angle, width, depth, -side))
    return plots, streets


def draw_street(sketch: Sketch, street: F64) -> None:
    """Asphalt between kerbs and pavements."""
    px = sketch.stage.px
    sketch.strip(street, px(10.5), sketch.tone(PALE))
    sketch.fill(ribbon(street, px(7.6)), sketch.surface("asphalt"))

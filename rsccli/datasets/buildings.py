"""Renderers of buildings: houses alone, in rows and in whole subdivisions, halls, blocks, construction sites."""

from __future__ import annotations

import numpy as np

from rsccli.datasets.canvas import F32, Kind, PairRenderer, Rendered, Rng, Stage, rectangle, uniform
from rsccli.datasets.damage import burned_houses, damaged_hall, damaged_houses, debris, demolished
from rsccli.datasets.halls import FLAT_ROOFS, draw_hall, plan_hall
from rsccli.datasets.houses import (
    ROOFS,
    Plot,
    block_plots,
    draw_bush,
    draw_car,
    draw_house,
    draw_plot,
    draw_street,
    plan_house,
    row_plots,
)
from rsccli.datasets.sketch import EARTH, F64, PALE, Sketch, Surface, heading, ribbon


def _inside(sketch: Sketch, spot: F64, margin: float = 3.0) -> bool:
    return bool(margin <= spot[0] < sketch.cols - margin and margin <= spot[1] < sketch.rows - margin)


def _yards(rng: Rng) -> list[Surface | None]:
    """What yards of one neighbourhood look like; None leaves what is there."""
    common: list[Surface | None] = list(rng.choice(["soil", "grass", "flat", "concrete", "own"], 2))
    return [None, None] if rng.random() < 0.25 else common


def _neighbourhood(sketch: Sketch, plots: list[Plot], share_built: float = 1.0) -> int:
    """Draw plots with their houses; the number of houses that stand inside the scene."""
    rng = sketch.rng
    yards, lawns = _yards(rng), rng.random() < 0.55
    drive, count = sketch.tone(PALE), 0
    # Neighbours share a builder, and so few colours.
    roofs = ROOFS[rng.permutation(len(ROOFS))[: int(rng.integers(1, 5))]]
    for plot in plots:
        lawn: Surface | None = "grass" if lawns and rng.random() < 0.7 else None
        draw_plot(sketch, plot, yards[int(rng.integers(2))], lawn, drive)
    for plot in plots:
        house = plan_house(sketch, plot, roofs)
        if rng.random() < share_built:
            draw_house(sketch, house)
            count += _inside(sketch, plot.centre)
    return count


def single_house(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """One or two houses between what is there, each with a plot and a driveway, or with neither."""
    sketch = Sketch(image, rng, stage)
    angle, count = uniform(rng, 0.0, np.pi), 1 + int(rng.random() < 0.2)
    spot = np.array([uniform(rng, 0.12, 0.88) * sketch.cols, uniform(rng, 0.12, 0.88) * sketch.rows])
    width, depth = stage.px(uniform(rng, 14.0, 30.0)), stage.px(uniform(rng, 20.0, 40.0))
    plots = [Plot(spot + heading(angle)[0] * width * k, angle, width, depth, 1) for k in range(count)]
    if rng.random() < 0.35:
        for plot in plots:
            draw_house(sketch, plan_house(sketch, plot))
        drawn = count
    else:
        drawn = _neighbourhood(sketch, plots)
    return sketch.finish("new house", max(1, drawn))


def row_of_houses(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """Houses along one side or both of a street that is new too, or not."""
    sketch = Sketch(image, rng, stage)
    plots, street = row_plots(
        rng, stage, sketch.rows, sketch.cols, int(rng.integers(3, 9)), both=bool(rng.random() < 0.4)
    )
    if rng.random() < 0.7:
        draw_street(sketch, street)
    return sketch.finish("new house", max(1, _neighbourhood(sketch, plots)))


def subdivision(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """A whole block of houses with its streets, up to the whole scene."""
    sketch = Sketch(image, rng, stage)
    plots, streets = block_plots(rng, stage, sketch.rows, sketch.cols)
    for street in streets:
        draw_street(sketch, street)
    return sketch.finish("new house", max(1, _neighbourhood(sketch, plots, uniform(rng, 0.85, 1.0))))


def hall(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """One to three flat-roofed halls, shops or schools, with aprons, loading bays and things on the roof."""
    sketch = Sketch(image, rng, stage)
    count = int(rng.choice([1, 2, 3], p=[0.72, 0.2, 0.08]))
    halls = [plan_hall(sketch)]
    for _ in range(count - 1):
        halls.append(plan_hall(sketch, beside=halls[-1]))
    for one in halls:
        draw_hall(sketch, one)
    return sketch.finish("new building", count)


def apartment_blocks(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """Long blocks in rows or around a court, with paths and parked cars."""
    sketch = Sketch(image, rng, stage)
    px, angle = stage.px, uniform(rng, 0.0, np.pi)
    along, across = heading(angle)
    centre = np.array([uniform(rng, 0.2, 0.8) * sketch.cols, uniform(rng, 0.2, 0.8) * sketch.rows])
    scale = max(1.0, stage.gsd_m / 1.5)
    length, width = px(uniform(rng, 26, 48) * scale), px(uniform(rng, 11, 17) * scale)
    gap, number = px(uniform(rng, 12, 24) * scale), int(rng.integers(2, 5))
    colour, height_m = sketch.tone(FLAT_ROOFS, centre), uniform(rng, 7.0, 26.0)
    kind: Surface = str(rng.choice(["concrete", "grass", "asphalt", "soil"]))  # type: ignore[assignment]
    tall = number * (width + gap)
    if rng.random() < 0.75:
        ground = rectangle(centre[0], centre[1], length * 1.25, tall * 1.1, angle)
        sketch.fill(ground, sketch.surface(kind), uniform(rng, 0.75, 1.0))
    for index in range(number):
        spot = centre + across * (index - (number - 1) / 2) * (width + gap)
        parts = [rectangle(spot[0], spot[1], length, width, angle)]
        if rng.random() < 0.4:
            end = spot + along * (length - width) / 2 + across * width * 0.5
            parts.append(rectangle(end[0], end[1], width, width * 1.5, angle))
        lane = spot + across * (width + gap) / 2
        sketch.strip(
            np.array([lane - along * length * 0.6, lane + along * length * 0.6]), px(6), sketch.surface("asphalt")
        )
        if stage.gsd_m < 1.5:
            for place in np.arange(-length / 2, length / 2, px(2.9)):
                if rng.random() < 0.4:
                    draw_car(sketch, lane + along * place + across * px(4.5), angle + np.pi / 2)
        draw_hall(sketch, (parts, colour, height_m), apron=False)
    return sketch.finish("new building", number)


def construction_site(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """Graded ground with slabs, footings, roofs half done, machines and stacked material."""
    sketch = Sketch(image, rng, stage)
    px, angle = stage.px, uniform(rng, 0.0, np.pi)
    along, across = heading(angle)
    low, high = np.log(20.0), np.log(max(40.0, 0.9 * sketch.cols * stage.gsd_m))
    wide, tall = (px(float(np.exp(uniform(rng, low, high)))) for _ in range(2))
    tall = max(tall, wide * 0.4)
    centre = np.array([uniform(rng, 0.15, 0.85) * sketch.cols, uniform(rng, 0.15, 0.85) * sketch.rows])
    outline = rectangle(centre[0], centre[1], wide, tall, angle) + rng.normal(0, px(2.0), (4, 2))
    earth: Surface = str(rng.choice(["soil", "flat", "own"], p=[0.5, 0.35, 0.15]))  # type: ignore[assignment]
    sketch.fill(outline, sketch.surface(earth))
    # Machines leave tracks, and cuts and heaps differ in tone.
    for _ in range(int(rng.integers(3, 9))):
        start = centre + along * uniform(rng, -0.45, 0.45) * wide + across * uniform(rng, -0.45, 0.45) * tall
        end = centre + along * uniform(rng, -0.45, 0.45) * wide + across * uniform(rng, -0.45, 0.45) * tall
        tone = sketch.tone(EARTH) * np.float32(uniform(rng, 0.75, 1.2))
        if rng.random() < 0.6:
            middle = (start + end) / 2 + rng.normal(0, px(5), 2)
            track = np.array(
                [(1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * end for t in np.linspace(0, 1, 9)]
            )
            sketch.strip(track, px(uniform(rng, 2, 4.5)), tone, uniform(rng, 0.2, 0.6))
        else:
            draw_heap(sketch, start, px(uniform(rng, 1.5, 5)), tone)
    step_x, step_y = px(uniform(rng, 15, 24)), px(uniform(rng, 22, 30))
    large = rng.random() < 0.3
    if large:
        step_x, step_y = wide * uniform(rng, 0.5, 0.8), tall * uniform(rng, 0.5, 0.8)
    share, count = uniform(rng, 0.35, 0.9), 0
    for x in np.arange(-wide / 2 + step_x / 2, wide / 2 - step_x / 3, step_x):
        for y in np.arange(-tall / 2 + step_y / 2, tall / 2 - step_y / 3, step_y):
            spot = centre + along * x + across * y
            size = (0.72 * step_x * uniform(rng, 0.85, 1.05), 0.5 * step_y * uniform(rng, 0.85, 1.1))
            if rng.random() < share and count < 40:
                _half_built(sketch, rectangle(spot[0], spot[1], *size, angle), angle)
                count += 1
    for _ in range(int(rng.integers(2, 8))):
        spot = centre + along * uniform(rng, -0.48, 0.48) * wide + across * uniform(rng, -0.48, 0.48) * tall
        _material(sketch, spot, angle)
    if rng.random() < 0.4:
        sketch.strip(np.concatenate([outline, outline[:1]])[: int(rng.integers(3, 6))], px(0.5), sketch.tone(PALE), 0.5)
    return sketch.finish("construction site", max(1, count))


def draw_heap(sketch: Sketch, spot: F64, radius: float, colour: F32) -> None:
    """A heap of earth: lit on one side, dark on the other."""
    angles = np.linspace(0, 2 * np.pi, 11)[:-1]
    reach = radius * sketch.rng.uniform(0.75, 1.2, 10)
    outline = spot + np.stack([np.cos(angles) * reach, np.sin(angles) * reach * 0.8], 1)
    sun = np.array(sketch.stage.sun)
    sketch.shadow([outline], 1.5)
    sketch.fill(outline, colour * np.float32(0.85), grain=0.1)
    sketch.fill(outline * 0.6 + (spot - sun * radius * 0.35) * 0.4, colour * np.float32(1.1), 0.8, grain=0.1)


def _half_built(sketch: Sketch, base: F64, angle: float) -> None:
    """A slab, footings, walls without a roof, or a roof of bare boards or felt."""
    rng, px = sketch.rng, sketch.stage.px
    state = int(rng.integers(5))
    slab = sketch.tone(PALE) * np.float32(1.06)
    if state == 0:
        sketch.fill(base, slab)
    elif state == 1:
        sketch.fill(base, sketch.tone(EARTH) * np.float32(0.75))
        sketch.strip(np.concatenate([base, base[:1]]), px(0.8), slab, 0.9)
        sketch.strip(np.array([(base[0] + base[1]) / 2, (base[2] + base[3]) / 2]), px(0.7), slab, 0.8)
    elif state == 2:
        sketch.fill(base, slab * np.float32(0.9))
        frame = sketch.tone(np.array([[204, 172, 124], [188, 160, 122], [170, 168, 166]], np.float32))
        for share in np.linspace(0, 1, int(rng.integers(4, 9))):
            wall = np.array([base[0] + (base[1] - base[0]) * share, base[3] + (base[2] - base[3]) * share])
            sketch.strip(wall, px(0.6), frame, 0.85)
        sketch.strip(np.concatenate([base, base[:1]]), px(0.6), frame, 0.9)
        sketch.shadow([base], 0.8, 0.5)
    else:
        boards = np.array([[206, 178, 134], [188, 164, 128], [92, 88, 86], [196, 192, 188]], np.float32)
        sketch.shadow([base], 4.0)
        sketch.fill(base, sketch.tone(boards), grain=0.08)
        done = uniform(rng, 0.3, 0.9)
        part = np.array([base[0], base[0] + (base[1] - base[0]) * done, base[3] + (base[2] - base[3]) * done, base[3]])
        sketch.fill(part, sketch.tone(boards), grain=0.08)
        middle = np.array([(base[0] + base[3]) / 2, (base[1] + base[2]) / 2])
        sketch.strip(middle, px(0.8), slab, 0.5)


def _material(sketch: Sketch, spot: F64, angle: float) -> None:
    """A machine, a container, pipes or stacks."""
    rng, px = sketch.rng, sketch.stage.px
    turn = angle + float(rng.choice([0.0, np.pi / 2])) + rng.normal(0, 0.2)
    what = int(rng.integers(4))
    if what == 0:
        yellow = sketch.tone(np.array([[214, 168, 60], [190, 150, 70], [206, 120, 60]], np.float32))
        body = rectangle(spot[0], spot[1], px(5.0), px(2.6), turn)
        sketch.shadow([body], 2.5)
        sketch.fill(body, yellow)
    elif what == 1:
        body = rectangle(spot[0], spot[1], px(uniform(rng, 6, 12)), px(2.5), turn)
        sketch.shadow([body], 2.6)
        sketch.fill(body, sketch.tone(np.array([[228, 226, 222], [70, 96, 130], [150, 80, 60]], np.float32)))
    elif what == 2:
        for _ in range(int(rng.integers(3, 9))):
            place = spot + rng.normal(0, px(4), 2)
            side = px(uniform(rng, 1.0, 2.4))
            stack = rectangle(place[0], place[1], side * uniform(rng, 1, 2.5), side, turn)
            sketch.shadow([stack], 1.2, 0.7)
            sketch.fill(stack, sketch.tone(np.array([[206, 184, 142], [222, 220, 216], [150, 96, 76]], np.float32)))
    else:
        draw_car(sketch, spot, turn)


def lean(pre: F32, post: F32, rng: Rng, stage: Stage) -> tuple[F32, F32, Rendered]:
    """The same tall building on both dates, seen from two angles: roofs lie apart, the mask is empty."""
    seed = int(rng.integers(2**32))
    dates = []
    for image in (pre, post):
        way, reach = uniform(rng, 0.0, 2 * np.pi), uniform(rng, 1.0, 5.0)
        shift = np.array([np.cos(way), np.sin(way)]) * reach
        dates.append(_leaning(image, np.random.default_rng(seed), stage, shift).image)
    return dates[0], dates[1], Rendered("new building", dates[1], np.zeros(pre.shape[:2], bool), 0)


def _leaning(image: F32, rng: Rng, stage: Stage, shift: F64) -> Rendered:
    sketch = Sketch(image, rng, stage)
    parts, colour, height_m = plan_hall(sketch, low_m=14.0, high_m=38.0)
    facade = sketch.tone(FLAT_ROOFS) * np.float32(uniform(rng, 0.55, 0.9))
    if rng.random() < 0.6:
        centre = parts[0].mean(0)
        sketch.fill(centre + (parts[0] - centre) * uniform(rng, 1.15, 1.5), sketch.surface("asphalt"), 0.9)
    sketch.shadow(parts, height_m + 8.0)
    sun = np.array(stage.sun)
    for part in parts:
        for first, last in zip(part, np.roll(part, -1, 0), strict=True):
            outward = (first + last) / 2 - part.mean(0)
            light = 1.0 - 0.3 * float(outward @ sun) / max(float(np.hypot(*outward)), 1e-6)
            side = np.array([first, last, last + shift, first + shift])
            sketch.fill(side, np.clip(facade * light, 5, 250).astype(np.float32))
            for floor in (0.25, 0.5, 0.75):
                storey = np.array([first, last]) + shift * floor
                sketch.strip(storey, 0.4, facade * np.float32(0.6), 0.7)
    draw_hall(sketch, ([part + shift for part in parts], colour, 0.0), apron=False)
    return sketch.finish("new building", 0)


def lane_to(sketch: Sketch, spot: F64, angle: float) -> None:
    """A dirt lane from a spot out of the scene."""
    along = heading(angle)[0]
    points = spot + np.linspace(0, 1.5 * max(sketch.rows, sketch.cols), 10)[:, None] * along
    sketch.fill(ribbon(points, sketch.stage.px(3.2)), sketch.surface("soil"), 0.85)


def farmstead(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """A house with sheds and trees at the end of a lane."""
    sketch = Sketch(image, rng, stage)
    px, angle = stage.px, uniform(rng, 0.0, 2 * np.pi)
    spot = np.array([uniform(rng, 0.2, 0.8) * sketch.cols, uniform(rng, 0.2, 0.8) * sketch.rows])
    lane_to(sketch, spot, angle)
    yard = rectangle(spot[0], spot[1], px(uniform(rng, 26, 45)), px(uniform(rng, 22, 36)), angle)
    sketch.fill(yard + rng.normal(0, px(2), (4, 2)), sketch.surface("soil"), uniform(rng, 0.6, 0.95))
    draw_house(sketch, plan_house(sketch, Plot(spot, angle, px(24), px(26), 1)))
    for _ in range(int(rng.integers(0, 4))):
        place = spot + rng.normal(0, px(14), 2)
        shed = rectangle(place[0], place[1], px(uniform(rng, 4, 13)), px(uniform(rng, 3, 7)), angle)
        sketch.shadow([shed], 3.0)
        sketch.fill(shed, sketch.tone(FLAT_ROOFS, place))
    for _ in range(int(rng.integers(0, 6))):
        draw_bush(sketch, spot + rng.normal(0, px(16), 2), px(uniform(rng, 1, 3.5)))
    return sketch.finish("new house", 1)


KINDS: dict[str, Kind] = {
    "single house": Kind(single_house, weight=1.6),
    "farmstead": Kind(farmstead, weight=0.6),
    "row of houses": Kind(row_of_houses, weight=1.2),
    "subdivision": Kind(subdivision, weight=1.0, coarse=True),
    "hall": Kind(hall, weight=1.3, coarse=True),
    "apartment blocks": Kind(apartment_blocks, weight=0.8, coarse=True),
    "construction site": Kind(construction_site, weight=1.6, coarse=True),
    "debris": Kind(debris),
    "damaged houses": Kind(render_pair=damaged_houses, weight=1.5, twin=False),
    "burned houses": Kind(render_pair=burned_houses, weight=0.6, twin=False),
    "damaged hall": Kind(render_pair=damaged_hall, weight=0.6, twin=False),
    "demolished building": Kind(render_pair=demolished, weight=1.4, twin=False),
}
NEGATIVES: dict[str, PairRenderer] = {"tall building on both dates seen from two angles": lean}

"""Renderers of roads, parking lots, pools, sports fields, solar panels and boats; and cars, which are no change."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

from rsccli.datasets.canvas import F32, Kind, Rendered, Rng, Stage, blob, noise, rectangle, uniform
from rsccli.datasets.halls import draw_hall, plan_hall
from rsccli.datasets.houses import Plot, draw_bush, draw_car, draw_house, plan_house
from rsccli.datasets.leisure import sports_field, swimming_pool
from rsccli.datasets.sketch import F64, PALE, Sketch, heading, ribbon

PAINT = np.array([[226, 224, 216], [214, 206, 176], [216, 190, 96]], np.float32)
PANELS = np.array([[38, 44, 58], [48, 54, 66], [58, 66, 86], [34, 36, 42], [72, 80, 98]], np.float32)
WATERS = np.array([[44, 62, 70], [62, 78, 74], [36, 48, 60], [84, 96, 88], [58, 88, 98], [30, 38, 40]], np.float32)
HULLS = np.array([[236, 236, 236], [222, 222, 220], [206, 206, 204], [70, 90, 120], [150, 130, 110]], np.float32)


def cars(image: F32, rng: Rng, stage: Stage) -> F32:
    """A few parked cars anywhere: they come and go and are no change."""
    sketch = Sketch(image, rng, stage)
    for _ in range(int(rng.integers(1, 8))):
        spot = np.array([uniform(rng, 0, sketch.cols), uniform(rng, 0, sketch.rows)])
        draw_car(sketch, spot, uniform(rng, 0, np.pi))
    return sketch.finish("new road").image


def _path(rng: Rng, rows: int, cols: int) -> F64:
    """A line through the scene or ending in it, straight or bent once or twice."""
    along, across = heading(uniform(rng, 0.0, np.pi))
    middle = np.array([uniform(rng, 0.1, 0.9) * cols, uniform(rng, 0.1, 0.9) * rows])
    reach = float(np.hypot(rows, cols))
    t = np.linspace(-0.8, 0.8 if rng.random() < 0.7 else uniform(rng, -0.1, 0.4), 32)
    bend, wave = uniform(rng, -0.5, 0.5) * (rng.random() < 0.6), uniform(rng, 0, 0.06) * (rng.random() < 0.4)
    curve = (bend * t**2 + wave * np.sin(t * uniform(rng, 4, 12))) * reach
    points: F64 = middle + (t * reach)[:, None] * along + curve[:, None] * across
    return points


def _beside(points: F64, offset: float) -> F64:
    """A line shifted sideways by pixels."""
    step = np.gradient(points, axis=0)
    step /= np.maximum(np.hypot(step[:, 0], step[:, 1]), 1e-6)[:, None]
    moved: F64 = points + np.stack([-step[:, 1], step[:, 0]], 1) * offset
    return moved


def _traffic(sketch: Sketch, points: F64, width: float, most: int) -> None:
    for _ in range(int(sketch.rng.integers(0, most + 1))):
        index = int(sketch.rng.integers(1, len(points)))
        step = points[index] - points[index - 1]
        spot = points[index - 1] + step * sketch.rng.random()
        side = np.array([-step[1], step[0]]) / max(float(np.hypot(*step)), 1e-6)
        place = spot + side * width * float(sketch.rng.choice([-0.25, 0.25]))
        draw_car(sketch, place, float(np.arctan2(step[1], step[0])))


def road(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """A paved road of two to six lanes, old or new asphalt or concrete, with verges, lines, a median."""
    sketch = Sketch(image, rng, stage)
    px, points = stage.px, _path(rng, sketch.rows, sketch.cols)
    width = max(2.0, px(float(np.exp(uniform(rng, np.log(5.0), np.log(24.0))))))
    if rng.random() < 0.7:
        verge = sketch.surface("soil" if rng.random() < 0.6 else "own")
        sketch.fill(ribbon(points, width * uniform(rng, 1.2, 1.9)), verge, uniform(rng, 0.3, 0.9))
    kind = "asphalt" if rng.random() < 0.8 else "concrete"
    surface = np.clip(sketch.surface("asphalt" if kind == "asphalt" else "concrete") * uniform(rng, 0.7, 1.3), 8, 240)
    sketch.fill(ribbon(points, width), surface.astype(np.float32), uniform(rng, 0.88, 1.0))
    wide = width > px(13.0)
    if wide and rng.random() < 0.5:
        sketch.strip(points, width * 0.1, sketch.surface("soil" if rng.random() < 0.5 else "concrete"))
    elif rng.random() < 0.7:
        sketch.strip(points, px(0.3), sketch.tone(PAINT), 0.8)
    if wide:
        for offset in (-0.25, 0.25):
            lane = _beside(points, offset * width)
            for first in range(0, len(lane) - 1, 2):
                sketch.strip(lane[first : first + 2], px(0.25), sketch.tone(PAINT), 0.7)
    if rng.random() < 0.5:
        for offset in (-0.46, 0.46):
            sketch.strip(_beside(points, offset * width), px(0.25), sketch.tone(PAINT), 0.6)
    if stage.gsd_m < 1.5:
        _traffic(sketch, points, width, 6)
    return sketch.finish("new road")


def street(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """A street with kerbs and pavements, perhaps a dead end with a turning circle or a crossing."""
    sketch = Sketch(image, rng, stage)
    px, points = stage.px, _path(rng, sketch.rows, sketch.cols)
    ways = [points]
    if rng.random() < 0.4:
        index = int(rng.integers(8, len(points) - 8))
        step = points[index + 1] - points[index]
        turn = float(np.arctan2(step[1], step[0])) + np.pi / 2 + rng.normal(0, 0.1)
        ways.append(points[index] + np.linspace(0, 1.0, 12)[:, None] * heading(turn)[0] * max(sketch.rows, sketch.cols))
    width, walk = px(uniform(rng, 6.5, 12.0)), px(uniform(rng, 1.2, 3.5))
    kerb, end = sketch.tone(PALE), points[-1]
    around = np.linspace(0, 2 * np.pi, 24)[:-1]
    circle = np.stack([np.cos(around), np.sin(around)], 1) * width * 1.3
    for way in ways:
        sketch.fill(ribbon(way, width + 2 * walk), kerb)
    sketch.fill(end + circle * 1.2, kerb)
    for way in ways:
        sketch.fill(ribbon(way, width), sketch.surface("asphalt"))
    sketch.fill(end + circle, sketch.surface("asphalt"))
    if stage.gsd_m < 1.5:
        _traffic(sketch, points, 1.5 * width, 6)
    return sketch.finish("new road")


def dirt_track(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """A track of bare earth, or two ruts with plants between."""
    sketch = Sketch(image, rng, stage)
    px, points = stage.px, _path(rng, sketch.rows, sketch.cols)
    width = max(1.5, px(uniform(rng, 2.6, 7.0)))
    surface = sketch.surface("soil" if rng.random() < 0.5 else "own" if rng.random() < 0.4 else "flat")
    if rng.random() < 0.3 and stage.gsd_m < 1.0:
        for offset in (-0.35, 0.35):
            sketch.strip(_beside(points, offset * width), px(0.9), surface, uniform(rng, 0.6, 0.95), mark=False)
        found = sketch.cover(ribbon(points, width))
        if found is not None:
            np.maximum(sketch.changed[found[0]], found[1], out=sketch.changed[found[0]])
    else:
        sketch.fill(ribbon(points, width), np.clip(surface * uniform(rng, 1.0, 1.2), 8, 245).astype(np.float32), 0.9)
    return sketch.finish("new road")


def parking_lot(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """Asphalt or concrete with painted stalls, islands with trees, and cars in rows."""
    sketch = Sketch(image, rng, stage)
    px, angle = stage.px, uniform(rng, 0.0, np.pi)
    along, across = heading(angle)
    centre = np.array([uniform(rng, 0.15, 0.85) * sketch.cols, uniform(rng, 0.15, 0.85) * sketch.rows])
    low, high = np.log(20.0), np.log(max(90.0, 20 * stage.gsd_m))
    length = min(px(float(np.exp(uniform(rng, low, high)))), 0.9 * sketch.cols)
    width = min(px(float(np.exp(uniform(rng, low, high)))), 0.9 * sketch.rows)
    outline = rectangle(centre[0], centre[1], length, width, angle)
    dark = uniform(rng, 0.6, 1.25)
    surface = np.clip(sketch.surface("asphalt" if rng.random() < 0.8 else "concrete") * dark, 8, 240)
    sketch.fill(outline, surface.astype(np.float32))
    if rng.random() < 0.5:
        sketch.strip(np.concatenate([outline, outline[:1]]), px(0.6), sketch.tone(PALE), 0.7)
    stall, depth, aisle = px(2.7), px(5.2), px(uniform(rng, 11.5, 18.0))
    filled, paint, painted = uniform(rng, 0.05, 0.85), sketch.tone(PAINT[:2]), uniform(rng, 0.3, 0.9)
    for row in np.arange(-width / 2 + depth * 0.6, width / 2 - depth * 0.4, aisle):
        for place in np.arange(-length / 2 + stall, length / 2 - stall, stall):
            spot = centre + place * along + row * across
            if not (-3 <= spot[0] < sketch.cols + 3 and -3 <= spot[1] < sketch.rows + 3):
                continue
            if stall > 2.2:
                mark = np.array([spot - across * depth / 2, spot + across * depth / 2]) - along * stall / 2
                sketch.strip(mark, px(0.2), paint, painted)
            if rng.random() < 0.03:
                sketch.fill(rectangle(spot[0], spot[1], stall * 0.9, depth, angle), sketch.surface("soil"), 0.8)
                draw_bush(sketch, spot, px(uniform(rng, 1.0, 2.5)))
            elif rng.random() < filled:
                draw_car(sketch, spot + rng.normal(0, px(0.2), 2), angle + np.pi / 2)
    return sketch.finish("parking lot")


def _array(sketch: Sketch, corners: F64, colour: F32, modules: int) -> None:
    """One array of panels with faint gaps between modules."""
    sketch.fill(corners, colour, 0.95, grain=0.05)
    frame = colour * np.float32(uniform(sketch.rng, 1.1, 1.5))
    if float(np.hypot(*(corners[1] - corners[0]))) / modules > 2.0:
        for share in np.linspace(0, 1, modules + 1)[1:-1]:
            a, b = corners[0] + (corners[1] - corners[0]) * share, corners[3] + (corners[2] - corners[3]) * share
            sketch.strip(np.array([a, b]), sketch.stage.px(0.15), frame, 0.7)


def solar_field(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """Rows of panels on the ground or on posts above parked cars."""
    sketch = Sketch(image, rng, stage)
    px, angle = stage.px, uniform(rng, 0.0, np.pi)
    _, across = heading(angle)
    centre = np.array([uniform(rng, 0.15, 0.85) * sketch.cols, uniform(rng, 0.15, 0.85) * sketch.rows])
    scale = max(1.0, stage.gsd_m)
    length = min(px(float(np.exp(uniform(rng, np.log(14.0), np.log(120.0)))) * scale), 1.2 * sketch.cols)
    number = int(np.exp(uniform(rng, np.log(2.0), np.log(22.0))))
    deep = px(uniform(rng, 2.2, 6.5) * max(1.0, stage.gsd_m / 1.2))
    pitch = deep * uniform(rng, 1.35, 2.6)
    carport = rng.random() < 0.35
    if rng.random() < 0.6:
        ground = rectangle(centre[0], centre[1], length * 1.08, number * pitch * 1.05, angle)
        kind = sketch.surface("asphalt" if carport else "soil" if rng.random() < 0.6 else "grass")
        sketch.fill(ground, kind, uniform(rng, 0.6, 1.0))
    colour = sketch.tone(PANELS) if rng.random() < 0.85 else sketch.tone(PANELS) * np.float32(2.0)
    for index in range(number):
        spot = centre + across * (index - (number - 1) / 2) * pitch
        shape = rectangle(spot[0], spot[1], length * uniform(rng, 0.93, 1.0), deep, angle)
        sketch.shadow([shape], 3.0 if carport else 1.0)
        _array(sketch, shape, colour, 10)
    return sketch.finish("solar panels", number)


def solar_roof(pre: F32, post: F32, rng: Rng, stage: Stage) -> tuple[F32, F32, Rendered]:
    """A house or a hall on both dates; on the later one its roof carries panels."""
    seed = int(rng.integers(2**32))
    large = rng.random() < 0.5
    first, second = (Sketch(image, np.random.default_rng(seed), stage) for image in (pre, post))
    for sketch in (first, second):
        if large:
            plan = plan_hall(sketch)
            draw_hall(sketch, plan)
            roof = plan[0][0]
        else:
            spot = np.array(
                [uniform(sketch.rng, 0.15, 0.85) * sketch.cols, uniform(sketch.rng, 0.15, 0.85) * sketch.rows]
            )
            house = plan_house(sketch, Plot(spot, uniform(sketch.rng, 0, np.pi), stage.px(26), stage.px(30), 1))
            draw_house(sketch, house)
            roof = house.parts[0]
    second.changed[:] = 0.0
    _panels_on(second, roof, 0.5 if not large else 1.0)
    after = second.finish("solar panels")
    return first.finish("solar panels").image, after.image, after


def _panels_on(sketch: Sketch, roof: F64, deepest: float) -> None:
    """Blocks of panels along the edges of a roof; ``deepest`` is the share of its depth that they may fill."""
    rng, colour = sketch.rng, sketch.tone(PANELS)
    low, high = uniform(rng, 0.08, 0.4), uniform(rng, 0.6, 0.92)
    near, far = 0.1 * deepest, deepest * uniform(rng, 0.55, 0.9)
    rows = 1 if deepest < 1 else int(rng.integers(1, 8))
    edges = np.linspace(near, far, rows + 1)
    along, across = roof[1] - roof[0], roof[3] - roof[0]
    for top, bottom in pairwise(edges):
        bottom = top + (bottom - top) * (0.8 if rows > 1 else 1.0)
        corner = roof[0] + across * top
        shape = [corner + along * low, corner + along * high]
        shape += [corner + along * high + across * (bottom - top), corner + along * low + across * (bottom - top)]
        _array(sketch, np.array(shape), colour, 8)


def roof_panels(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """Panels on something bright and smooth that is in the scene, turned as its edges are."""
    sketch = Sketch(image, rng, stage)
    grey = image.mean(2)
    side = max(5, round(stage.px(uniform(rng, 6.0, 11.0))))
    mean = cv2.blur(grey, (side, side))
    rough = np.sqrt(np.maximum(cv2.blur(grey * grey, (side, side)) - mean * mean, 0))
    score = mean * uniform(rng, 0.2, 0.6) - 3.0 * rough + 12.0 * noise(rng, sketch.rows, sketch.cols, stage.px(20.0))
    score[:side], score[-side:], score[:, :side], score[:, -side:] = -1e6, -1e6, -1e6, -1e6
    dx, dy = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    for _ in range(int(rng.choice([1, 2, 3, 5], p=[0.5, 0.25, 0.15, 0.1]))):
        y, x = np.unravel_index(int(score.argmax()), score.shape)
        near = (slice(max(0, y - 2 * side), y + 2 * side), slice(max(0, x - 2 * side), x + 2 * side))
        # Doubled angles: edges that face opposite ways are parallel.
        turn = 0.5 * float(np.arctan2((2 * dx[near] * dy[near]).sum(), (dx[near] ** 2 - dy[near] ** 2).sum())) + float(
            rng.choice([0.0, np.pi / 2])
        )
        roof = rectangle(float(x), float(y), side * uniform(rng, 0.9, 1.8), side * uniform(rng, 0.7, 1.1), turn)
        _panels_on(sketch, roof, 1.0)
        score[near] = -1e6
    return sketch.finish("solar panels")


def boats(pre: F32, post: F32, rng: Rng, stage: Stage) -> tuple[F32, F32, Rendered]:
    """Water on both dates; boats on the later one, at anchor, under way with a wake, or at a jetty."""
    seed = int(rng.integers(2**32))
    sketches = []
    for image in (pre, post):
        one = np.random.default_rng(seed)
        sketch = Sketch(image, one, stage)
        radius = uniform(one, 0.3, 0.8) * sketch.cols
        region = cv2.GaussianBlur(blob(one, sketch.rows, sketch.cols, radius), (0, 0), 1.2)
        ripple = (
            1.0 + 0.03 * noise(one, sketch.rows, sketch.cols, 2.0) + 0.05 * noise(one, sketch.rows, sketch.cols, 30)
        )
        water = (sketch.tone(WATERS) * ripple[..., None]).astype(np.float32)
        sketch.lay((slice(0, sketch.rows), slice(0, sketch.cols)), region, water)
        sketches.append(sketch)
    first, second = sketches
    deep = cv2.erode(region, np.ones((3, 3), np.uint8), iterations=max(1, round(stage.px(3.0)))) > 0.9
    if not deep.any():
        deep = region > 0.5
    second.changed[:] = 0.0
    rows, cols = np.nonzero(deep)
    count = 0
    if len(rows):
        pick = int(rng.integers(len(rows)))
        angle, centre = uniform(rng, 0, 2 * np.pi), np.array([cols[pick], rows[pick]], np.float64)
        if rng.random() < 0.4:
            count = _jetty(second, deep, centre, angle)
        else:
            for pick in rng.integers(len(rows), size=int(rng.choice([1, 2, 4, 9]))):
                spot = np.array([cols[pick], rows[pick]], np.float64)
                draw_boat(second, spot, angle + rng.normal(0, 0.5), moving=bool(rng.random() < 0.3))
                count += 1
    after = second.finish("boats", max(1, count))
    return first.finish("boats").image, after.image, after


def _jetty(sketch: Sketch, deep: F32 | np.ndarray, centre: F64, angle: float) -> int:
    """Boats in berths on both sides of a jetty; the number drawn."""
    rng, px, count = sketch.rng, sketch.stage.px, 0
    along, across = heading(angle)
    long = px(uniform(rng, 20, 60))
    sketch.strip(np.array([centre - along * long / 2, centre + along * long / 2]), px(1.8), sketch.tone(PALE))
    for place in np.arange(-long / 2, long / 2, px(uniform(rng, 4.0, 5.5))):
        for side in (-1, 1):
            spot = centre + along * place + across * side * px(6.0)
            x, y = int(spot[0]), int(spot[1])
            if rng.random() < 0.75 and 0 <= x < sketch.cols and 0 <= y < sketch.rows and deep[y, x]:
                draw_boat(sketch, spot, angle + np.pi / 2, moving=False)
                count += 1
    return count


def draw_boat(sketch: Sketch, spot: F64, angle: float, moving: bool) -> None:
    """A pointed hull with a cabin, and a wake behind it when it moves."""
    rng = sketch.rng
    long = sketch.stage.px(float(np.exp(uniform(rng, np.log(5.0), np.log(26.0)))))
    along, across = heading(angle)
    half = long * uniform(rng, 0.13, 0.2)
    hull = [
        spot + along * long / 2,
        spot + along * long * 0.15 + across * half,
        spot - along * long / 2 + across * half,
    ]
    hull += [spot - along * long / 2 - across * half, spot + along * long * 0.15 - across * half]
    if moving:
        tail = spot - along * long * uniform(rng, 2.0, 5.0)
        for side in (-1, 1):
            wake = np.array([spot - along * long * 0.4, tail + across * side * long * 0.5])
            sketch.strip(wake, half * 0.8, sketch.tone(HULLS[:1]), 0.5)
    sketch.shadow([np.array(hull)], 1.5, 0.6)
    colour = sketch.tone(HULLS)
    sketch.fill(np.array(hull), colour)
    cabin = rectangle(spot[0], spot[1], long * 0.3, half, angle)
    sketch.fill(cabin, colour * np.float32(uniform(rng, 0.5, 1.0)), 0.8)


KINDS: dict[str, Kind] = {
    "road": Kind(road, weight=1.0, coarse=True),
    "street": Kind(street, weight=0.7),
    "dirt track": Kind(dirt_track, weight=0.6, coarse=True),
    "parking lot": Kind(parking_lot, weight=1.4),
    "swimming pool": Kind(swimming_pool, weight=1.1),
    "sports field": Kind(sports_field, weight=1.1),
    "solar field": Kind(solar_field, weight=0.6, coarse=True),
    "solar roof": Kind(render_pair=solar_roof, weight=0.4, twin=False),
    "roof panels": Kind(roof_panels, weight=0.5, twin=False),
    "boats": Kind(render_pair=boats, weight=0.8, twin=False),
}

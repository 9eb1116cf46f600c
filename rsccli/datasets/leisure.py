"""Renderers of swimming pools and sports fields."""

from __future__ import annotations

import numpy as np

from rsccli.datasets.canvas import F32, Rendered, Rng, Stage, rectangle, uniform
from rsccli.datasets.sketch import F64, PALE, Sketch, heading

POOLS = np.array(
    [[84, 176, 190], [110, 190, 200], [64, 150, 180], [90, 150, 158], [52, 108, 128], [60, 92, 90]], np.float32
)
COURTS = np.array([[96, 130, 104], [84, 110, 150], [150, 92, 80], [120, 140, 130], [170, 160, 146]], np.float32)
TRACKS = np.array([[158, 92, 80], [140, 84, 76], [120, 110, 108], [110, 120, 150], [176, 140, 112]], np.float32)
DIRT = np.array([[186, 152, 118], [172, 132, 100], [196, 172, 142]], np.float32)
LINES = np.array([[224, 226, 222], [206, 210, 204]], np.float32)


def _spot(sketch: Sketch) -> F64:
    return np.array([uniform(sketch.rng, 0.12, 0.88) * sketch.cols, uniform(sketch.rng, 0.12, 0.88) * sketch.rows])


def _oval(length: float, width: float, power: float = 2.0, corners: int = 40) -> F64:
    """A rounded outline (n, 2) about the origin: 2 is an ellipse, more is squarer."""
    t = np.linspace(0, 2 * np.pi, corners + 1)[:-1]
    x, y = np.cos(t), np.sin(t)
    outline: F64 = np.stack(
        [np.sign(x) * np.abs(x) ** (2 / power) * length / 2, np.sign(y) * np.abs(y) ** (2 / power) * width / 2], 1
    )
    return outline


def swimming_pool(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """One pool or some of a street: angular, round or bent, with a deck, steps and shadow, clear or green."""
    sketch = Sketch(image, rng, stage)
    px, angle, first = stage.px, uniform(rng, 0.0, np.pi), _spot(sketch)
    along, across = heading(angle)
    count = int(rng.choice([1, 2, 4], p=[0.7, 0.2, 0.1]))
    large = rng.random() < 0.2
    for index in range(count):
        spot = first + along * index * px(uniform(rng, 17, 26)) + rng.normal(0, px(1.5), 2)
        length = px(uniform(rng, 14.0, 50.0) if large else uniform(rng, 6.0, 13.0))
        width = length * uniform(rng, 0.4, 0.8)
        shape = _oval(length, width, float(rng.choice([2.0, 2.6, 12.0, 40.0])))
        if rng.random() < 0.3:
            # A kidney: pinched on one side.
            shape[:, 1] += 0.35 * width * (2 * shape[:, 0] / length) ** 2
        shape = shape[:, :1] * along + shape[:, 1:] * across
        rim = uniform(rng, 1.15, 1.9)
        if rng.random() < 0.8:
            deck = rectangle(spot[0], spot[1], length * rim, width * rim * 1.1, angle)
            outline = deck if rng.random() < 0.5 else spot + shape * rim
            sketch.fill(outline, sketch.surface("concrete"), uniform(rng, 0.7, 1.0))
        water = sketch.tone(POOLS, spot, 9.0)
        sketch.fill(spot + shape * 1.06, sketch.tone(PALE), 0.8)
        sketch.fill(spot + shape, water, grain=0.05)
        sketch.fill(spot + shape * 0.6 + along * length * 0.12, water * np.float32(0.88), 0.6)
        if large and stage.gsd_m < 1.0 and rng.random() < 0.5:
            for lane in np.linspace(-0.35, 0.35, 6):
                ends = [spot + across * width * lane + along * length * s for s in (-0.45, 0.45)]
                sketch.strip(np.array(ends), px(0.3), water * np.float32(0.6), 0.6)
    return sketch.finish("swimming pool", count)


def sports_field(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """A pitch, a pitch in a running track, tennis or ball courts, or a baseball field."""
    sketch = Sketch(image, rng, stage)
    what = int(rng.integers(4))
    spot, angle = _spot(sketch), uniform(rng, 0.0, np.pi)
    most = 0.85 * sketch.cols * stage.gsd_m
    if what == 0:
        length = min(uniform(rng, 55, 110), most)
        _pitch(sketch, spot, angle, stage.px(length), stage.px(length * uniform(rng, 0.55, 0.7)))
    elif what == 1:
        _track(sketch, spot, angle, stage.px(min(uniform(rng, 90, 175), 1.2 * most)))
    elif what == 2:
        _courts(sketch, spot, angle)
    else:
        _baseball(sketch, spot, angle, stage.px(min(uniform(rng, 45, 110), most)))
    return sketch.finish("sports field")


def _lines(sketch: Sketch, points: list[F64], paint: F32, metres: float, strength: float) -> None:
    sketch.strip(np.array(points), sketch.stage.px(metres), paint, strength)


def _box(spot: F64, length: float, width: float, angle: float) -> list[F64]:
    corners = rectangle(spot[0], spot[1], length, width, angle)
    return [*corners, corners[0]]


def _pitch(sketch: Sketch, spot: F64, angle: float, length: float, width: float) -> None:
    """Mown grass or artificial turf with lines."""
    rng = sketch.rng
    along, across = heading(angle)
    turf = sketch.tone(np.array([[72, 112, 66], [90, 124, 78], [64, 98, 70]], np.float32))
    ground = sketch.surface("grass") if rng.random() < 0.6 else turf
    outline = rectangle(spot[0], spot[1], length, width, angle)
    sketch.fill(spot + (outline - spot) * 1.1, ground, 0.95)
    if rng.random() < 0.5:
        bands = int(rng.integers(6, 14))
        for index in range(0, bands, 2):
            place = spot + along * length * ((index + 0.5) / bands - 0.5)
            sketch.fill(rectangle(place[0], place[1], length / bands, width, angle), turf * np.float32(1.1), 0.35)
    paint, strength = sketch.tone(LINES), uniform(rng, 0.3, 0.9)
    _lines(sketch, _box(spot, length * 0.95, width * 0.92, angle), paint, 0.3, strength)
    if rng.random() < 0.4:
        for share in np.linspace(-0.4, 0.4, 11):
            ends = [spot + along * length * share + across * width * s for s in (-0.46, 0.46)]
            _lines(sketch, ends, paint, 0.2, strength * 0.8)
    else:
        _lines(sketch, [spot + across * width * s for s in (-0.46, 0.46)], paint, 0.3, strength)
        ring = spot + _oval(0.17 * length, 0.17 * length)
        _lines(sketch, [*ring, ring[0]], paint, 0.3, strength)
        for side in (-1, 1):
            box = spot + along * side * length * 0.4
            _lines(sketch, _box(box, length * 0.15, width * 0.55, angle), paint, 0.3, strength)


def _track(sketch: Sketch, spot: F64, angle: float, length: float) -> None:
    """Two straights and two half circles of lanes around a pitch."""
    along, across = heading(angle)
    radius = 0.25 * length

    def stadium(reach: float) -> F64:
        t = np.linspace(-np.pi / 2, np.pi / 2, 16)
        end = np.stack([np.cos(t) * reach + length / 2 - radius, np.sin(t) * reach], 1)
        shape = np.concatenate([end, -end])
        moved: F64 = spot + shape[:, :1] * along + shape[:, 1:] * across
        return moved

    lanes = sketch.stage.px(uniform(sketch.rng, 6.0, 9.5))
    tone, paint = sketch.tone(TRACKS), sketch.tone(LINES)
    sketch.fill(stadium(radius), tone)
    if sketch.stage.gsd_m < 1.0:
        for share in (0.25, 0.5, 0.75):
            ring = stadium(radius - lanes * share)
            _lines(sketch, [*ring, ring[0]], paint, 0.15, 0.6)
    sketch.fill(stadium(radius - lanes), sketch.surface("grass"))
    _pitch(sketch, spot, angle, 0.56 * length, 0.3 * length)


def _courts(sketch: Sketch, spot: F64, angle: float) -> None:
    """One to six courts side by side on one slab, tennis or basketball."""
    rng, px = sketch.rng, sketch.stage.px
    along, across = heading(angle)
    count, pitch = int(rng.integers(1, 7)), px(uniform(rng, 15.0, 18.0))
    outer, inner, paint = sketch.tone(COURTS), sketch.tone(COURTS), sketch.tone(LINES)
    sketch.fill(rectangle(spot[0], spot[1], px(36), pitch * count + px(2), angle), outer)
    for index in range(count):
        place = spot + across * (index - (count - 1) / 2) * pitch
        sketch.fill(rectangle(place[0], place[1], px(23.8), px(11.0), angle), inner)
        for wide in (11.0, 8.2):
            _lines(sketch, _box(place, px(23.8), px(wide), angle), paint, 0.25, 0.7)
        for share in (-6.4, 0.0, 6.4):
            ends = [place + along * px(share) + across * px(s) for s in (-4.1, 4.1)]
            _lines(sketch, ends, paint, 0.25, 0.7)
    if rng.random() < 0.6:
        fence = _box(spot, px(37), pitch * count + px(3), angle)
        _lines(sketch, fence, outer * np.float32(0.6), 0.4, 0.7)


def _baseball(sketch: Sketch, spot: F64, angle: float, reach: float) -> None:
    """A quarter of a circle of grass with an infield of earth."""
    rng = sketch.rng
    t = np.linspace(angle, angle + np.pi / 2, 20)

    def fan(radius: float) -> F64:
        arc = spot + np.stack([np.cos(t), np.sin(t)], 1) * radius
        return np.concatenate([spot[None], arc])

    dirt = sketch.tone(DIRT)
    home = fan(reach)
    sketch.fill(home + (home - home.mean(0)) * 0.06, dirt, 0.9)
    sketch.fill(home, sketch.surface("grass"))
    bases = min(0.3 * reach, sketch.stage.px(27.0))
    sketch.fill(fan(bases * 1.5), dirt)
    diagonal = heading(angle + np.pi / 4)[0]
    middle = spot + diagonal * bases * 0.72
    if rng.random() < 0.7:
        sketch.fill(rectangle(middle[0], middle[1], bases * 0.85, bases * 0.85, angle), sketch.surface("grass"))
    ring = _oval(0.14 * bases, 0.14 * bases)
    sketch.fill(middle + ring, dirt)
    sketch.fill(spot + ring * 2.4, dirt)
    for way in (angle, angle + np.pi / 2):
        _lines(sketch, [spot, spot + heading(way)[0] * reach], sketch.tone(LINES), 0.25, 0.7)

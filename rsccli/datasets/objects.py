"""Renderers of built things: houses, large buildings, roads, parking lots, damage, debris, cars."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rsccli.datasets.canvas import (
    F32,
    Rendered,
    Rng,
    Stage,
    blend,
    blob,
    line,
    noise,
    polygon,
    rectangle,
    soften,
    texture_fill,
    uniform,
)

ROOFS = np.array(
    [[150, 140, 130], [120, 112, 106], [168, 152, 134], [165, 105, 82], [142, 88, 70], [96, 92, 92], [196, 190, 182],
     [134, 118, 100], [110, 100, 88]],
    np.float32,
)  # fmt: skip
FLAT_ROOFS = np.array(
    [[210, 208, 204], [232, 230, 226], [182, 178, 172], [158, 154, 150], [200, 190, 174], [140, 146, 154]], np.float32
)
CARS = np.array(
    [[230, 230, 230], [40, 40, 45], [120, 122, 126], [150, 30, 30], [40, 60, 120], [190, 190, 192]], np.float32
)


def _colour(rng: Rng, palette: F32, stage: Stage, spread: float = 9.0) -> F32:
    """One colour of a palette, varied, under the light of the scene."""
    base = palette[int(rng.integers(len(palette)))] * uniform(rng, 0.88, 1.12)
    colour: F32 = np.clip((base + rng.normal(0, spread, 3)) * stage.gain, 8, 250).astype(np.float32)
    return colour


def _shadow(image: F32, outline: npt.NDArray[np.float64], height_m: float, stage: Stage) -> F32:
    """Darken where a thing of some height keeps the sun away."""
    rows, cols = image.shape[:2]
    reach = np.array(stage.sun) * stage.px(height_m)
    steps = max(2, int(np.hypot(*reach)) + 1)
    cover = np.zeros((rows, cols), np.float32)
    for step in range(1, steps + 1):
        cover = np.maximum(cover, polygon(rows, cols, outline + reach * step / steps))
    return (image * (1.0 - 0.5 * soften(cover, 0.6))[..., None]).astype(np.float32)


def _gabled(image: F32, rng: Rng, corners: npt.NDArray[np.float64], colour: F32, stage: Stage) -> F32:
    """A roof of two slopes, one lit and one not, or four on a hipped roof."""
    rows, cols = image.shape[:2]
    grain = 1.0 + 0.05 * noise(rng, rows, cols, 1.2)
    a, b, c, d = corners
    hip = uniform(rng, 0.0, 0.3)
    first, last = (a + d) / 2, (b + c) / 2
    ridge = first + (last - first) * hip, last + (first - last) * hip
    slopes = [np.array([a, b, ridge[1], ridge[0]]), np.array([d, c, ridge[1], ridge[0]])]
    if hip > 0.05:
        slopes += [np.array([a, d, ridge[0]]), np.array([b, c, ridge[1]])]
    centre = corners.mean(0)
    for slope in slopes:
        facing = slope.mean(0) - centre
        facing = facing / (np.hypot(*facing) + 1e-6)
        light = 1.0 - 0.16 * float(facing @ np.array(stage.sun))
        image = blend(image, colour * light * grain[..., None], polygon(rows, cols, slope))
    return image


def houses(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """One house or a row of them, on a cleared plot or between what is there."""
    rows, cols = image.shape[:2]
    count = int(rng.choice([1, 2, 3, 5, 8], p=[0.36, 0.22, 0.16, 0.16, 0.1]))
    angle = uniform(rng, 0.0, np.pi)
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    pitch = stage.px(uniform(rng, 15.0, 22.0))
    centre = np.array([uniform(rng, 0.12, 0.88) * cols, uniform(rng, 0.12, 0.88) * rows])
    mask = np.zeros((rows, cols), np.float32)
    per_row = count if count < 4 else (count + 1) // 2
    cleared = rng.random() < 0.5
    ground = texture_fill(rng, stage.textures.soil if rng.random() < 0.6 else stage.textures.grass, rows, cols, stage)
    drawn = 0
    spots = []
    for index in range(count):
        offset = (index % per_row - (per_row - 1) / 2) * pitch * along + (index // per_row) * 1.5 * pitch * across
        spots.append(centre + offset + rng.normal(0, stage.px(0.8), 2))
    if cleared:
        for x, y in spots:
            plot = polygon(rows, cols, rectangle(x, y, pitch, pitch * 1.15, angle))
            image = blend(image, ground, soften(plot, 0.7))
    for x, y in spots:
        if not (2 <= x < cols - 2 and 2 <= y < rows - 2):
            continue
        length, width = stage.px(uniform(rng, 10.0, 17.0)), stage.px(uniform(rng, 7.5, 11.0))
        turn = angle + (np.pi / 2 if rng.random() < 0.4 else 0.0)
        parts = [rectangle(x, y, length, width, turn)]
        if rng.random() < 0.5:
            side = np.array([np.cos(turn), np.sin(turn)]) * length * 0.25
            wing_x, wing_y = np.array([x, y]) + side + np.array([-side[1], side[0]]) * 1.1
            parts.append(rectangle(wing_x, wing_y, width * 0.9, length * 0.55, turn))
        colour = _colour(rng, ROOFS, stage)
        for part in parts:
            image = _shadow(image, part, uniform(rng, 2.5, 4.0), stage)
        for part in parts:
            image = _gabled(image, rng, part, colour, stage)
            mask = np.maximum(mask, polygon(rows, cols, part))
        drawn += 1
    return Rendered("new house", image, mask > 0.5, drawn)


def large_buildings(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """A flat-roofed hall, shop or block, with things on its roof."""
    rows, cols = image.shape[:2]
    count = int(rng.choice([1, 2, 3], p=[0.75, 0.18, 0.07]))
    angle = uniform(rng, 0.0, np.pi)
    x, y = uniform(rng, 0.15, 0.85) * cols, uniform(rng, 0.15, 0.85) * rows
    smallest = max(uniform(rng, 15.0, 26.0), 7.0 * stage.gsd_m)
    mask = np.zeros((rows, cols), np.float32)
    drawn = 0
    for _ in range(count):
        length = min(stage.px(uniform(rng, smallest, 2.8 * smallest)), 0.7 * cols)
        width = min(stage.px(uniform(rng, 0.7 * smallest, 1.6 * smallest)), 0.6 * rows)
        if rng.random() < 0.4:
            apron = polygon(rows, cols, rectangle(x, y, length * 1.3, width * 1.4, angle))
            image = blend(image, texture_fill(rng, stage.textures.asphalt, rows, cols, stage), apron)
        parts = [rectangle(x, y, length, width, angle)]
        if rng.random() < 0.35:
            turned = np.array([np.cos(angle), np.sin(angle)]) * length * 0.3
            parts.append(rectangle(x + turned[0], y + turned[1], width * 0.8, width * 1.7, angle))
        height_m = uniform(rng, 5.0, 12.0)
        colour = _colour(rng, FLAT_ROOFS, stage)
        grain = 1.0 + 0.03 * noise(rng, rows, cols, 2.0) + 0.03 * noise(rng, rows, cols, 20.0)
        for part in parts:
            image = _shadow(image, part, height_m, stage)
        for part in parts:
            cover = polygon(rows, cols, part)
            image = blend(image, colour * grain[..., None], cover)
            edge = line(rows, cols, np.concatenate([part, part[:1]]), 1)
            image = blend(image, colour * 1.12, edge * 0.5)
            mask = np.maximum(mask, cover)
        image = _roof_units(image, rng, parts[0], colour, stage)
        drawn += 1
        step = width * 1.3
        x, y = x - np.sin(angle) * step, y + np.cos(angle) * step
        if not (0.1 * cols < x < 0.9 * cols and 0.1 * rows < y < 0.9 * rows):
            break
    return Rendered("new building", image, mask > 0.5, drawn)


def _roof_units(image: F32, rng: Rng, roof: npt.NDArray[np.float64], colour: F32, stage: Stage) -> F32:
    rows, cols = image.shape[:2]
    for _ in range(int(rng.integers(0, 7))):
        along, across = uniform(rng, 0.1, 0.9), uniform(rng, 0.1, 0.9)
        spot = roof[0] + (roof[1] - roof[0]) * along + (roof[3] - roof[0]) * across
        size = max(1.2, stage.px(uniform(rng, 1.5, 4.0)))
        box = polygon(rows, cols, rectangle(spot[0], spot[1], size, size * 0.7, uniform(rng, 0, 3)))
        image = blend(image, colour * uniform(rng, 0.6, 1.15), box * 0.8)
    return image


def _path(rng: Rng, rows: int, cols: int) -> npt.NDArray[np.float64]:
    """A line through the scene, straight or gently bent."""
    angle = uniform(rng, 0.0, np.pi)
    middle = np.array([uniform(rng, 0.2, 0.8) * cols, uniform(rng, 0.2, 0.8) * rows])
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    reach = np.hypot(rows, cols)
    t = np.linspace(-0.7, 0.7, 24)
    if rng.random() < 0.3:
        t = np.linspace(-0.7, uniform(rng, 0.0, 0.3), 24)
    bend = uniform(rng, -0.5, 0.5) * (rng.random() < 0.6)
    curve = bend * t**2 * reach
    points: npt.NDArray[np.float64] = middle + (t * reach)[:, None] * along + curve[:, None] * across
    return points


def road(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """A paved or dirt road with shoulders and perhaps a middle line."""
    rows, cols = image.shape[:2]
    points = _path(rng, rows, cols)
    width = max(1.6, stage.px(uniform(rng, 5.0, 13.0)))
    shoulder = soften(line(rows, cols, points, width * uniform(rng, 1.2, 1.7)), 0.8)
    image = blend(image, texture_fill(rng, stage.textures.soil, rows, cols, stage), shoulder * 0.7)
    paved = rng.random() < 0.7
    surface = texture_fill(rng, stage.textures.asphalt if paved else stage.textures.soil, rows, cols, stage)
    cover = line(rows, cols, points, width)
    image = blend(image, np.clip(surface * uniform(rng, 0.85, 1.3), 0, 250), soften(cover, 0.4))
    if paved and width > 6 and rng.random() < 0.6:
        image = blend(image, np.array([225, 220, 190], np.float32) * stage.gain, line(rows, cols, points, 1) * 0.6)
    return Rendered("new road", image, cover > 0.5)


def parking_lot(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """Asphalt with painted stalls and cars in rows."""
    rows, cols = image.shape[:2]
    angle = uniform(rng, 0.0, np.pi)
    x, y = uniform(rng, 0.2, 0.8) * cols, uniform(rng, 0.2, 0.8) * rows
    length = min(stage.px(uniform(rng, 30.0, 75.0)), 0.8 * cols)
    width = min(stage.px(uniform(rng, 22.0, 55.0)), 0.8 * rows)
    cover = polygon(rows, cols, rectangle(x, y, length, width, angle))
    surface = texture_fill(rng, stage.textures.asphalt, rows, cols, stage) * uniform(rng, 0.85, 1.25)
    image = blend(image, np.clip(surface, 0, 250).astype(np.float32), cover)
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    stall, depth, aisle = stage.px(2.7), stage.px(5.0), stage.px(uniform(rng, 11.0, 17.0))
    filled = uniform(rng, 0.1, 0.8)
    white = np.array([220, 220, 215], np.float32) * stage.gain
    marks, cars = np.zeros((rows, cols), np.float32), []
    for row in np.arange(-width / 2 + depth, width / 2 - depth * 0.4, aisle):
        for place in np.arange(-length / 2 + stall, length / 2 - stall, stall):
            spot = np.array([x, y]) + place * along + row * across
            ends = np.array([spot - across * depth / 2, spot + across * depth / 2])
            if stall > 2.5:
                marks = np.maximum(marks, line(rows, cols, ends - along * stall / 2, 1))
            if rng.random() < filled:
                cars.append(spot)
    image = blend(image, white, marks * cover * 0.7)
    return Rendered("parking lot", _draw_cars(image, rng, cars, angle + np.pi / 2, stage), cover > 0.5)


def _draw_cars(image: F32, rng: Rng, spots: list[npt.NDArray[np.float64]], angle: float, stage: Stage) -> F32:
    rows, cols = image.shape[:2]
    for spot in spots:
        body = polygon(rows, cols, rectangle(spot[0], spot[1], stage.px(4.5), max(1.0, stage.px(1.9)), angle))
        image = blend(image, _colour(rng, CARS, stage), body * 0.9)
    return image


def cars(image: F32, rng: Rng, stage: Stage) -> F32:
    """A few parked cars anywhere: they come and go and are no change."""
    rows, cols = image.shape[:2]
    spots = [np.array([uniform(rng, 0, cols), uniform(rng, 0, rows)]) for _ in range(int(rng.integers(1, 8)))]
    return _draw_cars(image, rng, spots, uniform(rng, 0, np.pi), stage)


def debris(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """Rubble over a region; what lies under it stays visible, so the street grid does too."""
    rows, cols = image.shape[:2]
    region = soften(blob(rng, rows, cols, stage.px(uniform(rng, 7.0, 36.0)), 0.5), 2.0)
    speckle = rng.random((rows, cols)).astype(np.float32)
    density = region * uniform(rng, 0.45, 0.8)
    tones = np.array([[190, 182, 170], [120, 100, 82], [70, 62, 56], [225, 222, 216], [110, 120, 135]], np.float32)
    which = (noise(rng, rows, cols, 1.3) * 1.6 + 2.5).clip(0, 4).astype(np.int64)
    dust = np.array([150, 136, 118], np.float32) * stage.gain
    image = blend(image, dust, region * uniform(rng, 0.2, 0.45))
    pieces = soften((speckle < density).astype(np.float32), 0.5)
    image = blend(image, tones[which] * stage.gain, pieces * 0.85)
    return Rendered("debris", image, region > 0.5)


def damage_roofs(image: F32, rng: Rng, stage: Stage, roofs: npt.NDArray[np.bool_]) -> Rendered:
    """Holes, missing cover, tarpaulins and scattered pieces on and around given roofs."""
    rows, cols = image.shape[:2]
    on_roof = soften(roofs.astype(np.float32), 0.5)
    holes = (rough_holes(rng, rows, cols, stage) > uniform(rng, -0.2, 0.5)).astype(np.float32)
    inside = np.array([52, 46, 42] if rng.random() < 0.5 else [176, 150, 118], np.float32) * stage.gain
    image = blend(
        image, inside * (1.0 + 0.2 * noise(rng, rows, cols, 1.5))[..., None], soften(holes, 0.5) * on_roof * 0.9
    )
    if rng.random() < 0.35:
        tarp = (noise(rng, rows, cols, stage.px(6.0)) > 0.9).astype(np.float32)
        image = blend(image, np.array([50, 95, 170], np.float32) * stage.gain, tarp * on_roof)
    around = soften(roofs.astype(np.float32), max(1.0, stage.px(3.0)))
    bits = (rng.random((rows, cols)) < np.clip(around, 0, 1) * 0.4).astype(np.float32)
    tone = np.array([172, 160, 146], np.float32) * stage.gain * uniform(rng, 0.6, 1.3)
    image = blend(image, tone, soften(bits, 0.5) * 0.8)
    return Rendered("building damage", image, roofs.copy())


def rough_holes(rng: Rng, rows: int, cols: int, stage: Stage) -> F32:
    """Noise at the size of holes in roofs."""
    return noise(rng, rows, cols, stage.px(4.0)) + 0.5 * noise(rng, rows, cols, stage.px(1.5))

"""Renderers of damaged, burned, collapsed and demolished buildings, and of debris: most need both dates."""

from __future__ import annotations

import cv2
import numpy as np

from rsccli.datasets.canvas import F32, Rendered, Rng, Stage, blob, noise, rectangle, rough_noise, soften, uniform
from rsccli.datasets.halls import draw_hall, plan_hall
from rsccli.datasets.houses import House, Plot, draw_house, draw_plot, plan_house, row_plots
from rsccli.datasets.sketch import F64, PALE, Sketch, Surface, heading

RUBBLE = np.array(
    [
        [196, 180, 156],
        [150, 132, 110],
        [84, 74, 66],
        [222, 214, 202],
        [176, 150, 128],
        [128, 118, 108],
        [112, 116, 124],
    ],
    np.float32,
)
TARPAULINS = np.array([[48, 92, 164], [60, 104, 172], [90, 120, 160], [200, 204, 206]], np.float32)


def rubble(rng: Rng, rows: int, cols: int, stage: Stage, own: F32 | None = None) -> F32:
    """A surface (H, W, 3) of broken boards, plaster and roof, mixed with a roof's own colour."""
    tones = RUBBLE if own is None else np.concatenate([RUBBLE, np.tile(own / stage.gain, (3, 1))]).astype(np.float32)
    tones = tones[rng.permutation(len(tones))[: int(rng.integers(4, 7))]]
    # Rubble ranges from speckled to dusty and nearly even.
    tones = tones.mean(0) + (tones - tones.mean(0)) * np.float32(uniform(rng, 0.3, 0.95))
    mixed = noise(rng, rows, cols, max(1.0, stage.px(uniform(rng, 0.7, 1.6))))
    mixed = mixed + np.float32(0.7) * noise(rng, rows, cols, stage.px(uniform(rng, 3, 7)))
    which = (mixed * 1.1 + len(tones) / 2).clip(0, len(tones) - 1).astype(np.int64)
    light = 1.0 + uniform(rng, 0.05, 0.16) * noise(rng, rows, cols, 1.2)
    made: F32 = np.clip(tones[which] * stage.gain * light[..., None], 8, 245).astype(np.float32)
    return made


def scatter(sketch: Sketch, centre: F64, reach: float, pieces: int) -> None:
    """Boards and pieces of roof lying around a spot."""
    rng, px = sketch.rng, sketch.stage.px
    for _ in range(pieces):
        spot = centre + rng.normal(0, 0.5 * reach, 2)
        long = px(float(np.exp(uniform(rng, np.log(0.5), np.log(3.5)))))
        shape = rectangle(spot[0], spot[1], long, long * uniform(rng, 0.2, 0.7), uniform(rng, 0, np.pi))
        sketch.fill(shape, sketch.tone(RUBBLE), uniform(rng, 0.5, 0.95))


def debris(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """Rubble over a region; what lies under it stays visible, so the street grid does too."""
    sketch = Sketch(image, rng, stage)
    rows, cols = sketch.rows, sketch.cols
    radius = stage.px(float(np.exp(uniform(rng, np.log(6.0), np.log(60.0)))))
    region = soften(blob(rng, rows, cols, min(radius, 0.6 * cols), 0.5), uniform(rng, 0.5, 3.0))
    everywhere = (slice(0, rows), slice(0, cols))
    dust = (sketch.tone(RUBBLE) * (1 + 0.05 * sketch.grain)[..., None]).astype(np.float32)
    sketch.lay(everywhere, region * np.float32(uniform(rng, 0.1, 0.6)), dust)
    lumps = rough_noise(rng, rows, cols, stage.px(uniform(rng, 1.2, 4.0)))
    dense = 1.0 / (1.0 + np.exp(-(lumps - uniform(rng, -0.6, 0.6)) * 3.0))
    sketch.lay(
        everywhere, (region * dense * uniform(rng, 0.6, 0.95)).astype(np.float32), rubble(rng, rows, cols, stage)
    )
    rows_in, cols_in = np.nonzero(region > 0.5)
    if len(rows_in):
        for pick in rng.integers(len(rows_in), size=int(rng.integers(4, 30))):
            scatter(sketch, np.array([cols_in[pick], rows_in[pick]], np.float64), stage.px(4.0), 1)
    sketch.changed = region
    return sketch.finish("debris")


def _houses(sketch: Sketch) -> list[House]:
    """A few houses with plots; the same seed gives the same ones whatever the image."""
    rng = sketch.rng
    count = int(rng.choice([1, 2, 3, 5], p=[0.3, 0.25, 0.25, 0.2]))
    plots, _ = row_plots(rng, sketch.stage, sketch.rows, sketch.cols, count, both=bool(rng.random() < 0.3))
    if rng.random() < 0.5:
        yard: Surface = str(rng.choice(["soil", "grass", "own", "flat"]))  # type: ignore[assignment]
        for plot in plots:
            draw_plot(sketch, plot, yard, None, sketch.tone(PALE))
    houses = [plan_house(sketch, plot) for plot in plots]
    for house in houses:
        draw_house(sketch, house)
    return houses


def _both_dates(pre: F32, post: F32, rng: Rng, stage: Stage) -> tuple[Sketch, Sketch, list[House]]:
    seed = int(rng.integers(2**32))
    first, second = (Sketch(image, np.random.default_rng(seed), stage) for image in (pre, post))
    _houses(first)
    houses = _houses(second)
    second.changed[:] = 0.0
    return first, second, houses


def damaged_houses(pre: F32, post: F32, rng: Rng, stage: Stage) -> tuple[F32, F32, Rendered]:
    """Houses on both dates; on the later one most have holes, tarpaulins, no cover, or are heaps of rubble."""
    first, second, houses = _both_dates(pre, post, rng, stage)
    share, severity = uniform(rng, 0.4, 1.0), uniform(rng, 0.0, 1.0)
    hit = [house for house in houses if rng.random() < share and _visible(second, house)]
    hit = hit or [house for house in houses if _visible(second, house)][:1] or houses[:1]
    for house in hit:
        if rng.random() < severity**1.5:
            collapse(second, house)
        else:
            break_roof(second, house)
    after = second.finish("building damage", len(hit))
    return first.finish("building damage").image, after.image, after


def _visible(sketch: Sketch, house: House) -> bool:
    x, y = house.parts[0].mean(0)
    return bool(0 <= x < sketch.cols and 0 <= y < sketch.rows)


def _footprint(sketch: Sketch, parts: tuple[F64, ...] | list[F64]) -> F32:
    cover = np.zeros((sketch.rows, sketch.cols), np.float32)
    for part in parts:
        found = sketch.cover(part)
        if found is not None:
            np.maximum(cover[found[0]], found[1], out=cover[found[0]])
    return cover


def break_roof(sketch: Sketch, house: House) -> None:
    """Holes, bare boards or tarpaulins on a roof that stands, and a few pieces around it."""
    rng, stage = sketch.rng, sketch.stage
    cover = _footprint(sketch, house.parts)
    everywhere = (slice(0, sketch.rows), slice(0, sketch.cols))
    for _ in range(int(rng.integers(1, 3))):
        what = int(rng.integers(3))
        size = stage.px(uniform(rng, 2.0, 6.0))
        field = noise(rng, sketch.rows, sketch.cols, size) + 0.4 * noise(rng, sketch.rows, sketch.cols, size / 3)
        holes = 1.0 / (1.0 + np.exp(-(field - uniform(rng, -0.3, 0.6)) * 8.0))
        if what == 0:
            inside = np.array([54, 48, 44], np.float32) * stage.gain
        elif what == 1:
            inside = np.array([190, 164, 128], np.float32) * stage.gain * np.float32(uniform(rng, 0.7, 1.1))
        else:
            for part in house.parts[: int(rng.integers(1, 3))]:
                low, high = sorted(rng.uniform(0, 1, 2))
                sheet = np.array([part[0] + (part[1] - part[0]) * t for t in (low, max(high, low + 0.25))])
                depth = (part[3] - part[0]) * uniform(rng, 0.4, 1.0)
                sketch.fill(np.concatenate([sheet, sheet[::-1] + depth]), sketch.tone(TARPAULINS), 0.95)
            continue
        sketch.lay(everywhere, (cover * holes * 0.92).astype(np.float32), inside, grain=0.2)
    np.maximum(sketch.changed, cover, out=sketch.changed)
    if rng.random() < 0.7:
        scatter(sketch, house.parts[0].mean(0), stage.px(9.0), int(rng.integers(4, 24)))


def collapse(sketch: Sketch, house: House) -> None:
    """A house become rubble within its footprint, with pieces around; perhaps one part of the roof lies on top."""
    rng, stage = sketch.rng, sketch.stage
    cover = _footprint(sketch, house.parts)
    ragged = soften(cover, stage.px(1.2)) + 0.16 * noise(rng, sketch.rows, sketch.cols, stage.px(2.0))
    alpha = np.clip((ragged - 0.3) * 4.0, 0, 1) * (soften(cover, stage.px(2.5)) > 0.06)
    surface = rubble(rng, sketch.rows, sketch.cols, stage, house.colour)
    everywhere = (slice(0, sketch.rows), slice(0, sketch.cols))
    # Walls gone, the shadow of the house goes too: rubble covers a rim around it.
    sketch.lay(everywhere, alpha.astype(np.float32), surface)
    np.maximum(sketch.changed, cover, out=sketch.changed)
    if rng.random() < 0.5:
        part = house.parts[int(rng.integers(len(house.parts)))]
        centre, turn = part.mean(0), rng.normal(0, 0.25)
        spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        piece = centre + rng.normal(0, stage.px(1.5), 2) + (part - centre) @ spin.T * uniform(rng, 0.3, 0.7)
        sketch.fill(piece, house.colour * np.float32(uniform(rng, 0.8, 1.1)), 0.9, grain=0.12)
    scatter(sketch, house.parts[0].mean(0), stage.px(14.0), int(rng.integers(15, 50)))


def burned_houses(pre: F32, post: F32, rng: Rng, stage: Stage) -> tuple[F32, F32, Rendered]:
    """Houses on both dates; on the later one ash between foundations, with scorched ground around."""
    first, second, houses = _both_dates(pre, post, rng, stage)
    hit = [house for house in houses if rng.random() < 0.75 and _visible(second, house)] or houses[:1]
    cover = np.zeros((second.rows, second.cols), np.float32)
    for house in hit:
        np.maximum(cover, _footprint(second, house.parts), out=cover)
    everywhere = (slice(0, second.rows), slice(0, second.cols))
    scorch = np.clip(soften(cover, stage.px(uniform(rng, 3, 7))) * 2.2, 0, 1) * np.float32(uniform(rng, 0.3, 0.85))
    second.lay(everywhere, scorch, second.tone(np.array([[62, 56, 52], [84, 74, 66]], np.float32)), grain=0.12)
    ash = np.array([[176, 172, 168], [140, 136, 132], [104, 98, 94], [70, 64, 62], [196, 190, 184]], np.float32)
    field = noise(rng, second.rows, second.cols, stage.px(2.5)) + 0.6 * second.grain
    which = (field + len(ash) / 2).clip(0, len(ash) - 1).astype(np.int64)
    second.lay(everywhere, cover, (ash[which] * stage.gain).astype(np.float32), mark=True)
    wall = second.tone(PALE)
    for house in hit:
        for part in house.parts:
            for start, end in zip(part, np.roll(part, -1, 0), strict=True):
                if rng.random() < 0.8:
                    second.strip(np.array([start, end]), stage.px(0.5), wall, 0.8)
    after = second.finish("building damage", len(hit))
    return first.finish("building damage").image, after.image, after


def damaged_hall(pre: F32, post: F32, rng: Rng, stage: Stage) -> tuple[F32, F32, Rendered]:
    """A hall on both dates; on the later one strips of its roof are gone, or a part of it is down."""
    seed = int(rng.integers(2**32))
    first, second = (Sketch(image, np.random.default_rng(seed), stage) for image in (pre, post))
    draw_hall(first, plan_hall(first))
    hall = plan_hall(second)
    draw_hall(second, hall)
    roof = hall[0][0]
    along, across = roof[1] - roof[0], roof[3] - roof[0]
    second.changed[:] = 0.0
    surface = rubble(rng, second.rows, second.cols, stage, hall[1])
    for _ in range(int(rng.integers(1, 5))):
        low, wide = uniform(rng, 0, 0.75), uniform(rng, 0.08, 0.35)
        near, deep = uniform(rng, 0, 0.5), uniform(rng, 0.3, 0.7)
        corner = roof[0] + along * low + across * near
        hole = np.array([corner, corner + along * wide, corner + along * wide + across * deep, corner + across * deep])
        hole = hole + rng.normal(0, stage.px(1.5), (4, 2))
        if rng.random() < 0.5:
            second.fill(hole, surface)
        else:
            second.fill(hole, hall[1] * np.float32(uniform(rng, 0.3, 0.7)), 0.9, grain=0.2)
            second.shadow([hole], 1.0, 0.5)
    np.maximum(second.changed, _footprint(second, [roof]), out=second.changed)
    scatter(second, roof.mean(0), 0.7 * float(np.hypot(*along)), int(rng.integers(8, 40)))
    after = second.finish("building damage")
    return first.finish("building damage").image, after.image, after


def demolished(pre: F32, post: F32, rng: Rng, stage: Stage) -> tuple[F32, F32, Rendered]:
    """A house or a hall on the earlier date; an empty lot of soil, grass or slab with traces on the later one."""
    before = Sketch(pre, rng, stage)
    if stage.gsd_m < 2.0 and rng.random() < 0.6:
        spot = np.array([uniform(rng, 0.15, 0.85) * before.cols, uniform(rng, 0.15, 0.85) * before.rows])
        plot = Plot(spot, uniform(rng, 0, np.pi), stage.px(uniform(rng, 16, 26)), stage.px(uniform(rng, 18, 34)), 1)
        house = plan_house(before, plot)
        draw_house(before, house)
        parts: list[F64] = list(house.parts)
    else:
        hall = plan_hall(before)
        draw_hall(before, hall)
        parts = hall[0]
    after = Sketch(post, rng, stage)
    main = parts[0]
    centre, angle = main.mean(0), float(np.arctan2(*(main[1] - main[0])[::-1]))
    kind: Surface = str(rng.choice(["soil", "flat", "grass", "own"], p=[0.4, 0.3, 0.18, 0.12]))  # type: ignore[assignment]
    hull = cv2.convexHull(np.concatenate(parts).astype(np.float32))[:, 0].astype(np.float64)
    lot = centre + (hull - centre) * uniform(rng, 1.05, 1.45) + rng.normal(0, stage.px(0.8), hull.shape)
    after.fill(lot, after.surface(kind), uniform(rng, 0.85, 1.0))
    if rng.random() < 0.45:
        slab = after.tone(PALE)
        for part in parts:
            if rng.random() < 0.7:
                after.fill(part, slab, uniform(rng, 0.3, 1.0))
            else:
                after.strip(np.concatenate([part, part[:1]]), stage.px(0.8), slab, 0.6)
    for _ in range(int(rng.integers(0, 5))):
        along = heading(angle + rng.normal(0, 0.3))[0] * np.hypot(*(main[1] - main[0])) * 0.5
        offset = centre + rng.normal(0, stage.px(4), 2)
        tone = after.tone(PALE) * np.float32(uniform(rng, 0.6, 1.0))
        after.strip(np.array([offset - along, offset + along]), stage.px(uniform(rng, 1.5, 3)), tone, 0.3)
    if rng.random() < 0.35:
        scatter(after, centre, stage.px(8), int(rng.integers(4, 20)))
    np.maximum(after.changed, _footprint(after, parts), out=after.changed)
    done = after.finish("building removed")
    return before.finish("building removed").image, done.image, done

"""Renderers of ground laid bare, buried, burnt or covered with snow."""

from __future__ import annotations

import cv2
import numpy as np

from rsccli.datasets.canvas import (
    F32,
    Kind,
    Rendered,
    Rng,
    Stage,
    blend,
    blob,
    line,
    noise,
    polygon,
    rough_noise,
    soften,
    uniform,
)
from rsccli.datasets.regions import (
    band,
    fill,
    grain_angle,
    lightness,
    log_uniform,
    muted,
    natural,
    oriented_noise,
    plants_of,
    plot,
    ragged,
    scene_parts,
    shape,
    visible,
)

EARTH = np.array(
    [
        [172, 148, 118],
        [150, 124, 96],
        [190, 172, 144],
        [136, 112, 88],
        [164, 128, 96],
        [128, 116, 100],
        [200, 188, 168],
    ],
    np.float32,
)
MUD = np.array([[118, 98, 74], [136, 112, 84], [100, 86, 66], [150, 130, 102], [124, 94, 68], [88, 78, 64]], np.float32)


def _tone(rng: Rng, stage: Stage, tones: F32, spread: float = 8.0) -> F32:
    colour = tones[int(rng.integers(len(tones)))] + rng.normal(0, 0.5 * spread, 3) + rng.normal(0, spread)
    return muted((colour * stage.gain).astype(np.float32), rng)


def _earth(image: F32, rng: Rng, stage: Stage) -> F32:
    """A surface of bare earth: a real patch, one colour with noise, or the ground there without its plants."""
    rows, cols = image.shape[:2]
    choice = rng.random()
    if choice < 0.45:
        paint = fill(rng, stage.textures.soil, rows, cols, stage) * uniform(rng, 0.8, 1.2)
    elif choice < 0.75:
        colour = _tone(rng, stage, EARTH)
        uneven = 1.0 + log_uniform(rng, 0.015, 0.09) * rough_noise(
            rng, rows, cols, stage.px(log_uniform(rng, 3.0, 20.0))
        )
        paint = colour * uneven[..., None] + rng.normal(0, uniform(rng, 1.0, 5.0), (rows, cols, 1))
    else:
        light = lightness(cv2.GaussianBlur(image, (0, 0), max(0.8, stage.px(1.2))))
        colour = _tone(rng, stage, EARTH)
        detail = 1.0 + uniform(rng, 0.2, 0.7) * np.clip(light / max(light.mean(), 1.0) - 1.0, -0.5, 0.5)
        paint = colour * detail[..., None] + rng.normal(0, 3.0, (rows, cols, 1))
    if rng.random() < 0.45:
        ruts = oriented_noise(rng, rows, cols, stage.px(uniform(rng, 20.0, 60.0)), max(1.0, stage.px(1.0)))
        paint = paint * (1.0 + log_uniform(rng, 0.01, 0.06) * ruts)[..., None]
    earth: F32 = np.clip(paint, 4, 250).astype(np.float32)
    return earth


def cleared(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """A plot or patch of any outline laid bare, perhaps with a track to it and heaps on it."""
    rows, cols = image.shape[:2]
    region = shape(rng, rows, cols, stage, 4.0, 42.0)
    if rng.random() < 0.25 and region.any():
        y, x = np.argwhere(region > 0.4).mean(0) if (region > 0.4).any() else (0.5 * rows, 0.5 * cols)
        angle = uniform(rng, 0, 2 * np.pi)
        bend = rng.normal(0, 0.08 * cols, 2)
        end = np.array([x + 1.5 * cols * np.cos(angle), y + 1.5 * cols * np.sin(angle)])
        middle = 0.5 * (np.array([x, y]) + end) + bend
        track = line(rows, cols, np.array([[x, y], middle, end]), stage.px(uniform(rng, 2.5, 6.0)))
        region = np.maximum(region, track)
    return _laid_bare(image, rng, stage, region)


def cleared_natural(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """Green or overgrown parcels that are bare; a drawn plot where there is none."""
    green, _ = plants_of(image)
    region = natural(image, rng, stage, green, most=4)
    if region is None:
        return cleared(image, rng, stage)
    return _laid_bare(image, rng, stage, region)


def _laid_bare(image: F32, rng: Rng, stage: Stage, region: F32) -> Rendered:
    rows, cols = image.shape[:2]
    paint = _earth(image, rng, stage)
    if rng.random() < 0.3:
        heaps = np.clip(rough_noise(rng, rows, cols, stage.px(uniform(rng, 4.0, 10.0))) - 1.0, 0, 1)
        shift = np.array([[1, 0, -stage.sun[0] * 1.5], [0, 1, -stage.sun[1] * 1.5]], np.float32)
        slope = cv2.warpAffine(heaps, shift, (cols, rows), borderMode=cv2.BORDER_REFLECT) - heaps
        paint = paint * (1.0 - uniform(rng, 0.3, 0.9) * slope)[..., None]
    alpha = soften(region, log_uniform(rng, 0.3, 2.5)) * (1.0 if rng.random() < 0.5 else uniform(rng, 0.5, 0.95))
    if rng.random() < 0.35:
        tufts = rough_noise(rng, rows, cols, stage.px(4.0)) > uniform(rng, 0.6, 1.8)
        alpha = alpha * (1.0 - uniform(rng, 0.3, 1.0) * tufts)
    drawn = blend(image, np.clip(paint, 0, 250).astype(np.float32), alpha.astype(np.float32))
    return Rendered("bare soil", visible(image, drawn, region), region > 0.5)


def graded(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """A graded site: straight edges, pads a little lighter or darker, banks between, tracks of machines."""
    rows, cols = image.shape[:2]
    radius = float(np.clip(stage.px(log_uniform(rng, 8.0, 45.0) * max(1.0, stage.gsd_m / 0.8)), 5.0, 0.6 * cols))
    region = plot(image, rng, radius, 2.4 * radius)
    paint = _earth(image, rng, stage)
    angle = grain_angle(image)
    y, x = np.mgrid[:rows, :cols].astype(np.float32)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    pad = max(4.0, stage.px(uniform(rng, 12.0, 30.0)))
    cells = np.floor(along / pad).astype(np.int64) * 7 + np.floor(across / (pad * uniform(rng, 1.0, 2.5))).astype(
        np.int64
    )
    steps = rng.normal(0, uniform(rng, 0.01, 0.07), 16).astype(np.float32)
    paint = paint * (1.0 + steps[cells % 16])[..., None]
    if rng.random() < 0.6:
        banks = (np.mod(along, pad) < max(1.0, stage.px(1.2))).astype(np.float32)
        paint = paint * (1.0 + uniform(rng, -0.2, 0.15) * soften(banks, 0.5))[..., None]
    for _ in range(int(rng.integers(0, 4))):
        ends = rng.uniform(0, [cols, rows], (3, 2))
        track = line(rows, cols, ends, max(1.0, stage.px(uniform(rng, 2.0, 4.0))))
        paint = paint * (1.0 + uniform(rng, -0.12, 0.15) * soften(track, 0.6))[..., None]
    alpha = soften(region, uniform(rng, 0.3, 1.0)) * uniform(rng, 0.85, 1.0)
    drawn = blend(image, np.clip(paint, 0, 250).astype(np.float32), alpha)
    return Rendered("bare soil", visible(image, drawn, region), region > 0.5)


def ploughed(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """A field turned over: dark or pale earth in fine rows."""
    rows, cols = image.shape[:2]
    radius = float(np.clip(stage.px(log_uniform(rng, 15.0, 60.0) * max(1.0, stage.gsd_m / 0.8)), 5.0, 0.7 * cols))
    region = plot(image, rng, radius, 2.5 * radius)
    paint = _earth(image, rng, stage) * uniform(rng, 0.6, 1.1)
    rows_px = max(2.2, stage.px(uniform(rng, 0.8, 3.0)))
    ridges = oriented_noise(rng, rows, cols, 30.0 * rows_px, 0.5 * rows_px)
    paint = paint * (1.0 + log_uniform(rng, 0.01, 0.08) * ridges)[..., None]
    alpha = soften(region, uniform(rng, 0.4, 1.2)) * uniform(rng, 0.6, 1.0)
    drawn = blend(image, np.clip(paint, 0, 250).astype(np.float32), alpha)
    return Rendered("bare soil", visible(image, drawn, region), region > 0.5)


def landslide(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """A slide: a scarp at the head, a chute, and a tongue that runs out downhill over what stood there."""
    rows, cols = image.shape[:2]
    scale = max(1.0, stage.gsd_m / 0.8)
    length = float(np.clip(stage.px(log_uniform(rng, 25.0, 150.0) * scale), 16.0, 1.3 * cols))
    head_width, foot_width = length * uniform(rng, 0.06, 0.2), length * uniform(rng, 0.12, 0.45)
    angle = uniform(rng, 0, 2 * np.pi)
    down = np.array([np.cos(angle), np.sin(angle)])
    middle = rng.uniform(0.25, 0.75, 2) * np.array([cols, rows])
    steps = np.linspace(0.0, 1.0, 24)
    bend = uniform(rng, 0.0, 0.12) * length * np.sin(steps * uniform(rng, 2.0, 5.0) + uniform(rng, 0, 6.3))
    spine = middle + (steps[:, None] - 0.5) * length * down + bend[:, None] * np.array([-down[1], down[0]])
    neck = uniform(rng, 0.25, 0.5)
    widths = np.interp(steps, [0, 0.08, neck, 0.8, 1.0], [0.2, 1.0, 0.6, foot_width / head_width, 0.2]) * head_width
    widths = widths * (1.0 + 0.12 * rng.standard_normal(len(steps)))
    side = np.array([-down[1], down[0]]) * 0.5
    outline = np.concatenate([spine + widths[:, None] * side, (spine - widths[:, None] * side)[::-1]])
    region = polygon(rows, cols, outline)
    region = ragged(rng, region, max(2.0, 0.12 * head_width + 1.5)) if rng.random() < 0.7 else region
    if rng.random() < 0.5:
        paint = _tone(rng, stage, MUD) * np.ones((rows, cols, 1), np.float32)
    else:
        paint = fill(rng, stage.textures.soil, rows, cols, stage) * uniform(rng, 0.6, 0.95)
    y, x = np.mgrid[:rows, :cols].astype(np.float32)
    along = ((x - spine[0, 0]) * down[0] + (y - spine[0, 1]) * down[1]) / length
    lumps = rough_noise(rng, rows, cols, max(2.0, stage.px(uniform(rng, 3.0, 8.0) * scale)))
    paint = paint * (1.0 + uniform(rng, 0.03, 0.14) * lumps - uniform(rng, -0.1, 0.35) * along)[..., None]
    if rng.random() < 0.6:
        across = (x - spine[0, 0]) * side[0] * 2 + (y - spine[0, 1]) * side[1] * 2
        flow = np.sin(across * 6.28 / max(3.0, 0.25 * head_width) + 2.0 * noise(rng, rows, cols, 0.2 * cols))
        paint = paint * (1.0 + uniform(rng, 0.02, 0.08) * flow)[..., None]
    drawn = blend(image, np.clip(paint, 4, 245).astype(np.float32), soften(region, uniform(rng, 0.4, 1.3)))
    # The scarp: fresh pale or shaded earth in a bow over the head.
    bow = line(rows, cols, outline[[1, 0, -1, -2]], max(1.5, 0.08 * head_width))
    tone = _tone(rng, stage, EARTH) if rng.random() < 0.5 else np.array([46, 40, 34], np.float32)
    drawn = blend(drawn, tone, soften(bow, 0.6) * uniform(rng, 0.4, 0.9))
    return Rendered("mud", drawn, region > 0.5)


def mud_film(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """Mud that a flood has left over streets and lawns, thick here and thin there; roofs and crowns stay clean."""
    rows, cols = image.shape[:2]
    parts = scene_parts(image, rng, stage)
    choice = rng.random()
    if choice < 0.45:
        field = rough_noise(rng, rows, cols, uniform(rng, 0.2, 0.6) * cols)
        low = (field > np.quantile(field, uniform(rng, 0.1, 0.8))).astype(np.float32)
    elif choice < 0.75:
        low = ragged(rng, band(rng, rows, cols, uniform(rng, 0.15, 0.6) * cols), stage.px(8.0))
    else:
        low = shape(rng, rows, cols, stage, 8.0, 45.0)
    above = np.maximum(parts.crowns, parts.roofs if rng.random() < 0.85 else 0.0 * parts.roofs)
    covered = low * (1.0 - above)
    colour = _tone(rng, stage, MUD)
    light = lightness(cv2.GaussianBlur(image, (0, 0), max(0.8, stage.px(0.8))))
    detail = 1.0 + uniform(rng, 0.1, 0.6) * np.clip(light / max(float(light.mean()), 1.0) - 1.0, -0.6, 0.6)
    streaks = oriented_noise(rng, rows, cols, stage.px(25.0), stage.px(4.0))
    patchy = rough_noise(rng, rows, cols, stage.px(12.0))
    paint = colour * (detail * (1.0 + 0.05 * streaks + 0.05 * patchy))[..., None]
    thick = np.clip(uniform(rng, 0.6, 1.0) + uniform(rng, 0.05, 0.3) * patchy, 0.25, 1.0)
    alpha = soften(covered, uniform(rng, 0.5, 1.5)) * thick
    drawn = blend(image, np.clip(paint, 4, 245).astype(np.float32), alpha.astype(np.float32))
    return Rendered("mud", drawn, covered > 0.5)


def burn_scar(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """Ground and plants blackened or, where the fire is older, brown; islands, streaks of ash, roads left."""
    rows, cols = image.shape[:2]
    choice = rng.random()
    if choice < 0.35:
        region = shape(rng, rows, cols, stage, 8.0, 60.0)
    elif choice < 0.75:
        # Fire runs along slopes and with the wind.
        field = oriented_noise(rng, rows, cols, uniform(rng, 0.4, 0.9) * cols, uniform(rng, 0.15, 0.4) * cols)
        field = field + 0.3 * rough_noise(rng, rows, cols, 0.12 * cols)
        region = (field > np.quantile(field, uniform(rng, 0.15, 0.9))).astype(np.float32)
    else:
        region = ragged(rng, blob(rng, rows, cols, uniform(rng, 0.15, 0.6) * cols, 0.5), 0.1 * cols)
    islands = rough_noise(rng, rows, cols, stage.px(uniform(rng, 4.0, 16.0))) > uniform(rng, 0.9, 2.4)
    burnt = soften(region * (1.0 - islands), log_uniform(rng, 0.4, 3.0))
    green, _ = plants_of(image)
    light = lightness(image)[..., None]
    if rng.random() < 0.6:
        # Streets, roofs and rock do not burn.
        hard = ((light[..., 0] > 1.15 * np.median(light)) & ~green).astype(np.float32)
        burnt = burnt * (1.0 - uniform(rng, 0.4, 0.95) * soften(hard, 0.5))
    if rng.random() < 0.35:
        burnt = burnt * np.where(green, 1.0, uniform(rng, 0.5, 0.9)).astype(np.float32)
    fresh = rng.random() < 0.65
    if fresh:
        tint = np.array([uniform(rng, 0.98, 1.12), 1.0, uniform(rng, 0.9, 1.02)], np.float32)
        base = np.array([22, 19, 17], np.float32) * uniform(rng, 0.5, 1.8)
        dark = light * tint * uniform(rng, 0.18, 0.5) + base
    else:
        tint = np.array([uniform(rng, 1.02, 1.22), 1.0, uniform(rng, 0.82, 0.95)], np.float32)
        dark = (0.3 * image + 0.7 * light * tint) * uniform(rng, 0.55, 0.9)
    uneven = 1.0 + uniform(rng, 0.05, 0.2) * rough_noise(rng, rows, cols, stage.px(uniform(rng, 4.0, 14.0)))
    dark = dark * uneven[..., None]
    if fresh and rng.random() < 0.45:
        ash = np.clip(oriented_noise(rng, rows, cols, stage.px(20.0), stage.px(3.0)) - 1.1, 0, 1)
        dark = dark + (ash * uniform(rng, 20.0, 80.0))[..., None]
    drawn = blend(image, np.clip(dark, 4, 245).astype(np.float32), burnt.astype(np.float32))
    return Rendered("burn scar", visible(image, drawn, region), region > 0.5)


def snow(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """Snow from thin patches to full cover; streets, cleared, and trees, bare of it, stay dark."""
    rows, cols = image.shape[:2]
    light = lightness(cv2.GaussianBlur(image, (0, 0), max(0.6, stage.px(0.5))))
    relative = light / max(float(light.mean()), 1.0)
    green, _ = plants_of(image)
    cover = np.full((rows, cols), uniform(rng, 0.75, 1.0), np.float32)
    if rng.random() < 0.85:
        dark = np.clip((uniform(rng, 0.55, 0.85) - relative) * 6.0, 0, 1)
        cover = cover * (1.0 - uniform(rng, 0.5, 1.0) * dark)
    if rng.random() < 0.5:
        spots = np.clip(cv2.GaussianBlur(green.astype(np.float32), (0, 0), 0.8), 0, 1)
        rough = np.abs(lightness(image) - light) > 4.0
        cover = cover * (1.0 - uniform(rng, 0.2, 0.9) * spots * np.where(rough, 1.0, 0.5))
    if rng.random() < 0.6:
        red, blue = image[..., 0], image[..., 2]
        grey = (np.abs(red - blue) < 14.0) & (light < 1.1 * np.median(light)) & ~green
        grey &= scene_parts(image, rng, stage).roofs < 0.5
        streets = cv2.morphologyEx(grey.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        cover = cover * (1.0 - uniform(rng, 0.5, 0.95) * soften(streets.astype(np.float32), 0.6))
    if rng.random() < 0.55:
        field = rough_noise(rng, rows, cols, log_uniform(rng, 6.0, 0.6 * cols))
        cut = float(np.quantile(field, uniform(rng, 0.05, 0.75)))
        cover = cover * np.clip((field - cut) * log_uniform(rng, 0.8, 6.0) + 0.5, 0, 1)
    cover = soften(cover.astype(np.float32), uniform(rng, 0.5, 1.3))
    white = np.array([uniform(rng, 205, 246), 0, 0], np.float32)
    white[1], white[2] = white[0] + uniform(rng, -1, 4), white[0] + uniform(rng, 0, 12)
    relief = 1.0 + uniform(rng, 0.05, 0.3) * np.clip(relative - 1.0, -0.8, 0.4)
    relief = relief + 0.02 * rough_noise(rng, rows, cols, stage.px(10.0))
    paint = np.clip(white * relief[..., None] + rng.normal(0, 2.0, (rows, cols, 1)), 0, 254)
    drawn = blend(image, paint.astype(np.float32), np.clip(cover, 0, 1).astype(np.float32))
    return Rendered("snow", drawn, cover > 0.3)


KINDS: dict[str, Kind] = {
    "bare soil": Kind(cleared, weight=0.9, coarse=True),
    "bare natural": Kind(cleared_natural, weight=0.6, coarse=True, twin=False),
    "graded": Kind(graded, weight=0.6, coarse=True, twin=False),
    "ploughed": Kind(ploughed, weight=0.2, coarse=True, twin=False),
    "landslide": Kind(landslide, weight=0.7, coarse=True),
    "mud film": Kind(mud_film, weight=0.6, twin=False),
    "burn scar": Kind(burn_scar, weight=1.0, coarse=True, twin=False),
    "snow": Kind(snow, weight=0.9, coarse=True, twin=False),
}

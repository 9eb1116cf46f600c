"""Renderers of lawns, meadows and crops that are greener or drier."""

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
    line,
    noise,
    rough_noise,
    soften,
    uniform,
)
from rsccli.datasets.regions import (
    calmest,
    crowns_and_lawn,
    fill,
    lightness,
    log_uniform,
    natural,
    oriented_noise,
    plants_of,
    plot,
    shape,
    visible,
)

GREEN = "greener vegetation"
DRY = "drier vegetation"
# Smooth ground darker than this is a pond or a shadow, whatever its hue.
DARKEST = 58.0
GREEN_TONES = np.array(
    [[86, 112, 64], [70, 96, 56], [104, 124, 78], [60, 84, 52], [116, 128, 88], [76, 104, 76]], np.float32
)
DRY_TONES = np.array(
    [[158, 138, 104], [172, 154, 120], [140, 126, 96], [150, 140, 116], [186, 170, 138], [132, 112, 84]], np.float32
)


def _retinted(image: F32, rng: Rng, stage: Stage, keyword: str) -> F32:
    """The ground that is there in the colours of greener or drier plants; or a real patch over it."""
    rows, cols = image.shape[:2]
    green = keyword == GREEN
    choice = rng.random()
    tones = GREEN_TONES if green else DRY_TONES
    if choice < 0.3:
        # Gains a band, as a wetter or drier year works on the same lawn.
        amount = log_uniform(rng, 0.3, 1.0)
        most = np.array([-0.32, -0.08, -0.34]) if green else np.array([0.36, 0.08, 0.06])
        gains = 1.0 + amount * (most + rng.normal(0, 0.03, 3))
        paint = image * gains.astype(np.float32)
    elif choice < 0.65:
        target = tones[int(rng.integers(len(tones)))] + rng.normal(0, 7, 3)
        light = lightness(image)[..., None]
        if rng.random() < 0.4:
            light = cv2.GaussianBlur(light, (0, 0), max(0.6, stage.px(1.0)))[..., None]
        strength = uniform(rng, 0.7, 1.0)
        paint = image * (1.0 - strength) + light * (target / target.mean()) * strength
        paint = paint * (uniform(rng, 0.68, 1.0) if green else uniform(rng, 1.0, 1.3))
    elif choice < 0.82:
        patches = stage.textures.grass if green else stage.textures.soil
        paint = fill(rng, patches, rows, cols, stage) * uniform(rng, 0.85, 1.12)
    else:
        target = (tones[int(rng.integers(len(tones)))] + rng.normal(0, 7, 3)) * stage.gain
        mottle = 1.0 + uniform(rng, 0.02, 0.1) * rough_noise(rng, rows, cols, stage.px(uniform(rng, 3.0, 15.0)))
        paint = (target * mottle[..., None] + rng.normal(0, uniform(rng, 1.0, 4.0), (rows, cols, 1))).astype(np.float32)
    retinted: F32 = np.clip(paint, 2, 250).astype(np.float32)
    return retinted


def _changed(image: F32, rng: Rng, stage: Stage, keyword: str, region: F32) -> Rendered:
    rows, cols = image.shape[:2]
    paint = _retinted(image, rng, stage, keyword)
    uneven = 1.0 + uniform(rng, 0.0, 0.1) * rough_noise(rng, rows, cols, stage.px(uniform(rng, 5.0, 25.0)))
    # Many real changes of plants are faint.
    alpha = soften(region, log_uniform(rng, 0.4, 3.0)) * log_uniform(rng, 0.35, 1.0)
    choice = rng.random()
    if choice < 0.3:
        patchy = np.clip(uniform(rng, 0.3, 0.9) + 0.5 * rough_noise(rng, rows, cols, stage.px(8.0)), 0.1, 1.0)
        alpha = alpha * patchy
    elif choice < 0.45:
        # Some of a lawn changes more: the sprinkler's reach, the shade of a wall.
        ramp = np.clip(0.6 + 0.5 * noise(rng, rows, cols, 0.8 * cols), 0.15, 1.0)
        alpha = alpha * ramp
    if rng.random() < 0.5:
        # Crowns over a lawn and paths through it do not change with it.
        light = lightness(image)
        near = cv2.GaussianBlur(light, (0, 0), max(2.0, stage.px(6.0)))
        odd = np.clip((np.abs(light - near) - uniform(rng, 12.0, 25.0)) / 10.0, 0, 1)
        alpha = alpha * (1.0 - uniform(rng, 0.5, 1.0) * odd)
    drawn = blend(image, np.clip(paint * uneven[..., None], 0, 250).astype(np.float32), alpha.astype(np.float32))
    drawn = np.clip(drawn, 0, 254)
    return Rendered(keyword, visible(image, drawn, region), region > 0.5)


def greener(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """A plot of any outline that is greener."""
    rows, cols = image.shape[:2]
    return _changed(image, rng, stage, GREEN, shape(rng, rows, cols, stage, 4.0, 45.0))


def drier(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """A plot of any outline whose plants are dry or gone."""
    rows, cols = image.shape[:2]
    return _changed(image, rng, stage, DRY, shape(rng, rows, cols, stage, 4.0, 45.0))


def greener_natural(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """Parcels of dry, bare or faintly green ground that are greener."""
    light = lightness(image)
    red, blue = image[..., 0], image[..., 2]
    open_water = cv2.GaussianBlur(light, (0, 0), 2.0) < DARKEST
    # Warm or green ground of middling brightness; roofs and streets are grey or very bright.
    warm = red / np.maximum(blue, 8.0)
    wanted = (
        ((warm > max(1.06, 1.03 * float(np.median(warm)))) | plants_of(image)[0])
        & (light > 0.6 * np.median(light))
        & (light < 205.0)
    )
    wanted &= ~open_water
    region = natural(image, rng, stage, wanted, most=8)
    if region is None:
        return _changed(image, rng, stage, GREEN, _calm_plot(image, rng, stage))
    return _changed(image, rng, stage, GREEN, region)


def drier_natural(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """Lawns, meadows and yards that are drier."""
    crowns, lawn = crowns_and_lawn(image, stage)
    wanted = lawn > 0.5
    if rng.random() < 0.3:
        wanted = wanted | (crowns > 0.5)
    wanted &= cv2.GaussianBlur(lightness(image), (0, 0), 2.0) > DARKEST
    region = wanted.astype(np.float32) if rng.random() < 0.35 else natural(image, rng, stage, wanted, most=8)
    if region is None or region.mean() < 0.004:
        return _changed(image, rng, stage, DRY, _calm_plot(image, rng, stage))
    opened = cv2.morphologyEx(region, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    region = opened if opened.mean() > 0.003 else region
    return _changed(image, rng, stage, DRY, region.astype(np.float32))


def _calm_plot(image: F32, rng: Rng, stage: Stage) -> F32:
    rows, cols = image.shape[:2]
    return calmest(image, [shape(rng, rows, cols, stage, 4.0, 30.0) for _ in range(4)])


def _field(image: F32, rng: Rng, stage: Stage) -> F32:
    """Coverage of one or several parcels side by side, perhaps with a gap between."""
    rows, cols = image.shape[:2]
    side = float(np.clip(stage.px(log_uniform(rng, 20.0, 70.0) * max(1.0, stage.gsd_m / 0.8)), 6.0, 0.8 * cols))
    field = plot(image, rng, side, 2.6 * side)
    if rng.random() < 0.3:
        for _ in range(int(rng.integers(1, 4))):
            ends = rng.uniform(-0.2, 1.2, (2, 2)) * np.array([cols, rows])
            field = field * (1.0 - line(rows, cols, ends, max(1.0, stage.px(uniform(rng, 2.0, 5.0)))))
    return field


def _rows(image: F32, rng: Rng, stage: Stage, keyword: str) -> Rendered:
    rows, cols = image.shape[:2]
    region = _field(image, rng, stage)
    drawn = _changed(image, rng, stage, keyword, region)
    period = max(2.4, stage.px(log_uniform(rng, 1.2, 8.0)))
    angle = uniform(rng, 0, np.pi)
    y, x = np.mgrid[:rows, :cols].astype(np.float32)
    across = x * np.cos(angle) + y * np.sin(angle)
    if rng.random() < 0.6:
        stripes = np.sin(across * 2 * np.pi / period)
    else:
        stripes = oriented_noise(rng, rows, cols, 25.0 * period, period)
    # Rows that have not closed show the ground between.
    weight = soften(region, 0.6) * log_uniform(rng, 0.02, 0.14)
    lit = np.clip(drawn.image * (1.0 + weight * stripes)[..., None], 0, 254).astype(np.float32)
    return Rendered(keyword, lit, drawn.mask)


def greener_rows(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """A field with a crop in rows that has come up."""
    return _rows(image, rng, stage, GREEN)


def drier_rows(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """A field harvested or ripe, with rows of stubble."""
    return _rows(image, rng, stage, DRY)


KINDS: dict[str, Kind] = {
    "greener vegetation": Kind(greener, weight=0.6, coarse=True),
    "greener natural": Kind(greener_natural, weight=0.9, coarse=True, twin=False),
    "greener rows": Kind(greener_rows, weight=0.3, coarse=True, twin=False),
    "drier vegetation": Kind(drier, weight=0.6, coarse=True),
    "drier natural": Kind(drier_natural, weight=0.9, coarse=True, twin=False),
    "drier rows": Kind(drier_rows, weight=0.3, coarse=True, twin=False),
}

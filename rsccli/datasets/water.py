"""Renderers of water: ponds and rivers that come, grow or dry out; the table has floods too."""

from __future__ import annotations

import cv2
import numpy as np

from rsccli.datasets import flood
from rsccli.datasets.canvas import (
    F32,
    Kind,
    Rendered,
    Rng,
    Stage,
    blend,
    blob,
    lot,
    noise,
    rough_noise,
    soften,
    uniform,
)
from rsccli.datasets.regions import (
    band,
    calmest,
    fill,
    lightness,
    log_uniform,
    muted,
    natural,
    ragged,
    visible,
)
from rsccli.datasets.watersurface import any_tones, surface
from rsccli.types import Bool


def _basin(rng: Rng, rows: int, cols: int, stage: Stage) -> F32:
    """Coverage of a pond, basin, reservoir or river."""
    choice = rng.random()
    if choice < 0.12:
        return ragged(rng, band(rng, rows, cols, stage.px(log_uniform(rng, 6.0, 40.0) * max(1.0, stage.gsd_m))), 6.0)
    radius_m = log_uniform(rng, 4.0, 45.0) * max(1.0, stage.gsd_m / 0.8)
    radius = float(np.clip(stage.px(radius_m), 3.0, 0.55 * cols))
    if choice < 0.5:
        return blob(rng, rows, cols, radius)
    if choice < 0.68:
        return ragged(rng, blob(rng, rows, cols, radius, 0.5), 0.4 * radius)
    straight = lot(rng, rows, cols, radius, 2.2 * radius)
    # Dug basins have rounded corners.
    rounded: F32 = np.clip((soften(straight, max(0.6, 0.15 * radius)) - 0.5) * 4.0 + 0.5, 0, 1).astype(np.float32)
    return rounded


def open_water(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """A pond, basin or river where there was land, with a wet, bare or green shore."""
    return _filled(image, rng, stage, _basin(rng, image.shape[0], image.shape[1], stage))


def pond_in_the_open(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """Water on open ground of the scene: a hollow of one colour class, or the calmest of some places."""
    rows, cols = image.shape[:2]
    if rng.random() < 0.35:
        calm = cv2.blur(np.abs(lightness(image) - cv2.GaussianBlur(lightness(image), (0, 0), 2.0)), (7, 7)) < 6.0
        hollow = natural(image, rng, stage, calm, most=2)
        if hollow is not None and hollow.mean() > 0.003:
            return _filled(image, rng, stage, np.clip((soften(hollow, 1.5) - 0.5) * 3.0 + 0.5, 0, 1))
    places = [_basin(rng, rows, cols, stage) for _ in range(5)]
    return _filled(image, rng, stage, calmest(image, places))


def _filled(image: F32, rng: Rng, stage: Stage, region: F32) -> Rendered:
    rows, cols = image.shape[:2]
    wide = np.clip(soften(region, max(1.0, stage.px(uniform(rng, 1.0, 4.0)))) * 2.0, 0, 1)
    choice = rng.random()
    if choice < 0.4:
        image = (image * (1.0 - uniform(rng, 0.05, 0.3) * wide[..., None])).astype(np.float32)
    elif choice < 0.75:
        patches = stage.textures.soil if rng.random() < 0.6 else stage.textures.grass
        image = blend(image, fill(rng, patches, rows, cols, stage), wide * uniform(rng, 0.4, 0.95))
    paint = surface(rng, rows, cols, stage, any_tones(rng))
    if rng.random() < 0.4:
        deep = soften(region, max(1.5, stage.px(uniform(rng, 2.0, 8.0))))[..., None]
        paint = paint * (1.0 + uniform(rng, -0.25, 0.35) * (1.0 - deep))
    drawn = blend(image, np.clip(paint, 4, 245).astype(np.float32), soften(region, uniform(rng, 0.4, 1.2)))
    return Rendered("water gain", drawn, region > 0.5)


def grown_water(image: F32, rng: Rng, stage: Stage, water: Bool, land: Bool) -> Rendered | None:
    """Real ponds that have grown over their shores, or merged.

    Args:
        water: bool (H, W), the ponds. land: bool, where they may grow.

    Returns:
        None where there is too little or too much water to grow.
    """
    if not 0.01 < water.mean() < 0.7:
        return None
    rows, cols = image.shape[:2]
    distance = cv2.distanceTransform((~water).astype(np.uint8), cv2.DIST_L2, 3)
    reach = log_uniform(rng, 2.0, 16.0) * (1.0 + 0.5 * noise(rng, rows, cols, 25.0))
    grown = (distance < reach) & land & ~water
    tone = image[water]
    mean = tone.mean(0) + rng.normal(0, 4, 3)
    paint = (mean + rng.normal(0, float(tone.std()) * 0.3, (rows, cols, 1))).astype(np.float32)
    choice = rng.random()
    if choice < 0.35:
        paint = surface(rng, rows, cols, stage, any_tones(rng))
        cover = (grown | water).astype(np.float32)
    elif choice < 0.6:
        # Newly covered ground shows through until plants are drowned.
        paint = (0.3 * image + 0.7 * paint).astype(np.float32)
        cover = grown.astype(np.float32)
    else:
        cover = grown.astype(np.float32)
    return Rendered("water gain", blend(image, np.clip(paint, 4, 245), soften(cover, 0.6)), grown)


def _bed(image: F32, rng: Rng, stage: Stage, region: F32) -> F32:
    """The bed that dry water leaves: mud, cracked clay, pale salt or young grass, in rings to the middle."""
    rows, cols = image.shape[:2]
    inner = cv2.distanceTransform((region > 0.5).astype(np.uint8), cv2.DIST_L2, 3)
    inner = inner / max(1.0, float(inner.max()))
    choice = rng.random()
    if choice < 0.3:
        bed = fill(rng, stage.textures.soil, rows, cols, stage) * uniform(rng, 0.6, 1.15)
    elif choice < 0.5:
        bed = fill(rng, stage.textures.grass, rows, cols, stage) * uniform(rng, 0.85, 1.2)
    else:
        tones = np.array([[118, 104, 86], [92, 84, 70], [168, 158, 140], [140, 128, 108], [104, 108, 82]], np.float32)
        colour = muted((tones[int(rng.integers(len(tones)))] + rng.normal(0, 8, 3)) * stage.gain, rng)
        cracks = np.abs(noise(rng, rows, cols, max(2.0, stage.px(3.0)))) < 0.12
        uneven = 1.0 + 0.07 * rough_noise(rng, rows, cols, stage.px(8.0)) - uniform(rng, 0.0, 0.14) * cracks
        bed = colour * uneven[..., None] + rng.normal(0, 3, (rows, cols, 1))
    rings = np.sin(inner * uniform(rng, 6.0, 30.0)) * uniform(rng, 0.0, 0.06)
    wet = uniform(rng, -0.05, 0.35) * np.clip(inner - 0.3, 0, 1)
    dry: F32 = np.clip(bed * (1.0 + rings - wet)[..., None], 4, 248).astype(np.float32)
    return dry


def dried_water(pre: F32, post: F32, rng: Rng, stage: Stage) -> tuple[F32, F32, Rendered]:
    """A pond, basin or river on the earlier date; its bed, perhaps with a puddle left, on the later one."""
    rows, cols = post.shape[:2]
    region = calmest(post, [_basin(rng, rows, cols, stage) for _ in range(3)])
    shore = soften(region, uniform(rng, 0.4, 1.2))
    water = surface(rng, rows, cols, stage, any_tones(rng))
    before = blend(pre, water, shore)
    after = blend(post, _bed(post, rng, stage, region), shore * uniform(rng, 0.8, 1.0))
    lost = region > 0.5
    # Muddy water over a muddy bed would be no loss that anybody sees.
    after = visible(before, after, region, 14.0)
    if rng.random() < 0.4:
        inner = cv2.distanceTransform(lost.astype(np.uint8), cv2.DIST_L2, 3)
        left = (inner > uniform(rng, 0.35, 0.8) * max(1.0, float(inner.max()))).astype(np.float32)
        after = blend(after, water * uniform(rng, 0.85, 1.2), soften(left, 0.7))
        lost = lost & (left < 0.5)
    rim = np.clip(soften(region, max(1.0, stage.px(2.0))) * 2.0, 0, 1) * (1.0 - region) * uniform(rng, 0.0, 0.5)
    if rng.random() < 0.5:
        green = fill(rng, stage.textures.grass, rows, cols, stage)
        before, after = blend(before, green, rim), blend(after, green, rim)
    return before, np.clip(after, 0, 250).astype(np.float32), Rendered("water loss", after, lost)


KINDS: dict[str, Kind] = {
    **flood.KINDS,
    "water gain": Kind(open_water, weight=0.7, coarse=True),
    "pond in the open": Kind(pond_in_the_open, weight=0.9, coarse=True, twin=False),
    "water loss": Kind(render_pair=dried_water, weight=0.8, coarse=True, twin=False),
}

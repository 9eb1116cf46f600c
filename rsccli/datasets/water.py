"""Renderers of water: flood, ponds and rivers that come, grow or dry out."""

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
    lot,
    noise,
    rough_noise,
    soften,
    texture_fill,
    uniform,
)
from rsccli.datasets.regions import (
    band,
    clusters,
    log_uniform,
    muted,
    oriented_noise,
    plants_of,
    ragged,
    scene_parts,
    shape,
)
from rsccli.types import Bool

# Round numbers for kinds of water, red, green, blue in counts of a middling scene.
CLEAR = np.array(
    [[42, 52, 56], [30, 40, 46], [58, 74, 66], [70, 92, 92], [26, 30, 30], [64, 78, 60], [88, 104, 84], [48, 66, 84]],
    np.float32,
)
GREEN = np.array([[66, 84, 58], [84, 100, 64], [50, 66, 44], [92, 104, 78], [72, 86, 70]], np.float32)
MUDDY = np.array(
    [
        [152, 132, 98],
        [140, 124, 98],
        [122, 108, 84],
        [106, 98, 78],
        [92, 86, 68],
        [78, 74, 60],
        [126, 102, 78],
        [118, 106, 90],
        [130, 120, 100],
    ],
    np.float32,
)
SILVER = np.array([[130, 132, 130], [150, 152, 150], [112, 116, 114], [96, 100, 100]], np.float32)


def surface(rng: Rng, rows: int, cols: int, stage: Stage, tones: F32, spread: float = 7.0) -> F32:
    """A water surface, float32 (H, W, 3): one colour, currents, ripples along the wind, perhaps glint.

    Args:
        tones: (n, 3) colours to choose from. spread: deviation from the one chosen, counts.
    """
    colour = tones[int(rng.integers(len(tones)))]
    if rng.random() < 0.5:
        other = tones[int(rng.integers(len(tones)))]
        share = uniform(rng, 0.0, 1.0)
        colour = colour * share + other * (1.0 - share)
    gain = stage.gain if rng.random() < 0.75 else np.float32(uniform(rng, 0.75, 1.2))
    colour = (colour + rng.normal(0, 0.3 * spread, 3) + rng.normal(0, spread)) * gain
    colour = muted(colour.astype(np.float32), rng)
    light = 1.0 + log_uniform(rng, 0.008, 0.1) * noise(rng, rows, cols, stage.px(uniform(rng, 15.0, 60.0)))
    if rng.random() < 0.4:
        length = max(8.0, stage.px(uniform(rng, 20.0, 80.0)))
        light = light + log_uniform(rng, 0.01, 0.07) * oriented_noise(rng, rows, cols, length, 0.15 * length)
    if rng.random() < 0.7:
        short = max(1.2, stage.px(uniform(rng, 0.8, 2.0)))
        light = light + log_uniform(rng, 0.006, 0.06) * oriented_noise(rng, rows, cols, 3.0 * short, short)
    paint = colour * light[..., None]
    if rng.random() < 0.25:
        glint = np.clip(noise(rng, rows, cols, 0.7 * cols), 0, 2) * uniform(rng, 5.0, 30.0)
        paint = paint + (glint * (1.0 + 0.2 * rng.standard_normal((rows, cols)).astype(np.float32)))[..., None]
    grain = rng.normal(0, log_uniform(rng, 0.3, 3.0), (rows, cols)).astype(np.float32)
    water: F32 = np.clip(paint + grain[..., None], 4, 245).astype(np.float32)
    return water


def dull(image: F32, rng: Rng) -> F32:
    """A scene under the cloudy sky that floods come with: faint shadows, less colour, less sharp.

    It is no change of the ground, and may be laid over pairs without flood too.
    """
    strength = uniform(rng, 0.15, 0.75)
    mean = image.mean((0, 1))
    light = image.mean(2, keepdims=True)
    faded = image * (1.0 - 0.4 * strength) + light * (0.4 * strength)
    local = cv2.GaussianBlur(image.mean(2), (0, 0), 12.0)[..., None]
    # Diffuse light fills shadows more than it dims what is bright.
    shade = np.minimum(light - local, 0.0) * strength * 0.6
    faded = faded - shade
    faded = faded + (mean - faded) * (0.3 * strength)
    warm = np.array([uniform(rng, 0.98, 1.06), 1.0, uniform(rng, 0.86, 1.0)], np.float32)
    faded = faded * warm * uniform(rng, 0.75, 1.05)
    if rng.random() < 0.7:
        faded = cv2.GaussianBlur(faded.astype(np.float32), (0, 0), uniform(rng, 0.3, 1.3))
    dulled: F32 = np.clip(faded, 0, 255).astype(np.float32)
    return dulled


def _low_ground(rng: Rng, rows: int, cols: int, stage: Stage) -> F32:
    """Depth of a flood over the terrain, about -1 to 1; above 0 is under water."""
    choice = rng.random()
    if choice < 0.4:
        # Whole scenes under water are what flood imagery mostly shows.
        return 0.6 + 0.25 * rough_noise(rng, rows, cols, 0.5 * cols)
    field = rough_noise(rng, rows, cols, max(stage.px(40.0), 0.35 * cols))
    if choice < 0.6:
        angle = uniform(rng, 0, 2 * np.pi)
        y, x = np.mgrid[:rows, :cols].astype(np.float32) / max(rows, cols) - 0.5
        field = 0.35 * field + 3.0 * (x * np.cos(angle) + y * np.sin(angle)).astype(np.float32)
    elif choice < 0.75:
        river = cv2.GaussianBlur(band(rng, rows, cols, uniform(rng, 0.1, 0.4) * cols), (0, 0), 0.06 * cols)
        field = 0.12 * field + river
    cut = float(np.quantile(field, uniform(rng, 0.1, 0.88)))
    low: F32 = ((field - cut) / (field.std() * 1.5 + 1e-3)).astype(np.float32)
    return low


def _standing_out(image: F32, rng: Rng, stage: Stage) -> F32:
    """What rises above a flood: crowns, roofs, some cars; coverage float32 (H, W)."""
    rows, cols = image.shape[:2]
    if rng.random() < 0.1:
        # Colour classes as a whole: coarse, yet never wrong about an edge.
        smooth = cv2.GaussianBlur(image, (0, 0), max(0.8, stage.px(0.8)))
        classes = clusters(smooth, rng, 6)
        chosen = rng.permutation(6)[: int(rng.integers(1, 4))]
        kept = (np.isin(classes, chosen) | (plants_of(smooth)[0] & (smooth.mean(2) < 90.0))).astype(np.uint8)
        opened: F32 = cv2.morphologyEx(kept, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)).astype(np.float32)
        return opened
    parts = scene_parts(image, rng, stage)
    crowns = parts.crowns
    if rng.random() < 0.35:
        # Water glints through thin crowns.
        holes = rough_noise(rng, rows, cols, max(1.5, stage.px(2.0))) > uniform(rng, 0.2, 1.4)
        crowns = crowns * (1.0 - holes)
    if rng.random() < 0.5:
        crowns = cv2.dilate(crowns, np.ones((3, 3), np.uint8))
    above = np.zeros((rows, cols), np.float32)
    if rng.random() < 0.93:
        above = np.maximum(above, crowns)
    if rng.random() < 0.93:
        above = np.maximum(above, parts.roofs)
    if rng.random() < 0.5 and stage.gsd_m < 1.5:
        light = image.mean(2)
        cars = (light - cv2.GaussianBlur(light, (0, 0), stage.px(4.0)) > 45.0).astype(np.float32)
        above = np.maximum(above, cars)
    return above


def flood(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """Flood water over low ground, lawns and streets; roofs and tree tops stay above it."""
    rows, cols = image.shape[:2]
    above = _standing_out(image, rng, stage)
    depth = _low_ground(rng, rows, cols, stage)
    scene = dull(image, rng) if rng.random() < 0.55 else image
    choice = rng.random()
    tones = MUDDY if choice < 0.68 else SILVER if choice < 0.8 else GREEN if choice < 0.92 else CLEAR
    paint = surface(rng, rows, cols, stage, tones, 10.0)
    smooth = cv2.GaussianBlur(scene, (0, 0), max(0.8, stage.px(uniform(rng, 0.6, 2.0))))
    light = smooth.mean(2, keepdims=True)
    mean = light.mean()
    if rng.random() < 0.6:
        # Shadows fall on water too, and shallow water takes its light from the ground.
        relative = np.clip(light / mean, 0.3, 1.7) - 1.0
        paint = paint * (1.0 + uniform(rng, 0.05, 0.3) * relative)
    wet = soften((depth > 0).astype(np.float32) * (1.0 - above), uniform(rng, 0.4, 1.3))
    opaque = uniform(rng, 0.85, 1.0) if rng.random() < 0.7 else uniform(rng, 0.55, 0.85)
    alpha = wet * opaque
    if rng.random() < 0.45:
        # Streets and kerbs show through where it is shallow.
        alpha = alpha * np.clip(0.35 + depth / uniform(rng, 0.2, 0.8), 0.35, 1.0)
    if rng.random() < 0.5:
        margin = np.clip(soften((depth > 0).astype(np.float32), max(1.0, stage.px(3.0))) * 2.0, 0, 1) * (1.0 - above)
        scene = scene * (1.0 - uniform(rng, 0.05, 0.22) * margin[..., None])
    drawn = np.clip(blend(scene.astype(np.float32), paint.astype(np.float32), alpha.astype(np.float32)), 0, 250)
    mask = wet > 0.5
    # The leaves and kerbs between are flooded ground to a reader of the mask.
    closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)) > 0
    return Rendered("flood", drawn, closed)


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


def _tones(rng: Rng) -> F32:
    choice = rng.random()
    tones: F32 = CLEAR if choice < 0.55 else GREEN if choice < 0.72 else MUDDY if choice < 0.9 else SILVER
    return tones


def open_water(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """A pond, basin or river where there was land, with a wet, bare or green shore."""
    rows, cols = image.shape[:2]
    region = _basin(rng, rows, cols, stage)
    wide = np.clip(soften(region, max(1.0, stage.px(uniform(rng, 1.0, 4.0)))) * 2.0, 0, 1)
    choice = rng.random()
    if choice < 0.4:
        image = (image * (1.0 - uniform(rng, 0.05, 0.3) * wide[..., None])).astype(np.float32)
    elif choice < 0.75:
        patches = stage.textures.soil if rng.random() < 0.6 else stage.textures.grass
        image = blend(image, texture_fill(rng, patches, rows, cols, stage), wide * uniform(rng, 0.4, 0.95))
    paint = surface(rng, rows, cols, stage, _tones(rng))
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
        paint = surface(rng, rows, cols, stage, _tones(rng))
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
        bed = texture_fill(rng, stage.textures.soil, rows, cols, stage) * uniform(rng, 0.6, 1.15)
    elif choice < 0.5:
        bed = texture_fill(rng, stage.textures.grass, rows, cols, stage) * uniform(rng, 0.85, 1.2)
    else:
        tones = np.array([[118, 104, 86], [92, 84, 70], [168, 158, 140], [140, 128, 108], [104, 108, 82]], np.float32)
        colour = (tones[int(rng.integers(len(tones)))] + rng.normal(0, 8, 3)) * stage.gain
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
    region = _basin(rng, rows, cols, stage)
    shore = soften(region, uniform(rng, 0.4, 1.2))
    water = surface(rng, rows, cols, stage, _tones(rng))
    before = blend(pre, water, shore)
    after = blend(post, _bed(post, rng, stage, region), shore * uniform(rng, 0.8, 1.0))
    lost = region > 0.5
    if rng.random() < 0.4:
        inner = cv2.distanceTransform(lost.astype(np.uint8), cv2.DIST_L2, 3)
        left = (inner > uniform(rng, 0.35, 0.8) * max(1.0, float(inner.max()))).astype(np.float32)
        after = blend(after, water * uniform(rng, 0.85, 1.2), soften(left, 0.7))
        lost = lost & (left < 0.5)
    rim = np.clip(soften(region, max(1.0, stage.px(2.0))) * 2.0, 0, 1) * (1.0 - region) * uniform(rng, 0.0, 0.5)
    if rng.random() < 0.5:
        green = texture_fill(rng, stage.textures.grass, rows, cols, stage)
        before, after = blend(before, green, rim), blend(after, green, rim)
    return before, np.clip(after, 0, 250).astype(np.float32), Rendered("water loss", after, lost)


def flooded_fields(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """Sheets of water over open fields or along a river, trees above, as seen at coarse sampling."""
    rows, cols = image.shape[:2]
    if rng.random() < 0.4:
        low = ragged(rng, band(rng, rows, cols, uniform(rng, 0.08, 0.5) * cols), uniform(rng, 3.0, 20.0))
    elif rng.random() < 0.6:
        field = rough_noise(rng, rows, cols, uniform(rng, 0.1, 0.5) * cols)
        low = (field > np.quantile(field, uniform(rng, 0.2, 0.93))).astype(np.float32)
    else:
        low = shape(rng, rows, cols, stage, 12.0, 60.0)
    green, _ = plants_of(image)
    trees = green & (image.mean(2) < np.quantile(image.mean(2), uniform(rng, 0.1, 0.4)))
    if rng.random() < 0.7:
        low = low * (1.0 - cv2.morphologyEx(trees.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8)))
    choice = rng.random()
    tones = MUDDY if choice < 0.5 else CLEAR if choice < 0.72 else SILVER if choice < 0.86 else GREEN
    paint = surface(rng, rows, cols, stage, tones, 10.0)
    alpha = soften(low.astype(np.float32), uniform(rng, 0.4, 1.5)) * uniform(rng, 0.65, 1.0)
    return Rendered("flood", blend(image, paint, alpha), low > 0.5)


KINDS: dict[str, Kind] = {
    "flood": Kind(flood, weight=2.6, twin=False),
    "flooded fields": Kind(flooded_fields, weight=0.8, coarse=True, twin=False),
    "water gain": Kind(open_water, weight=1.4, coarse=True),
    "water loss": Kind(render_pair=dried_water, weight=0.8, coarse=True, twin=False),
}

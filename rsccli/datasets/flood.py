"""Renderers of flood water: over suburbs, where roofs and crowns stand out of it, and over fields."""

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
    rough_noise,
    soften,
    uniform,
)
from rsccli.datasets.regions import (
    band,
    clusters,
    lightness,
    plants_of,
    ragged,
    scene_parts,
    shape,
)
from rsccli.datasets.watersurface import CLEAR, GREEN, MUDDY, SILVER, surface


def dull(image: F32, rng: Rng) -> F32:
    """A scene under the cloudy sky that floods come with: faint shadows, less colour, less sharp.

    It is no change of the ground, and may be laid over pairs without flood too.
    """
    strength = uniform(rng, 0.15, 0.75)
    mean = image.mean((0, 1))
    light = lightness(image)[..., None]
    faded = image * (1.0 - 0.4 * strength) + light * (0.4 * strength)
    local = cv2.GaussianBlur(lightness(image), (0, 0), 12.0)[..., None]
    # Diffuse light fills shadows more than it dims what is bright.
    shade = np.minimum(light - local, 0.0) * strength * 0.6
    faded = faded - shade
    faded = faded + (mean - faded) * (0.3 * strength)
    warm = np.array([uniform(rng, 0.98, 1.05), 1.0, uniform(rng, 0.91, 1.01)], np.float32)
    faded = faded * warm * uniform(rng, 0.75, 1.05)
    if rng.random() < 0.7:
        faded = cv2.GaussianBlur(faded.astype(np.float32), (0, 0), uniform(rng, 0.3, 1.1))
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
        kept = (np.isin(classes, chosen) | (plants_of(smooth)[0] & (lightness(smooth) < 90.0))).astype(np.uint8)
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
        light = lightness(image)
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
    light = lightness(smooth)[..., None]
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
    trees = green & (lightness(image) < np.quantile(lightness(image), uniform(rng, 0.1, 0.4)))
    if rng.random() < 0.7:
        low = low * (1.0 - cv2.morphologyEx(trees.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8)))
    choice = rng.random()
    tones = MUDDY if choice < 0.5 else CLEAR if choice < 0.72 else SILVER if choice < 0.86 else GREEN
    paint = surface(rng, rows, cols, stage, tones, 10.0)
    alpha = soften(low.astype(np.float32), uniform(rng, 0.4, 1.5)) * uniform(rng, 0.65, 1.0)
    return Rendered("flood", blend(image, paint, alpha), low > 0.5)


KINDS: dict[str, Kind] = {
    "flood": Kind(flood, weight=6.0, twin=False),
    "flooded fields": Kind(flooded_fields, weight=0.8, coarse=True, twin=False),
}

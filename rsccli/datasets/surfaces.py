"""Renderers of ground, plants, water and fire."""

from __future__ import annotations

import cv2
import numpy as np

from rsccli.datasets.canvas import (
    CROWN,
    F32,
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
from rsccli.types import Bool

CLEAR_WATER = np.array(
    [[42, 52, 56], [30, 40, 46], [58, 74, 66], [70, 92, 92], [36, 40, 38], [64, 78, 60], [88, 104, 84], [48, 66, 84]],
    np.float32,
)
MUDDY_WATER = np.array(
    [[124, 108, 86], [140, 126, 104], [104, 96, 78], [116, 116, 100], [92, 92, 78], [150, 132, 106], [82, 84, 74]],
    np.float32,
)


def _region(rng: Rng, rows: int, cols: int, stage: Stage, low_m: float, high_m: float) -> F32:
    """A rounded or straight-edged region, never larger than the scene."""
    # At coarse sampling ground changes by whole fields; at fine sampling by plots.
    scale = max(1.0, stage.gsd_m / 0.8)
    radius_m = float(np.exp(uniform(rng, np.log(low_m), np.log(high_m))))
    radius = min(stage.px(radius_m * scale), 0.6 * cols)
    if rng.random() < 0.5:
        return blob(rng, rows, cols, radius)
    return lot(rng, rows, cols, radius, 2.2 * radius)


def bare_soil(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """Ground cleared and perhaps graded, with tracks of machines."""
    rows, cols = image.shape[:2]
    region = _region(rng, rows, cols, stage, 6.0, 38.0)
    surface = texture_fill(rng, stage.textures.soil, rows, cols, stage)
    surface = surface * uniform(rng, 0.85, 1.2) + 7.0 * rough_noise(rng, rows, cols, stage.px(6.0))[..., None]
    if rng.random() < 0.5:
        angle = uniform(rng, 0, np.pi)
        y, x = np.mgrid[:rows, :cols].astype(np.float32)
        stripes = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / max(3.0, stage.px(4.0)))
        surface = surface + (uniform(rng, 2, 7) * stripes)[..., None]
    edge = uniform(rng, 0.3, 1.5)
    drawn = blend(image, np.clip(surface, 0, 250).astype(np.float32), soften(region, edge))
    return Rendered("bare soil", drawn, region > 0.5)


def _tinted(image: F32, target: F32, strength: float) -> F32:
    """Colours moved to a target while light and dark stay."""
    light = image.mean(2, keepdims=True)
    tinted = light * (target / target.mean())
    moved: F32 = (image * (1 - strength) + tinted * strength).astype(np.float32)
    return moved


def greener(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """Lawns, crops or shrubs that are greener or newly there."""
    return _plants(image, rng, stage, "greener vegetation")


def drier(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """Plants that are dry or gone while the ground stays."""
    return _plants(image, rng, stage, "drier vegetation")


def _plants(image: F32, rng: Rng, stage: Stage, keyword: str) -> Rendered:
    rows, cols = image.shape[:2]
    region = _region(rng, rows, cols, stage, 7.0, 42.0)
    green = keyword == "greener vegetation"
    tone = [86, 112, 64] if green else [158, 138, 104]
    target = (np.array(tone) + rng.normal(0, 8, 3)).astype(np.float32)
    alpha = soften(region, uniform(rng, 0.4, 2.0))
    if rng.random() < 0.55:
        patches = stage.textures.grass if green else stage.textures.soil
        paint = texture_fill(rng, patches, rows, cols, stage)
        alpha = alpha * uniform(rng, 0.65, 0.95)
    else:
        paint = _tinted(image, target, uniform(rng, 0.75, 1.0))
        paint = paint * (uniform(rng, 0.72, 0.95) if green else uniform(rng, 1.05, 1.3))
    uneven = 1.0 + 0.08 * rough_noise(rng, rows, cols, stage.px(15.0))
    return Rendered(keyword, blend(image, np.clip(paint * uneven[..., None], 0, 250), alpha), region > 0.5)


def _crown(rng: Rng, stage: Stage) -> tuple[F32, F32]:
    """Pixels and coverage of one real tree crown at the scene's resolution."""
    patch = stage.textures.crowns[int(rng.integers(len(stage.textures.crowns)))].astype(np.float32)
    radius = uniform(rng, 5.5, 9.5)
    y, x = np.mgrid[:CROWN, :CROWN] - (CROWN - 1) / 2
    uneven = 1.0 + 0.18 * noise(rng, CROWN, CROWN, 5.0)
    cover = np.clip((radius * uneven - np.hypot(x, y)) / 1.5 + 0.5, 0, 1).astype(np.float32)
    side = max(5, round(CROWN * 0.6 / stage.gsd_m * uniform(rng, 0.75, 1.35)))
    interpolation = cv2.INTER_AREA if side < CROWN else cv2.INTER_LINEAR
    turned = int(rng.integers(4))
    patch, cover = (cv2.resize(np.rot90(a, turned), (side, side), interpolation=interpolation) for a in (patch, cover))
    return patch, cover


def trees(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """Real crowns in a group, a row, or scattered, with their shadows."""
    rows, cols = image.shape[:2]
    count = int(rng.integers(3, 26))
    centre = np.array([uniform(rng, 0.1, 0.9) * cols, uniform(rng, 0.1, 0.9) * rows])
    spread = stage.px(uniform(rng, 6.0, 28.0))
    angle = uniform(rng, 0, np.pi)
    in_row = rng.random() < 0.35
    mask = np.zeros((rows, cols), np.float32)
    image = image.copy()
    like = [_crown(rng, stage) for _ in range(2)]
    for index in range(count):
        if in_row:
            step = (index - count / 2) * stage.px(uniform(rng, 6.0, 7.5))
            x, y = centre + step * np.array([np.cos(angle), np.sin(angle)])
        else:
            x, y = centre + rng.normal(0, spread, 2)
        patch, cover = like[index % 2] if rng.random() < 0.6 else _crown(rng, stage)
        side = patch.shape[0]
        shade = np.array(stage.sun) * stage.px(2.5)
        _stamp(image, np.zeros_like(patch), cover * 0.45, x + shade[0], y + shade[1], side)
        _stamp(image, patch, cover, x, y, side)
        _stamp(mask[..., None], np.ones((side, side, 1), np.float32), cover, x, y, side)
    return Rendered("new trees", image, mask > 0.4, count)


def _stamp(image: F32, patch: F32, cover: F32, x: float, y: float, side: int) -> None:
    """Blend a small square into an image in place, cut at its borders."""
    top, left = round(y - side / 2), round(x - side / 2)
    low_y, low_x = max(0, top), max(0, left)
    high_y, high_x = min(image.shape[0], top + side), min(image.shape[1], left + side)
    if low_y >= high_y or low_x >= high_x:
        return
    part = (slice(low_y - top, high_y - top), slice(low_x - left, high_x - left))
    weight = cover[part][..., None]
    there = image[low_y:high_y, low_x:high_x]
    image[low_y:high_y, low_x:high_x] = there * (1 - weight) + patch[part] * weight


def without_trees(image: F32, rng: Rng, stage: Stage, points: F32) -> Rendered | None:
    """Real trees taken out of an image: painted over with what stands around them, or with ground.

    Args:
        points: (n, 2) x and y of crowns, pixels. None comes back where too few are there.
    """
    rows, cols = image.shape[:2]
    inside = points[(points[:, 0] > 4) & (points[:, 0] < cols - 4) & (points[:, 1] > 4) & (points[:, 1] < rows - 4)]
    if len(inside) < 3:
        return None
    start = inside[int(rng.integers(len(inside)))]
    near = inside[np.argsort(((inside - start) ** 2).sum(1))][: int(rng.integers(3, 16))]
    cover = np.zeros((rows, cols), np.uint8)
    for x, y in near:
        cv2.circle(cover, (round(float(x)), round(float(y))), max(3, round(stage.px(uniform(rng, 4.0, 5.5)))), 1, -1)
    if rng.random() < 0.5:
        light = np.clip(image, 0, 255).astype(np.uint8)
        ground = cv2.inpaint(light, cover, 3, cv2.INPAINT_TELEA).astype(np.float32)
        ground = ground + rng.normal(0, 4, ground.shape[:2]).astype(np.float32)[..., None]
    else:
        kind = stage.textures.soil if rng.random() < 0.6 else stage.textures.grass
        ground = texture_fill(rng, kind, rows, cols, stage)
    return Rendered("tree loss", blend(image, ground, soften(cover.astype(np.float32), 0.8)), cover > 0, len(near))


def _water(rng: Rng, rows: int, cols: int, palette: F32, stage: Stage, spread: float) -> F32:
    colour = (palette[int(rng.integers(len(palette)))] + rng.normal(0, spread, 3)) * stage.gain
    slow = 1.0 + uniform(rng, 0.02, 0.12) * noise(rng, rows, cols, stage.px(uniform(rng, 15.0, 60.0)))
    fine = rng.normal(0, uniform(rng, 0.5, 3.0), (rows, cols)).astype(np.float32)
    surface: F32 = np.clip(colour * slow[..., None] + fine[..., None], 4, 245).astype(np.float32)
    return surface


def open_water(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """A pond or basin where there was land, with a wet shore."""
    rows, cols = image.shape[:2]
    region = _region(rng, rows, cols, stage, 5.0, 36.0)
    shore = soften(region, max(1.0, stage.px(1.5)))
    image = (image * (1.0 - 0.2 * shore[..., None])).astype(np.float32)
    palette = CLEAR_WATER if rng.random() < 0.7 else MUDDY_WATER
    drawn = blend(image, _water(rng, rows, cols, palette, stage, 6.0), soften(region, uniform(rng, 0.4, 1.2)))
    return Rendered("water gain", drawn, region > 0.5)


def grown_water(image: F32, rng: Rng, stage: Stage, water: Bool, land: Bool) -> Rendered | None:
    """Real ponds that have grown over their shores, or merged.

    Args:
        water: bool (H, W), the ponds. land: bool, where they may grow.
    """
    if not 0.01 < water.mean() < 0.7:
        return None
    rows, cols = image.shape[:2]
    distance = cv2.distanceTransform((~water).astype(np.uint8), cv2.DIST_L2, 3)
    reach = uniform(rng, 2.0, 14.0) * (1.0 + 0.5 * noise(rng, rows, cols, 25.0))
    grown = (distance < reach) & land & ~water
    tone = image[water]
    mean = tone.mean(0) + rng.normal(0, 4, 3)
    paint = (mean + rng.normal(0, float(tone.std()) * 0.3, (rows, cols, 1))).astype(np.float32)
    if rng.random() < 0.4:
        paint = _water(rng, rows, cols, CLEAR_WATER, stage, 6.0)
        cover = (grown | water).astype(np.float32)
    else:
        cover = grown.astype(np.float32)
    return Rendered("water gain", blend(image, np.clip(paint, 4, 245), soften(cover, 0.6)), grown)


def flood(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """Muddy water over low ground and streets; roofs and tree tops stay above it."""
    rows, cols = image.shape[:2]
    field = rough_noise(rng, rows, cols, max(stage.px(50.0), 0.4 * cols))
    low = (field > np.quantile(field, uniform(rng, 0.05, 0.8))).astype(np.float32)
    smooth = cv2.GaussianBlur(image, (0, 0), max(1.0, stage.px(1.0)))
    light = smooth.mean(2)
    above = np.zeros((rows, cols), np.float32)
    if rng.random() < 0.8:
        above = np.maximum(above, (light > np.quantile(light, uniform(rng, 0.7, 0.95))).astype(np.float32))
    if rng.random() < 0.8:
        leafy = smooth[..., 1] * 2 - smooth[..., 0] - smooth[..., 2]
        above = np.maximum(above, (leafy > np.quantile(leafy, uniform(rng, 0.6, 0.95))).astype(np.float32))
    kernel = np.ones((3, 3), np.uint8)
    above = cv2.morphologyEx(above, cv2.MORPH_OPEN, kernel)
    wet = low * (1.0 - above)
    palette = MUDDY_WATER if rng.random() < 0.8 else CLEAR_WATER
    alpha = soften(wet, uniform(rng, 0.5, 1.2)) * uniform(rng, 0.7, 1.0)
    drawn = blend(image, _water(rng, rows, cols, palette, stage, 8.0), alpha)
    return Rendered("flood", drawn, wet > 0.5)


def burn_scar(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """Ground and plants blackened, with islands that did not burn."""
    rows, cols = image.shape[:2]
    region = _region(rng, rows, cols, stage, 9.0, 60.0)
    islands = (rough_noise(rng, rows, cols, stage.px(10.0)) > uniform(rng, 1.2, 2.2)).astype(np.float32)
    burnt = soften(region * (1.0 - islands), uniform(rng, 0.5, 2.0))
    grey = image.mean(2, keepdims=True) * np.array([1.05, 0.98, 0.95], np.float32)
    dark = (image * 0.3 + grey * 0.7) * uniform(rng, 0.25, 0.5) + np.array([18, 14, 12], np.float32)
    dark = dark * (1.0 + 0.15 * rough_noise(rng, rows, cols, stage.px(8.0)))[..., None]
    return Rendered("burn scar", blend(image, np.clip(dark, 4, 245).astype(np.float32), burnt), region > 0.5)

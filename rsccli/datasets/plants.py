"""Renderers of plants: new trees and trees that are gone; the table has greener and drier ground too."""

from __future__ import annotations

import cv2
import numpy as np

from rsccli.datasets import lawns
from rsccli.datasets.canvas import (
    CROWN,
    F32,
    Kind,
    Rendered,
    Rng,
    Stage,
    blend,
    noise,
    rough_noise,
    soften,
    uniform,
)
from rsccli.datasets.regions import (
    excess_green,
    fill,
    lightness,
    log_uniform,
    plants_of,
    ragged,
    shape,
)
from rsccli.types import U8


def _leafy_patch(rng: Rng, stage: Stage) -> F32:
    """Of a few patches around tree points the first whose middle is green: some points lie beside their tree."""
    crowns = stage.textures.crowns
    middle = slice(CROWN // 2 - 5, CROWN // 2 + 5)
    patch = np.zeros((CROWN, CROWN, 3), np.float32)
    for _ in range(6):
        patch = crowns[int(rng.integers(len(crowns)))].astype(np.float32)
        inner = patch[middle, middle]
        if excess_green(inner).mean() > 0.03 and inner.mean() < 125.0:
            break
    return patch


def _crown(rng: Rng, stage: Stage, scale: float) -> tuple[F32, F32]:
    """Pixels and coverage of one real tree crown at the scene's resolution."""
    patch = _leafy_patch(rng, stage)
    radius = uniform(rng, 5.5, 9.5)
    y, x = np.mgrid[:CROWN, :CROWN] - (CROWN - 1) / 2
    uneven = 1.0 + 0.18 * noise(rng, CROWN, CROWN, 5.0)
    cover = np.clip((radius * uneven - np.hypot(x, y)) / 1.5 + 0.5, 0, 1).astype(np.float32)
    side = max(5, round(CROWN * 0.6 / stage.gsd_m * scale))
    interpolation = cv2.INTER_AREA if side < CROWN else cv2.INTER_LINEAR
    turned = int(rng.integers(4))
    patch, cover = (cv2.resize(np.rot90(a, turned), (side, side), interpolation=interpolation) for a in (patch, cover))
    lit: F32 = (patch * uniform(rng, 0.85, 1.2)).astype(np.float32)
    return lit, cover


def _positions(rng: Rng, rows: int, cols: int, stage: Stage) -> F32:
    """Where new trees stand: a row, an orchard, a group or scattered; (n, 2) x and y in pixels."""
    centre = np.array([uniform(rng, 0.1, 0.9) * cols, uniform(rng, 0.1, 0.9) * rows])
    angle = uniform(rng, 0, np.pi)
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    choice = rng.random()
    if choice < 0.3:
        count, step = int(rng.integers(3, 22)), stage.px(uniform(rng, 5.0, 9.0))
        places = centre + (np.arange(count) - count / 2)[:, None] * step * along
        if rng.random() < 0.3:
            places = np.concatenate([places, places + across * stage.px(uniform(rng, 8.0, 16.0))])
        places = places + rng.normal(0, 0.08 * step, places.shape)
    elif choice < 0.45:
        wide, deep = (int(value) for value in rng.integers(3, 8, 2))
        step = stage.px(uniform(rng, 4.0, 7.5))
        grid = np.stack(np.meshgrid(np.arange(wide), np.arange(deep)), 2).reshape(-1, 2) - (wide / 2, deep / 2)
        places = centre + step * (grid[:, :1] * along + grid[:, 1:] * across) + rng.normal(0, 0.06 * step, grid.shape)
    else:
        count = int(log_uniform(rng, 1.0, 40.0))
        spread = stage.px(log_uniform(rng, 2.0, 30.0) * (0.4 + 0.1 * np.sqrt(count)))
        places = centre + rng.normal(0, spread, (count, 2)) * np.array([1.0, uniform(rng, 0.4, 1.0)])
    spots: F32 = places.astype(np.float32)
    return spots


def trees(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """Real crowns in a group, a row, an orchard or scattered, with their shadows."""
    rows, cols = image.shape[:2]
    places = _positions(rng, rows, cols, stage)
    mask = np.zeros((rows, cols, 1), np.float32)
    image = image.copy()
    size = log_uniform(rng, 0.55, 1.5)
    like = [_crown(rng, stage, size) for _ in range(3)]
    dark, long = uniform(rng, 0.2, 0.6), stage.px(uniform(rng, 0.8, 4.0) * size)
    mixed = uniform(rng, 0.0, 0.8)
    for index, (x, y) in enumerate(places.tolist()):
        patch, cover = _crown(rng, stage, size * uniform(rng, 0.7, 1.3)) if rng.random() < mixed else like[index % 3]
        side = patch.shape[0]
        _stamp(image, np.zeros_like(patch), cover * dark, x + stage.sun[0] * long, y + stage.sun[1] * long, side)
        _stamp(image, patch, cover, x, y, side)
        _stamp(mask, np.ones((side, side, 1), np.float32), cover, x, y, side)
    return Rendered("new trees", image, mask[..., 0] > 0.4, len(places))


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


def _wood(rng: Rng, rows: int, cols: int, stage: Stage) -> F32:
    """The canopy of a wood, float32 (H, W, 3): dark green, grained by crowns."""
    tones = np.array([[44, 62, 40], [56, 72, 48], [36, 50, 36], [66, 78, 54], [52, 66, 58]], np.float32)
    colour = (tones[int(rng.integers(len(tones)))] + rng.normal(0, 5, 3)) * stage.gain
    grain = rough_noise(rng, rows, cols, max(1.5, stage.px(uniform(rng, 4.0, 8.0))))
    uneven = 1.0 + uniform(rng, 0.06, 0.22) * grain + 0.06 * noise(rng, rows, cols, 0.3 * cols)
    canopy: F32 = np.clip(colour * uneven[..., None] + rng.normal(0, 2, (rows, cols, 1)), 4, 200).astype(np.float32)
    return canopy


def wood(image: F32, rng: Rng, stage: Stage) -> Rendered:
    """A wood or plantation that has grown up, as seen at coarse sampling."""
    rows, cols = image.shape[:2]
    region = shape(rng, rows, cols, stage, 8.0, 45.0)
    if rng.random() < 0.5:
        region = ragged(rng, region, max(2.0, stage.px(12.0)))
    alpha = soften(region, uniform(rng, 0.4, 1.2)) * uniform(rng, 0.6, 1.0)
    return Rendered("new trees", blend(image, _wood(rng, rows, cols, stage), alpha), region > 0.5)


def clear_cut(pre: F32, post: F32, rng: Rng, stage: Stage) -> tuple[F32, F32, Rendered]:
    """A wood on the earlier date of which a part is felled on the later one: slash, tracks, a straight edge."""
    rows, cols = post.shape[:2]
    whole = shape(rng, rows, cols, stage, 14.0, 60.0)
    canopy = blend(np.zeros_like(pre), _wood(rng, rows, cols, stage), np.ones((rows, cols), np.float32))
    alpha = soften(whole, uniform(rng, 0.4, 1.5)) * uniform(rng, 0.85, 1.0)
    before, after = blend(pre, canopy, alpha), blend(post, canopy, alpha)
    felled = whole
    if rng.random() < 0.6:
        felled = whole * shape(rng, rows, cols, stage, 14.0, 60.0)
        if felled.mean() < 0.01:
            felled = whole
    patches = stage.textures.soil if rng.random() < 0.6 else stage.textures.grass
    ground = post if rng.random() < 0.35 else fill(rng, patches, rows, cols, stage)
    slash = 1.0 - uniform(rng, 0.0, 0.18) * np.clip(rough_noise(rng, rows, cols, max(1.5, stage.px(3.0))), 0, 2)
    ground = ground * slash[..., None]
    after = blend(after, np.clip(ground, 4, 250).astype(np.float32), soften(felled, uniform(rng, 0.4, 1.0)))
    return before, after, Rendered("tree loss", after, felled > 0.5)


def _shadow_offset(light: F32, points: F32, reach: float) -> tuple[float, float]:
    """The direction, times a reach in pixels, in which it is darkest beside crowns: where their shadows lie."""
    rows, cols = light.shape
    best, darkest = (0.0, 0.0), np.inf
    for angle in np.arange(8) * (np.pi / 4):
        dx, dy = reach * float(np.cos(angle)), reach * float(np.sin(angle))
        x = np.clip(np.round(points[:, 0] + dx), 0, cols - 1).astype(np.intp)
        y = np.clip(np.round(points[:, 1] + dy), 0, rows - 1).astype(np.intp)
        tone = float(light[y, x].mean())
        if tone < darkest:
            best, darkest = (dx, dy), tone
    return best


def without_trees(image: F32, rng: Rng, stage: Stage, points: F32) -> Rendered | None:
    """Real trees and their shadows taken out of an image: ground from beside, from around, or a real patch of it.

    Args:
        points: (n, 2) x and y of crowns, pixels.

    Returns:
        None where there are too few trees.
    """
    rows, cols = image.shape[:2]
    inside = points[(points[:, 0] > 4) & (points[:, 0] < cols - 4) & (points[:, 1] > 4) & (points[:, 1] < rows - 4)]
    if len(inside) < 3:
        return None
    start = inside[int(rng.integers(len(inside)))]
    near = inside[np.argsort(((inside - start) ** 2).sum(1))][: int(log_uniform(rng, 1.5, 24.0))]
    light = cv2.GaussianBlur(lightness(image), (0, 0), 1.0)
    dx, dy = _shadow_offset(light, near, stage.px(4.5))
    crowns, cover = np.zeros((rows, cols), np.uint8), np.zeros((rows, cols), np.uint8)
    base = uniform(rng, 3.4, 5.2)
    for x, y in near.tolist():
        radius = max(3, round(stage.px(base * uniform(rng, 0.85, 1.15))))
        cv2.circle(crowns, (round(x), round(y)), radius, 1, -1)
        cv2.circle(cover, (round(x + 0.7 * dx), round(y + 0.7 * dy)), radius, 1, -1)
    # Of the shadow's side only what is dark is shadow.
    cover = np.maximum(crowns, cover * (light < 0.85 * float(np.median(light))).astype(np.uint8))
    choice = rng.random()
    if choice < 0.4:
        ground = cv2.inpaint(np.clip(image, 0, 255).astype(np.uint8), cover, 3, cv2.INPAINT_TELEA).astype(np.float32)
        ground = ground + rng.normal(0, 4, (rows, cols, 1)).astype(np.float32)
    elif choice < 0.75:
        ground = _from_beside(image, rng, stage, cover)
    else:
        kind = stage.textures.soil if rng.random() < 0.6 else stage.textures.grass
        ground = fill(rng, kind, rows, cols, stage)
    drawn = blend(image, np.clip(ground, 0, 250).astype(np.float32), soften(cover.astype(np.float32), 0.8))
    return Rendered("tree loss", drawn, crowns > 0, len(near))


def _from_beside(image: F32, rng: Rng, stage: Stage, cover: U8) -> F32:
    """The image moved so that what comes to lie under the crowns is green or tall as seldom as possible."""
    tall = (plants_of(image)[0] & (lightness(image) < 0.9 * np.median(lightness(image)))).astype(np.uint8) | cover
    hole = cover > 0
    best, least = (0, 0), np.inf
    for _ in range(10):
        distance, angle = stage.px(uniform(rng, 6.0, 18.0)), uniform(rng, 0, 2 * np.pi)
        shift = (round(distance * np.sin(angle)), round(distance * np.cos(angle)))
        bad = float(np.roll(tall, shift, (0, 1))[hole].mean())
        if bad < least:
            best, least = shift, bad
    moved: F32 = np.roll(image, best, (0, 1))
    return moved


KINDS: dict[str, Kind] = {
    **lawns.KINDS,
    "new trees": Kind(trees, weight=1.5),
    "wood": Kind(wood, weight=0.3, fine=False, coarse=True),
    "clear cut": Kind(render_pair=clear_cut, weight=0.4, fine=False, coarse=True, twin=False),
}

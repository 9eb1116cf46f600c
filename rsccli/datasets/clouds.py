"""Clouds and the shadows they cast: what they look like, and which ground they hide."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from rsccli.datasets.canvas import F32, Rng, uniform
from rsccli.types import Bool

# From this cover on nothing of the ground can be told.
HIDING_COVER = 0.5
HIDING_DARKNESS = 0.6


@dataclass(frozen=True)
class Cover:
    """Clouds over one image, not yet drawn.

    Attributes:
        cloud: float32 (S, S), 0 clear to 1 opaque. paint: float32 (S, S, 3), colour of the cloud, 0-255.
        shade: float32 (S, S), 0 sunlit to 1 black.
    """

    cloud: F32
    paint: F32
    shade: F32


def clouded(image: F32, rng: Rng, gsd_m: float = 0.6) -> tuple[F32, Bool]:
    """Clouds of a random sort over an image.

    Args:
        image: (S, S, 3), 0-255. gsd_m: metres per pixel.

    Returns:
        the image with clouds, and bool (S, S): ground hidden by opaque cloud or dark shadow.
    """
    cover = cloud_cover(rng, image.shape[0], gsd_m)
    # Ground in shade is lit by the sky alone, which is blue.
    tint = np.array([1.0, 0.93, 0.82], np.float32)
    dark = image * (1.0 - cover.shade[..., None] * tint)
    weight = cover.cloud[..., None]
    drawn: F32 = (dark * (1.0 - weight) + cover.paint * weight).astype(np.float32)
    return drawn, (cover.cloud >= HIDING_COVER) | (cover.shade >= HIDING_DARKNESS)


def cloud_cover(rng: Rng, side: int, gsd_m: float = 0.6) -> Cover:
    """Small cumulus, the edge of a large deck, or thin cloud, with its shadow.

    Args:
        side: of the image, in pixels. gsd_m: metres per pixel.
    """
    sort = rng.random()
    if sort < 0.45:
        puff = float(np.exp(uniform(rng, np.log(12.0), np.log(200.0)))) / gsd_m
        size = float(np.clip(puff, 0.08 * side, 0.6 * side))
    else:
        size = side * uniform(rng, 0.6, 1.5)
    thin = sort > 0.75
    field = _field(rng, 2 * side, size)
    # Cover is a quantile of the field: from a few puffs to nearly everything.
    level = float(np.quantile(field[::8, ::8], 1.0 - uniform(rng, 0.08, 0.75)))
    softness = uniform(rng, 0.8, 2.2) if thin else uniform(rng, 0.25, 1.1)
    cover = np.clip((field - level) / softness, 0.0, 1.0)
    cover = cover * cover * (3.0 - 2.0 * cover)
    opacity = uniform(rng, 0.12, 0.45) if thin else uniform(rng, 0.9, 1.0)
    angle, far = uniform(rng, 0.0, 2 * np.pi), side * uniform(rng, 0.1, 0.48)
    top, left = side // 2, side // 2
    down, right = top + round(far * np.sin(angle)), left + round(far * np.cos(angle))
    cloud = np.ascontiguousarray(cover[top : top + side, left : left + side])
    cast = np.ascontiguousarray(cover[down : down + side, right : right + side])
    cast = cv2.GaussianBlur(cast, (0, 0), uniform(rng, 0.8, 3.0))
    darkness = uniform(rng, 0.1, 0.3) if thin else uniform(rng, 0.35, 0.75)
    relief = np.clip(cloud - np.roll(cloud, (round(3 * np.sin(angle)), round(3 * np.cos(angle))), (0, 1)), -0.3, 0.3)
    bright = uniform(rng, 205, 250) + 40.0 * relief + 8.0 * field[top : top + side, left : left + side]
    paint = bright[..., None] * (1.0 - np.array([0.03, 0.015, 0.0]) * uniform(rng, 0.0, 1.5))
    return Cover((cloud * opacity).astype(np.float32), paint.astype(np.float32), (cast * darkness).astype(np.float32))


def _field(rng: Rng, side: int, size_px: float) -> F32:
    """Billowy noise (side, side) of deviation about 1, features from ``size_px`` down to a few pixels."""
    coarse = max(8, side // 2)
    total = np.zeros((coarse, coarse), np.float32)
    weight, scale = 1.0, size_px * coarse / side
    while scale > 1.5 and weight > 0.05:
        cells = max(2, round(coarse / scale) + 2)
        octave = rng.standard_normal((cells, cells), dtype=np.float32)
        total += np.float32(weight) * cv2.resize(octave, (coarse, coarse), interpolation=cv2.INTER_CUBIC)
        weight, scale = weight * 0.58, scale / 2.1
    field: F32 = cv2.resize(total, (side, side), interpolation=cv2.INTER_CUBIC)
    return field

"""What differs between two dates although nothing has changed: light, haze, season, shift, sharpness, coding."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from rsccli.datasets.canvas import F32, Rng, noise, uniform
from rsccli.datasets.clouds import clouded
from rsccli.types import U8, Bool


def season(image: F32, rng: Rng) -> F32:
    """Green tones of the whole scene moved towards brown or back."""
    leafy = np.clip((2 * image[..., 1] - image[..., 0] - image[..., 2]) / 40.0 + 0.3, 0, 1)[..., None]
    shift = rng.normal(0, 9, 3).astype(np.float32)
    result: F32 = (image + leafy * shift).astype(np.float32)
    return result


def light(image: F32, rng: Rng, strength: float) -> F32:
    """Gain, offset, gamma, saturation and colour cast of another sensor or hour."""
    x = np.clip(image, 0, 255) / 255.0
    x = x ** uniform(rng, 1 - 0.3 * strength, 1 + 0.35 * strength)
    x = x * (1.0 + rng.normal(0, 0.05 * strength, 3)) * uniform(rng, 1 - 0.2 * strength, 1 + 0.2 * strength)
    grey = x.mean(2, keepdims=True)
    x = grey + (x - grey) * uniform(rng, 1 - 0.45 * strength, 1 + 0.35 * strength)
    x = x + rng.normal(0, 0.02 * strength, 3)
    result: F32 = (x * 255.0).astype(np.float32)
    return result


def haze(image: F32, rng: Rng) -> F32:
    """A thin, uneven veil."""
    rows, cols = image.shape[:2]
    veil = np.clip(uniform(rng, 0.05, 0.3) + 0.08 * noise(rng, rows, cols, 0.6 * cols), 0, 0.5)[..., None]
    result: F32 = (image * (1 - veil) + np.array([206, 210, 214], np.float32) * veil).astype(np.float32)
    return result


def shadows(image: F32, rng: Rng) -> F32:
    """Soft dark patches, as of clouds or of buildings outside of the scene."""
    rows, cols = image.shape[:2]
    cover = np.clip(noise(rng, rows, cols, uniform(rng, 0.15, 0.6) * cols) - uniform(rng, 0.7, 1.6), 0, 1)
    result: F32 = (image * (1 - uniform(rng, 0.25, 0.5) * np.clip(cover * 3, 0, 1))[..., None]).astype(np.float32)
    return result


def displaced(image: F32, rng: Rng, most_px: float) -> F32:
    """Shift, small turn and scale, and an uneven warp as of relief and viewing angle."""
    rows, cols = image.shape[:2]
    angle, scale = np.deg2rad(rng.normal(0, 0.25)), 1.0 + rng.normal(0, 0.003)
    shift = rng.uniform(-most_px, most_px, 2)
    y, x = np.mgrid[:rows, :cols].astype(np.float32)
    dy, dx = y - rows / 2, x - cols / 2
    map_x = cols / 2 + scale * (dx * np.cos(angle) - dy * np.sin(angle)) + shift[0]
    map_y = rows / 2 + scale * (dx * np.sin(angle) + dy * np.cos(angle)) + shift[1]
    if rng.random() < 0.4:
        amount = uniform(rng, 0.2, 1.0)
        map_x = map_x + amount * noise(rng, rows, cols, 0.25 * cols)
        map_y = map_y + amount * noise(rng, rows, cols, 0.25 * rows)
    moved: F32 = cv2.remap(
        image, map_x.astype(np.float32), map_y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )
    return moved


def sharpness(image: F32, rng: Rng) -> F32:
    """Blur, a coarser sensor, or sharpening."""
    kind = rng.random()
    if kind < 0.4:
        blurred: F32 = cv2.GaussianBlur(image, (0, 0), uniform(rng, 0.4, 1.1))
        return blurred
    if kind < 0.7:
        rows, cols = image.shape[:2]
        factor = uniform(rng, 0.45, 0.85)
        small = cv2.resize(image, (round(cols * factor), round(rows * factor)), interpolation=cv2.INTER_AREA)
        coarse: F32 = cv2.resize(small, (cols, rows), interpolation=cv2.INTER_LINEAR)
        return coarse
    blurred = cv2.GaussianBlur(image, (0, 0), 1.0)
    result: F32 = (image + uniform(rng, 0.2, 0.7) * (image - blurred)).astype(np.float32)
    return result


def recorded(image: F32, rng: Rng) -> U8:
    """Noise of the sensor, 8 bits, and often one more JPEG coding."""
    noisy = image + rng.normal(0, uniform(rng, 0.0, 3.5), image.shape).astype(np.float32)
    counts = np.clip(np.round(noisy), 0, 255).astype(np.uint8)
    if rng.random() < 0.6:
        _, coded = cv2.imencode(".jpg", counts, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(45, 96))])
        counts = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), dtype=np.uint8)
    return np.ascontiguousarray(counts)


@dataclass(frozen=True)
class Recorded:
    """One date as its sensor writes it.

    Attributes:
        counts: uint8 (S, S, 3). cloud: bool (S, S), ground hidden by opaque cloud or its dark shadow.
    """

    counts: U8
    cloud: Bool


def missing(rng: Rng, side: int) -> Bool:
    """Where a date has data: all of it but a straight border, a corner or a triangle.

    Returns:
        bool (side, side), True where valid; at least a quarter of it.
    """
    y, x = np.mgrid[:side, :side].astype(np.float32) / side - 0.5
    angle = uniform(rng, 0, 2 * np.pi) if rng.random() < 0.6 else float(rng.integers(4)) * np.pi / 2
    valid: Bool = x * np.cos(angle) + y * np.sin(angle) < uniform(rng, 0.0, 0.45)
    return valid


def one_date(
    image: F32, rng: Rng, *, strength: float, most_px: float, clouds: float = 0.0, gsd_m: float = 0.6
) -> Recorded:
    """All nuisances of one date, each by chance.

    Args:
        image: float32 (S, S, 3), 0-255.
        strength: 0 for noise and coding only, 1 for a strong radiometric difference.
        most_px: most pixels that the image is displaced by; at 0 it is not displaced.
        clouds: probability of any cloud, 0-1.
        gsd_m: metres per pixel.
    """
    if most_px > 0:
        image = displaced(image, rng, most_px)
    if strength > 0:
        if rng.random() < 0.3:
            image = season(image, rng)
        if rng.random() < 0.15:
            image = shadows(image, rng)
        image = light(image, rng, strength)
        if rng.random() < 0.15:
            image = haze(image, rng)
        if rng.random() < 0.35:
            image = sharpness(image, rng)
    hidden: Bool = np.zeros(image.shape[:2], bool)
    if rng.random() < clouds:
        image, hidden = clouded(image, rng)
    return Recorded(recorded(image, rng), hidden)

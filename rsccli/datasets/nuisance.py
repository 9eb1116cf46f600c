"""What differs between two dates although nothing has changed: light, season, sun, shift, sharpness, coding, cloud.

All of it is as likely with change as without. Only the image is displaced, never a mask: masks stay registered
to the earlier date.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from rsccli.datasets.canvas import F32, Rng, noise, polygon, uniform
from rsccli.datasets.clouds import clouded
from rsccli.types import U8, Bool

GREY = np.array([0.30, 0.55, 0.15], np.float32)
# Ground in shade is lit by the sky: red is lost first.
SHADE_TINT = np.array([1.06, 1.0, 0.88], np.float32)
AIRLIGHT = np.array([186.0, 198.0, 214.0])
LEAN_SHARE = 0.3


@dataclass(frozen=True)
class Recorded:
    """One date as its sensor writes it.

    Attributes:
        counts: uint8 (S, S, 3). cloud: bool (S, S), ground hidden by opaque cloud or its dark shadow.
    """

    counts: U8
    cloud: Bool


def one_date(
    image: F32,
    rng: Rng,
    *,
    strength: float,
    most_px: float,
    clouds: float = 0.0,
    gsd_m: float = 0.6,
    lean: float = LEAN_SHARE,
) -> Recorded:
    """All nuisances of one date, each by chance.

    Args:
        image: float32 (S, S, 3), 0-255.
        strength: 0 for noise and coding only, 1 for a strong radiometric difference.
        most_px: most pixels that the whole image is displaced by; at 0 nothing is displaced, tall things neither.
        clouds: probability of any cloud, 0-1.
        gsd_m: metres per pixel.
        lean: probability that tall things lean another way, where anything is displaced.
    """
    if most_px > 0:
        if rng.random() < lean:
            image = parallax(image, rng, gsd_m)
        image = displaced(image, rng, most_px)
    if strength > 0:
        if rng.random() < 0.1 + 0.4 * strength:
            image = season(image, rng, strength)
        if rng.random() < 0.1 + 0.6 * strength:
            image = materials(image, rng, strength)
        if rng.random() < 0.1 + 0.6 * strength:
            image = sun(image, rng, strength, gsd_m)
        image = look(image, rng, strength)
        if rng.random() < 0.25 + 0.2 * strength:
            image = sharpness(image, rng)
    hidden: Bool = np.zeros(image.shape[:2], bool)
    if rng.random() < clouds:
        image, hidden = clouded(image, rng, gsd_m)
    return Recorded(recorded(image, rng), hidden)


def missing(rng: Rng, side: int) -> Bool:
    """Where a date has data: all of it but a straight border, a triangle at a corner, or a rectangular one.

    Returns:
        bool (side, side), True where valid: some of it not, and at least a quarter of it.
    """
    y, x = np.mgrid[:side, :side].astype(np.float32) / side - 0.5
    kind = rng.random()
    if kind < 0.2:
        signs = rng.choice([-1.0, 1.0], 2)
        low = rng.uniform(-0.1, 0.45, 2)
        corner: Bool = (signs[0] * x < low[0]) | (signs[1] * y < low[1])
        return corner
    angle = float(rng.integers(4)) * np.pi / 2 if kind < 0.55 else uniform(rng, 0, 2 * np.pi)
    reach = 0.5 * (abs(np.cos(angle)) + abs(np.sin(angle)))
    valid: Bool = x * np.cos(angle) + y * np.sin(angle) < reach * uniform(rng, 0.05, 0.96)
    if rng.random() < 0.15:
        # A footprint that ends on a second side too.
        valid = valid & (y * np.cos(angle) - x * np.sin(angle) < reach * uniform(rng, 0.3, 0.96))
    return valid


def look(image: F32, rng: Rng, strength: float) -> F32:
    """Gain, gamma, cast, saturation, channel mixing and haze of another sensor, hour or processing."""
    kind = rng.random()
    plain, satellite, vivid = kind < 0.5, 0.5 <= kind < 0.72, 0.72 <= kind < 0.86
    gamma = float(np.exp(np.clip(rng.normal(0, 0.22), -0.5, 0.5) * strength))
    scale = 1.0 / 255.0
    x = cv2.pow(np.maximum(image, 0) * np.float32(scale), gamma)
    if not (plain or satellite or vivid):
        x = _stretched(x, rng, strength)
    if satellite:
        saturation, spread = uniform(rng, 0.35, 0.8), 0.10
    elif vivid:
        saturation, spread = uniform(rng, 1.15, 1.8), 0.05
    else:
        saturation, spread = uniform(rng, 0.65, 1.35), 0.04
    saturation = 1 + (saturation - 1) * strength
    mix = np.eye(3) + rng.normal(0, spread * strength, (3, 3))
    mix = mix / mix.sum(1, keepdims=True)
    mix = saturation * mix + (1 - saturation) * GREY[None]
    cast = _cast(rng, 0.065 * strength)
    gain = float(np.exp(np.clip(rng.normal(0, 0.17), -0.4, 0.35) * strength))
    mix = cast[:, None] * gain * mix
    veil = 0.0
    if satellite or rng.random() < 0.15:
        veil = uniform(rng, 0.05, 0.38) * strength
    contrast = 1 + (uniform(rng, 1.05, 1.35) - 1) * strength if vivid else 1.0
    middle = cv2.mean(x)[:3]
    offset = (
        (1 - contrast) * np.asarray(middle) * gain
        + rng.normal(0, 0.02 * strength)
        + 0.3 * (_cast(rng, 0.04 * strength) - 1)
    )
    air = AIRLIGHT * _cast(rng, 0.03) * uniform(rng, 0.6, 1.0)
    matrix = np.concatenate([mix * contrast * 255.0 * (1 - veil), (offset * 255 * (1 - veil) + air * veil)[:, None]], 1)
    y: F32 = cv2.transform(x, matrix.astype(np.float32))
    if rng.random() < 0.25:
        y = _uneven(y, rng, strength)
    return y


def _cast(rng: Rng, spread: float) -> npt.NDArray[np.float64]:
    """Factors of the bands: warm or cool more than green or pink, as light and haze are."""
    warm, green = np.clip(rng.normal(0, spread, 2), -1.6 * spread, 1.6 * spread) * (1.0, 0.4)
    return np.array([1 + warm, 1 + green, 1 - warm])


def _stretched(x: F32, rng: Rng, strength: float) -> F32:
    """Each band between two quantiles of its own, as products for display are made."""
    sample = x[::4, ::4].reshape(-1, 3)
    low, high = np.quantile(sample, uniform(rng, 0.0, 0.04), 0), np.quantile(sample, uniform(rng, 0.96, 1.0), 0)
    bottom, top = uniform(rng, 0.0, 0.18), uniform(rng, 0.6, 0.98)
    wide = np.maximum(high - low, 0.25)
    factor = 1 + ((top - bottom) / wide - 1) * strength
    offset = (bottom - low * (top - bottom) / wide) * strength
    stretched: F32 = np.clip(x * factor + offset, 0, 1.1).astype(np.float32)
    return stretched


def _uneven(image: F32, rng: Rng, strength: float) -> F32:
    """A veil or a fall of light that varies slowly over the scene."""
    rows, cols = image.shape[:2]
    slow = noise(rng, rows, cols, 0.7 * cols)
    if rng.random() < 0.5:
        result: F32 = image * (1 + np.float32(0.09 * strength) * slow)[..., None]
        return result
    veil = np.clip(0.12 + 0.1 * slow, 0, 0.5)[..., None] * np.float32(strength)
    result = image + (AIRLIGHT.astype(np.float32) - image) * veil
    return result


def materials(image: F32, rng: Rng, strength: float) -> F32:
    """Roofs, roads, soils and plants that each turn brighter or darker, as their gloss and the light have it."""
    gain = np.zeros(image.shape[:2], np.float32)
    for _ in range(3):
        # A wave over colour space: what is alike in colour changes alike.
        view = rng.normal(0, 1, (1, 3)).astype(np.float32)
        view = (view - view.mean()) * np.float32(0.05) + np.float32(rng.normal(0, 0.03))
        gain += np.sin(cv2.transform(image, view) + np.float32(uniform(rng, 0, 2 * np.pi)))
    soft = cv2.GaussianBlur(gain, (0, 0), 1.2)
    result: F32 = image * cv2.exp(np.float32(uniform(rng, 0.04, 0.2) * strength) * soft)[..., None]
    return result


def season(image: F32, rng: Rng, strength: float = 1.0) -> F32:
    """Crowns with leaves or without, and lawns and fields that are green or dry, over the whole scene."""
    grey: F32 = cv2.transform(image, GREY[None])
    # Excess green against brightness; dry grass and bare crowns have a little of it, or warm hues.
    excess: F32 = cv2.transform(image, np.array([[-1.0, 2.0, -1.0]], np.float32)) / (3 * grey + 20)
    leafy = _step(excess, 0.015, 0.1)
    dark = 1 - _step(cv2.blur(grey, (5, 5)), 70, 105)
    result = image
    for part in (leafy * dark, leafy * (1 - dark)):
        green = rng.random() < 0.5
        ratio = np.array([0.86, 1.10, 0.74] if green else [1.10, 0.99, 0.82]) * rng.normal(1, 0.06, 3)
        ratio = ratio * (uniform(rng, 0.75, 1.05) if green else uniform(rng, 0.95, 1.4))
        amount = part * np.float32(uniform(rng, 0.3, 1.0) * strength)
        result = result + amount[..., None] * (grey[..., None] * ratio.astype(np.float32) - result)
    if rng.random() < 0.3:
        # Dry ground greens up here and there: warm and neither bright nor dark.
        warm = _step((image[..., 0] - image[..., 2]) / (grey + 20), 0.04, 0.2) * (1 - leafy)
        patchy = np.clip(noise(rng, grey.shape[0], grey.shape[1], 0.3 * grey.shape[1]) * 0.4 + 0.5, 0, 1)
        amount = warm * patchy * np.float32(uniform(rng, 0.1, 0.5) * strength)
        result = result + amount[..., None] * (grey[..., None] * np.array([0.9, 1.04, 0.78], np.float32) - result)
    changed: F32 = result.astype(np.float32, copy=False)
    return changed


def sun(image: F32, rng: Rng, strength: float, gsd_m: float) -> F32:
    """Another height or direction of the sun, or an overcast sky."""
    kind = rng.random()
    grey: F32 = cv2.transform(image, GREY[None])
    near = cv2.blur(image, (2 * max(1, round(7.0 / gsd_m)) + 1,) * 2)
    around: F32 = cv2.transform(near, GREY[None])
    shaded = 1 - _step(grey / (around + 8), 0.45, 0.75)
    # Shade is blue; crowns, as dark, are green.
    shaded = shaded * _step(image[..., 2] / (image[..., :2].max(2) + 4), 0.72, 0.95)
    shaded = cv2.blur(shaded.astype(np.float32), (3, 3))
    if kind < 0.2:
        return _overcast(image, rng, near, shaded, strength)
    if kind < 0.35:
        amount = uniform(rng, -0.55, 0.9) * strength
        return _lifted(image, near, shaded, amount) if amount > 0 else _darker(image, shaded, -amount)
    angle, length = uniform(rng, 0, 2 * np.pi), float(np.clip(uniform(rng, 0.6, 4.5) / gsd_m, 1.0, 5.0))
    step = (length * np.cos(angle), length * np.sin(angle))
    if kind < 0.85:
        # Shadows leave where they were and fall beside what stands up: brighter than its surroundings, or leafy.
        leafy = _step((2 * image[..., 1] - image[..., 0] - image[..., 2]) / (grey + 20), 0.1, 0.25)
        tall = np.maximum(_step(grey / (around + 8), 1.05, 1.25), leafy * np.float32(rng.random() < 0.6))
        tall = cv2.medianBlur((255 * tall).astype(np.uint8), 5).astype(np.float32) / 255
        cast = np.clip(_moved(tall, *step) - tall, 0, 1) * np.float32(kind > 0.5)
        if kind < 0.5 or rng.random() < 0.75:
            image = _lifted(image, near, shaded, 0.9 * strength)
            cast = np.maximum(cast, _moved(shaded, *step)) if kind < 0.5 or rng.random() < 0.6 else cast
        return _darker(image, cast, uniform(rng, 0.35, 0.7) * strength)
    return _darker(image, _long_shadows(rng, grey.shape[0], grey.shape[1], angle), uniform(rng, 0.2, 0.55) * strength)


def _overcast(image: F32, rng: Rng, near: F32, shaded: F32, strength: float) -> F32:
    """Shadows filled by a grey sky, little contrast, often not quite sharp."""
    lifted = _lifted(image, near, shaded, uniform(rng, 0.4, 1.0) * strength)
    flat = uniform(rng, 0.05, 0.5) * strength
    middle = np.array(cv2.mean(image)[:3], np.float32) * np.float32(uniform(rng, 0.75, 1.05))
    result: F32 = lifted * np.float32(1 - flat) + middle * np.float32(flat)
    if rng.random() < 0.5:
        result = cv2.GaussianBlur(result, (0, 0), uniform(rng, 0.4, 1.0))
    return result


def _lifted(image: F32, near: F32, shaded: F32, amount: float) -> F32:
    """Shadows brought near to the colour of what is around them; half of their texture stays."""
    lit = np.minimum(image * np.float32(0.6) + near * np.float32(0.65), near * np.float32(1.05))
    weight = (shaded * np.float32(amount))[..., None]
    result: F32 = image + weight * np.maximum(lit - image, 0)
    return result


def _long_shadows(rng: Rng, rows: int, cols: int, angle: float) -> F32:
    """Coverage of soft shadows of a few things that need not stand in the scene, or of broken cloud."""
    if rng.random() < 0.4:
        cover = noise(rng, rows, cols, uniform(rng, 0.15, 0.6) * cols) - uniform(rng, 0.5, 1.5)
        broken: F32 = np.clip(cover * uniform(rng, 1.0, 3.0), 0, 1).astype(np.float32)
        return broken
    total = np.zeros((rows, cols), np.float32)
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    for _ in range(int(rng.integers(1, 6))):
        foot = rng.uniform(-0.1, 1.1, 2) * (cols, rows)
        width, length = cols * uniform(rng, 0.02, 0.14), cols * uniform(rng, 0.05, 0.5)
        top = foot + along * length
        corners = [foot - across * width, foot + across * width, top + across * width, top - across * width]
        total = np.maximum(total, polygon(rows, cols, np.array(corners)))
    soft: F32 = cv2.GaussianBlur(total, (0, 0), uniform(rng, 0.7, 3.0))
    return soft


def _darker(image: F32, cover: F32, amount: float) -> F32:
    result: F32 = image * (1 - (cover * np.float32(amount))[..., None] * SHADE_TINT)
    return result


def _moved(field: F32, dx: float, dy: float) -> F32:
    matrix = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
    moved: F32 = cv2.warpAffine(field, matrix, field.shape[::-1], borderMode=cv2.BORDER_REFLECT)
    return moved


def _step(value: F32, low: float, high: float) -> F32:
    x = np.clip((value - low) * np.float32(1.0 / (high - low)), 0, 1)
    step: F32 = (x * x * (3 - 2 * x)).astype(np.float32, copy=False)
    return step


def displaced(image: F32, rng: Rng, most_px: float) -> F32:
    """Shift, small turn and scale, and an uneven warp as of relief; nothing moves by more than ``most_px``."""
    rows, cols = image.shape[:2]
    turn, scale = np.deg2rad(rng.normal(0, 0.25)), rng.normal(0, 0.003)
    far, angle = uniform(rng, 0.0, most_px), uniform(rng, 0.0, 2 * np.pi)
    y, x = np.mgrid[:rows, :cols].astype(np.float32)
    dy, dx = y - np.float32(rows / 2), x - np.float32(cols / 2)
    move_x = np.float32(scale) * dx - np.float32(turn) * dy + np.float32(far * np.cos(angle))
    move_y = np.float32(turn) * dx + np.float32(scale) * dy + np.float32(far * np.sin(angle))
    if rng.random() < 0.4:
        amount, size = np.float32(uniform(rng, 0.2, 1.0)), uniform(rng, 0.15, 0.5) * cols
        move_x += amount * noise(rng, rows, cols, size)
        move_y += amount * noise(rng, rows, cols, size)
    shrink = np.float32(min(1.0, most_px / max(float(cv2.magnitude(move_x, move_y).max()), 1e-6)))
    moved: F32 = cv2.remap(
        image, x + shrink * move_x, y + shrink * move_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )
    return moved


def parallax(image: F32, rng: Rng, gsd_m: float) -> F32:
    """Tall things lean another way: patches move by 1-9 px, the ground between them stays."""
    rows, cols = image.shape[:2]
    angle, far = uniform(rng, 0, 2 * np.pi), float(np.clip(uniform(rng, 0.5, 6.0) / gsd_m, 1.0, 9.0))
    if rng.random() < 0.75:
        # Roofs and crowns differ in colour from the ground around them: one side of a threshold moves.
        view = rng.normal(0, 1, (1, 3)).astype(np.float32) + GREY[None] * np.float32(rng.choice([-3.0, 3.0]))
        colour = cv2.blur(cv2.transform(image, view), (3, 3))
        tall = (colour > np.quantile(colour[::4, ::4], uniform(rng, 0.55, 0.9))).astype(np.uint8)
        cover = cv2.medianBlur(tall, 5).astype(np.float32)
    else:
        field = noise(rng, rows, cols, uniform(rng, 6.0, 22.0) / gsd_m)
        cover = _step(field, uniform(rng, 0.2, 1.0), 1.4)
    dx, dy = far * np.cos(angle), far * np.sin(angle)
    # The ground that a thing leaves behind is uncovered, so it moves there too.
    weight = cv2.blur(np.maximum(cover, _moved(cover, dx, dy)), (3, 3))
    y, x = np.mgrid[:rows, :cols].astype(np.float32)
    moved: F32 = cv2.remap(
        image, x - np.float32(dx) * weight, y - np.float32(dy) * weight, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )
    return moved


def sharpness(image: F32, rng: Rng) -> F32:
    """A coarser sensor resampled to this grid, blur, or sharpening, or two of them."""
    kind = rng.random()
    if kind < 0.45:
        rows, cols = image.shape[:2]
        factor = 1.0 / (1.0 + 1.5 * uniform(rng, 0.0, 1.0) ** 1.5)
        small = cv2.resize(image, (round(cols * factor), round(rows * factor)), interpolation=cv2.INTER_AREA)
        back = int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_NEAREST], p=[0.5, 0.42, 0.08]))
        image = cv2.resize(small, (cols, rows), interpolation=back)
    elif kind < 0.7:
        image = cv2.GaussianBlur(image, (0, 0), uniform(rng, 0.4, 1.3))
    if kind > 0.7 or rng.random() < 0.25:
        blurred = cv2.GaussianBlur(image, (0, 0), uniform(rng, 0.7, 1.5))
        image = cv2.addWeighted(image, 1 + (by := uniform(rng, 0.2, 1.0)), blurred, -by, 0)
    return image


def recorded(image: F32, rng: Rng) -> U8:
    """Noise of the sensor, stripes, 8 bits, and often one or two more JPEG codings."""
    noisy = image + rng.standard_normal(image.shape, dtype=np.float32) * np.float32(uniform(rng, 0.0, 3.5))
    if rng.random() < 0.06:
        stripes = rng.normal(0, uniform(rng, 0.5, 2.5), (1, image.shape[1], 1)).astype(np.float32)
        noisy = noisy + (stripes if rng.random() < 0.5 else stripes.transpose(1, 0, 2))
    counts: U8 = np.clip(np.round(noisy), 0, 255).astype(np.uint8)
    for chance in (0.6, 0.2):
        if rng.random() < chance:
            counts = _coded(counts, int(rng.integers(40, 96)))
    return np.ascontiguousarray(counts)


def _coded(counts: U8, quality: int) -> U8:
    _, coded = cv2.imencode(".jpg", counts, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded: npt.NDArray[np.uint8] = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), dtype=np.uint8)
    return decoded

"""Copies of one date that hold no change: other light, other place under the sensor, clouds, other sampling.

All of these are made here, so rows that use them say so.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from rsccli.datasets.clouds import clouded

U8 = npt.NDArray[np.uint8]
Rng = np.random.Generator
HAZE_LEVEL = 205.0
SHIFT_PX = (5.0, 9.0)
WARP_PX = 1.5
HIDDEN = 0.55


def _rows_last(image: U8) -> npt.NDArray[np.float32]:
    return np.ascontiguousarray(np.moveaxis(image, 0, 2)).astype(np.float32)


def _bands_first(image: npt.NDArray[np.float32]) -> U8:
    return np.ascontiguousarray(np.moveaxis(np.clip(np.round(image), 0, 255).astype(np.uint8), 2, 0))


def other_light(image: U8, rng: Rng) -> U8:
    """Gain 0.75-1.3, gamma 0.75-1.33, a cast of 6 %, haze of up to 30 %, JPEG of quality 40-90; (3, H, W)."""
    x = _rows_last(image)
    x = 255.0 * (np.clip(x, 0, 255) / 255.0) ** np.float32(np.exp(rng.uniform(np.log(0.75), np.log(1.33))))
    x = x * np.float32(np.exp(rng.uniform(np.log(0.75), np.log(1.3))))
    x = x * rng.uniform(0.94, 1.06, 3).astype(np.float32)
    haze = np.float32(rng.uniform(0.0, 0.3))
    x = x * (1 - haze) + HAZE_LEVEL * haze
    quality = int(rng.integers(40, 91))
    done, packed = cv2.imencode(
        ".jpg", np.clip(np.round(x), 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    assert done
    return _bands_first(cv2.imdecode(packed, cv2.IMREAD_COLOR).astype(np.float32))


def moved(image: U8, rng: Rng) -> U8:
    """Shifted 5-9 px in any direction, and warped smoothly by about 1.5 px; mirrored at the border."""
    x = _rows_last(image)
    height, width = x.shape[:2]
    length, angle = rng.uniform(*SHIFT_PX), rng.uniform(0, 2 * np.pi)
    rows, cols = np.mgrid[:height, :width].astype(np.float32)
    maps = []
    for base, step in ((cols, np.cos(angle)), (rows, np.sin(angle))):
        bend = cv2.resize(
            rng.standard_normal((5, 5)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
        )
        maps.append(base + np.float32(length * step) + np.float32(WARP_PX) * bend)
    return _bands_first(cv2.remap(x, maps[0], maps[1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101))


def cloudy(image: U8, rng: Rng, gsd_m: float) -> U8:
    """The first of up to 60 generated skies that hides at least 55 % of an image; else the fullest of them."""
    x, best, most = _rows_last(image), image, -1.0
    for _ in range(60):
        drawn, hidden = clouded(x, rng, gsd_m)
        if hidden.mean() > most:
            best, most = _bands_first(drawn), float(hidden.mean())
        if most >= HIDDEN:
            break
    return best


def grey(image: U8) -> U8:
    """Luminance in all three bands."""
    one = np.round(0.299 * image[0] + 0.587 * image[1] + 0.114 * image[2]).astype(np.uint8)
    return np.stack([one, one, one])


def resampled(image: U8, height: int, width: int) -> U8:
    """Averaged or interpolated to another size."""
    method = cv2.INTER_AREA if height < image.shape[1] else cv2.INTER_CUBIC
    return _bands_first(cv2.resize(_rows_last(image), (width, height), interpolation=method))

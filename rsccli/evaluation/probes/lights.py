"""Radiometric copies of an image: other light, the same ground. A change that is found in them is a false one.

The copies are made here, so figures on them are of synthetic pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from rsccli.types import U8, Bool

Rng = np.random.Generator
#: Grey level that haze draws everything to.
HAZE_LEVEL = 205.0
SEED = 4700


@dataclass(frozen=True)
class Light:
    """One kind of copy.

    Attributes:
        key: as it is asked for. title: for tables. make: the copy of an image, uint8 (3, H, W).
    """

    key: str
    title: str
    make: Callable[[U8, Rng], U8]


def gain(factor: float) -> Callable[[U8, Rng], U8]:
    """Every value times a factor: exposure."""
    return lambda image, rng: _whole(image.astype(np.float32) * np.float32(factor))


def gamma(power: float) -> Callable[[U8, Rng], U8]:
    """Values 0-1 to a power: above 1 the middle darkens."""
    return lambda image, rng: _whole(255 * (image.astype(np.float32) / 255) ** np.float32(power))


def haze(part: float) -> Callable[[U8, Rng], U8]:
    """A part of every value is replaced by the grey of haze."""
    return lambda image, rng: _whole(image.astype(np.float32) * np.float32(1 - part) + np.float32(HAZE_LEVEL * part))


def cast(red: float, blue: float) -> Callable[[U8, Rng], U8]:
    """Red and blue times a factor: another white."""
    factors = np.array([red, 1.0, blue], np.float32)[:, None, None]
    return lambda image, rng: _whole(image.astype(np.float32) * factors)


def jpeg(quality: int) -> Callable[[U8, Rng], U8]:
    """Packed and unpacked as JPEG."""
    return lambda image, rng: _jpeg(image, quality)


def together(image: U8, rng: Rng) -> U8:
    """Gamma 0.75-1.33, gain 0.75-1.3, cast of 6 %, haze up to 30 %, JPEG 40-90, all drawn: as the model card has it."""
    x = 255 * (image.astype(np.float32) / 255) ** np.float32(np.exp(rng.uniform(np.log(0.75), np.log(1.33))))
    x = x * np.float32(np.exp(rng.uniform(np.log(0.75), np.log(1.3))))
    x = x * rng.uniform(0.94, 1.06, 3).astype(np.float32)[:, None, None]
    part = np.float32(rng.uniform(0.0, 0.3))
    return _jpeg(_whole(x * (1 - part) + np.float32(HAZE_LEVEL) * part), int(rng.integers(40, 91)))


LIGHTS: tuple[Light, ...] = (
    Light("gain-0.8", "gain 0.8", gain(0.8)),
    Light("gain-1.25", "gain 1.25", gain(1.25)),
    Light("gamma-0.75", "gamma 0.75", gamma(0.75)),
    Light("gamma-1.33", "gamma 1.33", gamma(1.33)),
    Light("haze-15", "haze 15 %", haze(0.15)),
    Light("haze-30", "haze 30 %", haze(0.3)),
    Light("cast", "warmer white (red 1.06, blue 0.94)", cast(1.06, 0.94)),
    Light("jpeg-75", "JPEG of quality 75", jpeg(75)),
    Light("jpeg-40", "JPEG of quality 40", jpeg(40)),
    Light("together", "all of these, strengths drawn", together),
)


def relit(light: Light, image: U8, valid: Bool, number: int) -> U8:
    """A copy of an image; pixels without data stay 0.

    Args:
        image: uint8 (3, H, W). valid: bool (H, W). number: of the pair: its draws are the same whatever other pairs
            are looked at.
    """
    return light.make(image, np.random.default_rng([SEED, number])) * valid.astype(np.uint8)


def _whole(values: npt.NDArray[np.floating[Any]]) -> U8:
    return np.ascontiguousarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))


def _jpeg(image: U8, quality: int) -> U8:
    # OpenCV takes blue first; the order matters, as JPEG keeps less of some colours.
    rows_last = np.ascontiguousarray(np.moveaxis(image, 0, 2)[..., ::-1])
    done, packed = cv2.imencode(".jpg", rows_last, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    back = cv2.imdecode(packed, cv2.IMREAD_COLOR)
    return np.ascontiguousarray(np.moveaxis(np.asarray(back, np.uint8)[..., ::-1], 2, 0))

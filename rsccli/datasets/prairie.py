"""Prairie pairs at 5 m with real labels: the fourth band (near infrared) tells water and green plants.

Only the dates 2009 and 2010 are read for training; the same ground in 2012 and 2014 is an example pair of
the package and stays unseen.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.windows import from_bounds

from rsccli.errors import InputError
from rsccli.types import U8, Bool

GSD_M = 5.0
TRAINING_DATES = ("20090818", "20100629")
F32 = npt.NDArray[np.float32]
GREENING = 0.07


@dataclass(frozen=True)
class PrairieDate:
    """One date of the prairie quad on the common grid.

    Attributes:
        image: uint8 (H, W, 3), red, green, blue. valid: bool (H, W).
        water: bool (H, W), dark in the near infrared (Otsu's threshold), cleaned.
        greenness: smoothed excess green of the visible bands, float32 (H, W).
    """

    image: U8
    valid: Bool
    water: Bool
    greenness: F32


def read_prairie(folder: Path, dates: tuple[str, ...] = TRAINING_DATES) -> list[PrairieDate]:
    """The dates of the quad, cut to the ground that all of them cover.

    Raises:
        InputError: a date is not there.
    """
    paths = []
    for date in dates:
        found = sorted(folder.glob(f"*_{date}.tif"))
        if not found:
            raise InputError(f"{folder} has no prairie image of {date}; pass the folder that holds it with --data")
        paths.append(found[0])
    bounds = []
    for path in paths:
        with rasterio.open(path) as source:
            bounds.append(source.bounds)
    left, bottom = max(b.left for b in bounds), max(b.bottom for b in bounds)
    right, top = min(b.right for b in bounds), min(b.top for b in bounds)
    result = []
    for path in paths:
        with rasterio.open(path) as source:
            window = from_bounds(left, bottom, right, top, source.transform)
            height, width = round(window.height), round(window.width)
            bands = source.read((1, 2, 3, 4), window=window, out_shape=(4, height, width))
        result.append(_labelled(bands))
    return result


def _labelled(bands: U8) -> PrairieDate:
    red, green, blue = (bands[i].astype(np.float32) for i in range(3))
    # Uncalibrated counts differ between dates; water and land are two clear classes in the infrared of each.
    _, water = cv2.threshold(bands[3], 0, 1, cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU)
    opened = cv2.morphologyEx(water, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    valid: Bool = np.asarray(bands.any(axis=0))
    greenness = (2.0 * green - red - blue) / np.maximum(red + green + blue, 1.0)
    return PrairieDate(
        image=np.ascontiguousarray(np.moveaxis(bands[:3], 0, 2)),
        valid=valid,
        water=opened.astype(bool) & valid,
        greenness=cv2.GaussianBlur(greenness, (0, 0), 4.0).astype(np.float32),
    )


def labelled_change(pre: PrairieDate, post: PrairieDate) -> dict[str, Bool]:
    """Masks of real change between two dates by keyword: water and greenness, bool (H, W)."""
    either = cv2.dilate((pre.water | post.water).astype(np.uint8), np.ones((7, 7), np.uint8)).astype(bool)
    difference = post.greenness - pre.greenness
    # Fields differ by sensor and day as a whole; a field counts where it leaves that common difference.
    difference = difference - np.median(difference[pre.valid & post.valid])
    return {
        "water gain": _cleaned(post.water & ~pre.water),
        "water loss": _cleaned(pre.water & ~post.water),
        "greener vegetation": _cleaned((difference > GREENING) & ~either),
        "drier vegetation": _cleaned((difference < -GREENING) & ~either),
    }


def _cleaned(mask: Bool) -> Bool:
    opened: Bool = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8)) > 0
    return opened

"""Pictures as a dual encoder takes them: exactly what the checkpoint's own image processor makes, without torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rsccli.models.dual.manifest import RESAMPLINGS, PictureSpec

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]


def prepare_pictures(pictures: Sequence[U8], spec: PictureSpec) -> F32:
    """Resize, cut and normalise.

    Args:
        pictures: uint8 (H, W, 3) each, red, green, blue, of any size.

    Returns:
        float32 (N, 3, height, width).
    """
    made = np.empty((len(pictures), 3, spec.height, spec.width), np.float32)
    for row, picture in enumerate(pictures):
        # In double precision and then rounded, as the processors of transformers scale.
        scaled = (_resized(picture, spec).astype(np.float64) * spec.scale).astype(np.float32)
        mean, std = (np.asarray(values, np.float32) for values in (spec.mean, spec.std))
        made[row] = np.moveaxis((scaled - mean) / std, -1, 0)
    return made


def _resized(picture: U8, spec: PictureSpec) -> U8:
    """uint8 (height, width, 3)."""
    from PIL import Image

    # PIL's constants are the places in this list.
    resample = Image.Resampling(RESAMPLINGS.index(spec.resample))
    rows, cols = picture.shape[:2]
    if spec.resize == "exact":
        height, width = spec.height, spec.width
    else:
        # The longer side is cut off to whole pixels, not rounded: so do torchvision and transformers.
        short, long = min(rows, cols), max(rows, cols)
        longer = int(spec.side * long / short)
        height, width = (spec.side, longer) if rows <= cols else (longer, spec.side)
    if (height, width) != (rows, cols):
        image = Image.fromarray(np.ascontiguousarray(picture)).resize((width, height), resample)
        picture = np.asarray(image)
    if spec.resize == "exact":
        return picture
    top, left = (height - spec.height) // 2, (width - spec.width) // 2
    return picture[top : top + spec.height, left : left + spec.width]

"""Pre and post pixels of a tile as small pictures inside a page."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TypeAlias

import cv2
import numpy as np

from rsccli.types import U8

SIDE_PX = 256
_QUALITY = 88

Thumbnails: TypeAlias = Mapping[str, tuple[U8, U8]]


def data_uri(pixels: U8) -> str:
    """JPEG of at most 256 px as a ``data:`` address.

    Args:
        pixels: uint8 (3, H, W), red, green, blue.
    """
    height, width = pixels.shape[1:]
    picture = np.ascontiguousarray(pixels[::-1].transpose(1, 2, 0))  # OpenCV wants blue, green, red
    scale = SIDE_PX / max(height, width)
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    done, coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise ValueError(f"OpenCV cannot encode a picture of shape {pixels.shape}")
    return "data:image/jpeg;base64," + base64.b64encode(coded.tobytes()).decode("ascii")

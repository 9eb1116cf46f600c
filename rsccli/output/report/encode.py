"""Pixels as ``data:`` addresses of small pictures inside a page."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import cv2
import numpy as np

from rsccli.output.report.pictures import MaskKind, Overview
from rsccli.types import U8

TILE_SIDE_PX = 384
_TILE_QUALITY = 84
#: Bytes of one overview, before base64 makes a third more of them.
OVERVIEW_BYTES = 2_500_000
#: Of the mask's overview; of one date of one tile on the map.
MASK_BYTES = 800_000
DETAIL_BYTES = 30_000
_OVERVIEW_QUALITIES = (82, 70, 55, 40)


def tile_uri(pixels: U8) -> str:
    """JPEG of at most 384 px a side.

    Args:
        pixels: uint8 (3, H, W), red, green, blue.
    """
    return _uri("jpeg", _fitted(_bgr(pixels), cv2.INTER_AREA), [cv2.IMWRITE_JPEG_QUALITY, _TILE_QUALITY])


def mask_uri(post: U8, mask: U8, kinds: Sequence[MaskKind]) -> str:
    """The later date in pale grey with the changed pixels in the colours of their kinds, as JPEG.

    Args:
        post: uint8 (3, H, W). mask: uint8 (H, W), 0 unchanged, n the n-th kind.
    """
    grey = cv2.cvtColor(_fitted(_bgr(post), cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    mixed = np.repeat((grey * 0.55 + 100)[..., np.newaxis], 3, axis=2)
    for place, kind in enumerate(kinds, 1):
        share = 0.8 * _fitted((mask == place).astype(np.float32), cv2.INTER_AREA)[..., np.newaxis]
        mixed = mixed * (1 - share) + share * np.array(kind.rgb[::-1])
    return _uri("jpeg", np.rint(mixed).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, _TILE_QUALITY])


def overview_uri(overview: Overview, most_bytes: int = OVERVIEW_BYTES) -> str:
    """WebP with transparency of at most so many bytes: poorer first, then smaller, until it fits."""
    picture = _bgra(overview)
    while True:
        for quality in _OVERVIEW_QUALITIES:
            coded = _coded("webp", picture, [cv2.IMWRITE_WEBP_QUALITY, quality])
            if len(coded) <= most_bytes or max(picture.shape) <= 64:
                return _address("webp", coded)
        height, width = picture.shape[:2]
        picture = cv2.resize(picture, (max(1, width * 3 // 4), max(1, height * 3 // 4)), interpolation=cv2.INTER_AREA)


def detail_uri(detail: Overview) -> str:
    """A tile of the map as WebP with transparency."""
    return overview_uri(detail, DETAIL_BYTES)


def mask_overview_uri(overview: Overview, most_bytes: int = MASK_BYTES) -> str:
    """The overview of a mask as lossless WebP, for its colours mean something; smaller until it fits."""
    picture = _bgra(overview)
    while True:
        coded = _coded("webp", picture, [cv2.IMWRITE_WEBP_QUALITY, 101])
        if len(coded) <= most_bytes or max(picture.shape) <= 64:
            return _address("webp", coded)
        height, width = picture.shape[:2]
        # Colours must not mix: a pixel of the smaller one is one of the larger one's.
        size = (max(1, width * 3 // 4), max(1, height * 3 // 4))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_NEAREST)


def _bgra(overview: Overview) -> U8:
    return np.ascontiguousarray(overview.pixels[[2, 1, 0, 3]].transpose(1, 2, 0))


def _bgr(pixels: U8) -> U8:
    return np.ascontiguousarray(pixels[::-1].transpose(1, 2, 0))  # OpenCV wants blue, green, red


def _fitted(picture: U8, interpolation: int) -> U8:
    """Shrunk to the side of a tile's picture; never enlarged."""
    height, width = picture.shape[:2]
    scale = TILE_SIDE_PX / max(height, width)
    if scale >= 1:
        return picture
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    smaller: U8 = cv2.resize(picture, size, interpolation=interpolation)
    return smaller


def _uri(kind: str, picture: U8, options: list[int]) -> str:
    return _address(kind, _coded(kind, picture, options))


def _address(kind: str, coded: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(coded).decode('ascii')}"


def _coded(kind: str, picture: U8, options: list[int]) -> bytes:
    done, coded = cv2.imencode(f".{kind}", picture, options)
    if not done:
        raise ValueError(f"OpenCV cannot encode a picture of shape {picture.shape} as {kind}")
    return bytes(coded.tobytes())

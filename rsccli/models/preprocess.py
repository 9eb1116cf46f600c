"""Tile pairs to the arrays of an encoder, and its masks back to the tiles' own pixels.

The host rule: a tile whose longer side is above ``max_side`` is area-resampled so that it is ``max_side``;
then it is padded at bottom and right to the multiple. Where a pixel is not valid, both dates are 0 after
normalisation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from rsccli.models.manifest import InputSpec
from rsccli.types import U8, Bool, TilePair

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class EncoderBatch:
    """Arrays of one encoder call.

    Attributes:
        pre: float32 (N, 3, H, W), normalised, 0 where not valid. post: the same.
        valid: float32 (N, 1, H, W), 1 or 0; padding is 0.
        scaled: (height, width) of each tile after resampling, before padding.
    """

    pre: F32
    post: F32
    valid: F32
    scaled: tuple[tuple[int, int], ...]


def scaled_size(height: int, width: int, spec: InputSpec) -> tuple[int, int]:
    """Height and width after resampling: as they are, or with the longer side at ``max_side``."""
    longer = max(height, width)
    if longer <= spec.max_side:
        return height, width
    factor = spec.max_side / longer
    return max(1, round(height * factor)), max(1, round(width * factor))


def padded_size(height: int, width: int, spec: InputSpec) -> tuple[int, int]:
    """Height and width that the encoder sees for a tile of this size."""
    scaled = scaled_size(height, width, spec)
    rows, cols = (max(spec.min_side, -(-side // spec.multiple) * spec.multiple) for side in scaled)
    return rows, cols


def encoder_batches(pairs: Sequence[TilePair], spec: InputSpec, at_most: int) -> list[list[int]]:
    """Split a batch into encoder calls: tiles of one padded size, at most ``at_most`` each.

    A function of the batch alone. Tiles of another size would have to be padded further, which would let a
    tile's neighbours change its own result.

    Returns:
        Indices into ``pairs``; every index once.
    """
    groups: dict[tuple[int, int], list[int]] = {}
    for index, pair in enumerate(pairs):
        height, width = pair.valid.shape
        groups.setdefault(padded_size(height, width, spec), []).append(index)
    return [group[start : start + at_most] for group in groups.values() for start in range(0, len(group), at_most)]


def prepare(pairs: Sequence[TilePair], spec: InputSpec) -> EncoderBatch:
    """Make the arrays for tiles that share one padded size.

    Args:
        pairs: at least one.
        spec: from the manifest.
    """
    first_height, first_width = pairs[0].valid.shape
    rows, cols = padded_size(first_height, first_width, spec)
    pre = np.zeros((len(pairs), 3, rows, cols), np.float32)
    post = np.zeros_like(pre)
    valid = np.zeros((len(pairs), 1, rows, cols), np.float32)
    # (x / 255 - mean) / std as one multiplication and one addition.
    gain = (1.0 / (255.0 * np.asarray(spec.std))).astype(np.float32)[:, None, None]
    offset = (-np.asarray(spec.mean) / np.asarray(spec.std)).astype(np.float32)[:, None, None]
    scaled = []
    for row, pair in enumerate(pairs):
        tile_height, tile_width = pair.valid.shape
        height, width = scaled_size(tile_height, tile_width, spec)
        scaled.append((height, width))
        mask = _area_mask(pair.valid, height, width)
        valid[row, 0, :height, :width] = mask
        for target, pixels in ((pre, pair.pre), (post, pair.post)):
            values = _area_pixels(pixels, pair.valid, height, width)
            target[row, :, :height, :width] = (values * gain + offset) * mask
    return EncoderBatch(pre, post, valid, tuple(scaled))


def restore_mask(logits: F32, batch: EncoderBatch, row: int, valid: Bool, threshold: float) -> Bool:
    """Bring mask logits of one tile back to the tile's own pixels.

    Args:
        logits: (H/4, W/4) of the padded input, or any other fraction of it.
        batch: the encoder call. row: which of its tiles.
        valid: bool (height, width) of the tile.
        threshold: on sigmoid(logit), 0-1.

    Returns:
        Bool (height, width): changed pixels, only where both dates are valid.
    """
    rows, cols = batch.valid.shape[2:]
    height, width = batch.scaled[row]
    # Interpolated as logits: the edge then lies where the probability crosses the threshold.
    full = cv2.resize(logits, (cols, rows), interpolation=cv2.INTER_LINEAR)[:height, :width]
    if (height, width) != valid.shape:
        full = cv2.resize(full, (valid.shape[1], valid.shape[0]), interpolation=cv2.INTER_LINEAR)
    with np.errstate(divide="ignore"):
        at = np.log(np.float64(threshold)) - np.log1p(-np.float64(threshold))
    changed: Bool = (full >= at) & valid
    return changed


def _area_mask(valid: Bool, height: int, width: int) -> npt.NDArray[np.float32]:
    if valid.shape == (height, width):
        return valid.astype(np.float32)
    share = cv2.resize(valid.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    return (np.asarray(share) >= 0.5).astype(np.float32)


def _area_pixels(pixels: U8, valid: Bool, height: int, width: int) -> F32:
    """Mean of the valid pixels under each target pixel, float32 (3, height, width), 0-255."""
    if valid.shape == (height, width):
        return pixels.astype(np.float32)
    rows = np.ascontiguousarray(np.moveaxis(pixels, 0, -1)).astype(np.float32)
    if valid.all():
        small = cv2.resize(rows, (width, height), interpolation=cv2.INTER_AREA)
    else:
        # Nodata is 0 in the array: dividing by the valid share keeps it from darkening the edge.
        share = cv2.resize(valid.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
        small = cv2.resize(rows * valid[..., None], (width, height), interpolation=cv2.INTER_AREA)
        small = small / np.maximum(share, 1e-6)[..., None]
    return np.ascontiguousarray(np.moveaxis(small, -1, 0), dtype=np.float32)

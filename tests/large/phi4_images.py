"""What Phi-4-multimodal's image processor makes of pictures, without the torchvision that it needs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

# Of the class itself: a published ``preprocessor_config.json`` may name none of them.
DEFAULTS = {
    "size": {"height": 448, "width": 448},
    "patch_size": 14,
    "dynamic_hd": 36,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "rescale_factor": 1 / 255,
}


class _Fit(NamedTuple):
    columns: int
    rows: int
    width: int
    height: int


def reference_inputs(images: Sequence[Image.Image], config: Mapping[str, object] | None = None) -> dict[str, object]:
    """The model's ``image_pixel_values``, ``image_sizes``, ``image_attention_mask``, and tokens for every picture.

    ``config`` is what ``preprocessor_config.json`` holds. Every picture becomes a whole view and a grid of crops, right
    and bottom padded with white; pictures of fewer crops are padded with crops of zeros, whose masks are ones.
    """
    settings = {**DEFAULTS, **{k: v for k, v in (config or {}).items() if k in DEFAULTS}}
    side, patch = settings["size"]["height"], settings["patch_size"]
    grid = side // patch
    pixels, masks, sizes, tokens = [], [], [], []
    for image in images:
        fit = _fitted(*image.size, side, settings["dynamic_hd"])
        padded = _padded(image, fit, side)
        mask = _mask(fit, side, patch)
        scale = 1 / settings["rescale_factor"]
        mean, std = (torch.tensor(settings[k])[:, None, None] * scale for k in ("image_mean", "image_std"))
        values = padded.float().sub(mean).div(std)
        whole = functional.interpolate(values[None], size=(side, side), mode="bicubic", align_corners=False)
        pixels.append(torch.cat([whole, _cut(values, side)]))
        masks.append(torch.cat([torch.ones(1, grid, grid), _cut(mask[None], grid)[:, 0]]))
        sizes.append([side * fit.rows, side * fit.columns])
        tokens.append(_tokens(masks[-1][1:], fit, grid))
    most = max(len(p) for p in pixels)
    return {
        "image_pixel_values": torch.stack([_more(p, most, 0.0) for p in pixels]),
        "image_sizes": torch.tensor(sizes, dtype=torch.long),
        "image_attention_mask": torch.stack([_more(m, most, 1.0) for m in masks]),
        "num_img_tokens": tokens,
    }


def _fitted(width: int, height: int, side: int, most: int) -> _Fit:
    """Crops across and down, and the picture's size within them."""
    columns, rows = math.ceil(width / side), math.ceil(height / side)
    if columns * rows > most:
        columns, rows = _closest(width, height, side, most)
    across, down = side * columns / width, side * rows / height
    if across < down:
        fit = _Fit(columns, rows, side * columns, int(height * across))
    else:
        fit = _Fit(columns, rows, int(width * down), side * rows)
    if min(fit.width, fit.height) < 10:
        raise ValueError(f"the aspect ratio is very extreme {fit.width, fit.height}")
    return fit


def _closest(width: int, height: int, side: int, most: int) -> tuple[int, int]:
    """The grid of at most ``most`` crops that has the picture's aspect; of equals, a larger one for a large picture."""
    grids = {(i, j) for n in range(1, most + 1) for i in range(1, n + 1) for j in range(1, n + 1) if i * j <= most}
    best, difference = (1, 1), math.inf
    # The original sorts a set by area alone: a set of small tuples has one order in every run.
    for grid in sorted(grids, key=lambda g: g[0] * g[1]):
        off = abs(width / height - grid[0] / grid[1])
        if off < difference:
            best, difference = grid, off
        elif off == difference and width * height > 0.5 * side * side * grid[0] * grid[1]:
            best = grid
    return best


def _padded(image: Image.Image, fit: _Fit, side: int) -> torch.Tensor:
    """Bytes, channels first."""
    bands = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)
    if (fit.height, fit.width) != tuple(bands.shape[1:]):
        size = (fit.height, fit.width)
        # On bytes, as torchvision does wherever a processor has AVX2 or NEON. Pillow's differ by at most one level.
        bands = functional.interpolate(bands[None], size=size, mode="bilinear", align_corners=False, antialias=True)[0]
    right, below = side * fit.columns - fit.width, side * fit.rows - fit.height
    return functional.pad(bands, (0, right, 0, below), value=255)


def _mask(fit: _Fit, side: int, patch: int) -> torch.Tensor:
    """One value a patch: 0 where it is padding alone."""
    grid = side // patch
    mask = torch.ones(grid * fit.rows, grid * fit.columns)
    right, below = (side * fit.columns - fit.width) // patch, (side * fit.rows - fit.height) // patch
    if right:
        mask[:, -right:] = 0
    if below:
        mask[-below:] = 0
    return mask


def _cut(image: torch.Tensor, side: int) -> torch.Tensor:
    """Crops of ``side``, row after row."""
    channels, height, width = image.shape
    parts = image.reshape(channels, height // side, side, width // side, side)
    return parts.permute(1, 3, 0, 2, 4).reshape(-1, channels, side, side)


def _tokens(masks: torch.Tensor, fit: _Fit, grid: int) -> int:
    """A line's end after every line of the crops together and of the whole view, and one token between the two."""
    half = math.ceil(grid / 2)
    halved = masks[:, ::2, ::2].reshape(fit.rows, fit.columns, half, half).transpose(1, 2)
    halved = halved.reshape(fit.rows * half, fit.columns * half)
    return half * half + 1 + int(halved.sum()) + int(halved[:, 0].sum()) + half


def _more(crops: torch.Tensor, most: int, value: float) -> torch.Tensor:
    return torch.cat([crops, torch.full((most - len(crops), *crops.shape[1:]), value)])

"""Pictures as Phi-4-multimodal's image processor makes them, with numpy alone.

The class of transformers cannot do without torchvision. Bytes are resized here as torchvision does it on processors
with AVX2 or NEON: with weights of 16 bits, across and then down, rounded after each.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rsccli.errors import BundleError, ModelError
from rsccli.models.large.family import F32, I64, U8

#: Shortest side that a picture may have after it was fitted into its crops.
LEAST = 10


@dataclass(frozen=True)
class Settings:
    """What of ``preprocessor_config.json`` concerns pictures; a published one may name nothing of it.

    Attributes:
        side: of a crop. patch: side of a patch. crops: most of them.
        mean, std: of values of 0 to 1, by channel. rescale: from bytes to these.
    """

    side: int = 448
    patch: int = 14
    crops: int = 36
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    rescale: float = 1 / 255

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Settings:
        """From what `as_dict` gave.

        Raises:
            BundleError: a value is missing or none at all.
        """
        try:
            side, patch, most = (int(values[name]) for name in ("side", "patch", "crops"))
            mean, std = (tuple(float(each) for each in values[name]) for name in ("mean", "std"))
            return cls(side, patch, most, mean, std, float(values["rescale"]))
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(f"the bundle's manifest lacks settings of pictures ({error}): export it again") from error

    @property
    def grid(self) -> int:
        """Patches along a side of a crop."""
        return self.side // self.patch


def read_settings(folder: Path) -> Settings:
    """Settings of a checkpoint.

    Raises:
        ModelError: the file is damaged.
    """
    path = folder / "preprocessor_config.json"
    if not path.is_file():
        return Settings()
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        usual = Settings()
        size = told.get("size") or {}
        return Settings(
            side=int(size.get("height", usual.side)),
            patch=int(told.get("patch_size", usual.patch)),
            crops=int(told.get("dynamic_hd", usual.crops)),
            mean=tuple(told.get("image_mean") or usual.mean),
            std=tuple(told.get("image_std") or usual.std),
            rescale=float(told.get("rescale_factor", usual.rescale)),
        )
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read ({error}): copy the checkpoint again") from error


@dataclass(frozen=True)
class Fit:
    """How a picture fills its crops.

    Attributes:
        columns, rows: of crops. width, height: of the picture in them, the rest is padding right and below.
    """

    columns: int
    rows: int
    width: int
    height: int


def fit(width: int, height: int, settings: Settings) -> Fit:
    """Crops of a picture: as many as cover it, and where those are too many the grid of the nearest aspect.

    Raises:
        ModelError: the picture is too narrow.
    """
    side = settings.side
    columns, rows = math.ceil(width / side), math.ceil(height / side)
    if columns * rows > settings.crops:
        columns, rows = _closest(width, height, settings)
    across, down = side * columns / width, side * rows / height
    if across < down:
        found = Fit(columns, rows, side * columns, int(height * across))
    else:
        found = Fit(columns, rows, int(width * down), side * rows)
    if min(found.width, found.height) < LEAST:
        raise ModelError(f"a picture of {width} x {height} pixels is too narrow for this model: use square tiles")
    return found


def _closest(width: int, height: int, settings: Settings) -> tuple[int, int]:
    most = settings.crops
    grids = {(i, j) for n in range(1, most + 1) for i in range(1, n + 1) for j in range(1, n + 1) if i * j <= most}
    best, least = (1, 1), math.inf
    for columns, rows in sorted(grids, key=lambda grid: grid[0] * grid[1]):
        off = abs(width / height - columns / rows)
        large = width * height > 0.5 * settings.side**2 * columns * rows
        if off < least or (off == least and large):
            best, least = (columns, rows), off
    return best


def crops(image: U8, place: Fit, settings: Settings) -> F32:
    """The whole picture and its crops row after row, (1 + crops, 3, side, side), of a picture (H, W, 3)."""
    side = settings.side
    padded = np.full((place.rows * side, place.columns * side, 3), 255, np.uint8)
    padded[: place.height, : place.width] = resize_bytes(image, place.width, place.height)
    scale = 1 / settings.rescale
    mean, std = (np.array(each, np.float32) * np.float32(scale) for each in (settings.mean, settings.std))
    values = ((padded.astype(np.float32) - mean) / std).transpose(2, 0, 1)
    parts = values.reshape(3, place.rows, side, place.columns, side).transpose(1, 3, 0, 2, 4)
    return np.concatenate([resize_cubic(values, side)[None], parts.reshape(-1, 3, side, side)])


def visible(place: Fit, settings: Settings) -> I64:
    """1 for every patch that is more than padding, (1 + crops, grid, grid)."""
    grid, side = settings.grid, settings.side
    mask = np.ones((place.rows * grid, place.columns * grid), np.int64)
    mask[mask.shape[0] - (place.rows * side - place.height) // settings.patch :] = 0
    mask[:, mask.shape[1] - (place.columns * side - place.width) // settings.patch :] = 0
    parts = mask.reshape(place.rows, grid, place.columns, grid).transpose(0, 2, 1, 3)
    return np.concatenate([np.ones((1, grid, grid), np.int64), parts.reshape(-1, grid, grid)])


def positions(seen: I64) -> I64:
    """Number of the position embedding of each patch, (crops, grid ** 2): those of a part are spread over all."""
    grid = seen.shape[1]
    bounds = np.arange(1 / grid, 1.0, 1 / grid).astype(np.float32)
    found = np.zeros_like(seen)
    for own, mask in zip(found, seen, strict=True):
        rows, cols = (_spread(int(count), bounds) for count in (mask[:, 0].sum(), mask[0].sum()))
        own[: len(rows), : len(cols)] = rows[:, None] * grid + cols
    return found.reshape(len(seen), -1)


def _spread(count: int, bounds: F32) -> I64:
    if not count:
        return np.zeros(0, np.int64)
    # In the precision in which torch counts, since values lie on the bounds.
    step = float(np.float32(1) / np.float32(count))
    at = (np.arange(math.ceil((1 - 1e-6) / step)) * step).astype(np.float32)
    return np.searchsorted(bounds, at, side="right").astype(np.int64)


def gathered(seen: I64, place: Fit) -> I64:
    """Where each image token stands among the pooled features of all crops, (T).

    Behind the features, (1 + crops) * half ** 2, stand the end of a line and what parts the crops from the whole view.
    """
    half = -(-seen.shape[1] // 2)
    numbers = np.arange(seen.shape[0] * half * half).reshape(-1, half, half)
    line, between = numbers.size, numbers.size + 1
    pooled, whole = (_joined(each[1:], place) for each in (seen[:, ::2, ::2], numbers))
    near = whole[: int(pooled[:, 0].sum()), : int(pooled[0].sum())]
    ended = [np.pad(each, ((0, 0), (0, 1)), constant_values=line).ravel() for each in (near, numbers[0])]
    return np.concatenate([ended[0], [between], ended[1]]).astype(np.int64)


def _joined(parts: I64, place: Fit) -> I64:
    """Crops (rows * columns, H, W) to one plane."""
    height, width = parts.shape[1:]
    grid = parts.reshape(place.rows, place.columns, height, width).transpose(0, 2, 1, 3)
    return grid.reshape(place.rows * height, place.columns * width)


def resize_bytes(image: U8, width: int, height: int) -> U8:
    """Bilinear with antialiasing, (H, W, 3) to (height, width, 3)."""
    across = _taps(image, width, 1)
    return _taps(across, height, 0)


def _taps(image: U8, size: int, axis: int) -> U8:
    """Resize along one axis."""
    length = image.shape[axis]
    if length == size:
        return image
    scale = length / size
    reach = max(scale, 1.0)
    centre = scale * (np.arange(size) + 0.5)
    first = np.maximum((centre - reach + 0.5).astype(np.int64), 0)
    count = np.minimum((centre + reach + 0.5).astype(np.int64), length) - first
    taps = np.arange(int(count.max()))
    weights = np.maximum(1 - np.abs((taps + first[:, None] - centre[:, None] + 0.5) / reach), 0)
    weights = np.where(taps < count[:, None], weights, 0)
    weights /= weights.sum(axis=1, keepdims=True)
    bits = 0
    while bits < 22 and int(0.5 + weights.max() * (1 << (bits + 1))) < 1 << 15:
        bits += 1
    whole = (0.5 + weights * (1 << bits)).astype(np.int32)
    shape = [1] * image.ndim
    shape[axis] = size
    total = np.full((*image.shape[:axis], size, *image.shape[axis + 1 :]), 1 << (bits - 1), np.int32)
    for tap in taps:
        at = np.minimum(first + tap, length - 1)
        total += image.take(at, axis=axis).astype(np.int32) * whole[:, tap].reshape(shape)
    resized: U8 = np.clip(total >> bits, 0, 255).astype(np.uint8)
    return resized


def resize_cubic(image: F32, side: int) -> F32:
    """Bicubic without antialiasing, (3, H, W) to (3, side, side)."""
    if image.shape[1:] == (side, side):
        return image
    down, across = (_cubic(length, side) for length in image.shape[1:])
    return np.ascontiguousarray(down @ image @ across.T)


def _cubic(length: int, size: int) -> F32:
    """Weights (size, length) of a bicubic resize; beyond the edge is the edge."""
    at = np.float32(length / size) * (np.arange(size, dtype=np.float32) + np.float32(0.5)) - np.float32(0.5)
    first = np.floor(at)
    part = at - first
    weights = np.zeros((size, length), np.float32)
    for tap in range(-1, 3):
        away = np.abs(part - np.float32(tap))
        near = (1.25 * away - 2.25) * away * away + 1
        far = ((-0.75 * away + 3.75) * away - 6) * away + 3
        where = np.clip(first.astype(np.int64) + tap, 0, length - 1)
        np.add.at(weights, (np.arange(size), where), np.where(away <= 1, near, far).astype(np.float32))
    return weights

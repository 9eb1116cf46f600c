"""A pair of generated rasters with squares of known colour: what came and went can be worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from asked_captioners import GROUND
from rasterio.transform import from_origin

Square = tuple[int, int, int, int, tuple[int, int, int]]  # column, row, width, height, colour


@dataclass(frozen=True)
class ColourPair:
    """Paths of both dates."""

    pre: Path
    post: Path


def write_colours(
    path: Path, squares: Sequence[Square], size: tuple[int, int], nodata: Sequence[tuple[int, int, int, int]] = ()
) -> Path:
    """A flat scene of 1 m pixels with coloured squares; ``nodata`` rectangles are 0, which is no data."""
    width, height = size
    image = np.empty((3, height, width), np.uint8)
    image[:] = np.array(GROUND, np.uint8)[:, None, None]
    # A little texture at both dates alike, so that nothing takes the scene for empty.
    image += np.random.default_rng(5).integers(0, 3, (1, height, width), np.uint8)
    for col, row, across, down, colour in squares:
        image[:, row : row + down, col : col + across] = np.array(colour, np.uint8)[:, None, None]
    for col, row, across, down in nodata:
        image[:, row : row + down, col : col + across] = 0
    profile = {"driver": "GTiff", "width": width, "height": height, "count": 3, "dtype": "uint8", "crs": "EPSG:32633"}
    with rasterio.open(
        path, "w", **profile, transform=from_origin(500_000, 5_200_000, 1, 1), nodata=0, photometric="rgb"
    ) as out:
        out.write(image)
    return path


def colour_pair(
    folder: Path,
    pre: Sequence[Square] = (),
    post: Sequence[Square] = (),
    size: tuple[int, int] = (256, 192),
    nodata: Sequence[tuple[int, int, int, int]] = (),
) -> ColourPair:
    """Both dates of a generated scene."""
    first, second = folder / "pre_2020-01-01.tif", folder / "post_2021-01-01.tif"
    return ColourPair(write_colours(first, pre, size, nodata), write_colours(second, post, size, nodata))

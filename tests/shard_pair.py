"""Two generated images with three superblocks side by side, small enough to be captioned many times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin

WIDTH, HEIGHT = 4352, 1024
#: With tiles of 256.
TILES = 68


def write_pair(folder: Path) -> tuple[Path, Path]:
    """Grey images with noise; in the second a square is brighter, and part of another."""
    paths = folder / "pre_2020-01-01.tif", folder / "post_2021-01-01.tif"
    for path, level in zip(paths, (0, 70), strict=True):
        image = np.random.default_rng(5).integers(60, 120, (HEIGHT, WIDTH)).astype(np.uint8)
        image[200:500, 200:600] += np.uint8(level)
        image[600:700, 3000:3100] += np.uint8(level)
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            width=WIDTH,
            height=HEIGHT,
            count=1,
            dtype="uint8",
            crs="EPSG:32633",
            transform=from_origin(400000, 5200000, 0.5, 0.5),
            tiled=True,
            compress="zstd",
        ) as ds:
            ds.write(image, 1)
    return paths

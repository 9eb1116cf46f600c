"""A little data folder in the layout that training reads: NAIP-like chips with trees, and a prairie quad."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.transform import from_origin

CHIP_PX = 256
PRAIRIE_PX = 300


def _ground(rng: np.random.Generator, side: int) -> npt.NDArray[np.float32]:
    """Fields of soil, grass and asphalt with soft texture, float32 (side, side, 3)."""
    colours = np.array([[150, 125, 95], [80, 115, 60], [90, 90, 92]], np.float32)
    kinds = rng.integers(0, 3, (4, 4))
    kinds.flat[:3] = (0, 1, 2)
    fields = cv2.resize(colours[kinds], (side, side), interpolation=cv2.INTER_NEAREST)
    return (fields + rng.normal(0, 4, (side, side, 1))).astype(np.float32)


def make_training_data(folder: Path, places: tuple[int, ...] = (1, 2, 5, 10)) -> Path:
    """Write ``naip/`` (city ``demo``, two dates a place) and ``prairie/`` (2009, 2010) into a folder."""
    naip, prairie = folder / "naip", folder / "prairie"
    naip.mkdir(parents=True)
    prairie.mkdir()
    lines = ["chip,x,y"]
    for number in places:
        rng = np.random.default_rng(number)
        ground = _ground(rng, CHIP_PX)
        trees = rng.integers(30, CHIP_PX - 30, (6, 2))
        for x, y in trees.tolist():
            cv2.circle(ground, (x, y), 7, (40, 62, 36), -1)
        for year in (2016, 2018):
            dated = np.clip(ground * rng.uniform(0.9, 1.1) + rng.normal(0, 2, ground.shape), 1, 255)
            _write(naip / f"demo_{year}_{number}.tif", dated, 500_000 + 1000 * number, 0.6, "EPSG:26911")
            lines += [f"demo_{year}_{number},{x},{y}" for x, y in trees.tolist()]
    (naip / "trees.csv").write_text("\n".join(lines) + "\n")
    rng = np.random.default_rng(0)
    ground = _ground(rng, PRAIRIE_PX)
    for name, radius in (("20090818", 40), ("20100629", 55)):
        image, infrared = ground.copy(), np.full((PRAIRIE_PX, PRAIRIE_PX), 170, np.float32)
        for centre in ((90, 90), (210, 190)):
            cv2.circle(image, centre, radius, (50, 60, 64), -1)
            cv2.circle(infrared, centre, radius, 25, -1)
        bands = np.dstack([image, infrared + rng.normal(0, 5, infrared.shape)])
        _write(prairie / f"demo_{name}.tif", np.clip(bands, 1, 255), 400_000, 5.0, "EPSG:26914")
    return folder


def _write(path: Path, image: npt.NDArray[np.floating], left: float, gsd_m: float, crs: str) -> None:
    bands = np.moveaxis(image.astype(np.uint8), 2, 0)
    count, height, width = bands.shape
    transform = from_origin(left, 5_000_000, gsd_m, gsd_m)
    profile = {"driver": "GTiff", "dtype": "uint8", "count": count, "height": height, "width": width}
    with rasterio.open(path, "w", crs=crs, transform=transform, **profile) as target:
        target.write(bands)

"""The synthetic pair that the raster benchmarks read; made once, kept in the cache folder.

Pre: 20000 x 20000 RGB, DEFLATE, tiles of 512, EPSG:32637, 0.3 m. Post: the same ground in EPSG:4326 at about 0.5 m,
shifted by a few hundred metres, a little darker. The texture is real NAIP imagery (chips of ../shared/data/naip,
flipped, turned, brightened at random) or, where that is absent, smoothed noise; the place is made up. Synthetic.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import rasterio
from affine import Affine
from common import CACHE, SHARED, note
from rasterio.warp import Resampling, reproject, transform_bounds
from rasterio.windows import Window

SIDE = 20_000
PRE_CRS, POST_CRS = "EPSG:32637", "EPSG:4326"
PRE_TRANSFORM = Affine(0.3, 0, 412_000.0, 0, -0.3, 6_180_000.0)
POST_RES_DEG = (0.5 / (111_320 * np.cos(np.radians(55.74))), 0.5 / 111_320)
CHIP = 256


@dataclass(frozen=True)
class Pair:
    """Two files of one layout."""

    pre: Path
    post: Path


def chips() -> np.ndarray:
    """Texture: (N, 256, 256, 3) uint8."""
    files = sorted((SHARED / "naip").glob("*.tif"))[::6][:160]
    if files:
        found = [rasterio.open(path).read([1, 2, 3]).transpose(1, 2, 0) for path in files]
        return np.stack([chip for chip in found if chip.shape == (CHIP, CHIP, 3)])
    rng = np.random.default_rng(1)
    noise = [cv2.GaussianBlur(rng.integers(0, 256, (CHIP, CHIP, 3)).astype(np.float32), (0, 0), 2) for _ in range(64)]
    return np.clip((np.stack(noise) - 128) * 5 + 128, 0, 255).astype(np.uint8)


def layout(striped: bool) -> dict[str, object]:
    """Creation options of one file layout."""
    shape = {"tiled": False, "blockysize": 1} if striped else {"tiled": True, "blockxsize": 512, "blockysize": 512}
    return {
        "driver": "GTiff",
        "count": 3,
        "dtype": "uint8",
        "compress": "DEFLATE",
        "photometric": "RGB",
        "BIGTIFF": "IF_SAFER",
        "NUM_THREADS": str(os.cpu_count()),
        **shape,
    }


def write_pre(path: Path) -> None:
    """Fill the pre image with chips, row of chips by row of chips."""
    texture, rng = chips(), np.random.default_rng(7)
    profile = layout(striped=False) | {"width": SIDE, "height": SIDE, "crs": PRE_CRS, "transform": PRE_TRANSFORM}
    band_rows = 2 * CHIP
    with rasterio.open(path, "w", **profile) as dst:
        for top in range(0, SIDE, band_rows):
            band = np.empty((band_rows, -(-SIDE // CHIP) * CHIP, 3), np.uint8)
            for row in range(0, band_rows, CHIP):
                for col in range(0, band.shape[1], CHIP):
                    chip = np.rot90(texture[rng.integers(len(texture))], rng.integers(4))
                    chip = chip[:, ::-1] if rng.random() < 0.5 else chip
                    band[row : row + CHIP, col : col + CHIP] = cv2.convertScaleAbs(
                        np.ascontiguousarray(chip), alpha=rng.uniform(0.85, 1.1), beta=rng.uniform(-8, 8)
                    )
            rows = min(band_rows, SIDE - top)
            dst.write(band[:rows, :SIDE].transpose(2, 0, 1), window=Window(0, top, SIDE, rows))


def write_post(pre: Path, path: Path) -> None:
    """Bring pre to degrees, over an extent shifted to the east and south."""
    with rasterio.open(pre) as src:
        west, south, east, north = transform_bounds(src.crs, POST_CRS, *src.bounds)
        west, north = west + 0.004, north - 0.003
        res_x, res_y = POST_RES_DEG
        width, height = int((east - west) / res_x), int((north - south) / res_y)
        transform = Affine(res_x, 0, west, 0, -res_y, north)
        image = np.zeros((3, height, width), np.uint8)
        for band in (1, 2, 3):
            reproject(
                rasterio.band(src, band),
                image[band - 1],
                dst_transform=transform,
                dst_crs=POST_CRS,
                resampling=Resampling.bilinear,
                num_threads=os.cpu_count() or 1,
                warp_mem_limit=512,
            )
    cv2.convertScaleAbs(image, dst=image, alpha=0.9, beta=3)
    profile = layout(striped=False) | {"width": width, "height": height, "crs": POST_CRS, "transform": transform}
    with rasterio.open(path, "w", **profile) as dst:
        dst.write(image)


def write_striped(tiled: Path, path: Path) -> None:
    """The same pixels in strips of one row, which is what many tools write."""
    with rasterio.open(tiled) as src:
        profile = layout(striped=True) | {
            "width": src.width,
            "height": src.height,
            "crs": src.crs,
            "transform": src.transform,
        }
        with rasterio.open(path, "w", **profile) as dst:
            for top in range(0, src.height, 512):
                window = Window(0, top, src.width, min(512, src.height - top))
                dst.write(src.read(window=window), window=window)


def make(striped: bool = False) -> Pair:
    """The pair, made where it is not in the cache yet."""
    CACHE.mkdir(parents=True, exist_ok=True)
    tiled = Pair(CACHE / "pre_utm.tif", CACHE / "post_lonlat.tif")
    pair = Pair(CACHE / "pre_utm_striped.tif", CACHE / "post_lonlat_striped.tif") if striped else tiled
    steps = [
        (tiled.pre, lambda path: write_pre(path)),
        (tiled.post, lambda path: write_post(tiled.pre, path)),
        (CACHE / "pre_utm_striped.tif", lambda path: write_striped(tiled.pre, path)),
        (CACHE / "post_lonlat_striped.tif", lambda path: write_striped(tiled.post, path)),
    ]
    for path, write in steps if striped else steps[:2]:
        if not path.exists():
            note(f"making {path}")
            partial = path.with_suffix(".partial.tif")
            write(partial)
            partial.replace(path)
    return pair


if __name__ == "__main__":
    made = make(striped=True)
    note(f"{made.pre} {made.post}")

"""Cut the example pair from two dates of one NAIP quad.

Bands 1-3 of the four (red, green, blue, near-infrared) are copied as they are, pixel for pixel: no resampling,
no stretch. What is added is what a normal delivery has: RGB photometric interpretation and the acquisition date.

Usage: python examples/make_example.py ../shared/data/prairie
"""

from __future__ import annotations

import sys
from pathlib import Path

import rasterio

HERE = Path(__file__).resolve().parent
DATES = {"20120731": "2012-07-31", "20140720": "2014-07-20"}


def cut(source: Path, target: Path, date: str) -> None:
    """Copy red, green and blue of ``source`` to ``target`` and tag the date."""
    with rasterio.open(source) as src:
        profile = {
            "driver": "GTiff",
            "width": src.width,
            "height": src.height,
            "count": 3,
            "dtype": "uint8",
            "crs": "EPSG:26914",
            "transform": src.transform,
            "tiled": True,
            "blockxsize": 256,
            "blockysize": 256,
            "compress": "DEFLATE",
            "predictor": 2,
            "photometric": "RGB",
        }
        pixels = src.read([1, 2, 3])
    with rasterio.open(target, "w", **profile) as dst:
        dst.write(pixels)
        dst.update_tags(
            TIFFTAG_DATETIME=f"{date.replace('-', ':')} 00:00:00",
            TIFFTAG_IMAGEDESCRIPTION=f"NAIP, USDA FPAC, {date}, public domain",
        )


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for stamp, day in DATES.items():
        cut(folder / f"m_4709963_se_14_1_{stamp}.tif", HERE / f"prairie_{day}.tif", day)

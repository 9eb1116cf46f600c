"""A small folder in xBD's layout: its label schema word for word, its imagery from elsewhere. All of it is synthetic.

No xBD data is in this project. Images are mosaics of real NAIP chips where those are at hand, else noise.
"""

from __future__ import annotations

import json
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from affine import Affine
from PIL import Image
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning

#: Real imagery of 256 px, or nothing where it is absent: the tests need no picture in particular.
NAIP = Path(__file__).resolve().parents[2] / "shared" / "data" / "naip"
CHIPS = sorted(NAIP.glob("long_beach_2016_*.tif"))[:24]
#: Where a made image lies when it is georeferenced: degrees, some 0.45 m a pixel, as xBD's GeoTIFFs are.
PLACE = Affine(4.2e-6, 0.0, -85.66, 0.0, -4.2e-6, 30.16)
CRS = "EPSG:4326"


@dataclass(frozen=True)
class Building:
    """One outline in pixels with its level of damage (None: the label does not say)."""

    shape: shapely.Geometry | str
    level: str | None = "no-damage"


def box(left: float, top: float, width: float = 20, height: float = 20, level: str | None = "no-damage") -> Building:
    return Building(shapely.box(left, top, left + width, top + height), level)


@dataclass
class Scene:
    """What an image pair is made of.

    Attributes:
        name: EVENT_NUMBER. disaster_type: xBD's word. size: width and height. form: png or tif.
        values: uint8 or another type of a GeoTIFF. metadata: over what a label says by itself.
    """

    name: str = "hurricane-michael_00000012"
    disaster_type: str | None = "wind"
    buildings: Sequence[Building] = ()
    size: tuple[int, int] = (1024, 1024)
    form: str = "png"
    dtype: str = "uint8"
    metadata: dict[str, Any] = field(default_factory=dict)


def pixels_of(size: tuple[int, int], seed: int) -> np.ndarray:
    """uint8 (3, H, W): a mosaic of real chips, or noise without any."""
    width, height = size
    rng = np.random.default_rng(seed)
    out = rng.integers(0, 255, (3, height, width), dtype=np.uint8)
    for index in range((width // 256) * (height // 256) if CHIPS else 0):
        row, col = divmod(index, width // 256)
        with rasterio.open(CHIPS[rng.integers(len(CHIPS))]) as chip:
            out[:, row * 256 : row * 256 + 256, col * 256 : col * 256 + 256] = chip.read([1, 2, 3])
    return out


def placed(x: np.ndarray) -> np.ndarray:
    """Pixels as degrees."""
    return np.stack(PLACE @ (x[:, 0], x[:, 1]), axis=1)


def label_of(scene: Scene, date: str) -> dict[str, Any]:
    """A label file as xBD writes them."""
    lists: dict[str, list[Any]] = {"lng_lat": [], "xy": []}
    for number, building in enumerate(scene.buildings):
        properties: dict[str, Any] = {"feature_type": "building", "uid": f"uid-{scene.name}-{number}"}
        if date == "post" and building.level is not None:
            properties["subtype"] = building.level
        shape = building.shape
        lists["xy"].append(
            {"properties": properties, "wkt": shape if isinstance(shape, str) else shapely.to_wkt(shape, 9)}
        )
        there = shape if isinstance(shape, str) else shapely.to_wkt(shapely.transform(shape, placed), 14)
        lists["lng_lat"].append({"properties": properties, "wkt": there})
    day = "2018-10-05" if date == "pre" else "2018-10-13"
    return {
        "features": lists,
        "metadata": {
            "sensor": "WORLDVIEW02",
            "provider_asset_type": "WORLDVIEW02",
            "gsd": 2.13,
            "capture_date": f"{day}T16:03:03.000Z",
            "off_nadir_angle": 26.5,
            "pan_resolution": 0.53,
            "sun_azimuth": 151.1,
            "sun_elevation": 48.2,
            "target_azimuth": 25.9,
            "disaster": scene.name.rsplit("_", 1)[0],
            "disaster_type": scene.disaster_type,
            "catalog_id": "0000000000000000",
            "original_width": scene.size[0],
            "original_height": scene.size[1],
            "width": scene.size[0],
            "height": scene.size[1],
            "id": "MjU0NjY1Mw.synthetic",
            "img_name": f"{scene.name}_{date}_disaster.png",
            **scene.metadata,
        },
    }


def write_scene(folder: Path, scene: Scene) -> None:
    """Both images and both labels of a scene, in ``images`` and ``labels`` of a folder."""
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    seed = zlib.crc32(scene.name.encode())
    for number, date in enumerate(("pre", "post")):
        stem = f"{scene.name}_{date}_disaster"
        pixels = pixels_of(scene.size, seed + number)
        if scene.form == "png":
            Image.fromarray(np.moveaxis(pixels, 0, 2)).save(folder / "images" / f"{stem}.png", compress_level=1)
        else:
            write_tif(folder / "images" / f"{stem}.tif", pixels, scene.dtype)
        (folder / "labels" / f"{stem}.json").write_text(json.dumps(label_of(scene, date)))


def write_tif(path: Path, pixels: np.ndarray, dtype: str = "uint8", *, placed: bool = True) -> None:
    values = pixels if dtype == "uint8" else pixels.astype(dtype) * 12 + 300
    with (
        warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning),
        rasterio.open(
            path,
            "w",
            driver="GTiff",
            width=pixels.shape[2],
            height=pixels.shape[1],
            count=3,
            dtype=dtype,
            crs=CRS if placed else None,
            transform=PLACE if placed else None,
            tiled=True,
            compress="deflate",
        ) as out,
    ):
        out.colorinterp = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
        out.write(values)

"""Wrong GeoTIFFs: bytes turned, tags with absurd values, cut and doubled parts of right ones of many layouts."""

from __future__ import annotations

import random
import struct
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.transform import from_origin

#: Layouts that take other ways through GDAL.
LAYOUTS: tuple[dict[str, Any], ...] = (
    {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"},
    {"compress": "lzw", "predictor": 2},
    {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "jpeg", "photometric": "YCBCR"},
    {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "zstd", "interleave": "band"},
    {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "webp"},
    {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "lerc"},
    {"compress": "packbits", "interleave": "pixel", "nodata": 0},
    {"bigtiff": "YES", "tiled": True, "blockxsize": 64, "blockysize": 64},
    {"dtype": "uint16", "compress": "deflate", "interleave": "pixel"},
    {"dtype": "float32", "tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate", "predictor": 3},
    {"count": 1, "compress": "ccittfax4", "nbits": 1},
    {"count": 4, "alpha": "yes", "compress": "deflate"},
)
OTHERS = ("JP2OpenJPEG", "PNG", "JPEG", "HFA")
_SUFFIXES = {"JP2OpenJPEG": ".jp2", "PNG": ".png", "JPEG": ".jpg", "HFA": ".img"}
_ODD = (0, 1, 2, 3, 7, 255, 256, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1)


@cache
def seeds() -> tuple[tuple[str, bytes], ...]:
    """Suffix and bytes of right rasters."""
    made: list[tuple[str, bytes]] = []
    with TemporaryDirectory() as folder:
        for number, layout in enumerate(LAYOUTS):
            options = {"count": 3, "dtype": "uint8", **layout}
            path = Path(folder) / f"{number}.tif"
            _write(path, "GTiff", options, overviews=number % 2 == 0, mask=number == 0)
            made.append((".tif", path.read_bytes()))
        for driver in OTHERS:
            path = Path(folder) / f"other{_SUFFIXES[driver]}"
            tif = Path(folder) / "1.tif"
            rasterio.shutil.copy(tif, path, driver=driver)
            made.append((path.suffix, path.read_bytes()))
    return tuple(made)


def _write(path: Path, driver: str, options: dict[str, Any], overviews: bool, mask: bool) -> None:
    rng = np.random.default_rng(len(str(options)))
    count, dtype = options["count"], options["dtype"]
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        place = from_origin(500000, 5000000, 0.5, 0.5)
        with rasterio.open(
            path, "w", driver=driver, width=200, height=150, crs="EPSG:32637", transform=place, **options
        ) as file:
            most = 2 if options.get("nbits") == 1 else 200
            file.write((rng.integers(0, most, (count, 150, 200))).astype(dtype))
            file.update_tags(TIFFTAG_DATETIME="2020:01:02 03:04:05", NOTE="x" * 40)
            if mask:
                file.write_mask(np.ones((150, 200), bool))
            if overviews:
                file.build_overviews([2, 4])


def mutated(number: int) -> tuple[str, bytes]:
    """Suffix and bytes of the wrong raster of a number; always the same."""
    rng = random.Random(number)
    suffix, seed = rng.choice(seeds()[: len(LAYOUTS)] if rng.random() < 0.75 else seeds())
    data = bytearray(seed)
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        if suffix == ".tif" and rng.random() < 0.6:
            _tag(data, rng)
        else:
            _bytes(data, rng)
    return suffix, bytes(data)


def _tag(data: bytearray, rng: random.Random) -> None:
    """An entry of a directory of a TIFF gets another tag, type, count or value."""
    entries = _entries(data)
    if not entries:
        _bytes(data, rng)
        return
    place, big = rng.choice(entries)
    size = 8 if big else 4
    value = rng.choice((*_ODD, rng.randrange(len(data) + 1), rng.getrandbits(32)))
    match rng.randint(0, 3):
        case 0:
            data[place : place + 2] = struct.pack("<H", value & 0xFFFF)
        case 1:
            data[place + 2 : place + 4] = struct.pack("<H", rng.randint(0, 19))
        case 2:
            data[place + 4 : place + 4 + size] = value.to_bytes(size, "little")
        case _:
            data[place + 4 + size : place + 4 + 2 * size] = value.to_bytes(size, "little")


def _entries(data: bytearray) -> list[tuple[int, bool]]:
    """Offsets of the entries of all directories, and whether they are those of a BigTIFF."""
    found: list[tuple[int, bool]] = []
    if data[:4] not in (b"II*\0", b"II+\0"):
        return found
    big = data[2:4] == b"+\0"
    try:
        place = struct.unpack_from("<Q" if big else "<I", data, 8 if big else 4)[0]
        for _ in range(8):
            if not place:
                break
            count = struct.unpack_from("<Q" if big else "<H", data, place)[0]
            first, each = place + (8 if big else 2), 20 if big else 12
            if count > 100:
                break
            found += [(first + each * number, big) for number in range(count)]
            place = struct.unpack_from("<Q" if big else "<I", data, first + each * count)[0]
    except (struct.error, OverflowError):
        pass
    return [entry for entry in found if entry[0] + 20 <= len(data)]


def _bytes(data: bytearray, rng: random.Random) -> None:
    # Heads matter more than pixels.
    place = rng.randrange(min(len(data), rng.choice((64, 600, 4000, len(data)))))
    match rng.randint(0, 5):
        case 0:
            data[place] ^= 1 << rng.randint(0, 7)
        case 1:
            data[place : place + 4] = struct.pack(rng.choice("<>") + "I", rng.choice(_ODD))
        case 2:
            del data[place:]
            data += b"\0" * 8
        case 3:
            data[place : place + rng.randint(1, 16)] = rng.randbytes(rng.randint(1, 16))
        case 4:
            data[place:place] = data[place : place + rng.randint(1, 64)]
        case _:
            data[place : place + 2] = struct.pack("<H", rng.choice(_ODD) & 0xFFFF)

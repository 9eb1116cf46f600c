"""Images of a data set: PNG and GeoTIFF, written whole or not at all, and read as 8-bit colours."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine
from rasterio.enums import ColorInterp
from rasterio.io import MemoryFile

from rsccli.errors import InputError, OutputError
from rsccli.geo.pair import prepare_pair
from rsccli.geo.raster import check_whole, open_dataset, raster_errors
from rsccli.geo.reader import GDAL_LOG
from rsccli.types import U8, Bool

PNG, TIF = ".png", (".tif", ".tiff")


@dataclass(frozen=True, eq=False)
class Raster:
    """Pixels with all that a GeoTIFF says of them.

    Attributes:
        values: (bands, H, W), of any type. crs: WKT, or None. transform: pixel corner to map, or None.
        nodata: value that means no data, or None. mask: bool (H, W), False where there is no data, or None.
        colours: what the bands are. palette: colours of an indexed band, or None.
    """

    values: npt.NDArray[Any]
    crs: str | None = None
    transform: Affine | None = None
    nodata: float | None = None
    mask: Bool | None = None
    colours: tuple[ColorInterp, ...] = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    palette: dict[int, tuple[int, ...]] | None = None


def png_bytes(image: U8) -> bytes:
    """An image as PNG.

    Args:
        image: uint8 (3, H, W), red, green, blue.
    """
    done, data = cv2.imencode(PNG, np.ascontiguousarray(np.moveaxis(image[::-1], 0, 2)))
    assert done
    return data.tobytes()


def tif_bytes(raster: Raster) -> bytes:
    """Pixels as a compressed GeoTIFF."""
    bands, height, width = raster.values.shape
    options: dict[str, Any] = {"compress": "deflate", "predictor": 3 if raster.values.dtype.kind == "f" else 2}
    if raster.palette is not None or raster.values.dtype.itemsize > 4:
        options["predictor"] = 1
    if raster.transform is not None:
        options |= {"transform": raster.transform, "crs": raster.crs}
    if raster.colours[:3] == (ColorInterp.red, ColorInterp.green, ColorInterp.blue):
        options["photometric"] = "RGB"
    # An internal mask, not a file beside.
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), MemoryFile() as memory, raster_errors("GeoTIFF", "make a"):
        with memory.open(
            driver="GTiff",
            width=width,
            height=height,
            count=bands,
            dtype=raster.values.dtype.name,
            nodata=raster.nodata,
            **options,
        ) as made:
            if raster.palette is not None:
                made.write_colormap(1, raster.palette)
            else:
                made.colorinterp = raster.colours
            made.write(raster.values)
            if raster.mask is not None:
                made.write_mask(raster.mask)
        return bytes(memory.read())


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputError(
            f"cannot write {path}: {error.strerror or error}; make room there and run the same command again: what is "
            "finished is kept"
        ) from error


def read_png(path: Path) -> U8:
    """A PNG or JPEG as uint8 (3, H, W), red, green, blue.

    Raises:
        InputError: it cannot be decoded whole, or is no 8-bit picture.
    """
    from PIL import Image

    # OpenCV hands out the first half of a cut file; Pillow refuses it.
    try:
        with Image.open(path) as image:
            if image.mode not in ("RGB", "RGBA", "L", "P", "LA", "1"):
                raise InputError(f"{path}: pixels of the kind {image.mode}: make it 8-bit red, green, blue")
            pixels = np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: cannot be read as an image: {_reason(error)}") from error
    return np.ascontiguousarray(np.moveaxis(pixels, 2, 0))


def _reason(error: BaseException) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return "it is no image, or its beginning is damaged" if "cannot identify" in text else text or "damaged"


def read_colours(path: Path, bands: tuple[int, ...] | None = None) -> U8:
    """An 8-bit image of any kind as uint8 (3, H, W).

    Args:
        bands: of a GeoTIFF, 1-based; None: those that are tagged red, green, blue, else the first three, else grey.

    Raises:
        InputError: it cannot be read, or is not 8-bit.
    """
    if path.suffix.lower() not in TIF:
        return read_png(path)
    with open_dataset(str(path)) as source, raster_errors(str(path), "read"):
        if source.dtypes[0] != "uint8":
            raise InputError(f"{path}: {source.dtypes[0]} values, not 8-bit")
        wanted = list(bands or colour_bands(source.colorinterp))
        check_whole(str(path), source, len(wanted))
        GDAL_LOG.take()
        values = source.read(wanted)
        palette = palette_of(source)
        lines = GDAL_LOG.take()
    if lines:
        raise InputError(f"{path}: cannot read: {'; '.join(lines)}")
    return expand(values, palette)


@dataclass(frozen=True, eq=False)
class PairPixels:
    """Both dates of a pair of a data set.

    Attributes:
        pre, post: uint8 (3, H, W). valid: bool (H, W): both dates have data there, as far as the files say.
    """

    pre: U8
    post: U8
    valid: Bool


def read_pair(pre: Path, post: Path) -> PairPixels:
    """Read a pair; values that are not 8-bit are brought to 8 bit as a run over the pair would.

    Raises:
        InputError: one cannot be read, or their sizes differ.
    """
    if all(_is_8bit(path) for path in (pre, post)):
        images = read_colours(pre), read_colours(post)
    else:
        pair = prepare_pair(pre, post)
        tables = pair.survey.radiometry
        images = stretched(pre, pair.pre.bands, tables.pre), stretched(post, pair.post.bands, tables.post)
    if images[0].shape != images[1].shape:
        raise InputError(f"{pre} and {post} differ in size: {images[0].shape[1:]} and {images[1].shape[1:]} pixels")
    valid = np.ones(images[0].shape[1:], bool)
    for path in (pre, post):
        if path.suffix.lower() in TIF:
            with open_dataset(str(path)) as source, raster_errors(str(path), "read"):
                valid &= source.dataset_mask() > 0
    return PairPixels(*images, valid)


def stretched(path: Path, bands: tuple[int, ...], table: Any) -> U8:  # noqa: ANN401 - a Lut
    """Bands of a raster through a lookup table, uint8 (3, H, W)."""
    with open_dataset(str(path)) as source, raster_errors(str(path), "read"):
        check_whole(str(path), source, len(bands))
        values = source.read(list(bands))
    return expand(table.apply(values), None)


def _is_8bit(path: Path) -> bool:
    if path.suffix.lower() not in TIF:
        return True
    with open_dataset(str(path)) as source:
        return bool(source.dtypes[0] == "uint8")


def colour_bands(colours: tuple[ColorInterp, ...]) -> tuple[int, ...]:
    """Numbers of the bands read as red, green, blue, or of one that is read as grey."""
    wanted = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    if all(colour in colours for colour in wanted):
        return tuple(colours.index(colour) + 1 for colour in wanted)
    return (1, 2, 3) if len(colours) >= 3 else (1,)


def palette_of(source: rasterio.DatasetReader) -> U8 | None:
    """Colours (256, 3) of an indexed band, or None."""
    if source.colorinterp[0] != ColorInterp.palette:
        return None
    table = np.zeros((256, 3), np.uint8)
    for value, colour in source.colormap(1).items():
        table[value] = colour[:3]
    return table


def expand(values: npt.NDArray[Any], palette: U8 | None) -> U8:
    """One or three bands as uint8 (3, H, W)."""
    if palette is not None:
        values = np.moveaxis(palette[values[0]], 2, 0)
    elif values.shape[0] == 1:
        values = np.repeat(values, 3, axis=0)
    return np.ascontiguousarray(values[:3], dtype=np.uint8)

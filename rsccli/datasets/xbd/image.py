"""One image of an xBD pair: its size, its place, and any window of it, as it is and in 8-bit colours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import rasterio
from affine import Affine
from rasterio.enums import MaskFlags
from rasterio.windows import Window

from rsccli.datasets.collection.images import TIF, Raster, colour_bands, expand, palette_of, read_png
from rsccli.errors import CrsError, InputError
from rsccli.geo.footprint import Footprint, footprints
from rsccli.geo.geometry import crs_text, parse_crs
from rsccli.geo.grid import grid_gsd_m
from rsccli.geo.lut import Lut
from rsccli.geo.raster import open_dataset, raster_errors
from rsccli.geo.reader import GDAL_LOG
from rsccli.types import U8, Grid, PxWindow


class SourceImage(Protocol):
    """What both kinds of image offer."""

    path: Path
    size_px: tuple[int, int]
    is_8bit: bool

    @property
    def grid(self) -> Grid | None:
        """Where it lies, where it says so."""
        ...

    def raster(self, window: PxWindow) -> Raster:
        """Pixels of a window as they are."""
        ...

    def colours(self, window: PxWindow, table: Lut | None = None, bands: tuple[int, ...] | None = None) -> U8:
        """The same in 8-bit red, green, blue."""
        ...


class PngImage:
    """A PNG, in memory."""

    is_8bit = True
    grid = None

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pixels = read_png(path)
        self.size_px = (self._pixels.shape[2], self._pixels.shape[1])

    def raster(self, window: PxWindow) -> Raster:
        """Pixels of a window."""
        return Raster(self.colours(window))

    def colours(self, window: PxWindow, table: Lut | None = None, bands: tuple[int, ...] | None = None) -> U8:
        """Pixels of a window."""
        col, row, width, height = window
        return self._pixels[:, row : row + height, col : col + width]


class TifImage:
    """A GeoTIFF; belongs to one thread."""

    def __init__(self, path: Path, source: rasterio.DatasetReader, bands: tuple[int, ...] | None) -> None:
        self.path = path
        self._source = source
        self.size_px = (source.width, source.height)
        self.is_8bit = source.dtypes[0] == "uint8"
        if bands and max(bands) > source.count:
            raise InputError(f"{path}: it has {source.count} bands: --bands {','.join(map(str, bands))} does not fit")
        self._bands = bands or colour_bands(source.colorinterp)

    @property
    def transform(self) -> Affine | None:
        """From pixel corners to its CRS, where it has both."""
        source = self._source
        return None if source.crs is None or source.transform.is_identity else source.transform

    @property
    def grid(self) -> Grid | None:
        """Where it lies; None where it does not say so, or is turned against north."""
        t = self.transform
        if t is None or t.b or t.d or t.a <= 0 or t.e >= 0:
            return None
        try:
            return Grid(crs_text(parse_crs(self._source.crs.to_wkt())), t, *self.size_px)
        except CrsError as error:
            raise InputError(f"{self.path}: {error}") from error.__cause__

    def raster(self, window: PxWindow) -> Raster:
        """Pixels of a window with their place."""
        source, transform = self._source, self.transform
        place = Window(*window)
        with _whole(self.path):
            values = source.read(window=place)
            flags = source.mask_flag_enums[0]
            masked = MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags
            mask = source.dataset_mask(window=place) > 0 if masked else None
        return Raster(
            values=values,
            crs=source.crs.to_wkt() if transform is not None else None,
            transform=None if transform is None else transform @ Affine.translation(window.col, window.row),
            nodata=source.nodata,
            mask=mask,
            colours=source.colorinterp,
            palette=source.colormap(1) if palette_of(source) is not None else None,
        )

    def colours(self, window: PxWindow, table: Lut | None = None, bands: tuple[int, ...] | None = None) -> U8:
        """Red, green and blue of a window."""
        with _whole(self.path):
            values = self._source.read(list(bands or self._bands), window=Window(*window))
        return expand(values if table is None else table.apply(values), palette_of(self._source))


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Damage that GDAL only logs is damage, too."""
    GDAL_LOG.take()
    with raster_errors(str(path), "read"):
        yield
    if lines := GDAL_LOG.take():
        raise InputError(f"{path}: cannot read: {'; '.join(lines)}")


@contextmanager
def open_image(path: Path, bands: tuple[int, ...] | None = None) -> Iterator[SourceImage]:
    """Open an image of either kind.

    Args:
        bands: of a GeoTIFF, read as red, green, blue; see `colour_bands`.

    Raises:
        InputError: it cannot be opened, or is damaged.
    """
    if path.suffix.lower() not in TIF:
        yield PngImage(path)
        return
    with open_dataset(str(path)) as source:
        with raster_errors(str(path), "read the header of"):
            image = TifImage(path, source, bands)
        yield image


def footprint_of(grid: Grid, window: PxWindow) -> Footprint:
    """Where a window lies.

    Raises:
        InputError: nowhere on the Earth.
    """
    try:
        return footprints(grid, [window])[0]
    except CrsError as error:
        raise InputError(str(error)) from error.__cause__


def gsd_of(image: SourceImage) -> float | None:
    """Metres per pixel, where the image says so."""
    return None if image.grid is None else round(grid_gsd_m(image.grid), 4)

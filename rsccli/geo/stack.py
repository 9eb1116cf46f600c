"""An aligned pair, or a series of dates, as a lazy ``xarray.Dataset``: nothing is read before it is asked for."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from rsccli.geo.engine import SourceAligner
from rsccli.geo.geometry import parse_crs
from rsccli.geo.grid import Mapping, grid_gsd_m
from rsccli.geo.pair import PairOptions, prepare_pair
from rsccli.geo.raster import gdal_options
from rsccli.types import Bool, Grid, MapBounds, PxWindow, Tile

_READ_PX = 512


def open_pair(pre: str | Path, post: str | Path, options: PairOptions | None = None) -> xr.Dataset:
    """Both dates on one grid, lazily.

    Args:
        pre, post: GeoTIFFs, or anything that GDAL reads; remote ones too. options: as for ``rsccli caption``.

    Returns:
        ``image`` uint8 (time, band, y, x), after the lookup tables, 0 where not valid; ``valid`` bool (time, y, x);
        coordinates ``time`` (0 and 1), ``datetime`` (text, may be empty), ``band``, ``y`` and ``x`` (pixel centres in
        units of the CRS) and ``spatial_ref`` (CF grid mapping with ``crs_wkt`` and ``GeoTransform``, as rioxarray reads
        it). Attributes: ``gsd_m``, ``shift_px`` and ``warnings``.

    Raises:
        InputError: as ``prepare_pair``.
    """
    pair = prepare_pair(pre, post, options)
    luts = (pair.survey.radiometry.pre, pair.survey.radiometry.post)
    shifts = ((0.0, 0.0), pair.shift_px)
    aligners = [
        SourceAligner(Mapping(pair.grid, info, shift), lut)
        for info, lut, shift in zip((pair.pre, pair.post), luts, shifts, strict=True)
    ]
    source = _Series(pair.grid, aligners, pair.cache_mb)
    t = pair.grid.transform
    reference = xr.Variable(
        (),
        0,
        {
            "crs_wkt": parse_crs(pair.grid.crs).to_wkt("WKT1_GDAL"),
            "GeoTransform": " ".join(f"{v:.17g}" for v in (t.c, t.a, t.b, t.f, t.d, t.e)),
        },
    )
    return xr.Dataset(
        {
            "image": (
                ("time", "band", "y", "x"),
                indexing.LazilyIndexedArray(_Lazy(source, image=True)),
                {"grid_mapping": "spatial_ref"},
            ),
            "valid": (
                ("time", "y", "x"),
                indexing.LazilyIndexedArray(_Lazy(source, image=False)),
                {"grid_mapping": "spatial_ref"},
            ),
        },
        coords={
            "time": [0, 1],
            "datetime": ("time", [pair.pre.datetime or "", pair.post.datetime or ""]),
            "band": ["red", "green", "blue"],
            "y": t.f + t.e * (np.arange(pair.grid.height) + 0.5),
            "x": t.c + t.a * (np.arange(pair.grid.width) + 0.5),
            "spatial_ref": reference,
        },
        attrs={
            "gsd_m": grid_gsd_m(pair.grid),
            "shift_px": pair.registration.shift_px if pair.registration.shift_px is not None else float("nan"),
            "warnings": "\n".join(pair.warnings),
        },
    )


class _Series:
    """Reads windows of any date; one reader at a time, since handles must not be shared between threads."""

    def __init__(self, grid: Grid, aligners: Sequence[SourceAligner], cache_mb: int) -> None:
        self.grid = grid
        self.dates = len(aligners)
        self._aligners = aligners
        self._cache_mb = cache_mb
        self._lock = threading.Lock()

    def read(self, date: int, rows: range, cols: range) -> tuple[npt.NDArray[np.uint8], Bool]:
        """Pixels (3, rows, cols) and their validity."""
        image = np.zeros((3, len(rows), len(cols)), np.uint8)
        valid = np.zeros((len(rows), len(cols)), bool)
        with self._lock, rasterio.Env(**gdal_options(self._cache_mb)):
            aligner = self._aligners[date]
            for top in range(rows.start, rows.stop, _READ_PX):
                for left in range(cols.start, cols.stop, _READ_PX):
                    tile = Tile("", 0, 0, PxWindow(left, top, _READ_PX, _READ_PX), MapBounds(0, 0, 0, 0))
                    nodes = aligner.nodes((tile,))
                    pixels, ok = aligner.cut(aligner.fetch(nodes), nodes[0], _READ_PX)
                    height, width = min(_READ_PX, rows.stop - top), min(_READ_PX, cols.stop - left)
                    place = np.s_[top - rows.start :, left - cols.start :]
                    valid[place][:height, :width] = ok[:height, :width]
                    if pixels is not None:
                        image[(slice(None), *place)][:, :height, :width] = (pixels * ok)[:, :height, :width]
        return image, valid


class _Lazy(BackendArray):
    """What xarray indexes before anything is read: the images (time, band, y, x) or their validity (time, y, x)."""

    def __init__(self, source: _Series, image: bool) -> None:
        grid = source.grid
        self.source = source
        self.image = image
        self.shape = (source.dates, *((3,) if image else ()), grid.height, grid.width)
        self.dtype = np.dtype("uint8" if image else "bool")

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:  # noqa: ANN401 - xarray's own indexer types
        return np.asarray(
            indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.BASIC, self._get)
        )

    def _get(self, key: tuple[int | slice, ...]) -> npt.NDArray[Any]:
        dates = np.arange(self.source.dates)[key[0]]
        rows, row_key = _span(key[-2], self.shape[-2])
        cols, col_key = _span(key[-1], self.shape[-1])
        inner = (key[1], row_key, col_key) if self.image else (row_key, col_key)
        reads = [self.source.read(int(date), rows, cols) for date in np.atleast_1d(dates)]
        found = [(image if self.image else valid)[inner] for image, valid in reads]
        return np.asarray(np.stack(found) if np.ndim(dates) else found[0])


def _span(key: int | slice, size: int) -> tuple[range, int | slice]:
    """The contiguous rows or columns that hold an index, and that index within them."""
    if isinstance(key, slice):
        wanted = range(*key.indices(size))
        if not wanted:
            return range(0, 0), slice(None)
        low, high = min(wanted), max(wanted)
        return range(low, high + 1), slice(None, None, wanted.step)
    index = int(key) % size
    return range(index, index + 1), 0

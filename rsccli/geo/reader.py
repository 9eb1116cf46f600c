"""Pixels of one raster, with our own validity mask, at full or decimated resolution.

One ``RasterReader`` belongs to one thread. GDAL releases the interpreter lock while it decodes.
"""

from __future__ import annotations

import logging
import math
import threading
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.windows import Window

from rsccli.errors import InputError, RasterReadError
from rsccli.geo.identity import local_path
from rsccli.geo.raster import RasterInfo, open_dataset, raster_errors
from rsccli.types import Bool, PxWindow

#: Values that OpenCV warps as they are; others become float32.
NATIVE = ("uint8", "uint16", "int16", "float32")
#: Source pixels that are decimated at once.
MAX_DECIMATED_PX = 16 * 2**20


@dataclass(frozen=True)
class SourceWindow:
    """A piece of a raster in memory.

    Attributes:
        values: (C, H, W), C = 1 or 3, uint8, uint16, int16 or float32; 0 where not valid.
        valid: bool (H, W), or None where every pixel is valid.
        col0: source column of the left edge. row0: source row of the top edge.
        step_x: source pixels per array column. step_y: per array row.
    """

    values: npt.NDArray[Any]
    valid: Bool | None
    col0: float
    row0: float
    step_x: float = 1.0
    step_y: float = 1.0

    @property
    def is_empty(self) -> bool:
        """No valid pixel at all."""
        return self.valid is not None and not self.valid.any()


class GdalLog(logging.Handler):
    """Collects what GDAL logs in this thread: damaged JPEG blocks raise nothing, they only log a line."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._lines = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line with the thread that made it."""
        if not hasattr(self._lines, "items"):
            self._lines.items = []
        if len(self._lines.items) < 20:
            self._lines.items.append(record.getMessage())

    def take(self) -> tuple[str, ...]:
        """This thread's lines since the last call."""
        items = tuple(dict.fromkeys(getattr(self._lines, "items", ())))
        self._lines.items = []
        return items


GDAL_LOG = GdalLog()


def listen_to_gdal() -> None:
    """Route the lines of ``rasterio`` to ``GDAL_LOG`` (once), instead of to stderr."""
    logger = logging.getLogger("rasterio")
    if GDAL_LOG not in logger.handlers:
        logger.addHandler(GDAL_LOG)
        logger.propagate = False


class RasterReader:
    """Reads windows of one raster. Not for sharing between threads; close it."""

    def __init__(self, info: RasterInfo) -> None:
        self.info = info
        self._levels: dict[int | None, rasterio.DatasetReader] = {}
        self._palette = np.array(info.palette, np.uint8) if info.palette else None
        #: Whether a block without an offset was never written; None until one was tried. See ``_is_hole``.
        self._index_whole: bool | None = None

    def __enter__(self) -> RasterReader:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every handle."""
        for ds in self._levels.values():
            ds.close()
        self._levels.clear()

    def _dataset(self, level: int | None = None) -> rasterio.DatasetReader:
        if level not in self._levels:
            options = {} if level is None else {"overview_level": level}
            ds = open_dataset(self.info.path, **options)
            if level is None and (ds.width, ds.height) != (self.info.width, self.info.height):
                ds.close()
                raise RasterReadError(f"{self.info.path}: its size is no longer what it was when it was opened")
            self._levels[level] = ds
        return self._levels[level]

    def read(self, window: PxWindow, step: tuple[float, float] = (1.0, 1.0)) -> SourceWindow | None:
        """Read the part of ``window`` that lies in the raster.

        Args:
            window: full-resolution pixels; may reach beyond the raster.
            step: source pixels per wanted pixel (x, y), at least 1. Whole steps of 2 and more are taken by area:
                from an overview where there is one, then by averaging the valid pixels.

        Returns:
            The pixels, or None where the window misses the raster or no block of it was ever written.

        Raises:
            RasterReadError: GDAL could not read or decode a block of the window, and could not with a fresh handle.
        """
        try:
            return self._read(window, step)
        except InputError:
            if local_path(self.info.path) is None:
                raise  # GDAL has tried that again already
        # The handles of a file on a server that was away for a moment stay stale for ever; what is damaged stays so.
        self.close()
        return self._read(window, step)

    def _read(self, window: PxWindow, step: tuple[float, float]) -> SourceWindow | None:
        factor_x, factor_y = (max(1, math.floor(s + 0.5)) for s in step)
        level, reduced = self._overview(min(factor_x, factor_y))
        factor_x, factor_y = max(1, round(factor_x / reduced)), max(1, round(factor_y / reduced))
        ds = self._dataset(level)
        # True size of an overview pixel: GDAL rounds an overview's size up, so its factor is not quite whole.
        scale_x, scale_y = self.info.width / ds.width, self.info.height / ds.height
        col0 = max(0, math.floor(window.col / scale_x / factor_x) * factor_x)
        row0 = max(0, math.floor(window.row / scale_y / factor_y) * factor_y)
        col1 = min(ds.width, math.ceil((window.col + window.width) / scale_x / factor_x) * factor_x)
        row1 = min(ds.height, math.ceil((window.row + window.height) / scale_y / factor_y) * factor_y)
        if col1 <= col0 or row1 <= row0:
            return None
        box = (col0, row0, col1, row1)
        if factor_x == factor_y == 1 or (col1 - col0) * (row1 - row0) <= MAX_DECIMATED_PX:
            part = self._part(ds, level, box, factor_x, factor_y)
        else:
            part = self._in_parts(ds, level, box, factor_x, factor_y)
        if part is None:
            return None
        return SourceWindow(*part, col0 * scale_x, row0 * scale_y, factor_x * scale_x, factor_y * scale_y)

    def _part(
        self,
        ds: rasterio.DatasetReader,
        level: int | None,
        box: tuple[int, int, int, int],
        factor_x: int,
        factor_y: int,
    ) -> tuple[npt.NDArray[Any], Bool | None] | None:
        """Pixels of a box (left, top, right, bottom of this level), decimated; None where none was ever written."""
        col0, row0, col1, row1 = box
        missing = self._missing(ds, *box) if self.info.sparse_aware and level is None else None
        if missing is not None and missing.all():
            return None
        values, valid = self._pixels(ds, Window(col0, row0, col1 - col0, row1 - row0))
        if missing is not None:
            valid = ~missing if valid is None else valid & ~missing
        if valid is not None:
            values *= valid.astype(values.dtype)
        if factor_x > 1 or factor_y > 1:
            values, valid = _area(values, valid, factor_x, factor_y)
        return values, valid

    def _in_parts(
        self,
        ds: rasterio.DatasetReader,
        level: int | None,
        box: tuple[int, int, int, int],
        factor_x: int,
        factor_y: int,
    ) -> tuple[npt.NDArray[Any], Bool | None] | None:
        """The same in parts: a coarse grid over a fine image without overviews spans more than fits in memory."""
        col0, row0, col1, row1 = box
        side = math.isqrt(MAX_DECIMATED_PX)
        wide = col1 - col0 if ds.block_shapes[0][1] >= ds.width else min(side, col1 - col0)
        high = max(1, MAX_DECIMATED_PX // wide)
        # Whole cells, so that parts fit together.
        wide, high = max(1, wide // factor_x) * factor_x, max(1, high // factor_y) * factor_y
        shape = (math.ceil((row1 - row0) / factor_y), math.ceil((col1 - col0) / factor_x))
        values: npt.NDArray[Any] | None = None
        valid = np.zeros(shape, bool)
        for top in range(row0, row1, high):
            for left in range(col0, col1, wide):
                part = self._part(
                    ds, level, (left, top, min(left + wide, col1), min(top + high, row1)), factor_x, factor_y
                )
                if part is None:
                    continue
                if values is None:
                    values = np.zeros((part[0].shape[0], *shape), part[0].dtype)
                at = (slice((top - row0) // factor_y, None), slice((left - col0) // factor_x, None))
                rows, cols = part[0].shape[1:]
                values[:, at[0], at[1]][:, :rows, :cols] = part[0]
                valid[at][:rows, :cols] = True if part[1] is None else part[1]
        if values is None:
            return None
        return values, None if valid.all() else valid

    def exists(self, window: PxWindow) -> bool:
        """Whether any block of a window was ever written; cheap, reads no pixels."""
        try:
            return self._exists(window)
        except InputError:
            self.close()
        return self._exists(window)

    def _exists(self, window: PxWindow) -> bool:
        info = self.info
        col0, row0 = max(0, window.col), max(0, window.row)
        col1, row1 = min(info.width, window.col + window.width), min(info.height, window.row + window.height)
        if col1 <= col0 or row1 <= row0:
            return False
        if not info.sparse_aware:
            return True
        rows, cols = info.block
        ds = self._dataset()
        return any(
            not self._is_hole(ds, i, j)
            for j in range(row0 // rows, (row1 - 1) // rows + 1)
            for i in range(col0 // cols, (col1 - 1) // cols + 1)
        )

    def _is_hole(self, ds: rasterio.DatasetReader, i: int, j: int) -> bool:
        """Whether a block (column i, row j) was never written.

        A file that is cut before its block index has no offsets either. So the first block without one is read: a
        hole gives fill, a broken index raises, and then every block is read, to fail where it must.
        """
        band = self.info.bands[0]
        if self._index_whole is False or ds.get_tag_item(f"BLOCK_OFFSET_{i}_{j}", "TIFF", bidx=band) is not None:
            return False
        if self._index_whole is None:
            rows, cols = ds.block_shapes[0]
            try:
                # With a fresh handle: in one whose index could not be read for a moment every block looks like a hole.
                with raster_errors(self.info.path, "read"), open_dataset(self.info.path) as fresh:
                    fresh.read(band, window=Window(i * cols, j * rows, 1, 1))
                    hole = fresh.get_tag_item(f"BLOCK_OFFSET_{i}_{j}", "TIFF", bidx=band) is None
            except InputError:
                self._index_whole = False
            else:
                if not hole:
                    raise RasterReadError(f"{self.info.path}: its index of blocks could not be read")
                self._index_whole = True
        return self._index_whole

    def _overview(self, factor: int) -> tuple[int | None, int]:
        fitting = [(f, i) for i, f in enumerate(self.info.overviews) if 1 < f <= factor]
        if not fitting or self._palette is not None:
            return None, 1
        found, level = max(fitting)
        return level, found

    def _missing(self, ds: rasterio.DatasetReader, col0: int, row0: int, col1: int, row1: int) -> Bool | None:
        """Pixels of blocks that were never written (sparse files), or None where all blocks exist."""
        rows, cols = ds.block_shapes[0]
        holes = None
        for j in range(row0 // rows, (row1 - 1) // rows + 1):
            for i in range(col0 // cols, (col1 - 1) // cols + 1):
                if self._is_hole(ds, i, j):
                    if holes is None:
                        holes = np.zeros((row1 - row0, col1 - col0), bool)
                    holes[
                        max(0, j * rows - row0) : (j + 1) * rows - row0,
                        max(0, i * cols - col0) : (i + 1) * cols - col0,
                    ] = True
        return holes

    def _pixels(self, ds: rasterio.DatasetReader, window: Window) -> tuple[npt.NDArray[Any], Bool | None]:
        info = self.info
        try:
            with raster_errors(info.path, "read"):
                values = ds.read(list(info.bands), window=window)
                valid: Bool | None = None
                if info.mask == "alpha":
                    alpha = ds.read(info.alpha_band, window=window)
                    # Opaque is 255 in many a 16-bit file, too.
                    valid = alpha > (min(255, np.iinfo(alpha.dtype).max) // 2 if alpha.dtype.kind in "ui" else 0.5)
                elif info.mask == "dataset":
                    valid = ds.read_masks(info.bands[0], window=window) > 127
        except InputError as error:
            raise RasterReadError(
                f"{info.path}: window {window.width}x{window.height} at column {window.col_off}, row "
                f"{window.row_off} cannot be read: {error.__cause__ or error}"
            ) from error.__cause__
        if values.dtype.kind == "f":
            finite = np.isfinite(values).all(axis=0)
            if not finite.all():
                valid = finite if valid is None else valid & finite
                values = np.where(np.isfinite(values), values, 0)
        if info.nodata is not None and np.isfinite(info.nodata):
            # All-bands rule: one band that happens to hold the value is data.
            with np.errstate(over="ignore"):
                has_data = (
                    (values != np.array(info.nodata).astype(values.dtype)).any(axis=0)
                    if _fits(info.nodata, values.dtype)
                    else None
                )
            if has_data is not None and not has_data.all():
                valid = has_data if valid is None else valid & has_data
        if self._palette is not None:
            values = np.ascontiguousarray(self._palette[values[0].astype(np.uint8)].transpose(2, 0, 1))
        if values.dtype.name not in NATIVE:
            values = values.astype(np.float32)
        if valid is not None and valid.all():
            valid = None
        return values, valid


def _fits(value: float, dtype: np.dtype[Any]) -> bool:
    """Whether a nodata value can occur at all in an array of ``dtype``."""
    if dtype.kind == "f":
        return True
    info = np.iinfo(dtype)
    return float(value).is_integer() and info.min <= value <= info.max


def _area(
    values: npt.NDArray[Any], valid: Bool | None, factor_x: int, factor_y: int
) -> tuple[npt.NDArray[Any], Bool | None]:
    """Mean over factor_y x factor_x cells of their valid pixels; a cell is valid where half of it is."""
    _, height, width = values.shape
    out_w, out_h = math.ceil(width / factor_x), math.ceil(height / factor_y)
    pad_x, pad_y = out_w * factor_x - width, out_h * factor_y - height
    weight = np.ones((height, width), np.float32) if valid is None else valid.astype(np.float32)
    exact = valid is None and pad_x == 0 and pad_y == 0
    if not exact:
        values = np.pad(values, ((0, 0), (0, pad_y), (0, pad_x)))
        weight = np.pad(weight, ((0, pad_y), (0, pad_x)))
    size = (out_w, out_h)
    if exact:
        return np.stack([cv2.resize(band, size, interpolation=cv2.INTER_AREA) for band in values]), None
    share = cv2.resize(weight, size, interpolation=cv2.INTER_AREA)
    ok: Bool = share >= 0.5
    bands = [
        cv2.resize(band.astype(np.float32), size, interpolation=cv2.INTER_AREA) / np.maximum(share, 1e-6)
        for band in values
    ]
    out = np.stack(bands)
    if values.dtype.kind in "ui":
        limits = np.iinfo(values.dtype)
        out = np.clip(np.rint(out), limits.min, limits.max)
    out = np.where(ok, out, 0).astype(values.dtype)
    return out, None if ok.all() else ok

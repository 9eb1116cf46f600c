"""Lookup tables: how stored values of any type become 8 bit.

Every table here is one straight line per band, clipped to 0..255, so that a handful of numbers says all
of it: it goes into the run's spec, and a person can read it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from rsccli.types import U8

AnyArray = npt.NDArray[Any]

# OpenCV looks 16-bit values up itself from version 5 on (0.25 ms for three bands of 512 x 512 against
# 0.8 ms of numpy.take).
_CV_TAKES_16_BIT = int(cv2.__version__.split(".")[0]) >= 5


def _significant(value: float) -> float:
    """``value`` to 12 significant digits: a spec must not hang on the last bit of a sum."""
    return float(f"{value:.12g}")


@dataclass(frozen=True)
class Lut:
    """A map from stored values to uint8: ``low`` becomes 0, ``high`` becomes 255, a line between, per band.

    Attributes:
        kind: ``identity`` (uint8 stays as it is) or ``linear``.
        dtype: numpy name of the stored values, e.g. ``uint16``.
        low: one value per band, empty for ``identity``. May lie outside of the type's range.
        high: one value per band, above ``low``.
    """

    kind: Literal["identity", "linear"]
    dtype: str
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.kind == "identity" and self.dtype != "uint8":
            raise ValueError(f"only uint8 stays as it is, not {self.dtype}")
        if self.kind == "linear":
            if len(self.low) != len(self.high) or not self.low:
                raise ValueError("a linear table needs a low and a high value for every band")
            for low, high in zip(self.low, self.high, strict=True):
                if not (np.isfinite(low) and np.isfinite(high) and high > low):
                    raise ValueError(f"a linear table needs finite low < high, not {low}..{high}")

    @classmethod
    def identity(cls) -> Lut:
        """The table of a date that is 8 bit already and stays as it is."""
        return cls("identity", "uint8")

    @classmethod
    def linear(cls, dtype: str, low: tuple[float, ...], high: tuple[float, ...]) -> Lut:
        """A linear table, its numbers rounded to 12 significant digits."""
        return cls("linear", dtype, tuple(map(_significant, low)), tuple(map(_significant, high)))

    def describe(self) -> str:
        """In words, e.g. ``linear 212..1830, 190..1500, 150..1300``."""
        if self.kind == "identity":
            return "identity"
        spans = [f"{low:.5g}..{high:.5g}" for low, high in zip(self.low, self.high, strict=True)]
        return "linear " + (spans[0] if len(set(spans)) == 1 else ", ".join(spans))

    def to_json(self) -> dict[str, Any]:
        """A canonical form that ``json.dumps`` takes; equal tables give equal forms."""
        if self.kind == "identity":
            return {"kind": self.kind, "dtype": self.dtype}
        return {"kind": self.kind, "dtype": self.dtype, "low": list(self.low), "high": list(self.high)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Lut:
        """The table that ``to_json`` wrote.

        Raises:
            ValueError: if the form is not one that ``to_json`` writes.
        """
        return cls(
            value["kind"],
            value["dtype"],
            tuple(float(v) for v in value.get("low", ())),
            tuple(float(v) for v in value.get("high", ())),
        )

    def apply(self, pixels: AnyArray) -> U8:
        """Values as uint8.

        Args:
            pixels: (band, row, column) of ``dtype``; any strides, so a view of (row, column, band) memory
                is as good. A single band stands for all that the table has.

        Returns:
            uint8, (band, row, column). The argument itself for ``identity``. NaN becomes 0.

        Raises:
            ValueError: for another type or number of bands than the table is made for.
        """
        if pixels.dtype != np.dtype(self.dtype):
            raise ValueError(f"this table maps {self.dtype}, not {pixels.dtype}")
        if self.kind == "identity":
            return pixels
        if pixels.ndim == 3 and pixels.shape[0] == 1 < len(self.low):
            # One band of a grey date stands for red, green and blue of the other.
            pixels = np.broadcast_to(pixels, (len(self.low), *pixels.shape[1:]))
        if pixels.ndim != 3 or pixels.shape[0] != len(self.low):
            raise ValueError(f"this table maps {len(self.low)} bands, not an array of shape {pixels.shape}")
        interleaved = _is_interleaved(pixels)
        out: U8
        if interleaved:
            rows, cols, bands = pixels.shape[1], pixels.shape[2], pixels.shape[0]
            out = np.empty((rows, cols, bands), np.uint8).transpose(2, 0, 1)
        else:
            out = np.empty(pixels.shape, np.uint8)
        tables = self._tables
        if tables is None:
            for band in range(len(self.low)):
                out[band] = self._line(pixels[band], band)
            return out
        # Signed values index the table by their bit pattern; the table is laid out for that.
        index = pixels.view(f"u{pixels.dtype.itemsize}")
        if (index.itemsize == 1 or _CV_TAKES_16_BIT) and index.size:
            if interleaved:
                hwc = index.transpose(1, 2, 0)
                table = np.ascontiguousarray(tables.T)[np.newaxis]
                return cv2.LUT(hwc, table).transpose(2, 0, 1)  # type: ignore[no-any-return]
            for band in range(len(self.low)):
                cv2.LUT(np.ascontiguousarray(index[band]), tables[band], dst=out[band])
            return out
        for band in range(len(self.low)):
            out[band] = np.take(tables[band], index[band])
        return out

    @cached_property
    def _tables(self) -> U8 | None:
        """(band, 256 or 65536) uint8 by bit pattern, or None where the type has too many values."""
        dtype = np.dtype(self.dtype)
        if dtype.kind not in "iu" or dtype.itemsize > 2:
            return None
        patterns = np.arange(1 << (8 * dtype.itemsize), dtype=f"u{dtype.itemsize}")
        values = patterns.view(dtype)
        return np.stack([self._line(values, band) for band in range(len(self.low))])

    def _line(self, values: AnyArray, band: int) -> U8:
        """The line itself, for values that no table holds."""
        # float32 holds every step of a float32 or 16-bit source; wider types need the full width, or
        # a large offset (coordinates, milliseconds) would eat the steps.
        work_type = np.float32 if values.dtype in (np.float32, np.float16) else np.float64
        low, high = self.low[band], self.high[band]
        with np.errstate(over="ignore", invalid="ignore"):
            work: npt.NDArray[np.floating[Any]] = values.astype(work_type)
            work -= work_type(low)
            work *= work_type(255.0 / (high - low))
            np.rint(work, out=work)
            np.clip(work, 0, 255, out=work)
        np.copyto(work, 0, where=np.isnan(work))
        return work.astype(np.uint8)


def _is_interleaved(pixels: AnyArray) -> bool:
    """Whether a (band, row, column) array is a view of contiguous (row, column, band) memory."""
    return (
        1 < pixels.shape[0] <= 4
        and not pixels.flags.c_contiguous
        and bool(pixels.transpose(1, 2, 0).flags.c_contiguous)
    )

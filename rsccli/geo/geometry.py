"""Where a source pixel lies: coordinate reference systems and the two ways into a raster (affine, RPC)."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import numpy.typing as npt
from affine import Affine
from pyproj import CRS, Geod, Transformer
from pyproj.exceptions import CRSError, ProjError

from rsccli.errors import CrsError

F64 = npt.NDArray[np.float64]
WGS84 = "EPSG:4326"
GEOD = Geod(ellps="WGS84")


@lru_cache(maxsize=64)
def parse_crs(text: str) -> CRS:
    """A two-dimensional CRS from an authority code, WKT or PROJ text; ``CrsError`` where there is none."""
    try:
        crs = CRS.from_user_input(text).to_2d()
    except CRSError as error:
        raise CrsError(f"not a coordinate reference system: {text[:80]!r}") from error
    if not (crs.is_geographic or crs.is_projected or crs.is_geocentric):
        raise CrsError(
            f"{crs.name!r} is a {crs.type_name}: it has no place on the Earth. Give the real one with "
            "--pre-crs / --post-crs, e.g. --post-crs EPSG:32633"
        )
    return crs


def crs_text(crs: CRS) -> str:
    """``AUTHORITY:CODE`` where it is certain, else WKT2: what a ``Grid`` carries."""
    authority = crs.to_authority(min_confidence=100)
    return ":".join(authority) if authority else str(crs.to_wkt())


@lru_cache(maxsize=256)
def _transformer(source: str, target: str, thread: int) -> Transformer:
    # PROJ objects must not be shared between threads: the thread is part of the key.
    try:
        return Transformer.from_crs(parse_crs(source), parse_crs(target), always_xy=True)
    except ProjError as error:
        raise CrsError(
            f"no transformation from {parse_crs(source).name!r} to {parse_crs(target).name!r}: {error}"
        ) from error


def transform(source: str, target: str, xs: F64, ys: F64) -> tuple[F64, F64]:
    """Coordinates (x/lon, y/lat) from one CRS in another; ``inf`` where there is no answer."""
    if source == target:
        return xs, ys
    out = _transformer(source, target, threading.get_ident()).transform(xs, ys)
    return np.asarray(out[0], float), np.asarray(out[1], float)


def wrap_lon(lon: F64, centre: float) -> F64:
    """Longitudes moved by whole turns to within 180 degrees of ``centre``."""
    with np.errstate(invalid="ignore"):
        return np.asarray(lon - 360.0 * np.round((lon - centre) / 360.0), float)


class SourceGeometry(Protocol):
    """How map coordinates of the source's CRS become its pixels, and back."""

    def to_px(self, xs: F64, ys: F64) -> tuple[F64, F64]:
        """Continuous (column, row), corner based: the first pixel's centre is (0.5, 0.5)."""
        ...

    def to_map(self, cols: F64, rows: F64) -> tuple[F64, F64]:
        """The inverse."""
        ...


@dataclass(frozen=True)
class AffineGeometry:
    """A geotransform of any kind: north-up, south-up, rotated, sheared, anisotropic."""

    transform: Affine

    def to_px(self, xs: F64, ys: F64) -> tuple[F64, F64]:
        """See ``SourceGeometry``."""
        i = ~self.transform
        return i.a * xs + i.b * ys + i.c, i.d * xs + i.e * ys + i.f

    def to_map(self, cols: F64, rows: F64) -> tuple[F64, F64]:
        """See ``SourceGeometry``."""
        t = self.transform
        return t.a * cols + t.b * rows + t.c, t.d * cols + t.e * rows + t.f

    @property
    def is_axis_aligned(self) -> bool:
        """Neither rotated nor sheared (a flip is fine)."""
        t = self.transform
        return bool(abs(t.b) < 1e-9 * abs(t.a) and abs(t.d) < 1e-9 * abs(t.e))


@dataclass(frozen=True)
class RpcGeometry:
    """Rational polynomial coefficients at one height above the ellipsoid (map coordinates: lon/lat)."""

    rpcs: dict[str, str]
    height_m: float

    def to_px(self, xs: F64, ys: F64) -> tuple[F64, F64]:
        """See ``SourceGeometry``."""
        from rasterio.rpc import RPC
        from rasterio.transform import RPCTransformer

        with RPCTransformer(RPC.from_gdal(self.rpcs), rpc_height=self.height_m) as t:
            rows, cols = t.rowcol(np.ravel(xs), np.ravel(ys), op=lambda v: v)
        shape = np.shape(xs)
        return np.asarray(cols, float).reshape(shape), np.asarray(rows, float).reshape(shape)

    def to_map(self, cols: F64, rows: F64) -> tuple[F64, F64]:
        """See ``SourceGeometry``."""
        from rasterio.rpc import RPC
        from rasterio.transform import RPCTransformer

        with RPCTransformer(RPC.from_gdal(self.rpcs), rpc_height=self.height_m) as t:
            xs, ys = t.xy(np.ravel(rows), np.ravel(cols), offset="ul")
        shape = np.shape(cols)
        return np.asarray(xs, float).reshape(shape), np.asarray(ys, float).reshape(shape)


def outline_px(width: float, height: float, steps: int = 32) -> tuple[F64, F64]:
    """A lattice of (column, row) points over a raster, edges included: enough to bound it after any transform."""
    cols, rows = np.meshgrid(np.linspace(0, width, steps + 1), np.linspace(0, height, steps + 1))
    return cols.ravel(), rows.ravel()


def pixel_size_m(crs: str, xs: tuple[float, float, float], ys: tuple[float, float, float]) -> tuple[float, float]:
    """Metres on the ellipsoid from point 0 to point 1 and from point 0 to point 2 (map coordinates)."""
    lon, lat = transform(crs, WGS84, np.array(xs), np.array(ys))
    if not np.isfinite([lon, lat]).all():
        return float("nan"), float("nan")
    _, _, across = GEOD.inv(lon[0], lat[0], lon[1], lat[1])
    _, _, down = GEOD.inv(lon[0], lat[0], lon[2], lat[2])
    return float(across), float(down)

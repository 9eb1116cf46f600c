"""Opening one raster: what it is, what is used of it, and what is refused before any pixel is read.

Every oddity that can be told from the header is decided here; ``reader`` reads pixels by what ``RasterInfo`` says.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import rasterio
from affine import Affine
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError, RasterioIOError
from rasterio.transform import from_gcps

from rsccli.errors import CrsError, InputError
from rsccli.geo.geometry import (
    WGS84,
    AffineGeometry,
    RpcGeometry,
    SourceGeometry,
    crs_text,
    outline_px,
    parse_crs,
    pixel_size_m,
    transform,
)
from rsccli.geo.identity import identify, is_remote
from rsccli.geo.kinds import drivers_for
from rsccli.geo.linked import check_linked, check_remote_sides, check_tags

MaskKind = Literal["none", "alpha", "dataset"]

#: A block is decoded whole, so one that is larger than this cannot be read in bounded memory.
MAX_BLOCK_BYTES = 512 * 2**20
#: More bands than any imagery has: a claim of a damaged or hostile header.
MAX_BANDS = 4096
#: Pictures of data sets are read whole, up to this.
MAX_WHOLE_BYTES = 2**30

_BAND_NAMES = {
    "red": re.compile(r"^(red|r|rot|rouge|rojo|b0?4|band ?0?4|sr_b4|b04[ _(].*|red[ _(].*)$"),
    "green": re.compile(r"^(green|g|b0?3|band ?0?3|sr_b3|b03[ _(].*|green[ _(].*)$"),
    "blue": re.compile(r"^(blue|b|b0?2|band ?0?2|sr_b2|b02[ _(].*|blue[ _(].*)$"),
}


@dataclass(frozen=True)
class RasterOptions:
    """What a user may say about one date.

    Attributes:
        bands: 1-based numbers read as red, green, blue (or one number: grey).
        nodata: value that means no data, overriding the tag.
        crs: CRS where the file has none. rpc_height_m: height for files that have only RPCs.
        datetime: acquisition, ISO 8601, where somebody knows it better than the file.
    """

    bands: tuple[int, ...] | None = None
    nodata: float | None = None
    crs: str | None = None
    rpc_height_m: float | None = None
    datetime: str | None = None


@dataclass(frozen=True)
class RasterInfo:
    """What one raster is and how it is read.

    Attributes:
        path: as typed. crs: of ``geometry``. bands: one (grey) or three band numbers.
        bands_why: how they were found.
        mask: where validity beyond nodata comes from. alpha_band: its number.
        palette: 256 RGB rows for an indexed band. overviews: decimation factors.
        block: (rows, columns) of a block. striped: blocks as wide as the image.
        sparse_aware: the driver tells which blocks exist.
        identity: see ``identity.identify``. warnings: what a person should know.
    """

    path: str
    width: int
    height: int
    dtype: str
    bands: tuple[int, ...]
    bands_why: str
    crs: str
    geometry: SourceGeometry
    nodata: float | None
    mask: MaskKind
    alpha_band: int | None
    palette: tuple[tuple[int, int, int], ...] | None
    overviews: tuple[int, ...]
    block: tuple[int, int]
    sparse_aware: bool
    datetime: str | None
    identity: str
    warnings: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rstrip("/").rsplit("/", 1)[-1]

    @property
    def striped(self) -> bool:
        """Whether a block spans the whole width of a wide image."""
        return self.block[1] >= self.width > 2048

    @property
    def gsd_m(self) -> tuple[float, float]:
        """Metres per pixel across and down, at the middle of the image."""
        c, r = self.width / 2, self.height / 2
        xs, ys = self.geometry.to_map(np.array([c, c + 1, c]), np.array([r, r, r + 1]))
        return pixel_size_m(self.crs, tuple(xs), tuple(ys))

    @property
    def lonlat_box(self) -> tuple[float, float, float, float]:
        """West, south, east, north in degrees (east may exceed 180 across the antimeridian)."""
        xs, ys = self.geometry.to_map(*outline_px(self.width, self.height))
        lon, lat = transform(self.crs, WGS84, xs, ys)
        ok = np.isfinite(lon) & np.isfinite(lat)
        if not ok.any():
            return (np.nan,) * 4
        lon, lat = lon[ok], lat[ok]
        if lon.max() - lon.min() > 180:
            lon = np.where(lon < 0, lon + 360, lon)
        return float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max())


def gdal_options(cache_mb: int = 48) -> dict[str, Any]:
    """GDAL settings for every read; pass to ``rasterio.Env`` in each thread that reads.

    ``GDAL_DISABLE_READDIR_ON_OPEN=TRUE`` lists no folder but still probes ``.msk``, ``.ovr`` and ``.aux.xml`` by
    name (``EMPTY_DIR`` would hide them). Remote reads merge neighbouring ranges and retry. rasterio hands
    ``GDAL_CACHEMAX`` to GDAL as bytes, whatever its size: 128 would be a cache of 128 bytes.
    """
    return {
        "GDAL_CACHEMAX": cache_mb * 2**20,
        "GDAL_DISABLE_READDIR_ON_OPEN": "TRUE",
        "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
        "GDAL_HTTP_MULTIPLEX": "YES",
        "GDAL_HTTP_MAX_RETRY": "4",
        "GDAL_HTTP_RETRY_DELAY": "0.5",
        "GDAL_INGESTED_BYTES_AT_OPEN": "32768",
        # Room for the compressed blocks of a whole superblock: beyond it GDAL asks for one block after another.
        # (VSI_CACHE would cut these ranges up again: 29 pairs a second instead of 47 at 40 ms latency.)
        "GDAL_MAX_RAW_BLOCK_CACHE_SIZE": str(64 * 2**20),
        # Code in a file is never run, whatever else is allowed (`rsccli.geo.linked`).
        "GDAL_VRT_ENABLE_PYTHON": "NO",
    }


@contextmanager
def raster_errors(path: str, doing: str) -> Iterator[None]:
    """The one place where what rasterio and GDAL raise becomes an ``InputError`` with its cause.

    ``CPLE_*`` errors are not ``RasterioError``; some accessors raise ``ValueError`` on damaged headers.
    """
    from rasterio._err import CPLE_BaseError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            yield
    except (RasterioError, CPLE_BaseError, ValueError, MemoryError, OverflowError, IndexError) as error:
        # "Read failed. See previous exception for details." is about another one, which holds what GDAL said.
        told = error.__cause__ if "previous exception" in str(error) and error.__cause__ is not None else error
        raise InputError(f"{path}: cannot {doing}: {str(told) or type(told).__name__}") from told


def open_dataset(path: str, **options: Any) -> rasterio.DatasetReader:  # noqa: ANN401 - passed to rasterio
    """Open for reading with a handle of its own (``sharing=False``), so that threads never share one.

    Raises:
        InputError: it cannot be opened, is of a kind that is not read, or names what lies outside of its folder
            (`rsccli.geo.linked`).
    """
    drivers = drivers_for(path)
    with raster_errors(path, "open"):
        for number, driver in enumerate(drivers, 1):
            check_linked(path, driver)
            try:
                ds = rasterio.open(path, sharing=False, driver=driver, **options)
                break
            except RasterioIOError:
                if number == len(drivers):
                    raise
    try:
        with raster_errors(path, "read the header of"):
            check_tags(path, ds)
    except BaseException:
        ds.close()
        raise
    return ds


def check_size(path: str, ds: rasterio.DatasetReader) -> None:
    """Refuse headers that would take memory without bound before the first pixel is there.

    Raises:
        InputError: no band or thousands, or a block that is larger than ``MAX_BLOCK_BYTES``.
    """
    if ds.count == 0 or ds.count > MAX_BANDS:
        what = "no bands (a container of subdatasets?)" if ds.count == 0 else f"{ds.count} bands claimed"
        raise InputError(f"{path}: {what}: not an image. gdalinfo shows what it holds")
    rows, cols = ds.block_shapes[0]
    pixel_interleaved = str(ds.interleaving or "").lower().endswith("pixel")
    item = 16 if "complex" in ds.dtypes[0] else np.dtype(ds.dtypes[0]).itemsize
    block_bytes = rows * cols * item * (ds.count if pixel_interleaved else 1)
    if block_bytes > MAX_BLOCK_BYTES:
        raise InputError(
            f"{path}: one block takes {block_bytes / 2**20:.0f} MB ({cols}x{rows} pixels, "
            f"{ds.count} bands) and is decoded whole. Rewrite it in tiles: gdal_translate -co TILED=YES "
            "-co COMPRESS=DEFLATE IN OUT"
        )


def check_whole(path: str, ds: rasterio.DatasetReader, bands: int) -> None:
    """Refuse to read all of a raster at once where that takes more memory than a picture should.

    Raises:
        InputError: more than ``MAX_WHOLE_BYTES``, or see `check_size`.
    """
    check_size(path, ds)
    size = ds.width * ds.height * bands * np.dtype(ds.dtypes[0]).itemsize
    if size > MAX_WHOLE_BYTES:
        raise InputError(
            f"{path}: {ds.width}x{ds.height} pixels take {size / 2**20:.0f} MB; a picture that is read whole has at "
            f"most {MAX_WHOLE_BYTES // 2**20}: cut it into tiles (rsccli dataset tiles)"
        )


def describe_raster(path: str | Path, options: RasterOptions | None = None) -> RasterInfo:
    """Open a raster and decide how it is read.

    Raises:
        InputError: it cannot be opened, or is of a kind that is refused (message names the way out).
        CrsError: its place on the Earth is unknown.
    """
    path, options = str(path), options or RasterOptions()
    with rasterio.Env(**gdal_options()), open_dataset(path) as ds, raster_errors(path, "read the header of"):
        # Before all that is read of it: what is replaced meanwhile is noticed later (``Watch``).
        identity = identify(path)
        notes: list[str] = []
        dtype = ds.dtypes[0] if ds.count else ""
        if "complex" in dtype or dtype == "cint16":
            raise InputError(f"{path}: complex values ({dtype}). Make amplitudes first, e.g. with gdal_translate")
        check_size(path, ds)
        interp = ds.colorinterp
        palette = _palette(ds) if interp[0] == ColorInterp.palette else None
        alpha = _alpha_band(ds, interp, notes)
        bands, bands_why = _choose_bands(ds, path, options.bands, interp, alpha, notes)
        block_rows, block_cols = ds.block_shapes[0]
        flags = ds.mask_flag_enums[bands[0] - 1]
        has_mask = MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags
        overviews = tuple(ds.overviews(1))
        check_remote_sides(path, has_mask, bool(overviews))
        crs, geometry = _georeference(ds, path, options, notes)
        mask: MaskKind = "alpha" if alpha else "dataset" if has_mask else "none"
        return RasterInfo(
            path=path,
            width=ds.width,
            height=ds.height,
            dtype=dtype,
            bands=bands,
            bands_why=bands_why,
            crs=crs,
            geometry=geometry,
            nodata=options.nodata if options.nodata is not None else ds.nodatavals[bands[0] - 1],
            mask=mask,
            alpha_band=alpha,
            palette=palette,
            overviews=overviews,
            block=(block_rows, block_cols),
            sparse_aware=ds.driver in ("GTiff", "COG"),
            datetime=options.datetime or _datetime(ds, path),
            identity=identity,
            warnings=tuple(notes),
        )


def _palette(ds: rasterio.DatasetReader) -> tuple[tuple[int, int, int], ...]:
    table = ds.colormap(1)
    return tuple(tuple(table.get(i, (0, 0, 0))[:3]) for i in range(256))


def _alpha_band(ds: rasterio.DatasetReader, interp: tuple[ColorInterp, ...], notes: list[str]) -> int | None:
    """The alpha band, unless its values show that the tag is wrong (near-infrared in a fourth sample)."""
    if ColorInterp.alpha not in interp:
        return None
    band = interp.index(ColorInterp.alpha) + 1
    side = 128
    values: set[int] = set()
    for fx, fy in ((0.5, 0.5), (0.1, 0.1), (0.9, 0.1), (0.1, 0.9), (0.9, 0.9)):
        window = rasterio.windows.Window(
            int(fx * max(0, ds.width - side)),
            int(fy * max(0, ds.height - side)),
            min(side, ds.width),
            min(side, ds.height),
        )
        try:
            values.update(np.unique(ds.read(band, window=window)).tolist())
        except RasterioError:
            continue  # a damaged block here says nothing of the tag; reading tells later
    full = int(np.iinfo(ds.dtypes[band - 1]).max) if ds.dtypes[band - 1].startswith(("u", "i")) else 1
    if values <= {0, full} or values <= {0, min(255, full)}:
        return band
    notes.append(f"band {band} is tagged alpha but holds values between 0 and {full}: treated as a band, not as a mask")
    return None


def _choose_bands(
    ds: rasterio.DatasetReader,
    path: str,
    wanted: tuple[int, ...] | None,
    interp: tuple[ColorInterp, ...],
    alpha: int | None,
    notes: list[str],
) -> tuple[tuple[int, ...], str]:
    """The bands that are read, and how they were found."""
    listing = ", ".join(
        f"{i}: {d or c.name}" for i, (d, c) in enumerate(zip(ds.descriptions, interp, strict=True), 1) if i <= 12
    )
    if wanted:
        bad = [b for b in wanted if not 1 <= b <= ds.count]
        if bad or len(wanted) not in (1, 3):
            raise InputError(
                f"{path}: --bands {','.join(map(str, wanted))} does not fit: it has {ds.count} bands ({listing}); "
                "give one or three numbers from 1"
            )
        return wanted, "named with --bands"
    if {ColorInterp.cyan, ColorInterp.magenta} & set(interp):
        raise InputError(
            f"{path}: CMYK with {ds.dtypes[0]} samples, which GDAL does not convert. Convert it to RGB first, "
            "or name bands with --bands"
        )
    colour = [i for i in range(1, ds.count + 1) if i != alpha]
    if interp[0] == ColorInterp.palette:
        return (1,), "a palette, expanded to colours"
    names = [(d or "").strip().lower() for d in ds.descriptions]
    by_name = [next((i for i, n in enumerate(names, 1) if pattern.match(n)), None) for pattern in _BAND_NAMES.values()]
    if all(by_name) and len(set(by_name)) == 3:
        return tuple(b for b in by_name if b), "by band descriptions"
    rgb = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    if all(c in interp for c in rgb):
        return tuple(interp.index(c) + 1 for c in rgb), "by colour interpretation"
    if len(colour) == 1:
        notes.append("a single band: read as grey, captions by colour are not to be trusted")
        return (colour[0],), "the only band, read as grey"
    if len(colour) == 3:
        notes.append("three bands without colour names: read as red, green, blue in this order")
        return (colour[0], colour[1], colour[2]), "three bands that nothing names, in their order"
    raise InputError(
        f"{path}: {ds.count} bands and nothing tells which are red, green and blue ({listing}). "
        "Name them, e.g. --bands 3,2,1 (or one band for grey: --bands 1)"
    )


def _georeference(
    ds: rasterio.DatasetReader, path: str, options: RasterOptions, notes: list[str]
) -> tuple[str, SourceGeometry]:
    crs = ds.crs
    affine: Affine = ds.transform
    gcps, gcp_crs = ds.gcps
    try:
        # Only asked where they could matter: looking for RPCs probes some 40 sidecars, one request each if remote.
        rpcs = ds.rpcs if affine.is_identity and not gcps else None
    except ValueError:
        rpcs = None
    if affine.is_identity and gcps:
        if len(gcps) < 3:
            raise InputError(f"{path}: only {len(gcps)} ground control points, at least 3 place an image")
        affine, crs = from_gcps(gcps), gcp_crs or crs
        if abs(affine.determinant) < 1e-18:
            raise InputError(f"{path}: its {len(gcps)} ground control points lie on a line: they place no image")
        cols, rows = AffineGeometry(affine).to_px(np.array([g.x for g in gcps]), np.array([g.y for g in gcps]))
        residual = np.hypot(cols - [g.col for g in gcps], rows - [g.row for g in gcps])
        notes.append(
            f"placed by {len(gcps)} ground control points: residual {residual.max():.2f} px at most, "
            f"{residual.mean():.2f} px in the mean"
        )
    elif affine.is_identity and rpcs is not None:
        if options.rpc_height_m is None:
            raise InputError(
                f"{path}: placed by RPCs only, which need a height. Give --rpc-height METRES (mean height above "
                "the ellipsoid), or orthorectify it first with gdalwarp -rpc -to RPC_DEM=dem.tif"
            )
        notes.append(f"placed by RPCs at one height ({options.rpc_height_m:g} m): relief displaces what lies off it")
        return WGS84, RpcGeometry(rpcs.to_gdal(), options.rpc_height_m)
    elif affine.is_identity:
        raise InputError(
            f"{path}: no geotransform: its place on the Earth is unknown. Set it with gdal_translate "
            "-a_srs EPSG:n -a_ullr LEFT TOP RIGHT BOTTOM IN OUT"
        )
    if options.crs:
        text = crs_text(parse_crs(options.crs))
    elif crs is None or not crs.to_wkt():
        raise CrsError(
            f"{path}: no coordinate reference system. If you know it, say so: --pre-crs EPSG:n or --post-crs EPSG:n"
        )
    else:
        try:
            text = crs_text(parse_crs(crs.to_wkt()))
        except CrsError as error:
            raise CrsError(f"{path}: {error}") from error.__cause__
    try:
        transform(text, WGS84, np.zeros(1), np.zeros(1))
    except CrsError as error:
        raise CrsError(f"{path}: {error}") from error.__cause__
    if abs(affine.determinant) < 1e-18:
        raise InputError(f"{path}: its geotransform {tuple(affine)[:6]} has no area")
    return text, AffineGeometry(affine)


_DATE_IN_NAME = re.compile(r"(?<!\d)(19[5-9]\d|20\d\d)[-_.]?(0[1-9]|1[0-2])[-_.]?(0[1-9]|[12]\d|3[01])(?!\d)")
_YEAR_IN_NAME = re.compile(r"(?<!\d)(19[5-9]\d|20\d\d)(?!\d)")


def _datetime(ds: rasterio.DatasetReader, path: str) -> str | None:
    """Acquisition as ISO 8601: the imagery tag, then a date in the file name, then the TIFF's own date.

    The TIFF date comes last because it is usually the day of processing.
    """
    # The imagery domain comes from vendors' sidecars: some 40 probes, one request each if remote.
    tag = ds.tags().get("ACQUISITIONDATETIME")
    if not tag and not is_remote(path):
        tag = ds.tags(ns="IMAGERY").get("ACQUISITIONDATETIME")
    if tag:
        return str(tag).strip()
    name = path.rstrip("/").rsplit("/", 1)[-1]
    if found := _DATE_IN_NAME.search(name):
        return "-".join(found.groups())
    tag = ds.tags().get("TIFFTAG_DATETIME", "")
    if found := re.match(r"(\d{4}):(\d\d):(\d\d)[ T](\d\d:\d\d:\d\d)", tag):
        year, month, day, clock = found.groups()
        return f"{year}-{month}-{day}T{clock}"
    if found := _YEAR_IN_NAME.search(name):
        return found.group(1)
    return None

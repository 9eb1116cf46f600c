"""What a file is, told by its first bytes, and which of GDAL's drivers may therefore open it.

GDAL knows some 150 kinds of raster and asks one driver after the other. Most of them nobody needs here, some fetch
addresses that stand in the file, and each is a parser more that a stranger's bytes would reach. So the kind is decided
here, and GDAL gets one driver.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from rsccli.errors import InputError
from rsccli.geo.identity import is_remote, local_path

#: More drivers that a user trusts, by GDAL's names: ``RSCCLI_GDAL_DRIVERS=NITF,ENVI``.
MORE_DRIVERS = "RSCCLI_GDAL_DRIVERS"
VRT = "VRT"
_HEAD_BYTES = 1024
_FIRST_BYTES: tuple[tuple[bytes, str], ...] = (
    (b"II*\0", "GTiff"),
    (b"MM\0*", "GTiff"),
    (b"II+\0", "GTiff"),
    (b"MM\0+", "GTiff"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JP2OpenJPEG"),
    (b"\xff\x4f\xff\x51", "JP2OpenJPEG"),
    (b"EHFA_HEADER_TAG", "HFA"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
)
_BY_SUFFIX = {
    ".jp2": "JP2OpenJPEG",
    ".j2k": "JP2OpenJPEG",
    ".img": "HFA",
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
}
_READ = "GeoTIFF, JPEG 2000, ERDAS Imagine, PNG, JPEG and VRT"


def more_drivers() -> tuple[str, ...]:
    """Drivers that the user allows beside ours."""
    return tuple(name for name in os.environ.get(MORE_DRIVERS, "").replace(",", " ").split() if name)


def kind_of(path: str) -> str | None:
    """Driver for the first bytes of a local file; None where it is of no kind that is read.

    Raises:
        InputError: there is no such file, it cannot be read, or it is a pipe or a device, which might never end.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            what = "a folder" if os.path.isdir(path) else "a pipe or a device"
            raise InputError(f"{path}: {what}, not a file: name a raster")
        head = _head(path)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (OSError, ValueError) as error:  # a NUL in a path is a ValueError
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    # Before all others: GDAL's own VRT driver comes first, wherever the words stand.
    if b"<vrtdataset" in head.lower():
        return VRT
    return next((driver for first, driver in _FIRST_BYTES if head.startswith(first)), None)


def _head(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(_HEAD_BYTES)


def drivers_for(path: str) -> tuple[str, ...]:
    """Drivers that may open a raster, in the order in which they are tried.

    A remote or virtual path cannot be looked into: its suffix tells, and it is a GeoTIFF where that says nothing.

    Raises:
        InputError: a local file of a kind that is not read; see `kind_of`.
    """
    local = local_path(path)
    if local is None:
        suffix = Path(path.split("?", 1)[0] if is_remote(path) else path).suffix.lower()
        return (_BY_SUFFIX.get(suffix, "GTiff"), *more_drivers())
    found = kind_of(local)
    if found is not None:
        return (found,)
    if more := more_drivers():
        return more
    raise InputError(
        f"{path}: cannot open: none of the kinds that are read ({_READ}). Convert it (gdal_translate IN OUT.tif), or, "
        f"where you trust it, allow its GDAL driver, e.g. {MORE_DRIVERS}=NITF"
    ) from ValueError(f"its first bytes are {_head(local)[:12]!r}" if os.path.getsize(local) else "it is empty")

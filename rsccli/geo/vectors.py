"""Whether a vector file may be given to GDAL: told by its first bytes, as for rasters in `rsccli.geo.kinds`.

GDAL takes some text files for orders: an OGR VRT opens any data source of the machine or the network, a file of the
kind ``gdal_streamed_alg`` runs a pipeline of GDAL's commands, whatever their suffix is.
"""

from __future__ import annotations

import os
import re
import stat

import shapely

from rsccli.errors import InputError
from rsccli.geo.linked import ALLOW, linked_allowed

#: What pyogrio, Arrow and GEOS raise on damaged files: they have no class in common.
VECTOR_ERRORS: tuple[type[Exception], ...] = (
    *(RuntimeError, OSError, ValueError, TypeError, LookupError, MemoryError, OverflowError, NotImplementedError),
    shapely.errors.ShapelyError,
)
_HEAD_BYTES = 256 * 1024
_BINARY = (b"SQLite format 3\0", b"fgb\x03", b"\0\0\x27\x0a")
_KML = re.compile(rb"^(<\?xml[^>]*\?>)?\s*(<!--.*?-->\s*)*<(kml:)?kml[\s>]", re.DOTALL)
_ORDERS = (b"gdal_streamed_alg", b"<ogrvrt", b"<ogrwfs", b"<!doctype", b"<!entity")


def check_vector(path: str, problem: str = "cannot be read") -> None:
    """Refuse a file of vectors that GDAL might take for orders.

    Args:
        path: of a local GeoJSON, GeoPackage, FlatGeobuf, Shapefile or KML file, or of the folder of a file geodatabase.
        problem: what to say where it is none.

    Raises:
        InputError: it is none of these, or cannot be read.
    """
    if linked_allowed():
        return
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode) and path.rstrip("/").lower().endswith(".gdb"):
            return
        if not stat.S_ISREG(mode):
            raise InputError(f"{path}: not a file: name a file of vectors")
        with open(path, "rb") as file:
            head = file.read(_HEAD_BYTES)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    if head.startswith(_BINARY):
        return
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n\x1e")
    known = text.startswith(b"{") or _KML.match(text)
    if not known or any(order in text.lower() for order in _ORDERS):
        raise InputError(
            f"{path}: {problem}: vectors are read from GeoJSON, GeoPackage, FlatGeobuf, Shapefiles, KML and file "
            "geodatabases; this is none of them, or holds orders for GDAL. Convert it (ogr2ogr OUT.gpkg IN), or, where "
            f"you trust it: --allow-linked (or {ALLOW}=1)"
        )

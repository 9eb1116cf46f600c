"""One feature from the members that a file holds, checked: files may have been edited by other tools."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

from rsccli.errors import InputError
from rsccli.geo.footprint import Ring, bbox_of
from rsccli.output.features import PROPERTIES, Feature
from rsccli.types import STATUSES, Status

#: Sums of larger numbers are infinite.
_MOST = 1e300
#: A side of a plan has fewer: a raster of 2^31 pixels in tiles of 8.
_MOST_TILES = 2**28


def build_feature(where: str, tile_id: object, polygons: tuple[Ring, ...], values: Mapping[str, Any]) -> Feature:
    """A feature from its id, its rings and its flat properties.

    Args:
        where: file and place in it, for messages.
        values: the properties by name; unknown ones are ignored.

    Raises:
        InputError: a property is missing or of the wrong kind.
    """
    missing = [
        name for name in ("status", "tile_row", "tile_col", "valid_fraction", "model") if values.get(name) is None
    ]
    if missing or not tile_id:
        raise InputError(
            f"{where}: no {' or '.join(missing) if missing else 'id'}; name an output of rsccli caption, unedited"
        )
    if values["status"] not in STATUSES:
        raise InputError(f"{where}: status {values['status']!r} is none of {', '.join(STATUSES)}")
    if not polygons:
        raise InputError(f"{where}: no polygon; name an output of rsccli caption, unedited")
    found = {name: _value(where, name, kind, values.get(name)) for name, kind in PROPERTIES.items()}
    if not all(0 <= cast(int, found[name]) < _MOST_TILES for name in ("tile_row", "tile_col")):
        raise InputError(f"{where}: tile_row {found['tile_row']}, tile_col {found['tile_col']}: no place in a plan")
    if not 0 <= cast(float, found["valid_fraction"] or 0.0) <= 1:
        raise InputError(f"{where}: valid_fraction is {found['valid_fraction']}, no share from 0 to 1")
    del found["change"]  # follows from the status
    words = cast(str | None, found.pop("keywords")) or ""
    found["model_revision"] = found["model_revision"] or ""
    found["valid_fraction"] = found["valid_fraction"] or 0.0
    found["gsd_m"] = found["gsd_m"] if found["gsd_m"] is not None else 0.0
    return Feature(
        id=str(tile_id),
        polygons=polygons,
        bbox=bbox_of(polygons),
        keywords=tuple(word for word in words.split(";") if word),
        status=cast(Status, found.pop("status")),
        **cast(dict[str, Any], found),
    )


def rings_of(where: str, geometry: object) -> tuple[Ring, ...]:
    """Rings of a GeoJSON Polygon or MultiPolygon.

    Raises:
        InputError: it is neither.
    """
    try:
        members = cast(Mapping[str, Any], geometry)
        if members["type"] == "Polygon":
            return (_ring(members["coordinates"][0]),)
        if members["type"] == "MultiPolygon":
            return tuple(_ring(part[0]) for part in members["coordinates"])
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise InputError(
            f"{where}: its geometry is damaged ({error}); name an output of rsccli caption, unedited"
        ) from error
    raise InputError(f"{where}: its geometry is a {members['type']}, not a polygon")


def rings_of_shapes(where: str, shape: Any) -> tuple[Ring, ...]:  # noqa: ANN401 - a shapely geometry
    """Rings of a shapely Polygon or MultiPolygon.

    Raises:
        InputError: it is neither.
    """
    parts = getattr(shape, "geoms", [shape])
    if shape is None or any(part.geom_type != "Polygon" for part in parts):
        raise InputError(f"{where}: its geometry is not a polygon")
    try:
        return tuple(_ring(part.exterior.coords) for part in parts)
    except ValueError as error:
        raise InputError(f"{where}: its geometry is damaged ({error})") from error


def _ring(points: Sequence[Sequence[float]]) -> Ring:
    ring = tuple((float(point[0]), float(point[1])) for point in points)
    if len(ring) < 4 or not all(math.isfinite(x) and math.isfinite(y) for x, y in ring):
        raise ValueError("a ring of fewer than four points, or of points that are nowhere")
    return ring


def _value(where: str, name: str, kind: type, value: object) -> object:
    if value is None or (kind is str and value == "" and name != "keywords"):
        return None
    if kind is str and not isinstance(value, str):
        value = str(value)
    try:
        found = value if isinstance(value, kind) else kind(value)
        if isinstance(found, float) and not abs(found) < _MOST:
            if math.isnan(found):
                return None  # how other tools write an unknown number
            raise ValueError("infinite")
        return found
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{where}: {name} is {str(value)[:40]!r}, not a {kind.__name__}") from error

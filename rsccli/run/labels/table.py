"""Labels files as tables: a geometry and a level for each building, from xBD's JSON or whatever pyogrio reads."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import shapely

from rsccli.errors import CrsError, InputError
from rsccli.geo.geometry import WGS84, parse_crs
from rsccli.geo.vectors import VECTOR_ERRORS, check_vector
from rsccli.models.outlines import LEVELS
from rsccli.run.labels.buildings import Shapes

#: Columns that are looked for where nobody names one.
FIELDS: tuple[str, ...] = ("subtype", "damage")
DISASTER_FIELD = "disaster_type"


class Table(NamedTuple):
    """What a file holds: geometries (or None), levels and disaster types as they stand there, one per feature."""

    crs: str
    shapes: Shapes
    column: str
    values: Shapes
    disasters: Shapes
    notes: tuple[str, ...] = ()


def read_table(path: str, field: str | None) -> Table:
    """Read a local labels file.

    Args:
        path: xBD's JSON, or a vector file. field: column of the levels; the default is the first of `FIELDS`.

    Raises:
        InputError: unreadable, no such column, no polygon. CrsError: no CRS, or none of the Earth.
    """
    return _read_xbd(path, field) or _read_ogr(path, field)


def _read_xbd(path: str, field: str | None) -> Table | None:
    """A label file of xBD, or None where it is something else."""
    import orjson

    if Path(path).suffix.lower() != ".json":
        return None
    try:
        data = orjson.loads(Path(path).read_bytes())
    except (OSError, ValueError):
        return None  # GDAL knows other files that are called .json
    features = data.get("features") if isinstance(data, dict) else None
    if not isinstance(features, dict):
        return None
    buildings = features.get("lng_lat")
    if not isinstance(buildings, list):
        raise InputError(
            f"{path}: a label file of xBD without features.lng_lat: pixels alone do not say where the buildings lie; "
            "take xBD's original label file, or a georeferenced one such as GeoJSON"
        )
    if not buildings:
        raise InputError(no_polygon(path, 0))
    rows = [each if isinstance(each, dict) else {} for each in buildings]
    properties = [_member(row, "properties") for row in rows]
    there = sorted({name for each in properties for name in each})
    column = _column(path, field, there, "properties of features, which tell no damage before the disaster")
    metadata = _member(data, "metadata")
    return Table(
        crs=WGS84,
        shapes=np.asarray(shapely.from_wkt([_text(row.get("wkt")) for row in rows], on_invalid="ignore"), object),
        column=column,
        values=_objects([each.get(column) for each in properties]),
        disasters=_objects([each.get(DISASTER_FIELD, metadata.get(DISASTER_FIELD)) for each in properties]),
    )


def _member(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = row.get(name)
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _read_ogr(path: str, field: str | None) -> Table:
    import pyogrio

    check_vector(path, "the labels cannot be read")
    try:
        with warnings.catch_warnings():
            # What pyogrio warns of (odd members of GeoJSON, say) does not change where a building lies.
            warnings.simplefilter("ignore")
            # Layers of points, or without geometry such as the styles of QGIS, are not meant.
            kinds = [(str(name), str(kind)) for name, kind in pyogrio.list_layers(path) if kind is not None]
            layers = [name for name, kind in kinds if "Point" not in kind and "LineString" not in kind]
            if not layers:
                raise InputError(no_polygon(path, None))
            infos = {name: pyogrio.read_info(path, layer=name) for name in layers}
            if all(info["features"] == 0 for info in infos.values()):
                raise InputError(no_polygon(path, 0))
            columns = {name: [str(column) for column in info["fields"]] for name, info in infos.items()}
            layer = next((name for name in layers if _find(field, columns[name])), layers[0])
            column = _column(path, field, columns[layer], f"columns of the layer {layer}")
            disaster = _find(DISASTER_FIELD, columns[layer])
            wanted = [column, *([disaster] if disaster and disaster != column else [])]
            meta, _, wkb, data = pyogrio.raw.read(path, layer=layer, columns=wanted, force_2d=True)
    except VECTOR_ERRORS as error:
        raise InputError(f"{path}: the labels cannot be read: {error}") from error
    by_name = dict(zip((str(name) for name in meta["fields"]), data, strict=True))
    values = _objects(by_name[column])
    notes = () if len(layers) == 1 else (f"of its {len(layers)} layers only {layer!r} was read",)
    return Table(
        crs=_crs(path, meta["crs"]),
        shapes=np.asarray(shapely.from_wkb(wkb, on_invalid="ignore"), object),
        column=column,
        values=values,
        disasters=_objects(by_name[disaster]) if disaster else _objects([None] * len(values)),
        notes=notes,
    )


def _objects(values: Sequence[object] | npt.NDArray[Any]) -> Shapes:
    out = np.empty(len(values), object)
    out[:] = list(values)
    return out


def _crs(path: str, crs: str | None) -> str:
    way_out = "assign the right one, for example: ogr2ogr -a_srs EPSG:32633 placed.gpkg " + Path(path).name
    if not crs:
        raise CrsError(f"{path}: it has no CRS, so nobody knows where its buildings lie: {way_out}")
    try:
        parse_crs(crs)
    except CrsError as error:
        raise CrsError(f"{path}: its CRS has no place on the Earth ({crs[:60]}): {way_out}") from error
    return crs


def _find(wanted: str | None, columns: Sequence[str]) -> str | None:
    """A column by its name or by one of `FIELDS`; upper and lower case are the same unless both are there."""
    for name in FIELDS if wanted is None else (wanted,):
        for column in (*(c for c in columns if c == name), *(c for c in columns if c.casefold() == name.casefold())):
            return column
    return None


def _column(path: str, wanted: str | None, columns: Sequence[str], where: str) -> str:
    column = _find(wanted, columns)
    if column is None:
        raise InputError(
            f"{path}: no column {' or '.join(FIELDS) if wanted is None else wanted} among the {where}: there is "
            f"{', '.join(columns[:12]) or 'none'}. Name the one that holds {', '.join(LEVELS)} with --labels-field"
        )
    return column


def no_polygon(path: str, features: int | None) -> str:
    """What to say of a file without polygons; ``features``: how many it has, if that is known."""
    among = "in it" if features is None else f"among its {features} features"
    return f"{path}: no polygon {among}: labels are outlines of buildings, drawn as polygons"

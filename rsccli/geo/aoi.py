"""Areas of interest: polygons from GeoJSON and other vector files, in longitude/latitude."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import shapely

from rsccli.errors import InputError
from rsccli.geo.geometry import F64, WGS84, transform
from rsccli.geo.vectors import VECTOR_ERRORS, check_vector


@lru_cache(maxsize=4)
def read_aoi(path: str) -> shapely.Geometry:
    """The union of all polygons of a file, lon/lat.

    Raises:
        InputError: the file cannot be read or holds no polygon.
    """
    geometry = _from_geojson(path) if Path(path).suffix.lower() in (".geojson", ".json") else _from_ogr(path)
    try:
        polygons = [g for g in shapely.get_parts(shapely.make_valid(geometry)) if g.geom_type.endswith("Polygon")]
        area = shapely.union_all(polygons)
    except shapely.errors.ShapelyError as error:
        raise InputError(f"{path}: a geometry in it is broken: {error}") from error
    if area.is_empty:
        raise InputError(f"{path}: no polygon in it: an area of interest is drawn with polygons")
    return area


def _from_geojson(path: str) -> shapely.Geometry:
    import geojson

    try:
        with open(path, encoding="utf-8") as file:
            data = geojson.load(file)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:  # its own hooks raise these
        raise InputError(f"{path}: not GeoJSON: {error}") from error
    if not isinstance(data, geojson.GeoJSON):
        raise InputError(f"{path}: not GeoJSON: it has no type that RFC 7946 knows")
    try:
        shapes = data["features"] if data["type"] == "FeatureCollection" else [data]
        geometries = [s["geometry"] if s["type"] == "Feature" else s for s in shapes]
        return shapely.geometrycollections([shapely.geometry.shape(g) for g in geometries if g])
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, shapely.errors.ShapelyError) as error:
        raise InputError(f"{path}: a geometry in it is broken: {error}") from error


def _from_ogr(path: str) -> shapely.Geometry:
    import numpy as np
    import pyogrio

    check_vector(path, "cannot be read as an area of interest")
    try:
        meta, _, wkb, _ = pyogrio.raw.read(path, columns=[])
        collection = shapely.geometrycollections(shapely.force_2d(shapely.from_wkb(wkb)))
    except VECTOR_ERRORS as error:
        raise InputError(f"{path}: cannot be read as an area of interest: {error}") from error
    if not meta["crs"]:
        return collection
    crs = meta["crs"]

    def move(points: F64) -> F64:
        return np.stack(transform(crs, WGS84, points[:, 0], points[:, 1]), axis=1)

    try:
        return shapely.transform(shapely.segmentize(collection, _step(collection)), move)
    except shapely.errors.ShapelyError as error:
        raise InputError(f"{path}: a geometry in it is broken: {error}") from error


def _step(geometry: shapely.Geometry) -> float:
    """A hundredth of its extent: straight edges stay where they were after a change of CRS."""
    left, bottom, right, top = geometry.bounds
    return float(max(right - left, top - bottom, 1e-9)) / 100

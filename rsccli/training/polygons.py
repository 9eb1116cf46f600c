"""Polygons of changes, as a person drew them: where they lie, and as a mask on a pair's grid."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import shapely

from rsccli.errors import InputError
from rsccli.geo.geometry import F64, WGS84, parse_crs, transform
from rsccli.geo.grid import grid_polygon
from rsccli.geo.vectors import VECTOR_ERRORS, check_vector
from rsccli.training.places import Box
from rsccli.types import Bool, Grid


@dataclass(frozen=True)
class Polygons:
    """Ground that changed; none at all means that nothing did.

    Attributes:
        geometry: a MultiPolygon. space: ``lonlat`` (degrees, WGS 84), or ``pixel`` (column right, row down from the
            upper left corner of pre) where the images have no georeference.
    """

    geometry: shapely.Geometry
    space: Literal["lonlat", "pixel"]

    def mask(self, height: int, width: int, grid: Grid | None = None) -> Bool:
        """Pixels whose centre lies in a polygon, bool (height, width).

        Args:
            grid: of the pair, for ``lonlat``; its first pixel is the mask's.
        """
        from affine import Affine
        from rasterio.features import rasterize

        if self.geometry.is_empty:
            return np.zeros((height, width), bool)
        if (grid is None) != (self.space == "pixel"):
            raise ValueError(f"polygons in {self.space} coordinates {'need a' if grid is None else 'have no'} grid")
        shape = self.geometry if grid is None else grid_polygon(grid, self.geometry)
        placed = Affine.identity() if grid is None else grid.transform
        drawn = rasterize([shape], out_shape=(height, width), transform=placed, fill=0, default_value=1, dtype="uint8")
        return np.asarray(drawn, bool)


def inline_polygons(value: object, where: str, crs: str | None, box: Box | None, image_crs: str | None) -> Polygons:
    """Polygons that stand in a record itself.

    Args:
        value: a GeoJSON geometry, feature or collection, a list of them, or a list of rings ((x, y) points).
        where: file and line, for messages. crs: what the record says of their CRS; ``pixel`` is one, too.
        box: of the pair in longitude/latitude; None: the images have no georeference.
        image_crs: of pre.

    Without ``crs``: longitude and latitude as GeoJSON prescribes, or pre's own CRS if only that meets the images.

    Raises:
        InputError: broken, or beside the images.
    """
    geometry = _polygonal(_shapes(value, where), where)
    if geometry.is_empty:
        return Polygons(geometry, "pixel" if box is None else "lonlat")
    if box is None:
        if crs not in (None, "pixel"):
            raise InputError(f"{where}: polygons_crs is {crs}, but the images have no georeference: give pixels")
        return Polygons(_rows_down(geometry), "pixel")
    if crs == "pixel":
        raise InputError(f"{where}: polygons in pixels, but the images have a georeference: give map coordinates")
    tried = [crs] if crs else [WGS84, *([image_crs] if image_crs else [])]
    for candidate in tried:
        if parse_crs(candidate).is_geographic and not _within_degrees(geometry):
            continue
        lonlat = _to_lonlat(geometry, candidate)
        if shapely.box(*box).intersects(lonlat):
            return Polygons(lonlat, "lonlat")
    west, south, east, north = box
    raise InputError(
        f"{where}: the polygons lie beside the images, which span {west:.5f} {south:.5f} {east:.5f} {north:.5f} "
        f"(tried as {' and '.join(tried)}); check them, or name their CRS in polygons_crs"
    )


def file_polygons(path: Path, where: str, box: Box | None) -> Polygons:
    """Polygons of a vector file that touch a pair (all of them where the images have no georeference).

    Raises:
        InputError: it cannot be read, or holds no polygon at all.
    """
    shapes, placed = _read(str(path), where)
    if box is None:
        return Polygons(_rows_down(_multi(shapes)), "pixel")
    if not placed:
        raise InputError(f"{where}: {path} has no CRS, so nobody knows where its polygons lie; assign one with ogr2ogr")
    area = shapely.box(*box)
    return Polygons(_multi([shape for shape in shapes if shape.intersects(area)]), "lonlat")


@lru_cache(maxsize=16)
def _read(path: str, where: str) -> tuple[tuple[shapely.Geometry, ...], bool]:
    """Polygons of a file, in longitude/latitude where it has a CRS; and whether it has."""
    import pyogrio

    check_vector(path)
    try:
        meta, _, wkb, _ = pyogrio.raw.read(path, columns=[])
        shapes = [shape for shape in shapely.force_2d(shapely.from_wkb(wkb)) if shape is not None]
    except VECTOR_ERRORS as error:
        raise InputError(f"{where}: the polygons of {path} cannot be read: {error}") from error
    geometry = _polygonal(shapes, where)
    crs = meta["crs"]
    # GDAL gives GeoJSON in pixels this CRS as well; whoever has no georeference asks for no box.
    if crs and not (parse_crs(crs).is_geographic and not _within_degrees(geometry)):
        geometry = _to_lonlat(geometry, crs)
    return tuple(shapely.get_parts(geometry)), bool(crs)


def _shapes(value: object, where: str) -> list[shapely.Geometry]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{where}: polygons are neither the path of a file nor GeoJSON: {error}") from error
    try:
        return _collect(value)
    except (
        *(ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError),
        shapely.errors.ShapelyError,
    ) as error:
        raise InputError(
            f"{where}: broken polygons ({error}); give GeoJSON geometries, for example "
            '[{"type": "Polygon", "coordinates": [[[10, 20], [40, 20], [40, 50], [10, 20]]]}]'
        ) from error


def _collect(value: Any) -> list[shapely.Geometry]:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        if value.get("type") == "FeatureCollection":
            return [shape for member in value["features"] for shape in _collect(member)]
        if value.get("type") == "Feature":
            return _collect(value["geometry"]) if value["geometry"] else []
        return [shapely.force_2d(shapely.geometry.shape(value))]
    if value and isinstance(value[0], list) and not isinstance(value[0][0], list | dict):
        value = [value]
    if value and isinstance(value[0], list):
        return [shapely.Polygon(ring) for ring in value]
    return [shape for member in value for shape in _collect(member)]


def _polygonal(shapes: Sequence[shapely.Geometry], where: str) -> shapely.Geometry:
    try:
        parts = [part for shape in shapes for part in shapely.get_parts(shapely.make_valid(shape))]
    except shapely.errors.ShapelyError as error:
        raise InputError(f"{where}: broken polygons ({error}); mend them") from error
    polygons = [part for part in parts if part.geom_type.endswith("Polygon") and not part.is_empty]
    if shapes and not polygons:
        raise InputError(f"{where}: no polygon among the {len(shapes)} geometries: outline changes with polygons")
    return _multi(polygons)


def _multi(shapes: Sequence[shapely.Geometry]) -> shapely.Geometry:
    return shapely.MultiPolygon([part for shape in shapes for part in shapely.get_parts(shape)])


def _rows_down(geometry: shapely.Geometry) -> shapely.Geometry:
    """Desktop GIS draws an image without georeference below its origin: there rows are negative."""
    if not geometry.is_empty and geometry.bounds[3] <= 0:
        return shapely.transform(geometry, lambda points: points * (1.0, -1.0))
    return geometry


def _within_degrees(geometry: shapely.Geometry) -> bool:
    left, bottom, right, top = geometry.bounds
    return bool(left >= -360 and right <= 360 and bottom >= -90 and top <= 90)


def _to_lonlat(geometry: shapely.Geometry, crs: str) -> shapely.Geometry:
    if crs == WGS84:
        return geometry
    left, bottom, right, top = geometry.bounds
    dense = shapely.segmentize(geometry, max(right - left, top - bottom, 1e-9) / 100)

    def move(points: F64) -> F64:
        return np.stack(transform(crs, WGS84, points[:, 0], points[:, 1]), axis=1)

    return shapely.transform(dense, move)

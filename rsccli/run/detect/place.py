"""Regions on pixel corners as polygons in longitude and latitude: fewer vertices, valid, cut at the antimeridian."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.polygon import orient

from rsccli.geo.edges import pole_is_a_line, sample_edges, wrap_degrees
from rsccli.geo.footprint import DECIMALS, TOLERANCE_M, BBox, Ring, bbox_of
from rsccli.geo.grid import grid_gsd_m
from rsccli.run.detect.polygons import Region
from rsccli.types import Grid

F64 = npt.NDArray[np.float64]
Rings = tuple[Ring, ...]
# A simpler outline is taken only where it changes the area by no more than this share.
_AREA_SHARE = 0.03
# Less is the same longitude after rounding.
_SAME_DEGREES = 1e-9
# Vertices this near to a pole (20 cm) are the pole.
_POLE_DEGREES = 2e-6
# Of a pixel: edges that are curves in longitude and latitude follow the true one at least so well.
_PIXEL_SHARE = 0.2


def place_regions(
    grid: Grid, regions: Sequence[Region], simplify_px: float
) -> Iterator[tuple[Region, tuple[Rings, ...], BBox]]:
    """Outer ring and holes of each part of each region, in longitude and latitude, and its bounding box.

    Args:
        simplify_px: how far an outline may move, in pixels; 0 keeps every pixel's corner.

    Raises:
        CrsError: a region lies outside of what the grid's CRS can express.
    """
    plain = [simplified(region.polygon, simplify_px) for region in regions]
    for region, shape, lonlat in zip(regions, plain, _lonlat(grid, plain), strict=True):
        if not all(part.is_valid for part in lonlat) and shape is not region.polygon:
            # Seven decimals brought two vertices together: those of pixels are never so near.
            (lonlat,) = _lonlat(grid, [region.polygon])
        parts = [piece for part in lonlat for piece in _valid(part)]
        rings = tuple(
            tuple(_ring(ring) for ring in (part.exterior, *part.interiors)) for part in sorted(parts, key=_west)
        )
        yield region, rings, bbox_of([part[0] for part in rings])


def simplified(polygon: Any, tolerance_px: float) -> Any:  # noqa: ANN401 - shapely geometries
    """The polygon with fewer vertices; the polygon itself where that would not be valid or would change its area."""
    for tolerance in (tolerance_px, tolerance_px / 2):
        if tolerance <= 0 or (len(polygon.exterior.coords) <= 5 and not polygon.interiors):
            break
        simpler = shapely.simplify(polygon, tolerance, preserve_topology=True)
        if (
            simpler.geom_type == "Polygon"
            and simpler.is_valid
            and abs(simpler.area - polygon.area) <= _AREA_SHARE * polygon.area
        ):
            return simpler
    return polygon


def _lonlat(grid: Grid, polygons: Sequence[Any]) -> list[list[Any]]:
    """Parts of each polygon, rounded; more than one where the antimeridian cuts it."""
    rings = [ring for polygon in polygons for ring in (polygon.exterior, *polygon.interiors)]
    corners = [shapely.get_coordinates(ring) for ring in rings]
    edges = np.concatenate([np.concatenate([points[:-1], points[1:]], 1) for points in corners])
    tolerance_m = min(TOLERANCE_M, _PIXEL_SHARE * grid_gsd_m(grid))
    samples = sample_edges(grid, edges.astype(np.int64), tolerance_m)
    # The end of an edge is the start of the next.
    keep = np.ones(len(samples.lon), bool)
    keep[samples.starts[1:] - 1] = False
    lon, lat = samples.lon[keep], samples.lat[keep]
    ends = np.cumsum(np.diff(samples.starts) - 1)[np.cumsum([len(points) - 1 for points in corners]) - 1]
    placed = list(zip(np.split(lon, ends[:-1]), np.split(lat, ends[:-1]), strict=True))
    line_pole = pole_is_a_line(grid.crs)
    found, at = [], 0
    for polygon in polygons:
        count = 1 + len(polygon.interiors)
        found.append(
            _parts(placed[at : at + count] if line_pole else [_off_pole(*ring) for ring in placed[at : at + count]])
        )
        at += count
    return found


def _parts(rings: Sequence[tuple[F64, F64]]) -> list[Any]:
    """One polygon of its rings, or those that the antimeridian makes of it."""
    shell = _unwrapped(rings[0][0])
    middle = (shell.min() + shell.max()) / 2
    lons = [shell]
    for lon, _ in rings[1:]:
        hole = _unwrapped(lon)
        lons.append(hole - 360.0 * np.round((hole.mean() - middle) / 360.0))
    lats = [lat for _, lat in rings]
    if not _around_pole(shell) and shell.min() >= -180 - _SAME_DEGREES and shell.max() <= 180 + _SAME_DEGREES:
        return [_polygon([_rounded(lon, lat) for lon, lat in zip(lons, lats, strict=True)])]
    shape = _in_plane(lons, lats)
    parts = []
    west, _, east, _ = shape.bounds
    for turn in range(int(np.floor((west + 180) / 360)), int(np.floor((east + 180) / 360)) + 1):
        cut = shapely.intersection(shape, shapely.box(360 * turn - 180, -90, 360 * turn + 180, 90))
        for part in _polygons_of(cut):
            points = [shapely.get_coordinates(ring)[:-1] - (360 * turn, 0) for ring in (part.exterior, *part.interiors)]
            rounded = [_rounded(*ring.T) for ring in points]
            # A part thinner than the last decimal is no polygon any more.
            if len(rounded[0]) >= 3:
                parts.append(_polygon(rounded))
    return parts


def _off_pole(lon: F64, lat: F64) -> tuple[F64, F64]:
    """A ring without vertices at a pole, where longitude means nothing: there it goes along the pole."""
    at_pole = np.abs(lat) > 90 - _POLE_DEGREES
    if not at_pole.any() or at_pole.all():
        return lon, lat
    after = int(np.flatnonzero(at_pole)[-1]) + 1
    lon, lat, at_pole = np.roll(lon, -after), np.roll(lat, -after), np.roll(at_pole, -after)
    pole = float(np.sign(lat[at_pole][0])) * 90.0
    lon, lat = _unwrapped(lon[~at_pole]), lat[~at_pole]
    # In steps, so that the way along the pole is not taken for the short one round the other side.
    along = np.linspace(lon[-1], lon[0], max(2, int(np.ceil(abs(lon[-1] - lon[0]) / 90)) + 1))
    return np.concatenate([lon, along]), np.concatenate([lat, np.full(len(along), pole)])


def _around_pole(lon: F64) -> bool:
    """Whether an open ring of continuous longitudes goes once around the globe."""
    return bool(abs(lon[-1] + float(wrap_degrees(lon[:1] - lon[-1:])[0]) - lon[0]) >= 180)


def _in_plane(lons: Sequence[F64], lats: Sequence[F64]) -> Any:  # noqa: ANN401 - a shapely geometry
    """Rings of continuous longitudes as one shape of the plane; what encloses a pole reaches up (or down) to it."""
    pole = 90.0 if float(np.mean(lats[0])) > 0 else -90.0
    shell, *holes = (
        _to_pole(lon, lat, pole) if _around_pole(lon) else np.stack([lon, lat], 1)
        for lon, lat in zip(lons, lats, strict=True)
    )
    shape = shapely.make_valid(shapely.Polygon(shell))
    # One after the other, and a turn to either side: round a pole a hole may begin where the ring outside of it ends.
    for hole in holes:
        for turn in (-360.0, 0.0, 360.0):
            shape = shapely.difference(shape, shapely.make_valid(shapely.Polygon(hole + np.array([turn, 0.0]))))
    return shape


def _to_pole(lon: F64, lat: F64, pole: float) -> F64:
    """A ring around the globe as a ring of the plane, closed along the pole."""
    # From the vertex that is next to the pole, so that the way there crosses no other part of the ring.
    first = int(np.argmax(lat * np.sign(pole)))
    lon, lat = _unwrapped(np.roll(lon, -first)), np.roll(lat, -first)
    end = lon[0] + np.copysign(360.0, lon[-1] - lon[0])
    return np.stack([np.append(lon, [end, end, lon[0]]), np.append(lat, [lat[0], pole, pole])], 1)


def _polygons_of(shape: Any) -> list[Any]:  # noqa: ANN401 - shapely geometries
    """The polygons of a shape of any kind."""
    return [
        polygon
        for each in getattr(shape, "geoms", [shape])
        for polygon in getattr(each, "geoms", [each])
        if polygon.geom_type == "Polygon" and not polygon.is_empty
    ]


def _unwrapped(lon: F64) -> F64:
    """Longitudes made continuous along an open ring."""
    return np.concatenate([lon[:1], lon[0] + np.cumsum(wrap_degrees(np.diff(lon)))])


def _rounded(lon: F64, lat: F64) -> F64:
    """Vertices of an open ring, without those that rounding made equal."""
    points = np.round(np.stack([lon, lat], 1), DECIMALS) + 0.0
    return np.asarray(points[np.any(points != np.roll(points, 1, axis=0), axis=1)], np.float64)


def _polygon(rings: Sequence[F64]) -> Any:  # noqa: ANN401 - a shapely geometry
    # Holes thinner than the last decimal are none any more.
    return orient(shapely.Polygon(rings[0], [ring for ring in rings[1:] if len(ring) >= 3]))


def _valid(part: Any) -> list[Any]:  # noqa: ANN401 - shapely geometries
    return [part] if part.is_valid else [orient(each) for each in _polygons_of(shapely.make_valid(part))]


def _west(part: Any) -> float:  # noqa: ANN401 - a shapely geometry
    return float(part.bounds[0])


def _ring(ring: Any) -> Ring:  # noqa: ANN401 - a shapely ring
    return tuple((float(x), float(y)) for x, y in ring.coords)

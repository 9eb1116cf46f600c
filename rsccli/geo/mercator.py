"""Web Mercator (EPSG:3857), the projection of web maps: places of footprints in it, and a picture's grid over a run's.

Metres here are those of the map: at latitude 60 they are half as long on the ground.
"""

from __future__ import annotations

import math

import numpy as np
from affine import Affine

from rsccli.geo.geometry import F64, WGS84, outline_px, transform, wrap_lon
from rsccli.geo.grid import grid_gsd_m
from rsccli.types import Grid, MapBounds

WEB_MERCATOR = "EPSG:3857"
#: Latitudes beyond it have no place on a web map (its square ends at 85.0511 degrees).
MAX_LATITUDE = 85.05
_RADIUS_M = 6_378_137.0


def to_mercator(lon: F64, lat: F64) -> tuple[F64, F64]:
    """Metres of Web Mercator from degrees; longitudes beyond 180 go on beyond the edge of the world map."""
    x = np.radians(lon) * _RADIUS_M
    y = np.arctanh(np.sin(np.radians(lat))) * _RADIUS_M
    return x, y


def centre_longitude(grid: Grid) -> float:
    """Longitude of the middle of a grid, degrees: the one that its tiles lie around, the antimeridian or not."""
    x, y = grid.transform @ (grid.width / 2, grid.height / 2)
    lon, _ = transform(grid.crs, WGS84, np.array([x]), np.array([y]))
    return float(lon[0])


def mercator_pixel_m(grid: Grid) -> float:
    """A pixel in the middle of a grid, metres of Web Mercator."""
    x, y = grid.transform @ (grid.width / 2, grid.height / 2)
    _, lat = transform(grid.crs, WGS84, np.array([x]), np.array([y]))
    return grid_gsd_m(grid) / math.cos(math.radians(float(lat[0])))


def mercator_bounds(grid: Grid) -> MapBounds | None:
    """Bounds of a grid in Web Mercator, or None where it reaches too near to a pole."""
    cols, rows = outline_px(grid.width, grid.height)
    t = grid.transform
    lon, lat = transform(grid.crs, WGS84, t.a * cols + t.c, t.e * rows + t.f)
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()) or np.abs(lat).max() > MAX_LATITUDE:
        return None
    x, y = to_mercator(wrap_lon(lon, centre_longitude(grid)), lat)
    if float(np.ptp(x)) <= 0 or float(np.ptp(y)) <= 0:
        return None
    return MapBounds(float(x.min()), float(y.min()), float(x.max()), float(y.max()))


def mercator_grid(grid: Grid, max_px: int) -> Grid | None:
    """A grid in Web Mercator over the same ground, of at most ``max_px`` pixels and never finer than the grid itself.

    Returns:
        None where the ground has no place on a web map, see ``mercator_bounds``.
    """
    bounds = mercator_bounds(grid)
    if bounds is None:
        return None
    across, down = bounds.right - bounds.left, bounds.top - bounds.bottom
    size = max(mercator_pixel_m(grid), math.sqrt(across * down / max_px))
    width, height = max(1, math.ceil(across / size - 1e-6)), max(1, math.ceil(down / size - 1e-6))
    while width * height > max_px and size < max(across, down):  # rounding up may pass the limit, once or twice
        size *= 1.001
        width, height = max(1, math.ceil(across / size)), max(1, math.ceil(down / size))
    return Grid(WEB_MERCATOR, Affine(size, 0, bounds.left, 0, -size, bounds.top), width, height)

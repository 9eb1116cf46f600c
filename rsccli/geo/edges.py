"""Straight edges of the grid, brought to longitude/latitude with no more vertices than they need.

A straight line of a projected grid is a curve in longitude/latitude. GeoJSON (RFC 7946, section 3.1.1)
draws straight lines between vertices, so each edge is halved until every chord stays within a tolerance of
the curve. An edge is always sampled from left to right or from top to bottom, at fractions that depend on
nothing but the edge: two tiles that share it get the same vertices, bit for bit, in any batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from pyproj import CRS, Transformer

from rsccli.errors import CrsError
from rsccli.types import Grid

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

METRES_PER_DEGREE = 111_320.0
# A chord wider than this could be read the other way round the globe.
_MAX_CHORD_DEGREES = 90.0
_MAX_HALVINGS = 30
_FRACTIONS = np.array([0.0, 0.25, 0.5, 0.75, 1.0])


@dataclass(frozen=True)
class EdgeSamples:
    """Vertices along edges; those of edge ``i`` are ``starts[i]:starts[i + 1]``, both ends included.

    Attributes:
        lon: degrees, as PROJ gives them (not unwrapped). lat: degrees, within -90..90.
    """

    lon: F64
    lat: F64
    starts: I64


@lru_cache(maxsize=32)
def lonlat_transformer(crs: str) -> Transformer:
    """Transformer from ``crs`` to WGS 84 longitude/latitude (x, y order on both sides).

    Raises:
        CrsError: PROJ does not know the CRS.
    """
    from pyproj.exceptions import ProjError

    try:
        return Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    except ProjError as error:
        raise CrsError(
            f"the grid's coordinate reference system cannot be brought to longitude/latitude: {crs[:120]}; "
            "name another one with --dst-crs EPSG:CODE"
        ) from error


def to_lonlat(grid: Grid, px_col: F64, px_row: F64) -> tuple[F64, F64]:
    """Pixel corners of the grid to longitude/latitude, degrees, any shape.

    Raises:
        CrsError: a point lies outside of what the CRS can express.
    """
    affine = grid.transform
    map_x = affine.c + affine.a * px_col
    map_y = affine.f + affine.e * px_row
    lon, lat = lonlat_transformer(grid.crs).transform(map_x, map_y)
    lon, lat = np.asarray(lon, np.float64), np.asarray(lat, np.float64)
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        raise CrsError(
            f"part of the grid lies outside of the validity of {grid.crs[:60]} "
            f"(bounds {tuple(round(v, 3) for v in grid.map_bounds)}); "
            "cut the area with --bbox or choose another grid with --dst-crs EPSG:CODE"
        )
    return lon, np.clip(lat, -90.0, 90.0)


@lru_cache(maxsize=32)
def pole_is_a_line(crs: str) -> bool:
    """Whether the poles are lines of the grid (longitude/latitude) and not points (everything else)."""
    parsed = CRS.from_user_input(crs)
    # On a rotated pole (a derived geographic CRS) the true poles are points, too.
    return bool(parsed.is_geographic and not parsed.is_derived)


def wrap_degrees(delta: F64) -> F64:
    """Differences of longitude, taken the short way round: -180..180."""
    wrapped: F64 = delta - 360.0 * np.round(delta / 360.0)
    return wrapped


def sample_edges(grid: Grid, px_edges: I64, tolerance_m: float) -> EdgeSamples:
    """Vertices in longitude/latitude along straight edges of the grid.

    Args:
        px_edges: (E, 4): column and row of the first end, column and row of the second.
        tolerance_m: largest distance in metres between the true curve and the chords.

    Raises:
        CrsError: a point lies outside of what the CRS can express.
    """
    edge = np.arange(len(px_edges), dtype=np.int64)
    ends = px_edges.astype(np.float64)
    t0 = np.zeros(len(edge))
    step = np.ones(len(edge))
    lon, lat = _at(grid, ends, edge, t0[:, None] + step[:, None] * _FRACTIONS)
    line_pole = pole_is_a_line(grid.crs)
    done: list[tuple[I64, F64, F64, F64]] = []
    for halving in range(_MAX_HALVINGS + 1):
        rough = np.zeros(len(edge), bool)
        if halving < _MAX_HALVINGS:
            rough = _too_rough(lon, lat, tolerance_m, line_pole)
        fine = ~rough
        done.append((edge[fine], t0[fine], lon[fine, 0], lat[fine, 0]))
        if not rough.any():
            break
        edge, t0, step, lon, lat = edge[rough], t0[rough], step[rough] / 2, lon[rough], lat[rough]
        # Each half keeps three of its parent's five points and asks PROJ for the two between them.
        halves_lon = np.empty((len(edge), 2, 5))
        halves_lat = np.empty_like(halves_lon)
        for out, parent in ((halves_lon, lon), (halves_lat, lat)):
            out[:, 0, ::2] = parent[:, 0:3]
            out[:, 1, ::2] = parent[:, 2:5]
        starts = np.stack([t0, t0 + step], axis=1)
        between = starts[:, :, None] + step[:, None, None] * _FRACTIONS[[1, 3]]
        new_lon, new_lat = _at(grid, ends, edge, between.reshape(len(edge), 4))
        halves_lon[:, :, 1::2] = new_lon.reshape(len(edge), 2, 2)
        halves_lat[:, :, 1::2] = new_lat.reshape(len(edge), 2, 2)
        edge, t0, step = np.repeat(edge, 2), starts.reshape(-1), np.repeat(step, 2)
        lon, lat = halves_lon.reshape(-1, 5), halves_lat.reshape(-1, 5)
    last = np.arange(len(px_edges), dtype=np.int64)
    end_lon, end_lat = _at(grid, ends, last, np.ones((len(last), 1)))
    done.append((last, np.ones(len(last)), end_lon[:, 0], end_lat[:, 0]))
    all_edge, all_t, all_lon, all_lat = (np.concatenate(part) for part in zip(*done, strict=True))
    order = np.lexsort((all_t, all_edge))
    counts = np.bincount(all_edge, minlength=len(px_edges))
    return EdgeSamples(all_lon[order], all_lat[order], np.concatenate([[0], np.cumsum(counts)]))


def _at(grid: Grid, ends: F64, edge: I64, t: F64) -> tuple[F64, F64]:
    """Longitude and latitude at fractions ``t`` (S, k) of the edges ``edge`` (S,)."""
    first_col, first_row, last_col, last_row = (ends[edge, k][:, None] for k in range(4))
    return to_lonlat(grid, first_col + (last_col - first_col) * t, first_row + (last_row - first_row) * t)


def _too_rough(lon: F64, lat: F64, tolerance_m: float, line_pole: bool) -> npt.NDArray[np.bool_]:
    """Which chords (S, 5 points) leave the curve by more than the tolerance, or are too wide to read."""
    dlon = wrap_degrees(lon - lon[:, :1])
    # The widest parallel of the five: never underestimates a distance near a pole.
    width = np.cos(np.radians(np.abs(lat).min(axis=1)))[:, None] * METRES_PER_DEGREE
    x = dlon * width
    y = (lat - lat[:, :1]) * METRES_PER_DEGREE
    length = np.hypot(x[:, 4], y[:, 4])[:, None]
    cross = np.abs(x * y[:, 4:] - y * x[:, 4:])
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.where(length > 0, cross / length, np.hypot(x, y))
    wide = np.abs(dlon).max(axis=1) > _MAX_CHORD_DEGREES
    if not line_pole:
        # An edge over a pole: points within the tolerance of each other need no further vertex.
        wide &= np.hypot(x, y).max(axis=1) > tolerance_m
    rough: npt.NDArray[np.bool_] = (distance.max(axis=1) > tolerance_m) | wide
    return rough

"""Footprints of windows of the grid in longitude/latitude, as RFC 7946 wants them.

Rings are counter-clockwise, closed, with 7 decimals; edges carry enough vertices to stay within 0.1 m of
the true curve; neighbours share their vertices; what crosses the antimeridian is cut there; a bounding box
over it has west > east (RFC 7946, sections 3.1.6, 3.1.9, 5.2, 5.3, 11.2).

A padded tile reaches beyond the image: its footprint is the part that lies on the grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import antimeridian
import numpy as np
import shapely

from rsccli.geo.edges import F64, I64, EdgeSamples, pole_is_a_line, sample_edges, to_lonlat, wrap_degrees
from rsccli.types import Grid, PxWindow

DECIMALS = 7
TOLERANCE_M = 0.1
_AREA_TOLERANCE_M = 0.005

LonLat: TypeAlias = tuple[float, float]
Ring: TypeAlias = tuple[LonLat, ...]
BBox: TypeAlias = tuple[float, float, float, float]

# WGS 84 (EPSG:7030).
_SEMI_MAJOR_M = 6_378_137.0
_FLATTENING = 1 / 298.257223563
# Vertices this near to a pole (about a centimetre) are the pole: their longitude means nothing.
_POLE_DEGREES = 1e-7


@dataclass(frozen=True, slots=True)
class Footprint:
    """Where a window lies on the ground.

    Attributes:
        polygons: one closed counter-clockwise ring (lon, lat in degrees, 7 decimals) per part; more than
            one part where the antimeridian cuts it.
        bbox: west, south, east, north in degrees; west > east over the antimeridian.
    """

    polygons: tuple[Ring, ...]
    bbox: BBox


def footprints(grid: Grid, windows: Sequence[PxWindow], tolerance_m: float = TOLERANCE_M) -> list[Footprint]:
    """Footprints of many windows at once; the same window gives the same bytes in any batch.

    Args:
        windows: pixel windows; what lies beyond the grid is left off.
        tolerance_m: largest distance in metres between the true edge and the polygon's.

    Raises:
        ValueError: a window lies wholly outside of the grid.
        CrsError: part of the grid is outside of what its CRS can express.
    """
    if not windows:
        return []
    px_edges, tile_edges = _edges_of(grid, windows)
    samples = sample_edges(grid, px_edges, tolerance_m)
    starts = samples.starts
    # Adding 0.0 turns -0.0 into 0.0, which JSON would otherwise tell apart.
    lon = np.round(samples.lon, DECIMALS) + 0.0
    lat = np.round(samples.lat, DECIMALS) + 0.0
    west, east = np.minimum.reduceat(lon, starts[:-1]), np.maximum.reduceat(lon, starts[:-1])
    south, north = np.minimum.reduceat(lat, starts[:-1]), np.maximum.reduceat(lat, starts[:-1])
    tile_west, tile_east = west[tile_edges].min(axis=1), east[tile_edges].max(axis=1)
    tile_south, tile_north = south[tile_edges].min(axis=1), north[tile_edges].max(axis=1)
    plain = (
        (tile_east - tile_west < 180)
        & (tile_west >= -180)
        & (tile_east <= 180)
        & (np.maximum(-tile_south, tile_north) < 90 - _POLE_DEGREES)
    )
    corners = np.stack([starts[tile_edges[:, 0]], starts[tile_edges[:, 0] + 1] - 1], axis=1)
    top = np.stack([starts[tile_edges[:, 2] + 1] - 1, starts[tile_edges[:, 2]]], axis=1)
    mirrored = _shoelace(lon, lat, np.concatenate([corners, top], axis=1)) < 0
    points = list(zip(lon.tolist(), lat.tolist(), strict=True))
    boxes = np.stack([tile_west, tile_south, tile_east, tile_north], axis=1).tolist()
    begin = starts.tolist()
    result = []
    for i, (bottom, right, upper, left) in enumerate(tile_edges.tolist()):
        if plain[i]:
            ring = (
                points[begin[bottom] : begin[bottom + 1]]
                + points[begin[right] : begin[right + 1] - 1][::-1]
                + points[begin[upper] : begin[upper + 1] - 1][::-1]
                + points[begin[left] + 1 : begin[left + 1]]
            )
            result.append(Footprint((tuple(ring[::-1] if mirrored[i] else ring),), tuple(boxes[i])))
        else:
            lon_lat = _ring_of(samples, (bottom, right, upper, left))
            result.append(_careful(*lon_lat, pole_is_point=not pole_is_a_line(grid.crs)))
    return result


def window_areas_m2(grid: Grid, windows: Sequence[PxWindow], clip: bool = False) -> F64:
    """Areas of windows on the WGS 84 ellipsoid, square metres, shape (N,).

    The line integral of authalic latitude over longitude (Snyder, Map Projections, USGS PP 1395, eq. 3-12)
    along the same densified edges as the footprints: exact for edges along meridians and parallels.

    Args:
        clip: count only what lies on the grid; the default counts padding, too.
    """
    if not windows:
        return np.zeros(0)
    px_edges, tile_edges = _edges_of(grid, windows, clip)
    samples = sample_edges(grid, px_edges, _AREA_TOLERANCE_M)
    _, centre_lat = to_lonlat(grid, np.array([grid.width / 2]), np.array([grid.height / 2]))
    pole = 90.0 if centre_lat[0] >= 0 else -90.0
    # Measured from the pole, whose longitude means nothing: there the integrand is nought.
    height = _authalic(samples.lat) - _authalic(np.array([pole]))
    strip = np.radians(wrap_degrees(np.diff(samples.lon))) * (height[1:] + height[:-1]) / 2
    strip[samples.starts[1:-1] - 1] = 0  # from the end of one edge to the start of the next
    # Summed one by one, and not by BLAS: the same window has the same area to the last bit in any batch.
    edge_of = np.repeat(np.arange(len(px_edges)), np.diff(samples.starts))[:-1]
    edge = np.bincount(edge_of, weights=strip, minlength=len(px_edges))
    bottom, right, top, left = (edge[tile_edges[:, side]] for side in range(4))
    ring = bottom - right - top + left
    areas: F64 = np.abs(ring) * _SEMI_MAJOR_M**2 / 2
    return areas


def tile_area_m2(grid: Grid, window: PxWindow) -> float:
    """Area of one window on the WGS 84 ellipsoid, square metres, padding included."""
    return float(window_areas_m2(grid, [window])[0])


def grid_footprint(grid: Grid) -> Footprint:
    """Footprint of the whole grid."""
    return footprints(grid, [PxWindow(0, 0, grid.width, grid.height)])[0]


def bbox_of(polygons: Sequence[Ring]) -> BBox:
    """Bounding box of the parts of one footprint: west > east where they meet at the antimeridian."""
    wests = [min(x for x, _ in ring) for ring in polygons]
    easts = [max(x for x, _ in ring) for ring in polygons]
    lats = [y for ring in polygons for _, y in ring]
    west, east = min(wests), max(easts)
    if len(polygons) > 1 and west <= -180 and east >= 180:
        # The parts west of the cut end at 180, those east of it begin at -180.
        west = min((w for w in wests if w > -180), default=-180.0)
        east = max((e for e in easts if e < 180), default=180.0)
    return (west, min(lats), east, max(lats))


def may_be_cut(grid: Grid) -> bool:
    """Whether a tile of this grid may cross the antimeridian, so that some footprints have two parts."""
    whole = grid_footprint(grid)
    west, _, east, _ = whole.bbox
    # A whole turn (a world map, a pole) may put the antimeridian anywhere within the grid.
    return len(whole.polygons) > 1 or west > east or east - west >= 359.999


def _edges_of(grid: Grid, windows: Sequence[PxWindow], clip: bool = True) -> tuple[I64, I64]:
    """Edges without repetition (E, 4), and each window's bottom, right, top, left as indices (N, 4)."""
    box = np.array(windows, dtype=np.int64)
    left, top = box[:, 0], box[:, 1]
    right, bottom = left + box[:, 2], top + box[:, 3]
    if clip:
        left, right = np.clip(left, 0, grid.width), np.clip(right, 0, grid.width)
        top, bottom = np.clip(top, 0, grid.height), np.clip(bottom, 0, grid.height)
    empty = np.flatnonzero((right <= left) | (bottom <= top))
    if empty.size:
        raise ValueError(f"window {windows[int(empty[0])]} lies outside of the grid {grid.width}x{grid.height}")
    edges = np.stack(
        [
            np.stack([left, bottom, right, bottom], axis=1),
            np.stack([right, top, right, bottom], axis=1),
            np.stack([left, top, right, top], axis=1),
            np.stack([left, top, left, bottom], axis=1),
        ],
        axis=1,
    )
    unique, inverse = np.unique(edges.reshape(-1, 4), axis=0, return_inverse=True)
    return unique, inverse.reshape(-1, 4)


def _shoelace(lon: F64, lat: F64, corners: I64) -> F64:
    """Twice the signed area of the corner polygons (N, k), in square degrees."""
    x, y = lon[corners], lat[corners]
    total: F64 = (x * np.roll(y, -1, axis=1) - np.roll(x, -1, axis=1) * y).sum(axis=1)
    return total


def _ring_of(samples: EdgeSamples, edges: tuple[int, int, int, int]) -> tuple[F64, F64]:
    """Open ring of one window from its bottom, right, top and left edges, unrounded."""
    parts = [slice(samples.starts[e], samples.starts[e + 1]) for e in edges]

    def join(values: F64) -> F64:
        bottom, right, top, left = (values[part] for part in parts)
        return np.concatenate([bottom[:-1], right[:0:-1], top[:0:-1], left[:-1]])

    return join(samples.lon), join(samples.lat)


def _careful(lon: F64, lat: F64, pole_is_point: bool) -> Footprint:
    """Footprint of a ring that may cross the antimeridian, enclose or touch a pole, or be very wide."""
    at_pole = np.abs(lat) > 90 - _POLE_DEGREES
    if pole_is_point and at_pole.any():
        after = int(np.flatnonzero(at_pole)[-1]) + 1
        lon, lat, at_pole = np.roll(lon, -after), np.roll(lat, -after), np.roll(at_pole, -after)
        pole = float(np.sign(lat[at_pole][0])) * 90.0
        lon, lat = _unwrap(lon[~at_pole]), lat[~at_pole]
        steps = max(2, int(np.ceil(abs(lon[-1] - lon[0]) / 90)) + 1)
        lon = np.concatenate([lon, np.linspace(lon[-1], lon[0], steps)])
        lat = np.concatenate([lat, np.full(steps, pole)])
    else:
        lon = _unwrap(lon)
    turn = lon[-1] + float(wrap_degrees(lon[:1] - lon[-1:])[0]) - lon[0]
    if abs(turn) < 180:
        if _signed_area(lon, lat) < 0:
            lon, lat = lon[::-1], lat[::-1]
        lon = np.round(lon - 360 * np.floor((lon.min() + 180 + 1e-9) / 360), DECIMALS) + 0.0
        if np.ptp(lon) >= 360 - _POLE_DEGREES:  # a whole turn of a world map, wherever it begins
            west_east, south_north = (-180.0, 180.0), (float(lat.min()), float(lat.max()))
            lon = np.array([west_east[k] for k in (0, 1, 1, 0)])
            lat = np.array([south_north[k] for k in (0, 0, 1, 1)])
        if lon.max() <= 180:
            return _whole(lon, np.round(lat, DECIMALS) + 0.0)
    shell = np.stack([np.round(lon - 360 * np.floor((lon + 180) / 360), DECIMALS), np.round(lat, DECIMALS)], 1)
    encloses_pole = abs(turn) >= 180
    fixed = antimeridian.fix_polygon(
        shapely.Polygon(shell),
        fix_winding=False,
        great_circle=False,  # RFC 7946, 3.1.1: edges are straight in longitude/latitude
        force_north_pole=encloses_pole and lat.mean() > 0,
        force_south_pole=encloses_pole and lat.mean() < 0,
    )
    rings = []
    for part in getattr(fixed, "geoms", [fixed]):
        ring = np.round(shapely.get_coordinates(shapely.geometry.polygon.orient(part).exterior), DECIMALS) + 0.0
        ring = ring[np.concatenate([[True], np.any(np.diff(ring, axis=0) != 0, axis=1)])]
        # A part thinner than the seventh decimal is no polygon any more.
        if abs(_signed_area(ring[:, 0], ring[:, 1])) > 0:
            rings.append(tuple((float(x), float(y)) for x, y in ring))
    if len(rings) == 1:
        ring = np.array(rings[0])
        return _whole(ring[:-1, 0], ring[:-1, 1])
    rings.sort()
    return Footprint(tuple(rings), bbox_of(tuple(rings)))


def _whole(lon: F64, lat: F64) -> Footprint:
    """Footprint of one open ring that needs no cut."""
    points = list(zip(lon.tolist(), lat.tolist(), strict=True))
    bbox = (float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max()))
    return Footprint((tuple([*points, points[0]]),), bbox)


def _unwrap(lon: F64) -> F64:
    """Longitudes made continuous along an open ring."""
    return np.concatenate([lon[:1], lon[0] + np.cumsum(wrap_degrees(np.diff(lon)))])


def _signed_area(lon: F64, lat: F64) -> float:
    return float((lon * np.roll(lat, -1) - np.roll(lon, -1) * lat).sum())


def _authalic(lat: F64) -> F64:
    """Snyder's q, twice the area north of the equator per radian of longitude over a squared."""
    e2 = _FLATTENING * (2 - _FLATTENING)
    e = np.sqrt(e2)
    sin = np.sin(np.radians(lat))
    q: F64 = (1 - e2) * (sin / (1 - e2 * sin**2) + np.arctanh(e * sin) / e)
    return q

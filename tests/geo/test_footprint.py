"""Footprints against RFC 7946, the true curve, and the ellipsoid."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod, Transformer

from rsccli.errors import CrsError
from rsccli.geo.footprint import (
    Footprint,
    footprints,
    grid_footprint,
    may_be_cut,
    tile_area_m2,
    window_areas_m2,
)
from rsccli.types import Grid, PxWindow

GEOD = Geod(ellps="WGS84")


def grid(crs: str, res: float, left: float, top: float, width: int, height: int) -> Grid:
    return Grid(crs, Affine(res, 0, left, 0, -res, top), width, height)


def tiles(of: Grid, size: int) -> list[PxWindow]:
    return [PxWindow(c, r, size, size) for r in range(0, of.height, size) for c in range(0, of.width, size)]


UTM_03 = grid("EPSG:32637", 0.3, 400_000, 6_000_000, 1024, 1024)
UTM_30 = grid("EPSG:32651", 30, 300_000, 3_000_000, 2048, 2048)
LAEA = grid("EPSG:3035", 100, 3_000_000, 3_000_000, 1024, 1024)
MERCATOR = grid("EPSG:3857", 30, 0, 6_000_000, 1024, 1024)
LONLAT = grid("EPSG:4326", 0.0003, 10, 50, 1024, 1024)
FIJI = grid("EPSG:3832", 10, 3_320_000, -1_900_000, 4000, 1024)
WORLD = grid("EPSG:4326", 0.25, -180, 90, 1440, 720)
PACIFIC = grid("EPSG:4326", 1, 0, 90, 360, 180)
ARCTIC_CORNER = grid("EPSG:3413", 1000, -512_000, 512_000, 1024, 1024)
ARCTIC_EDGE = grid("EPSG:3413", 1000, -640_000, 512_000, 1280, 1024)
ARCTIC_INSIDE = grid("EPSG:3413", 1000, -612_000, 589_000, 1280, 1280)
ANTARCTIC_INSIDE = grid("EPSG:3031", 1000, -612_000, 589_000, 1280, 1280)
ANTARCTIC_CORNER = grid("EPSG:3031", 1000, -512_000, 512_000, 1024, 1024)
EVERYWHERE = [UTM_03, UTM_30, LAEA, MERCATOR, LONLAT, FIJI, WORLD, PACIFIC]
POLAR = [ARCTIC_CORNER, ARCTIC_EDGE, ARCTIC_INSIDE, ANTARCTIC_INSIDE, ANTARCTIC_CORNER]


def geodesic_area(place: Footprint) -> float:
    """Area by pyproj's geodesics, whose edges are cut short enough to follow the straight lines."""
    total = 0.0
    for ring in place.polygons:
        steps = max(abs(b[0] - a[0]) for a, b in itertools.pairwise(ring))
        line = shapely.segmentize(shapely.LinearRing(ring), 0.25 if steps > 0.25 else 90)
        lon, lat = shapely.get_coordinates(line).T
        total += GEOD.polygon_area_perimeter(lon, lat)[0]
    return total


@pytest.mark.parametrize("of", EVERYWHERE + POLAR, ids=lambda g: f"{g.crs}-{g.transform.a:g}")
def test_rings_are_what_rfc_7946_asks(of: Grid) -> None:
    for place in footprints(of, tiles(of, 256)):
        for ring in place.polygons:
            assert len(ring) >= 4, "3.1.6: a linear ring has four or more positions"
            assert ring[0] == ring[-1], "3.1.6: the first and last positions are equal"
            assert shapely.LinearRing(ring).is_ccw, "3.1.6: exterior rings are counterclockwise"
            assert shapely.Polygon(ring).is_valid
            for lon, lat in ring:
                assert -180 <= lon <= 180 and -90 <= lat <= 90, "4: WGS 84 longitude and latitude"
                assert round(lon, 7) == lon and round(lat, 7) == lat, "11.2: 7 decimals"
            crossing = max(abs(b[0] - a[0]) for a, b in itertools.pairwise(ring))
            whole_turn = {x for x, _ in ring} >= {-180.0, 180.0}
            assert crossing < 180 or whole_turn, "3.1.9: cut at the antimeridian"
        west, south, east, north = place.bbox
        lons = [x for ring in place.polygons for x, _ in ring]
        lats = [y for ring in place.polygons for _, y in ring]
        assert (south, north) == (min(lats), max(lats)), "5: south and north are the extremes"
        if west <= east:
            assert (west, east) == (min(lons), max(lons))
        else:
            assert len(place.polygons) > 1, "5.2: west > east only across the antimeridian"
            assert all(lon >= west or lon <= east for lon in lons)


@pytest.mark.parametrize("of", [UTM_03, UTM_30, LAEA, MERCATOR, LONLAT], ids=lambda g: g.crs)
def test_edges_stay_within_a_tenth_of_a_metre_of_the_true_curve(of: Grid) -> None:
    to_lonlat = Transformer.from_crs(of.crs, 4326, always_xy=True)
    for window in (PxWindow(0, 0, 256, 256), PxWindow(768, 768, 256, 256)):
        ring = footprints(of, [window])[0].polygons[0]
        left, bottom, right, top = of.window_bounds(window)
        t = np.linspace(0, 1, 501)
        corners = np.array([(left, bottom), (right, bottom), (right, top), (left, top), (left, bottom)])
        for a, b in itertools.pairwise(corners):
            lon, lat = to_lonlat.transform(*(a + (b - a) * t[:, None]).T)
            # A local plane in metres at the tile is right to a millionth over a few kilometres.
            scale = np.array([np.cos(np.radians(lat.mean())) * 111_320, 110_900])
            polygon = shapely.LineString(np.array(ring) * scale)
            off = shapely.distance(shapely.points(np.stack([lon, lat], 1) * scale), polygon)
            assert off.max() < 0.1 + 0.011, "0.1 m, and a centimetre from the seventh decimal"


def test_four_corners_alone_would_be_metres_off() -> None:
    """The reason for densifying: without vertices on the edges the error is metres at 30 m."""
    of = grid("EPSG:32637", 30, 400_000, 6_000_000, 512, 512)
    ring = footprints(of, [PxWindow(0, 0, 512, 512)], tolerance_m=1e9)[0].polygons[0]
    fine = footprints(of, [PxWindow(0, 0, 512, 512)])[0].polygons[0]
    assert len(ring) == 5 and len(fine) > 5
    scale = np.array([np.cos(np.radians(54)) * 111_320, 111_300])
    off = shapely.hausdorff_distance(
        shapely.LineString(np.array(ring) * scale), shapely.LineString(np.array(fine) * scale)
    )
    assert 4 < off < 10


@pytest.mark.parametrize("of", EVERYWHERE + POLAR[:1], ids=lambda g: f"{g.crs}-{g.transform.a:g}")
def test_neighbours_share_their_vertices(of: Grid) -> None:
    size = 60 if of is PACIFIC else 256
    left, right = footprints(of, [PxWindow(0, size, size, size), PxWindow(size, size, size, size)])
    pair = [set(p for ring in place.polygons for p in ring) for place in (left, right)]
    shared = pair[0] & pair[1]
    union = shapely.union_all([shapely.Polygon(r) for place in (left, right) for r in place.polygons])
    total = sum(shapely.Polygon(r).area for place in (left, right) for r in place.polygons)
    assert len(shared) >= 2
    assert union.area == pytest.approx(total, rel=1e-12), "no sliver of overlap"
    assert sum(len(p.interiors) for p in getattr(union, "geoms", [union])) == 0, "no gap"


def test_a_footprint_does_not_depend_on_its_batch() -> None:
    for of in (UTM_30, FIJI, ARCTIC_INSIDE):
        windows = tiles(of, 200)
        together = footprints(of, windows)
        assert together == [footprints(of, [window])[0] for window in windows]
        areas = window_areas_m2(of, windows)
        assert areas.tolist() == [tile_area_m2(of, window) for window in windows]


def test_padding_is_left_off() -> None:
    padded = footprints(UTM_03, [PxWindow(900, 900, 256, 256)])[0]
    inside = footprints(UTM_03, [PxWindow(900, 900, 124, 124)])[0]
    assert padded == inside
    assert tile_area_m2(UTM_03, PxWindow(900, 900, 256, 256)) > 4 * tile_area_m2(UTM_03, PxWindow(900, 900, 124, 124))


def test_a_window_off_the_grid_is_an_error() -> None:
    with pytest.raises(ValueError, match="outside of the grid"):
        footprints(UTM_03, [PxWindow(2000, 0, 10, 10)])
    assert footprints(UTM_03, []) == []


def test_the_antimeridian_cuts_a_tile_in_two() -> None:
    places = footprints(FIJI, tiles(FIJI, 256))
    cut = [place for place in places if len(place.polygons) > 1]
    assert len(cut) == 4, "one column of four rows crosses"
    for place in cut:
        west, south, east, north = place.bbox
        assert west > 0 > east and south < north
        lons = [sorted({x for x, _ in ring}) for ring in place.polygons]
        assert any(x[-1] == 180 for x in lons) and any(x[0] == -180 for x in lons)
    assert may_be_cut(FIJI)
    whole = grid_footprint(FIJI)
    assert whole.bbox[0] > whole.bbox[2] and len(whole.polygons) == 2


def test_grids_away_from_the_antimeridian_are_never_cut() -> None:
    for of in (UTM_03, UTM_30, LAEA, MERCATOR, LONLAT):
        assert not may_be_cut(of)


def test_a_grid_that_ends_at_the_antimeridian_is_not_cut() -> None:
    for left in (178.0, 180.0, -180.0):
        of = grid("EPSG:4326", 1 / 64, left, 10, 128, 128)
        place = grid_footprint(of)
        assert len(place.polygons) == 1
        assert place.bbox[0] < place.bbox[2]
        assert not may_be_cut(of)


def test_longitudes_beyond_180_come_back_into_range() -> None:
    here = footprints(PACIFIC, [PxWindow(200, 60, 60, 60)])[0]
    assert here.bbox == (-160.0, -30.0, -100.0, 30.0)
    across = footprints(PACIFIC, [PxWindow(170, 60, 20, 20)])[0]
    assert across.bbox == (170.0, 10.0, -170.0, 30.0)
    assert grid_footprint(PACIFIC).bbox == (-180.0, -90.0, 180.0, 90.0)


@pytest.mark.parametrize("of", POLAR, ids=lambda g: g.crs)
def test_tiles_at_a_pole(of: Grid) -> None:
    north = of.crs == "EPSG:3413"
    places = footprints(of, tiles(of, 256))
    pole = 90.0 if north else -90.0
    reach = [place for place in places if pole in (place.bbox[1], place.bbox[3])]
    inside = of in (ARCTIC_INSIDE, ANTARCTIC_INSIDE)
    assert 1 <= len(reach) <= (1 if inside else 4)
    if inside:
        assert (reach[0].bbox[0], reach[0].bbox[2]) == (-180.0, 180.0)
    areas = window_areas_m2(of, tiles(of, 256), clip=True)
    for place, area in zip(places, areas, strict=True):
        assert geodesic_area(place) == pytest.approx(area, rel=1e-5)
    assert areas.sum() == pytest.approx(tile_area_m2(of, PxWindow(0, 0, of.width, of.height)), rel=1e-8)


@pytest.mark.parametrize("of", EVERYWHERE, ids=lambda g: f"{g.crs}-{g.transform.a:g}")
def test_areas_are_those_of_the_ellipsoid(of: Grid) -> None:
    windows = tiles(of, 60 if of is PACIFIC else 256)
    areas = window_areas_m2(of, windows, clip=True)
    for place, area in zip(footprints(of, windows), areas, strict=True):
        # A 77 m tile with vertices to the centimetre is right to a few parts in ten thousand.
        assert geodesic_area(place) == pytest.approx(area, rel=5e-4 if of is UTM_03 else 2e-5)
    assert areas.sum() == pytest.approx(tile_area_m2(of, PxWindow(0, 0, of.width, of.height)), rel=1e-6)


def test_the_area_of_the_world() -> None:
    surface = tile_area_m2(WORLD, PxWindow(0, 0, 1440, 720))
    assert surface == pytest.approx(510_065_621_724_089, rel=1e-9), "WGS 84, EPSG guidance note 7-2"


def test_area_of_utm_pixels_follows_the_scale_factor() -> None:
    """At the central meridian of UTM a metre on the map is 1/0.9996 m on the ground."""
    of = grid("EPSG:32637", 1, 500_000 - 128, 6_000_000, 256, 256)
    assert tile_area_m2(of, PxWindow(0, 0, 256, 256)) == pytest.approx(256**2 / 0.9996**2, rel=1e-6)


def test_outside_of_the_crs_is_an_error_with_a_way_out() -> None:
    nowhere = grid("EPSG:3035", 1e7, -9e9, 9e9, 64, 64)
    with pytest.raises(CrsError, match="--dst-crs"):
        grid_footprint(nowhere)


def test_an_unknown_crs_is_an_error_with_a_way_out() -> None:
    with pytest.raises(CrsError, match="--dst-crs"):
        grid_footprint(grid("EPSG:999999", 1, 0, 0, 64, 64))


@settings(max_examples=60, deadline=None)
@given(
    zone=st.integers(1, 60),
    south=st.booleans(),
    easting=st.integers(170_000, 820_000),
    northing=st.integers(100_000, 9_000_000),
    res=st.sampled_from([0.3, 1.0, 10.0, 30.0]),
)
def test_any_utm_tile_is_whole_and_valid(zone: int, south: bool, easting: int, northing: int, res: float) -> None:
    of = grid(f"EPSG:{(32700 if south else 32600) + zone}", res, easting, northing, 512, 512)
    windows = tiles(of, 256)
    areas = window_areas_m2(of, windows)
    for place, area in zip(footprints(of, windows), areas, strict=True):
        assert all(shapely.Polygon(r).is_valid and shapely.LinearRing(r).is_ccw for r in place.polygons)
        assert geodesic_area(place) == pytest.approx(area, rel=2e-3 if res < 1 else 2e-4)

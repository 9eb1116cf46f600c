"""Regions traced window by window, and their place on the ground."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from affine import Affine
from pyproj import Geod

from rsccli.geo.footprint import window_areas_m2
from rsccli.run.detect.ground import pixel_areas_m2
from rsccli.run.detect.place import place_regions, simplified
from rsccli.run.detect.polygons import Region, Tracer
from rsccli.types import Grid, PxWindow

GEOD = Geod(ellps="WGS84")
GRIDS = {
    "metres": Grid("EPSG:32614", Affine(0.6, 0, 500_000, 0, -0.6, 5_000_000), 300, 200),
    "edge of a zone": Grid("EPSG:32614", Affine(30, 0, 100_000, 0, -30, 7_000_000), 300, 200),
    "degrees": Grid("EPSG:4326", Affine(0.01, 0, 20, 0, -0.01, 64), 300, 200),
    "oblong pixels": Grid("EPSG:3857", Affine(10, 0, 1e6, 0, -4, 8e6), 300, 200),
    # 180 degrees lies at 3339585 m.
    "antimeridian": Grid("EPSG:3832", Affine(500, 0, 3_339_585 - 75_000, 0, -500, -2e6), 300, 200),
    "antimeridian, degrees": Grid("EPSG:4326", Affine(0.01, 0, 178.5, 0, -0.01, -10), 300, 200),
    "pole": Grid("EPSG:3413", Affine(2000, 0, -300_000, 0, -2000, 200_000), 300, 200),
    "south pole": Grid("EPSG:3031", Affine(2000, 0, -300_000, 0, -2000, 200_000), 300, 200),
}


def plain_grid(codes: np.ndarray) -> Grid:
    return Grid("EPSG:32614", Affine(1, 0, 500_000, 0, -1, 5_000_000), codes.shape[1], codes.shape[0])


def traced(
    codes: np.ndarray,
    window: tuple[int, int] | None = None,
    *,
    scores: np.ndarray | None = None,
    min_area_m2: float = 0.0,
    grid: Grid | None = None,
) -> tuple[list[Region], Tracer, int]:
    """Regions in order of their first pixel, the tracer, and how many regions were open at most."""
    codes = codes.astype(np.uint8)
    scores = np.full(codes.shape, 200, np.uint8) if scores is None else scores
    grid = grid or plain_grid(codes)
    height, width = window or codes.shape
    tracer = Tracer(grid, min_area_m2)
    found, most = [], 0
    areas = pixel_areas_m2(grid, PxWindow(0, 0, grid.width, grid.height))
    for row in range(0, codes.shape[0], height):
        for col in range(0, codes.shape[1], width):
            part = np.s_[row : row + height, col : col + width]
            place = PxWindow(col, row, codes[part].shape[1], codes[part].shape[0])
            found += list(tracer.add(place, codes[part], scores[part], areas[part]))
            most = max(most, tracer.open_regions)
    assert tracer.open_regions == 0
    return sorted(found, key=lambda region: region.first), tracer, most


def blobs(seed: int, shape: tuple[int, int] = (90, 120), grain: int = 5) -> np.ndarray:
    """Random regions of two codes, with holes and corners that touch."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 3, (shape[0] // grain + 1, shape[1] // grain + 1))
    fine = np.kron(coarse, np.ones((grain, grain), int))[: shape[0], : shape[1]]
    return np.where(rng.random(shape) < 0.04, rng.integers(0, 3, shape), fine)


def test_a_region_over_four_windows_is_one_polygon_with_its_hole() -> None:
    codes = np.zeros((60, 60), int)
    codes[10:50, 20:45] = 1
    codes[27:33, 25:35] = 0
    for window in ((60, 60), (30, 30), (7, 11)):
        (region,), _, _ = traced(codes, window)
        assert region.polygon.equals(shapely.Polygon(shapely.box(20, 10, 45, 50)) - shapely.box(25, 27, 35, 33))
        assert len(region.polygon.interiors) == 1 and region.pixels == 40 * 25 - 6 * 10
        assert len(region.polygon.exterior.coords) == 5
        assert region.first == (10, 20)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("window", [(30, 40), (7, 120), (90, 11), (9, 9)])
def test_windows_do_not_change_a_region(seed: int, window: tuple[int, int]) -> None:
    codes = blobs(seed)
    scores = np.random.default_rng(seed).integers(100, 250, codes.shape).astype(np.uint8)
    one, _, _ = traced(codes, scores=scores)
    other, _, _ = traced(codes, window, scores=scores)

    def key(region: Region) -> tuple[object, ...]:
        told = (region.code, region.first, region.pixels, region.score_sum, region.score_max)
        return (*told, region.polygon.wkb)

    assert [key(region) for region in one] == [key(region) for region in other]
    assert sum(region.pixels for region in one) == (codes > 0).sum()


@pytest.mark.parametrize("seed", range(2))
def test_every_polygon_is_valid_and_covers_its_pixels(seed: int) -> None:
    codes = blobs(seed, grain=2)
    regions, _, _ = traced(codes, (32, 32))
    for region in regions:
        assert region.polygon.geom_type == "Polygon" and region.polygon.is_valid
        assert region.polygon.area == region.pixels
    # Of the other code and of nothing no pixel's centre lies in a polygon.
    rows, cols = np.mgrid[: codes.shape[0], : codes.shape[1]]
    centres = shapely.points(cols.ravel() + 0.5, rows.ravel() + 0.5)
    for code in (1, 2):
        union = shapely.union_all([region.polygon for region in regions if region.code == code])
        shapely.prepare(union)
        assert np.array_equal(shapely.contains(union, centres).reshape(codes.shape), codes == code)


def test_pixels_that_share_a_corner_alone_are_two_regions() -> None:
    codes = np.zeros((8, 8), int)
    codes[2:4, 2:4] = codes[4:6, 4:6] = 1
    for window in ((8, 8), (4, 4), (4, 8)):
        assert len(traced(codes, window)[0]) == 2


def test_neighbours_of_another_class_stay_apart_at_a_border_of_windows() -> None:
    codes = np.zeros((8, 8), int)
    codes[1:7, 1:4], codes[1:7, 4:7] = 1, 2
    found, _, _ = traced(codes, (8, 4))
    assert [(region.code, region.pixels) for region in found] == [(1, 18), (2, 18)]


def test_a_ring_is_closed_by_its_last_window() -> None:
    codes = np.zeros((40, 40), int)
    codes[2:38, 2:38] = 1
    codes[6:34, 6:34] = 0
    codes[15:25, 15:25] = 1
    outer, inner = traced(codes, (10, 10))[0]
    assert len(outer.polygon.interiors) == 1 and outer.pixels == 36**2 - 28**2
    assert inner.pixels == 100 and not inner.polygon.intersects(outer.polygon)


def test_small_regions_are_counted_and_left_out_also_where_they_lie_on_borders() -> None:
    codes = np.zeros((40, 40), int)
    codes[3:5, 3:5] = 1  # 4 pixels inside of a window
    codes[18:22, 19:21] = 1  # 8 pixels over four windows
    codes[30:35, 30:35] = 1  # 25 pixels
    whole, tracer, _ = traced(codes, (20, 20), min_area_m2=8.5)
    assert [region.pixels for region in whole] == [25]
    assert (tracer.dropped.regions, tracer.dropped.pixels) == (2, 12)
    assert tracer.dropped.area_m2 == pytest.approx(12, rel=0.01)
    kept, _, _ = traced(codes, (20, 20), min_area_m2=7.9)
    assert [region.pixels for region in kept] == [8, 25]


def test_only_regions_at_open_borders_are_kept() -> None:
    codes = np.zeros((400, 40), int)
    codes[::4, ::4] = 1
    found, _, most = traced(codes, (10, 20))
    assert len(found) == 1000
    # A row of windows meets the next one in no more than a pixel for each fourth column.
    assert most <= 10


def test_nothing_is_found_in_an_empty_window() -> None:
    assert traced(np.zeros((5, 5), int))[0] == []


@pytest.mark.parametrize("name", GRIDS)
def test_areas_of_pixels_are_those_of_the_ellipsoid(name: str) -> None:
    grid = GRIDS[name]
    areas = pixel_areas_m2(grid, PxWindow(0, 0, grid.width, grid.height))
    whole = window_areas_m2(grid, [PxWindow(0, 0, grid.width, grid.height)])[0]
    assert areas.sum() == pytest.approx(whole, rel=1e-4)
    assert areas[17, 203] == pytest.approx(window_areas_m2(grid, [PxWindow(203, 17, 1, 1)])[0], rel=1e-3)


def ellipsoid_area(polygons: tuple[tuple[tuple[tuple[float, float], ...], ...], ...]) -> float:
    """By another library, along edges that are straight in longitude and latitude."""
    total = 0.0
    for rings in polygons:
        for index, ring in enumerate(rings):
            fine = shapely.segmentize(shapely.LinearRing(ring), 0.02)
            area = abs(GEOD.polygon_area_perimeter(*shapely.get_coordinates(fine).T)[0])
            total += area if index == 0 else -area
    return total


@pytest.mark.parametrize("name", GRIDS)
def test_polygons_lie_where_their_pixels_lie(name: str) -> None:
    grid = GRIDS[name]
    codes = np.zeros((grid.height, grid.width), int)
    codes[20:180, 40:260] = 1  # over the antimeridian, round the pole
    codes[60:140, 100:130] = 0
    codes[70:90, 200:240] = 0
    codes[100:120, 105:125] = 1
    regions, _, _ = traced(codes, (64, 64), grid=grid)
    placed = list(place_regions(grid, regions, 0.0))
    for region, polygons, bbox in placed:
        shapes = [shapely.Polygon(rings[0], rings[1:]) for rings in polygons]
        assert all(shape.is_valid and shape.exterior.is_ccw for shape in shapes)
        assert ellipsoid_area(polygons) == pytest.approx(region.area_m2, rel=1e-3)
        west, south, east, north = bbox
        assert -180 <= west <= 180 and -180 <= east <= 180 and south < north
    large = placed[0]
    if name.startswith("antimeridian"):
        assert len(large[1]) == 2 and large[2][0] > large[2][2]
    elif not name.endswith("pole"):
        assert len(large[1]) == 1 and len(large[1][0]) == 3


def test_an_outline_with_fewer_vertices_is_valid_and_has_the_area_of_its_pixels() -> None:
    rows, cols = np.mgrid[:200, :200]
    disc = (rows - 100) ** 2 + (cols - 90) ** 2 < 80**2
    disc &= (rows - 100) ** 2 + (cols - 110) ** 2 > 20**2
    (region,), _, _ = traced(disc.astype(int))
    simpler = simplified(region.polygon, 1.0)
    assert simpler.is_valid and len(simpler.interiors) == 1
    assert len(shapely.get_coordinates(simpler)) < len(shapely.get_coordinates(region.polygon)) / 4
    assert simpler.area == pytest.approx(region.pixels, rel=0.03)
    assert shapely.hausdorff_distance(simpler, region.polygon) <= 1.0 + 1e-9


@pytest.mark.parametrize("pixels", [1, 2, 3])
def test_a_region_of_a_few_pixels_keeps_its_area(pixels: int) -> None:
    codes = np.zeros((5, 8), int)
    codes[2, 2 : 2 + pixels] = 1
    (region,), _, _ = traced(codes)
    assert simplified(region.polygon, 1.0).area == pixels


def test_simpler_outlines_of_anything_stay_valid_on_the_ground() -> None:
    grid = GRIDS["metres"]
    codes = np.zeros((grid.height, grid.width), int)
    codes[20:120, 20:170] = blobs(9, (100, 150), grain=4)
    regions, _, _ = traced(codes, (50, 64), grid=grid)
    placed = list(place_regions(grid, regions, 1.0))
    assert len(placed) == len(regions) > 100
    for region, polygons, _ in placed:
        shapes = [shapely.Polygon(rings[0], rings[1:]) for rings in polygons]
        assert all(shape.is_valid for shape in shapes)
        # Rounding to a centimetre counts in a region of a square metre.
        assert ellipsoid_area(polygons) == pytest.approx(region.area_m2, rel=0.035, abs=0.2)


def test_a_region_has_the_same_place_in_any_company() -> None:
    grid = GRIDS["antimeridian"]
    codes = np.zeros((grid.height, grid.width), int)
    codes[50:110, 100:180] = blobs(3, (60, 80), grain=10)
    regions, _, _ = traced(codes, grid=grid)
    together = list(place_regions(grid, regions, 1.0))
    alone = [next(iter(place_regions(grid, [region], 1.0))) for region in regions]
    assert [(polygons, bbox) for _, polygons, bbox in together] == [(polygons, bbox) for _, polygons, bbox in alone]

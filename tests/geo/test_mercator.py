"""Places and grids of web maps."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from affine import Affine
from made_run import FIJI, UTM
from pyproj import Transformer

from rsccli.geo.grid import grid_gsd_m
from rsccli.geo.mercator import mercator_bounds, mercator_grid, mercator_pixel_m, to_mercator
from rsccli.types import Grid

HALF_EARTH_M = math.pi * 6_378_137


def test_places_are_those_of_proj() -> None:
    lon, lat = np.array([-170.0, -1.5, 0.0, 99.0]), np.array([-80.0, 0.0, 47.0, 84.0])
    wanted = Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True).transform(lon, lat)
    assert np.allclose(to_mercator(lon, lat), wanted, atol=1e-3)


def test_bounds_hold_every_corner_and_no_more() -> None:
    bounds = mercator_bounds(UTM)
    assert bounds is not None
    t = UTM.transform
    corners = [t @ (c, r) for c in (0, UTM.width) for r in (0, UTM.height)]
    to_map = Transformer.from_crs(UTM.crs, "EPSG:3857", always_xy=True)
    xs, ys = to_map.transform(*zip(*corners, strict=True))
    assert min(xs) - 1 < bounds.left <= min(xs) + 1e-6 and max(xs) - 1e-6 <= bounds.right < max(xs) + 1
    assert min(ys) - 1 < bounds.bottom <= min(ys) + 1e-6 and max(ys) - 1e-6 <= bounds.top < max(ys) + 1


def test_over_the_antimeridian_the_bounds_are_one_piece() -> None:
    bounds = mercator_bounds(FIJI)
    assert bounds is not None
    assert bounds.right - bounds.left == pytest.approx(40_000, rel=0.02)
    assert abs(abs(bounds.left + bounds.right) / 2 - HALF_EARTH_M) < 40_000


@pytest.mark.parametrize(
    "grid",
    [
        Grid("EPSG:3413", Affine(10, 0, -5000, 0, -10, 5000), 1000, 1000),
        Grid("EPSG:4326", Affine(1, 0, -180, 0, -1, 90), 360, 180),
    ],
)
def test_near_a_pole_there_is_no_place(grid: Grid) -> None:
    assert mercator_bounds(grid) is None and mercator_grid(grid, 1000) is None


@pytest.mark.parametrize("most", [1, 7, 1000, 123_456, 2_000_000, 10**9])
def test_size_stays_in_the_budget_and_is_never_finer_than_the_grid(most: int) -> None:
    grid = mercator_grid(UTM, most)
    assert grid is not None
    assert grid.width * grid.height <= most
    assert grid.transform.a >= mercator_pixel_m(UTM) * 0.999
    if most == 10**9:
        assert grid.transform.a == pytest.approx(mercator_pixel_m(UTM))
        assert grid.width == pytest.approx(UTM.width, rel=0.03)


def test_pixels_are_stretched_by_latitude() -> None:
    assert mercator_pixel_m(UTM) == pytest.approx(grid_gsd_m(UTM) / math.cos(math.radians(33.8)), rel=0.01)
    world = Grid("EPSG:4326", Affine(1, 0, -180, 0, -1, 80), 360, 160)
    grid = mercator_grid(world, 10_000)
    assert grid is not None and grid.width * grid.transform.a == pytest.approx(2 * HALF_EARTH_M, rel=0.02)
    assert mercator_grid(replace(world, height=1), 10_000) is not None

"""The bounding box of many boxes, over the antimeridian, too."""

from __future__ import annotations

from affine import Affine

from rsccli.geo.extent import LonLatExtent
from rsccli.geo.footprint import footprints, grid_footprint
from rsccli.types import Grid, PxWindow


def extent_of(of: Grid, size: int) -> tuple[float, float, float, float] | None:
    extent = LonLatExtent(of)
    windows = [PxWindow(c, r, size, size) for r in range(0, of.height, size) for c in range(0, of.width, size)]
    for place in footprints(of, windows):
        extent.add(place.bbox)
    return extent.bbox


def test_empty() -> None:
    assert LonLatExtent(Grid("EPSG:32611", Affine(1, 0, 4e5, 0, -1, 4e6), 10, 10)).bbox is None


def test_plain_union() -> None:
    assert extent_of(Grid("EPSG:4326", Affine(0.5, 0, 10, 0, -0.5, 50), 64, 32), 10) == (10, 34, 42, 50)


def test_over_the_antimeridian_west_is_larger() -> None:
    of = Grid("EPSG:3832", Affine(10, 0, 3320000.0, 0, -10, -1900000.0), 4000, 1024)
    found = extent_of(of, 256)
    assert found is not None and found[0] > 0 > found[2]
    assert found == grid_footprint(of).bbox


def test_ends_at_the_antimeridian_keep_their_sign() -> None:
    assert extent_of(Grid("EPSG:4326", Affine(1, 0, 170, 0, -1, 10), 10, 10), 5) == (170, 0, 180, 10)
    assert extent_of(Grid("EPSG:4326", Affine(1, 0, -180, 0, -1, 10), 10, 10), 5) == (-180, 0, -170, 10)


def test_the_world() -> None:
    assert extent_of(Grid("EPSG:4326", Affine(1, 0, -180, 0, -1, 90), 360, 180), 60) == (-180, -90, 180, 90)
    assert extent_of(Grid("EPSG:4326", Affine(1, 0, 0, 0, -1, 90), 360, 180), 64) == (-180, -90, 180, 90)

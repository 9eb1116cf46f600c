"""One grid for many dates, and dates that are known better than the file knows them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rsccli.errors import NoOverlapError
from rsccli.geo.grid import choose_grid, common_grid
from rsccli.geo.pair import PairOptions, prepare_pair
from rsccli.geo.raster import RasterInfo, RasterOptions, describe_raster


@pytest.fixture
def dated(raster_factory: Callable[..., Path]) -> Callable[[str, float], RasterInfo]:
    """Describes a raster of 100 x 100 pixels of a metre that lies so many metres east."""

    def make(name: str, east_m: float) -> RasterInfo:
        left, bottom = 412_000.0 + east_m, 5_411_000.0
        return describe_raster(raster_factory(name, bounds=(left, bottom, left + 100, bottom + 100), size=(100, 100)))

    return make


def test_the_first_lattice_over_what_all_cover(dated: Callable[[str, float], RasterInfo]) -> None:
    first, second, third = dated("a.tif", 0), dated("b.tif", 30.25), dated("c.tif", -20)
    grid = common_grid([first, second, third])
    assert (grid.width, grid.height) == (50, 100), "30.25 to 80 metres, outward to whole pixels of the first"
    assert grid.transform.c == 412_030.0
    assert common_grid([first, second]) == choose_grid(first, second)[0], "a pair is a series of two"


def test_dates_without_common_ground_are_named(dated: Callable[[str, float], RasterInfo]) -> None:
    dates = [dated("a.tif", 0), dated("b.tif", 60), dated("c.tif", -60)]
    with pytest.raises(NoOverlapError, match=r"(?s)c\.tif shares no ground.*a\.tif.*b\.tif") as raised:
        common_grid(dates)
    assert "Leave it out" in str(raised.value)
    with pytest.raises(NoOverlapError, match=r"(?s)do not overlap.*--post-crs"):
        common_grid([dates[1], dates[2]])


def test_an_exact_grid_settles_everything(dated: Callable[[str, float], RasterInfo]) -> None:
    first, second = dated("a.tif", 0), dated("b.tif", 10)
    grid = replace(common_grid([first, second]), width=32, height=48)
    pair = prepare_pair(first.path, second.path, PairOptions(grid=grid, tile_size=32))
    assert pair.grid == grid and len(pair.plan) == 2


def test_a_date_that_is_known_better(dated: Callable[[str, float], RasterInfo]) -> None:
    info = dated("a_2001-01-01.tif", 0)
    assert info.datetime == "2001-01-01"
    assert describe_raster(info.path, RasterOptions(datetime="2020-07-31")).datetime == "2020-07-31"

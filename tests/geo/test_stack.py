"""`open_pair`: what a library user sees must be what a tile sees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

import rsccli

EXAMPLE = Path(__file__).resolve().parents[2] / "examples"
PRE, POST = EXAMPLE / "prairie_2012-07-31.tif", EXAMPLE / "prairie_2014-07-20.tif"


@pytest.fixture(scope="module")
def pair():
    return rsccli.open_pair(PRE, POST)


def test_pre_is_not_resampled(pair) -> None:
    with rasterio.open(PRE) as ds:
        whole = ds.read()
    part = pair.image.isel(time=0, y=slice(10, 700), x=slice(5, 900)).values
    assert np.array_equal(part, whole[:, 10:700, 5:900])


@pytest.mark.parametrize(
    "key",
    [
        {"time": 1, "band": 2, "y": 5, "x": 7},
        {"time": 0, "band": 0, "y": slice(0, 10, 3), "x": slice(20, 0, -4)},
        {"time": slice(None), "band": slice(1, 3), "y": slice(600, 723), "x": -1},
    ],
)
def test_every_kind_of_index_agrees_with_the_whole(pair, key) -> None:
    lazy = pair.image.isel(key).values
    assert np.array_equal(lazy, pair.image.load().isel(key).values)


def test_place_of_the_pixels(pair) -> None:
    with rasterio.open(PRE) as ds:
        x, y = ds.xy(3, 11)
    assert (float(pair.x[11]), float(pair.y[3])) == (x, y)
    assert "26914" in pair.spatial_ref.attrs["crs_wkt"]
    assert [str(t) for t in pair.datetime.values] == ["2012-07-31", "2014-07-20"]
    assert bool(pair.valid.isel(time=0).all())

"""Overviews and details of a report's map: they lie where the ground is, and stay small."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasters import EAST, NORTH, Pattern, make_raster, offset_px

from rsccli.geo.mercator import WEB_MERCATOR
from rsccli.geo.pair import PairOptions, PreparedPair, prepare_pair
from rsccli.output.report.pictures import Overview, Pictures
from rsccli.run import overviews
from rsccli.run.opened import RunInputs
from rsccli.run.overviews import read_details, read_overviews
from rsccli.run.pictures import NO_MASK, pair_pictures, read_pictures
from rsccli.types import Grid, PxWindow, Registration, RunFacts

WAVES = Pattern(wave=160.0)
BOUNDS = (EAST, NORTH - 1200, EAST + 1600, NORTH)


def prepared(pre: Path, post: Path, **options: object) -> PreparedPair:
    return prepare_pair(str(pre), str(post), PairOptions(radiometry="none", **options))


def inputs_of(pair: PreparedPair) -> RunInputs:
    return RunInputs(pair.pre, pair.post, pair.survey.radiometry, pair.shift_px)


def both(pair: PreparedPair, max_px: int = 60_000) -> tuple[Overview, Overview]:
    with pair.env():
        pre, post, notes = read_overviews(pair.grid, inputs_of(pair), max_px)
    assert pre is not None and post is not None and notes == ()
    return pre, post


def grid_of(overview: Overview) -> Grid:
    bounds = overview.map_bounds
    _, height, width = overview.pixels.shape
    size = (bounds.right - bounds.left) / width
    return Grid(WEB_MERCATOR, Affine(size, 0, bounds.left, 0, -size, bounds.top), width, height)


def off_px(overview: Overview, pattern: Pattern = WAVES) -> float:
    """How far its content lies off, in its own pixels."""
    grid = grid_of(overview)
    window = PxWindow(0, 0, grid.width, grid.height)
    valid = overview.pixels[3] == 255
    assert valid.mean() > 0.5
    return max(math.hypot(*offset_px(overview.pixels[band], valid, grid, window, pattern, band)) for band in range(3))


@pytest.mark.parametrize(
    "post",
    [
        {"bounds": BOUNDS, "size": (1600, 1200)},
        {"bounds": BOUNDS, "size": (800, 600)},
        {"bounds": BOUNDS, "size": (1600, 1200), "blocksize": None},
        {"bounds": BOUNDS, "size": (1600, 1200), "overviews": (2, 4)},
        {"bounds": BOUNDS, "size": (1600, 1200), "rotated": 20.0},
        {"bounds": BOUNDS, "size": (1600, 1200), "south_up": True},
        {"crs": "EPSG:4326", "bounds": (13.795, 48.836, 13.824, 48.850), "size": (1400, 1000)},
    ],
    ids=["same", "coarser", "strips", "overviews", "rotated", "south-up", "degrees"],
)
def test_overviews_lie_where_the_ground_is(raster_factory: Callable[..., Path], post: dict[str, object]) -> None:
    pair = prepared(
        raster_factory("pre.tif", bounds=BOUNDS, size=(1600, 1200), pattern=WAVES),
        raster_factory("post.tif", pattern=WAVES, **post),
    )
    for overview in both(pair):
        assert overview.pixels.shape[1] * overview.pixels.shape[2] <= 60_000
        assert off_px(overview) < 0.08


def test_a_corrected_shift_is_corrected_on_the_map(raster_factory: Callable[..., Path]) -> None:
    moved = (EAST + 9, NORTH - 1206, EAST + 1609, NORTH - 6)
    pre = raster_factory("pre.tif", bounds=BOUNDS, size=(1600, 1200), pattern=WAVES)
    content = raster_factory("plain.tif", bounds=BOUNDS, size=(1600, 1200), pattern=WAVES)
    with rasterio.open(content) as source:
        post = make_raster(content.with_name("post.tif"), bounds=moved, size=(1600, 1200), values=source.read())
    pair = prepared(pre, post)
    shift = Registration(9.0, 6.0, 0.1, 0.9, 24, True, applied=True)
    aligned = replace(pair, registration=shift)
    assert off_px(both(pair)[1]) > 1.5
    assert off_px(both(aligned)[1]) < 0.15


def test_what_has_no_data_is_transparent(raster_factory: Callable[..., Path]) -> None:
    mask = np.full((1200, 1600), 255, np.uint8)
    mask[:600, :800] = 0
    pair = prepared(
        raster_factory("pre.tif", bounds=BOUNDS, size=(1600, 1200), pattern=WAVES, mask=mask),
        raster_factory("post.tif", bounds=BOUNDS, size=(1600, 1200), pattern=WAVES),
    )
    pre, post = both(pair)
    height, width = pre.pixels.shape[1:]
    assert not pre.pixels[:, : height // 2 - 8, 8 : width // 2 - 8].any()
    assert (pre.pixels[3, height // 2 + 8 : -8, 8:-8] == 255).all()
    assert (post.pixels[3, 8:-8, 8:-8] == 255).all()


def test_blocks_that_were_never_written_are_holes(tmp_path: Path, raster_factory: Callable[..., Path]) -> None:
    sparse = tmp_path / "sparse.tif"
    transform = Affine(1, 0, EAST, 0, -1, NORTH)
    profile = {"driver": "GTiff", "width": 1600, "height": 1200, "count": 3, "dtype": "uint8", "sparse_ok": True}
    with rasterio.open(
        sparse, "w", crs="EPSG:32633", transform=transform, tiled=True, blockxsize=128, blockysize=128, **profile
    ) as file:
        file.write(np.full((3, 256, 256), 90, np.uint8), window=rasterio.windows.Window(512, 512, 256, 256))
    pair = prepared(sparse, raster_factory("post.tif", bounds=BOUNDS, size=(1600, 1200), pattern=WAVES))
    pre, _ = both(pair)
    share = (pre.pixels[3] == 255).mean()
    assert share == pytest.approx(256 * 256 / (1600 * 1200), rel=0.2)
    assert set(np.unique(pre.pixels[:3][:, pre.pixels[3] == 255])) == {90}


def test_damage_costs_its_place_and_is_told(raster_factory: Callable[..., Path]) -> None:
    pre = raster_factory("pre.tif", bounds=BOUNDS, size=(1600, 1200), pattern=WAVES)
    post = raster_factory("post.tif", bounds=BOUNDS, size=(1600, 1200), pattern=WAVES)
    pair = prepared(pre, post)
    # The block index stands at the front; what is cut off are the last blocks.
    os.truncate(post, post.stat().st_size * 2 // 3)
    with pair.env():
        _, seen, notes = read_overviews(pair.grid, inputs_of(pair), 60_000)
    assert seen is not None and 0.3 < (seen.pixels[3] == 255).mean() < 0.8
    assert any("Parts of the image after could not be read" in note for note in notes)


def test_large_remote_files_without_overviews_are_not_fetched_again(
    raster_factory: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = prepared(
        raster_factory("pre.tif", bounds=BOUNDS, size=(1600, 1200), pattern=WAVES),
        raster_factory("post.tif", bounds=BOUNDS, size=(1600, 1200), pattern=WAVES, overviews=(2, 4, 8)),
    )
    monkeypatch.setattr(overviews, "is_remote", lambda path: True)
    monkeypatch.setattr(overviews, "MAX_REMOTE_PX", 500_000)
    with pair.env():
        pre, post, notes = read_overviews(pair.grid, inputs_of(pair), 60_000)
    assert pre is None and "gdaladdo" in notes[0]
    assert post is not None, "its own overviews are small enough"


def test_details_are_as_sharp_as_the_grid(raster_factory: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    fine = Pattern(wave=24.0)
    pair = prepared(
        raster_factory("pre.tif", bounds=BOUNDS, size=(1600, 1200), pattern=fine),
        raster_factory("post.tif", bounds=BOUNDS, size=(1600, 1200), pattern=fine),
    )
    tiles = [pair.plan.tile(1, 2), pair.plan.tile(4, 6)]
    with pair.env():
        assert read_details(pair.grid, inputs_of(pair), tiles) == {}, "the overviews are as sharp"
        monkeypatch.setattr(overviews, "MAX_PX", 60_000)
        details = read_details(pair.grid, inputs_of(pair), tiles)
    assert list(details) == ["r00001c00002", "r00004c00006"]
    inner = details["r00001c00002"].pre
    assert inner is not None and off_px(inner, fine) < 0.1
    assert inner.pixels.shape[1] == pytest.approx(256, abs=8)
    edge = details["r00004c00006"].post
    assert edge is not None and edge.pixels.shape[1] == pytest.approx(1200 - 1024, abs=8), "cut at the grid's edge"


def facts_of(pair: PreparedPair) -> RunFacts:
    pre, post = pair.facts()
    return RunFacts(
        version="0",
        pre=pre,
        post=post,
        grid=pair.grid,
        gsd_m=1.0,
        tile_size=pair.plan.tile_size,
        stride=pair.plan.stride,
        edge=pair.plan.edge,
        tiles=len(pair.plan),
        registration=pair.registration,
        radiometry="",
        model="m",
        model_revision="1",
        spec_hash="0" * 16,
    )


def same(a: Pictures, b: Pictures) -> bool:
    dates = [(a.pre, b.pre), (a.post, b.post)]
    whole = all(x is not None and y is not None and np.array_equal(x.pixels, y.pixels) for x, y in dates)
    tiles = all(np.array_equal(a.tiles[i].pre, b.tiles[i].pre) for i in a.tiles)
    return whole and list(a.tiles) == list(b.tiles) and tiles


def test_pictures_at_the_end_of_a_run_and_later_are_the_same(root: Path, tmp_path: Path) -> None:
    examples = root / "examples"
    pre, post = (tmp_path / name for name in ("prairie_2012-07-31.tif", "prairie_2014-07-20.tif"))
    for path in (pre, post):
        path.write_bytes((examples / path.name).read_bytes())
    pair = prepare_pair(str(pre), str(post))
    ids = ["r00000c00000", "r00002c00003", "r00099c00099", "nonsense"]
    at_end = pair_pictures(pair, ids)
    assert list(at_end.tiles) == ids[:2] and at_end.notes == (NO_MASK,)
    assert at_end.tiles["r00002c00003"].pre.shape == (3, pair.grid.height - 512, pair.grid.width - 768)
    later = read_pictures(facts_of(pair), ids)
    assert same(at_end, later) and later.notes == at_end.notes
    post.unlink()
    gone = read_pictures(facts_of(pair), ids)
    assert gone.pre is None and gone.tiles == {} and "cannot be read again" in gone.notes[0]
    post.write_bytes(pre.read_bytes())
    replaced = read_pictures(facts_of(pair), ids)
    assert replaced.pre is None and "no longer the file that was captioned" in replaced.notes[0]


@pytest.mark.shared
def test_sparse_mosaic_is_read_in_little_memory(shared: Path) -> None:
    import resource

    pair = prepare_pair(
        str(shared / "mosaic" / "long_beach_2016.tif"),
        str(shared / "mosaic" / "long_beach_2020.tif"),
        PairOptions(bbox=(-118.20, 33.76, -118.15, 33.80)),
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pair.env():
        pre, post, notes = read_overviews(pair.grid, inputs_of(pair))
    assert pre is not None and post is not None and notes == ()
    assert pre.pixels.shape[1] * pre.pixels.shape[2] <= overviews.MAX_PX
    # A hundred chips of 256 px on thousands of empty ones.
    assert 0.001 < (pre.pixels[3] > 0).mean() < 0.2
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 250

"""The superblock engine against GDAL's own warper, on real pairs and on their odd copies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from rsccli.errors import CrsError
from rsccli.geo.engine import TileRead
from rsccli.geo.pair import PairOptions, PreparedPair, RasterOptions, prepare_pair

RGB = RasterOptions(bands=(1, 2, 3))


def read_all(pair: PreparedPair) -> dict[str, TileRead]:
    with pair.env(), pair.aligner() as aligner:
        reads = [read for block in pair.plan.blocks() for read in aligner.read(block)]
    assert all(isinstance(read, TileRead) for read in reads)
    return {read.pair.tile.id: read for read in reads}  # type: ignore[union-attr]


def gdal_says(pair: PreparedPair, post: Path, window: Window) -> np.ndarray:
    grid = pair.grid
    with (
        rasterio.open(post) as ds,
        WarpedVRT(
            ds,
            crs=grid.crs,
            transform=grid.transform,
            width=grid.width,
            height=grid.height,
            resampling=Resampling.bilinear,
            tolerance=0.001,
        ) as vrt,
    ):
        return vrt.read((1, 2, 3), window=window)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("pre", "post", "options"),
    [
        ("prairie/m_4709963_se_14_1_20090818.tif", "prairie/m_4709963_se_14_1_20100629.tif", {}),
        ("prairie/m_4709963_se_14_1_20090818.tif", "prairie/m_4709963_se_14_1_20140720.tif", {"dst_crs": "EPSG:3857"}),
        ("pucallpa/1985.tif", "pucallpa/2000.tif", {"dst_crs": "EPSG:32718"}),
    ],
)
def test_agrees_with_gdal_to_one_level(shared: Path, pre: str, post: str, options: dict) -> None:
    pair = prepare_pair(shared / pre, shared / post, PairOptions(pre=RGB, post=RGB, **options))
    checked = 0
    for read in read_all(pair).values():
        tile, valid = read.pair.tile, read.pair.valid
        col, row, size, _ = tile.px_window
        width, height = min(size, pair.grid.width - col), min(size, pair.grid.height - row)
        expected = gdal_says(pair, shared / post, Window(col, row, width, height))
        inside = valid[:height, :width].copy()
        # GDAL bleeds over the edge of the data; compare a pixel within.
        inside[:-1] &= inside[1:]
        inside[1:] &= inside[:-1]
        inside[:, :-1] &= inside[:, 1:]
        inside[:, 1:] &= inside[:, :-1]
        difference = np.abs(read.pair.post[:, :height, :width].astype(int) - expected)[:, inside]
        checked += difference.size
        assert difference.max(initial=0) <= 1
    assert checked > 100_000


@pytest.mark.shared
def test_a_tile_does_not_depend_on_its_superblock(shared: Path) -> None:
    paths = [shared / f"prairie/m_4709963_se_14_1_{d}.tif" for d in ("20090818", "20100629")]
    small = prepare_pair(*paths, PairOptions(pre=RGB, post=RGB, tile_size=128))
    for read in read_all(small).values():
        with small.env(), small.aligner() as aligner:
            from rsccli.geo.tiles import Superblock

            (alone,) = aligner.read(Superblock(0, (read.pair.tile,), read.pair.tile.px_window))
        assert isinstance(alone, TileRead)
        assert np.array_equal(alone.pair.valid, read.pair.valid)
        # A sub-pixel weight may round the other way in a window that starts elsewhere.
        assert np.abs(alone.pair.post.astype(int) - read.pair.post).max() <= 1
        assert np.array_equal(alone.pair.pre, read.pair.pre)


@pytest.mark.shared
def test_coregistration_takes_the_shift_out(shared: Path, tmp_path: Path) -> None:
    source = shared / "naip/santa_monica_2018_4.tif"
    moved = tmp_path / "moved_2020.tif"
    with rasterio.open(source) as ds:
        # The same pixels, said to lie 3.4 px west and 1.6 px north of where they are.
        profile = ds.profile | {"transform": ds.transform @ type(ds.transform).translation(-3.4, -1.6)}
        profile |= {"compress": "deflate", "photometric": "rgb"}
        pixels = ds.read()
    with rasterio.open(moved, "w", **profile) as ds:
        ds.write(pixels)
    plain = prepare_pair(source, moved, PairOptions(tile_size=128))
    assert plain.registration.trusted and not plain.registration.applied
    assert plain.registration.dx_px == pytest.approx(-3.4, abs=0.1)
    assert plain.registration.dy_px == pytest.approx(-1.6, abs=0.1)
    assert any("--coregister" in w for w in plain.warnings)
    fixed = prepare_pair(source, moved, PairOptions(tile_size=128, coregister=True))

    def error(pair: PreparedPair) -> float:
        reads = [r for r in read_all(pair).values() if r.pair.valid.all()]
        return float(np.mean([np.abs(r.pair.pre.astype(int) - r.pair.post).mean() for r in reads]))

    assert error(fixed) < 0.25 * error(plain)


@pytest.mark.shared
def test_a_grid_that_leaves_the_earth_is_refused_before_any_work(shared: Path) -> None:
    whole_disc = shared / "odd_tiffs/rio-cogeo_image_geos.tif"
    with pytest.raises(CrsError, match="--dst-crs"):
        prepare_pair(whole_disc, whole_disc, PairOptions(allow_same=True))
    pair = prepare_pair(whole_disc, whole_disc, PairOptions(allow_same=True, dst_crs="EPSG:4326", res=(0.5, 0.5)))
    valid = np.mean([read.pair.valid.mean() for read in read_all(pair).values()])
    assert 0.2 < valid < 0.9

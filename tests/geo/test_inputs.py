"""Every row of the input table of docs/inputs.md: the input is made, and what must happen happens.

Alignment is measured on a known pattern; "aligned" means within a hundredth of a pixel.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import Transformer
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from rasterio.rpc import RPC
from rasters import EAST, NORTH, STORED, UTM, Pattern, centres, placed, see

from rsccli.errors import CrsError, InputChangedError, InputError, NoOverlapError
from rsccli.geo.footprint import grid_footprint
from rsccli.geo.identity import Watch, identify
from rsccli.geo.pair import PairOptions, match_pair, prepare_pair
from rsccli.geo.raster import RasterOptions, describe_raster
from rsccli.geo.reader import RasterReader

Make = Callable[..., Path]
PATTERN = Pattern()
SIZE = (320, 288)
#: A quarter and a half of a pixel off pre's lattice, so that post is really interpolated.
OFF = (EAST + 0.5, NORTH - SIZE[1] + 0.25, EAST + SIZE[0] + 0.5, NORTH + 0.25)


@pytest.fixture
def pre(raster_factory: Make) -> Path:
    return raster_factory("pre_2019.tif")


def lonlat_bounds(margin: float = 40.0) -> tuple[float, float, float, float]:
    to_lonlat = Transformer.from_crs(UTM, "EPSG:4326", always_xy=True)
    return to_lonlat.transform_bounds(EAST - margin, NORTH - SIZE[1] - margin, EAST + SIZE[0] + margin, NORTH + margin)


def post_options(**options: object) -> PairOptions:
    return PairOptions(post=RasterOptions(**options))  # type: ignore[arg-type]


# Alignment, whatever the geotransform.


@pytest.mark.parametrize(
    "post",
    [
        {},
        {"bounds": OFF},
        {"bounds": OFF, "blocksize": None},
        {"south_up": True},
        {"bounds": OFF, "south_up": True},
        {"rotated": 17.0},
        {"shear": 12.0},
        {"rotated": 200.0, "shear": -8.0},
        {"bounds": OFF, "size": (480, 288)},
        {"bounds": OFF, "size": (250, 400)},
        {"crs": "EPSG:4326", "bounds": lonlat_bounds(), "size": (700, 640)},
        {"crs": "EPSG:4326", "bounds": lonlat_bounds(), "size": (700, 640), "south_up": True},
        {"crs": "EPSG:3857", "bounds": None, "size": (600, 560)},
        {"crs": "EPSG:3035", "bounds": None, "size": (500, 480), "rotated": 5.0},
    ],
    ids=lambda p: " ".join(f"{k}={v}" for k, v in p.items() if k != "bounds") or "same lattice",
)
def test_dates_are_aligned_to_a_hundredth_of_a_pixel(pre: Path, raster_factory: Make, post: dict) -> None:
    if "bounds" in post and post["bounds"] is None:
        to = Transformer.from_crs(UTM, post["crs"], always_xy=True)
        box = to.transform_bounds(EAST - 40, NORTH - SIZE[1] - 40, EAST + SIZE[0] + 40, NORTH + 40)
        post = {**post, "bounds": box}
    seen = see(pre, raster_factory("post.tif", **post))
    for date, off in seen.offsets_px(PATTERN).items():
        assert off < 0.01, date
    assert seen.valid.mean() > 0.6


@pytest.mark.parametrize(
    "pre",
    [
        {"south_up": True},
        {"rotated": 17.0},
        {"size": (400, 288)},
        {"crs": "EPSG:4326", "bounds": lonlat_bounds(), "size": (500, 620)},
    ],
    ids=["south-up", "rotated", "anisotropic", "geographic"],
)
def test_pre_may_be_as_odd_as_post(raster_factory: Make, pre: dict) -> None:
    seen = see(raster_factory("pre.tif", **pre), raster_factory("post.tif", bounds=OFF))
    assert seen.pair.grid.transform.e < 0 < seen.pair.grid.transform.a
    for date, off in seen.offsets_px(PATTERN).items():
        assert off < 0.01, date


def test_a_finer_post_is_averaged_and_stays_aligned(pre: Path, raster_factory: Make) -> None:
    fine = see(pre, raster_factory("fine.tif", bounds=OFF, size=(320 * 4, 288 * 4)))
    assert max(fine.offsets_px(PATTERN).values()) < 0.01
    overviews = see(pre, raster_factory("ovr.tif", bounds=OFF, size=(320 * 4, 288 * 4), overviews=[2, 4]))
    assert max(overviews.offsets_px(PATTERN).values()) < 0.01


@pytest.mark.parametrize("blocksize", [128, None])
def test_a_coarse_grid_over_a_fine_image_is_read_in_parts(
    raster_factory: Make, monkeypatch: pytest.MonkeyPatch, blocksize: int | None
) -> None:
    fine = {"bounds": OFF, "size": (320 * 4 + 6, 288 * 4 + 2), "blocksize": blocksize, "nodata": 0}
    pre, post = raster_factory("pre.tif"), raster_factory("post.tif", **fine)
    once = see(pre, post)
    monkeypatch.setattr("rsccli.geo.reader.MAX_DECIMATED_PX", 200 * 200)
    parts = see(pre, post)
    np.testing.assert_array_equal(once.post, parts.post)
    np.testing.assert_array_equal(once.valid, parts.valid)


def test_a_finer_post_does_not_alias(pre: Path, raster_factory: Make) -> None:
    """Noise of pixels seen eight times coarser has an eighth of its spread; four pixels of 64 would leave half."""
    size = (320 * 8, 288 * 8)
    noise = np.random.default_rng(0).normal(128, 40, (1, size[1], size[0])).clip(0, 255).astype(np.uint8)
    seen = see(pre, raster_factory("noise.tif", bounds=OFF, size=size, values=noise, compress=None))
    assert seen.post[0][seen.valid].std() < 40 / 6


def test_south_up_equals_the_flipped_copy(pre: Path, raster_factory: Make) -> None:
    plain, flipped = raster_factory("plain.tif"), raster_factory("flipped.tif", south_up=True)
    with rasterio.open(plain) as a, rasterio.open(flipped) as b:
        assert b.transform.e > 0
        np.testing.assert_array_equal(a.read(), b.read()[:, ::-1])
    one, other = see(pre, plain), see(pre, flipped)
    np.testing.assert_array_equal(one.post, other.post)
    np.testing.assert_array_equal(one.valid, other.valid)


def test_a_rotated_image_is_valid_in_its_four_corners_and_nowhere_else(pre: Path, raster_factory: Make) -> None:
    seen = see(pre, raster_factory("rotated.tif", rotated=30.0))
    grid = seen.pair.grid
    xs, ys = centres(grid.transform, grid.width, grid.height)
    inverse = ~placed(None, SIZE, rotated=30.0)
    cols = inverse.a * xs + inverse.b * ys + inverse.c
    rows = inverse.d * xs + inverse.e * ys + inverse.f
    reach = np.minimum.reduce([cols, SIZE[0] - cols, rows, SIZE[1] - rows])
    assert seen.valid[reach > 1.0].all()
    assert not seen.valid[reach < -0.01].any()
    assert 0.5 < seen.valid.mean() < 0.95


def test_anisotropic_pixels_keep_a_resolution_per_axis(raster_factory: Make) -> None:
    box = (EAST, NORTH - 288, EAST + 320, NORTH)
    tall = raster_factory("tall.tif", bounds=box, size=(320, 144))
    seen = see(tall, raster_factory("post.tif", bounds=OFF))
    assert (seen.pair.grid.transform.a, seen.pair.grid.transform.e) == (1.0, -2.0)


def test_pixel_is_point_is_not_shifted_again(pre: Path, raster_factory: Make) -> None:
    point = raster_factory("point.tif", bounds=OFF, area_or_point="Point")
    with rasterio.open(point) as ds:
        assert ds.tags()["AREA_OR_POINT"] == "Point"
        assert ds.transform.c == OFF[0]
    assert max(see(pre, point).offsets_px(PATTERN).values()) < 0.01


# Where an image lies.


def control_points(transform: Affine, error_px: float = 0.0) -> list[GroundControlPoint]:
    places = [(0, 0), (SIZE[0], 0), (0, SIZE[1]), (SIZE[0], SIZE[1]), (SIZE[0] / 2, SIZE[1] / 2)]
    out = []
    for i, (col, row) in enumerate(places):
        x, y = transform @ (col + (error_px if i == 4 else 0), row)
        out.append(GroundControlPoint(row=row, col=col, x=x, y=y))
    return out


def test_ground_control_points_work_and_tell_the_residual(pre: Path, raster_factory: Make) -> None:
    turned = placed(None, SIZE, rotated=4.0)
    exact = raster_factory("gcps.tif", transform=turned, gcps=control_points(turned))
    seen = see(pre, exact)
    assert max(seen.offsets_px(PATTERN).values()) < 0.01
    assert any("5 ground control points" in w and "residual 0.00 px" in w for w in seen.pair.warnings)
    rough = raster_factory("rough.tif", transform=turned, gcps=control_points(turned, error_px=5.0))
    warning = next(w for w in describe_raster(rough).warnings if "ground control points" in w)
    assert "residual 4.00 px at most" in warning


def linear_rpcs(bounds: tuple[float, float, float, float], size: tuple[int, int]) -> RPC:
    """RPCs of an image that is linear in longitude and latitude, at any height."""
    west, south, east, north = bounds
    term = [0.0] * 20
    one, lon, lat = term.copy(), term.copy(), term.copy()
    one[0], lon[1], lat[2] = 1.0, 1.0, -1.0
    return RPC(
        height_off=0.0,
        height_scale=1000.0,
        lat_off=(south + north) / 2,
        lat_scale=(north - south) / 2,
        line_den_coeff=one,
        line_num_coeff=lat,
        # RPCs count from the centre of the first pixel.
        line_off=size[1] / 2 - 0.5,
        line_scale=size[1] / 2,
        long_off=(west + east) / 2,
        long_scale=(east - west) / 2,
        samp_den_coeff=one,
        samp_num_coeff=lon,
        samp_off=size[0] / 2 - 0.5,
        samp_scale=size[0] / 2,
        err_bias=None,
        err_rand=None,
    )


def test_rpcs_alone_are_refused_unless_a_height_is_given(pre: Path, raster_factory: Make) -> None:
    box, size = lonlat_bounds(), (700, 640)
    flat = placed(box, size)
    xs, ys = centres(flat, *size)
    values = np.stack([np.rint(PATTERN.on("EPSG:4326", xs, ys, band)) for band in range(3)]).astype(np.uint8)
    rpc = raster_factory("rpc.tif", crs=None, size=size, values=values, rpcs=linear_rpcs(box, size))
    with pytest.raises(InputError, match=r"rpc\.tif.*RPCs only.*--rpc-height"):
        see(pre, rpc)
    seen = see(pre, rpc, post_options(rpc_height_m=100.0))
    assert max(seen.offsets_px(PATTERN).values()) < 0.01
    assert any("RPCs" in w for w in seen.pair.warnings)


def test_no_crs_is_refused_unless_it_is_said(pre: Path, raster_factory: Make) -> None:
    bare = raster_factory("bare.tif", crs=None, bounds=OFF)
    with pytest.raises(CrsError, match=r"bare\.tif: no coordinate reference system.*--pre-crs.*--post-crs"):
        see(pre, bare)
    with pytest.raises(CrsError, match=r"bare\.tif: no coordinate reference system"):
        see(bare, pre)
    assert max(see(pre, bare, post_options(crs=UTM)).offsets_px(PATTERN).values()) < 0.01
    said = see(bare, pre, PairOptions(pre=RasterOptions(crs=UTM)))
    assert said.pair.grid.crs == UTM


def test_no_geotransform_at_all_is_refused(pre: Path, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere.tif"
    with rasterio.open(nowhere, "w", driver="GTiff", width=64, height=64, count=3, dtype="uint8", crs=UTM) as ds:
        ds.write(np.zeros((3, 64, 64), np.uint8))
    with pytest.raises(InputError, match=r"nowhere\.tif.*no geotransform.*gdal_translate"):
        see(pre, nowhere)


def test_no_overlap_names_both_boxes(pre: Path, raster_factory: Make) -> None:
    elsewhere = raster_factory("far.tif", bounds=(EAST + 5000, NORTH, EAST + 5320, NORTH + 288))
    with pytest.raises(NoOverlapError) as error:
        see(pre, elsewhere)
    text = str(error.value)
    west, south, _, _ = describe_raster(elsewhere).lonlat_box
    assert "pre_2019.tif" in text and "far.tif" in text
    assert f"lon {west:.5f}" in text and f"lat {south:.5f}" in text


def test_touching_images_do_not_overlap(pre: Path, raster_factory: Make) -> None:
    beside = raster_factory("beside.tif", bounds=(EAST + 320, NORTH - 288, EAST + 640, NORTH))
    with pytest.raises(NoOverlapError):
        see(pre, beside)


def test_coordinates_outside_of_a_crs_s_validity_are_refused(raster_factory: Make) -> None:
    """Longitude 105 in zone 33, a quarter of the Earth from its meridian: finite numbers, which do not come back."""
    box = (104.9, 9.9, 105.1, 10.1)
    there = raster_factory(
        "there.tif", crs="EPSG:4326", bounds=box, size=(200, 200), pattern=Pattern("EPSG:4326", 0.01)
    )
    utm_box = Transformer.from_crs("EPSG:4326", UTM, always_xy=True).transform_bounds(*box)
    assert np.isfinite(utm_box).all()
    claimed = raster_factory("claimed.tif", bounds=utm_box, size=(200, 200), values=np.ones((3, 200, 200), np.uint8))
    with pytest.raises(CrsError, match=r"claimed\.tif.*back misses by 0\.\d+ px.*--dst-crs.*--post-crs"):
        match_pair(there, claimed)


def test_a_grid_crs_that_cannot_show_the_place_is_refused(pre: Path, raster_factory: Make) -> None:
    with pytest.raises(CrsError, match=r"pre_2019\.tif lies outside of the validity of .*--dst-crs"):
        match_pair(pre, raster_factory("post.tif"), PairOptions(dst_crs="+proj=gnom +lat_0=-49 +lon_0=-166"))


@pytest.mark.parametrize("west", [179.97, -180.03])
def test_the_antimeridian_is_no_border(raster_factory: Make, west: float) -> None:
    """Zone 60 beside a geographic image that counts past 180, or from below -180."""
    pattern = Pattern(crs="EPSG:32660", wave=240.0)
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:32660", always_xy=True).transform(180.0, -17.0)
    box = (x - 1600, y - 1440, x + 1600, y + 1440)
    pre = raster_factory("pre.tif", crs="EPSG:32660", bounds=box, pattern=pattern)
    post = raster_factory(
        "post.tif", crs="EPSG:4326", bounds=(west, -17.03, west + 0.06, -16.97), size=(700, 700), pattern=pattern
    )
    seen = see(pre, post)
    assert max(seen.offsets_px(pattern).values()) < 0.01
    assert seen.valid.mean() > 0.99
    footprint = grid_footprint(seen.pair.grid)
    assert len(footprint.polygons) == 2
    assert footprint.bbox[0] > 179 and footprint.bbox[2] < -179
    for ring in footprint.polygons:
        assert all(-180 <= lon <= 180 for lon, _ in ring)


def test_a_world_map_is_whole_up_to_its_edges(raster_factory: Make) -> None:
    """Padded tiles reach past longitude 180, where the nodes of the mapping must not jump to -180."""
    pattern = Pattern(crs="EPSG:4326", wave=20.0)
    world = {"crs": "EPSG:4326", "size": (720, 360), "pattern": pattern}
    pre = raster_factory("pre.tif", **world, bounds=(-180, -90, 180, 90))
    finer = raster_factory("post.tif", crs="EPSG:4326", size=(900, 450), bounds=(-180, -90, 180, 90), pattern=pattern)
    for post in (raster_factory("same.tif", **world, bounds=(-180, -90, 180, 90)), finer):
        seen = see(pre, post)
        assert seen.valid.all()
        assert max(seen.offsets_px(pattern).values()) < 0.01
        assert np.abs(seen.pre.astype(int) - seen.post)[:, 2:-2, 2:-2].max() < 12


def test_a_world_map_from_0_to_360_beside_one_from_minus_180(raster_factory: Make) -> None:
    """The seam of post runs through the middle of pre: what is next to it may be missing, but never wrong."""
    pattern = Pattern(crs="EPSG:4326", wave=20.0)  # 360 / 20: the waves along longitude close over the seam
    pre = raster_factory(
        "pre.tif", crs="EPSG:4326", size=(720, 360), bounds=(0, -90, 360, 90), pattern=pattern, bands=1
    )
    post = raster_factory(
        "post.tif", crs="EPSG:4326", size=(900, 450), bounds=(-180, -90, 180, 90), pattern=pattern, bands=1
    )
    seen = see(pre, post)
    grid = seen.pair.grid
    assert (grid.width, grid.height) == (720, 360)
    lon, lat = centres(grid.transform, grid.width, grid.height)
    truth = pattern.at((lon + 180) % 360 - 180, lat, 0)
    off = np.abs(seen.post[0] - truth)
    off[:2] = off[-2:] = 0
    seam = (np.abs(lon - 180) < 1) | (lon < 1) | (lon > 359)
    assert off[seen.valid & ~seam].max() < 3
    assert seen.valid.mean() > 0.75


def test_over_a_pole(raster_factory: Make) -> None:
    pattern = Pattern(crs="EPSG:3413", wave=2400.0)
    box = (-16_000.0, -14_400.0, 16_000.0, 14_400.0)
    pre = raster_factory("pre.tif", crs="EPSG:3413", bounds=box, pattern=pattern)
    post = raster_factory(
        "post.tif", crs="EPSG:3995", bounds=(-20_000, -20_000, 20_000, 20_000), size=(440, 440), pattern=pattern
    )
    seen = see(pre, post)
    assert max(seen.offsets_px(pattern).values()) < 0.01
    assert grid_footprint(seen.pair.grid).bbox[3] == 90.0


# What is data.


def test_an_internal_mask_and_a_msk_file_are_kept(pre: Path, raster_factory: Make) -> None:
    mask = np.full(SIZE[::-1], 255, np.uint8)
    mask[60:120, 80:200] = 0
    for sidecar in (False, True):
        post = raster_factory(f"masked_{sidecar}.tif", bounds=OFF, mask=mask, msk_sidecar=sidecar)
        assert Path(f"{post}.msk").exists() == sidecar
        assert describe_raster(post).mask == "dataset"
        seen = see(pre, post)
        # Half a pixel right, a quarter up: the kernel of a pixel one beside the hole reaches into it.
        assert not seen.valid[60:119, 80:201].any()
        assert seen.valid[:58].mean() > 0.99 and seen.valid[122:, :319].all()
        assert (seen.post[:, ~seen.valid] == 0).all()


def test_a_mask_beside_alpha_and_no_data_does_not_bleed(pre: Path, raster_factory: Make) -> None:
    """White fill with a mask: no grey rim where the kernel would mix fill and data."""
    xs, ys = centres(placed(OFF, SIZE), *SIZE)
    values = np.stack([np.rint(PATTERN.at(xs, ys, band) / 2) for band in range(3)]).astype(np.uint8)
    hole = np.hypot(*(np.indices(SIZE[::-1]) - 140)) < 60
    values[:, hole] = 255
    alpha = np.where(hole, 0, 255).astype(np.uint8)
    variants = {
        "alpha": raster_factory("alpha.tif", bounds=OFF, values=values, alpha=alpha),
        "mask": raster_factory("mask.tif", bounds=OFF, values=values, mask=alpha),
        "nodata": raster_factory("nodata.tif", bounds=OFF, values=values, nodata=255),
    }
    first = None
    for name, post in variants.items():
        seen = see(pre, post)
        assert seen.post[:, seen.valid].max() < 140, name
        assert 0.80 < seen.valid.mean() < 0.89, name
        if first is not None:
            np.testing.assert_array_equal(first.valid, seen.valid, err_msg=name)
        first = seen


def test_nan_and_inf_are_never_data(pre: Path, raster_factory: Make) -> None:
    xs, ys = centres(placed(OFF, SIZE), *SIZE)
    values = np.stack([PATTERN.at(xs, ys, band) / 255 for band in range(3)]).astype(np.float32)
    values[0, 50, 60] = np.nan
    values[1, 100, 160] = np.inf
    values[:, 200:210, 200:210] = -np.inf
    for nodata in (None, -9999.0):
        seen = see(pre, raster_factory(f"nan_{nodata}.tif", bounds=OFF, values=values, nodata=nodata))
        assert not seen.valid[50, 60] and not seen.valid[100, 160] and not seen.valid[201:209, 201:209].any()
        # A kernel of two by two pixels reaches no further than that.
        assert (~seen.valid[:, :319]).sum() <= 4 + 4 + 121
        assert max(seen.offsets_px(PATTERN).values()) < 0.01
        assert seen.post[:, seen.valid].std() > 20


def test_fill_without_a_tag_is_reported_and_nodata_says_it(pre: Path, raster_factory: Make) -> None:
    xs, ys = centres(placed(OFF, SIZE), *SIZE)
    values = np.stack([np.rint(PATTERN.at(xs, ys, band)) for band in range(3)]).astype(np.uint8)
    values[:, :, :100] = 0
    post = raster_factory("filled.tif", bounds=OFF, values=values)
    silent = see(pre, post)
    assert silent.valid[:, :98].all()
    assert any("post" in w and "--nodata 0" in w for w in silent.pair.warnings)
    said = see(pre, post, post_options(nodata=0.0))
    assert not said.valid[:, :99].any()
    assert said.valid[10:280, 102:318].all()
    assert not any("--nodata 0" in w for w in said.pair.warnings)


def test_zero_in_one_band_is_data_where_nodata_is_zero(pre: Path, raster_factory: Make) -> None:
    values = np.full((3, *SIZE[::-1]), 90, np.uint8)
    values[0, 20:40] = 0
    values[:, 100:120] = 0
    seen = see(pre, raster_factory("zeros.tif", values=values, nodata=0))
    assert seen.valid[20:40].all()
    assert not seen.valid[100:120].any()
    assert seen.valid.mean() == pytest.approx(1 - 20 / SIZE[1], abs=0.001)


def test_nodata_of_pre_counts_as_well(raster_factory: Make) -> None:
    values = np.full((3, *SIZE[::-1]), 90, np.uint8)
    values[:, :50] = 7
    seen = see(raster_factory("pre.tif", values=values, nodata=7), raster_factory("post.tif"))
    assert not seen.valid[:50].any() and seen.valid[50:].all()


def test_a_true_alpha_band_masks(pre: Path, raster_factory: Make) -> None:
    alpha = np.full(SIZE[::-1], 255, np.uint8)
    alpha[:100] = 0
    post = raster_factory("rgba.tif", alpha=alpha)
    assert describe_raster(post).mask == "alpha"
    seen = see(pre, post)
    assert not seen.valid[:100].any() and seen.valid[100:].all()


def test_near_infrared_that_is_tagged_alpha_is_not_a_mask(pre: Path, raster_factory: Make) -> None:
    infrared = np.random.default_rng(0).integers(20, 200, SIZE[::-1]).astype(np.uint8)
    post = raster_factory("rgbn.tif", alpha=infrared)
    with rasterio.open(post) as ds:
        assert ds.colorinterp[3] == ColorInterp.alpha
    info = describe_raster(post)
    assert info.mask == "none" and info.bands == (1, 2, 3)
    assert any("tagged alpha" in w for w in info.warnings)
    assert see(pre, post).valid.all()


@pytest.mark.parametrize("opaque", [255, 65535])
def test_16_bit_alpha_of_zero_and_one_more_value_is_a_mask(pre: Path, raster_factory: Make, opaque: int) -> None:
    alpha = np.full(SIZE[::-1], opaque, np.uint16)
    alpha[:, :64] = 0
    seen = see(pre, raster_factory("rgba16.tif", dtype="uint16", alpha=alpha))
    assert not seen.valid[:, :64].any() and seen.valid[:, 64:].all()


# Which bands, which values.


def test_sentinel_2_bands_are_found_by_their_names(pre: Path, raster_factory: Make) -> None:
    stack = raster_factory(
        "s2.tif",
        dtype="uint16",
        bands=4,
        band_order=(2, 1, 0, 3),
        descriptions=("B02", "B03", "B04", "B08"),
        photometric="minisblack",
        bounds=OFF,
    )
    info = describe_raster(stack)
    assert info.bands == (3, 2, 1) and info.mask == "none"
    # Red of the pattern is in the third stored band: aligned only if that one is read as red.
    assert max(see(pre, stack).offsets_px(PATTERN).values()) < 0.01


def test_colour_interpretation_comes_next(raster_factory: Make) -> None:
    blue_first = raster_factory(
        "bgr.tif",
        bands=4,
        photometric="minisblack",
        interpretation=(ColorInterp.blue, ColorInterp.green, ColorInterp.red, ColorInterp.undefined),
    )
    assert describe_raster(blue_first).bands == (3, 2, 1)


def test_four_untold_bands_are_refused_unless_named(pre: Path, raster_factory: Make) -> None:
    untold = raster_factory("four.tif", bands=4, photometric="minisblack")
    with pytest.raises(InputError, match=r"four\.tif: 4 bands.*--bands"):
        see(pre, untold)
    assert max(see(pre, untold, post_options(bands=(1, 2, 3))).offsets_px(PATTERN).values()) < 0.01
    with pytest.raises(InputError, match=r"--bands 5,1,2 does not fit"):
        see(pre, untold, post_options(bands=(5, 1, 2)))


@pytest.mark.parametrize("dtype", [d for d in STORED if d != "uint8"])
def test_any_stored_type_becomes_8_bit_without_wrapping(raster_factory: Make, dtype: str) -> None:
    seen = see(raster_factory("pre.tif", dtype=dtype), raster_factory("post.tif", dtype=dtype, bounds=OFF, gain=1.15))
    assert max(seen.offsets_px(PATTERN).values()) < 0.01
    difference = np.abs(seen.pre.astype(int) - seen.post)[:, seen.valid]
    assert difference.mean() < 3
    assert seen.pair.survey.radiometry.pre.dtype in (dtype, "float32")
    assert seen.pre.std() > 40


def test_dates_of_different_types(raster_factory: Make) -> None:
    seen = see(raster_factory("pre.tif"), raster_factory("post.tif", dtype="uint16", bounds=OFF))
    assert max(seen.offsets_px(PATTERN).values()) < 0.01
    assert np.abs(seen.pre.astype(int) - seen.post)[:, seen.valid].mean() < 3


def test_scale_and_offset_tags_do_not_matter(raster_factory: Make) -> None:
    pre = raster_factory("pre.tif", dtype="int16", scale_offset=(0.0001, 0.0))
    plain = see(pre, raster_factory("plain.tif", dtype="int16", bounds=OFF))
    tagged = see(pre, raster_factory("tagged.tif", dtype="int16", bounds=OFF, scale_offset=(0.00002, -0.1)))
    np.testing.assert_array_equal(plain.post, tagged.post)
    # The other way round: the same reflectance stored with another scale and offset.
    low, high = STORED["int16"]
    other = (2 * low + 700, 2 * high + 700)
    restored = see(
        pre, raster_factory("other.tif", dtype="int16", bounds=OFF, stored=other, scale_offset=(5e-5, -0.035))
    )
    assert np.abs(plain.post.astype(int) - restored.post).max() <= 1


def test_a_palette_is_expanded_before_interpolation(pre: Path, raster_factory: Make) -> None:
    """Index 1 is red, 2 green, 3 blue: between 1 and 3 lies purple, not green."""
    stripes = np.where(np.indices(SIZE[::-1])[1] // 8 % 2 == 0, 1, 3).astype(np.uint8)[np.newaxis]
    colours = {0: (0, 0, 0), 1: (250, 0, 0), 2: (0, 250, 0), 3: (0, 0, 250)}
    seen = see(pre, raster_factory("palette.tif", bounds=OFF, values=stripes, palette=colours))
    red, green, blue = seen.post[:, seen.valid].astype(int)
    assert green.max() == 0
    assert set(np.unique(red)) >= {0, 125, 250}
    assert np.abs(red + blue - 250).max() <= 1


def test_cmyk_of_8_bit_works(pre: Path, raster_factory: Make) -> None:
    ink = np.zeros((4, *SIZE[::-1]), np.uint8)
    ink[1] = 255  # magenta
    ink[2, :, :160] = 255  # and yellow: red
    seen = see(pre, raster_factory("cmyk.tif", values=ink, photometric="cmyk"))
    assert seen.post[:, 100, 50].tolist() == [255, 0, 0]
    assert seen.post[:, 100, 250].tolist() == [255, 0, 255]


def test_cmyk_of_16_bit_is_refused(pre: Path, raster_factory: Make) -> None:
    ink = np.zeros((4, *SIZE[::-1]), np.uint16)
    with pytest.raises(InputError, match=r"cmyk16\.tif: CMYK with uint16"):
        see(pre, raster_factory("cmyk16.tif", values=ink, photometric="cmyk"))


def test_jpeg_in_ycbcr_works(pre: Path, raster_factory: Make) -> None:
    seen = see(pre, raster_factory("jpeg.tif", bounds=OFF, compress="jpeg", photometric="ycbcr", JPEG_QUALITY=95))
    assert max(seen.offsets_px(PATTERN).values()) < 0.02
    assert np.abs(seen.pre.astype(int) - seen.post)[:, seen.valid].mean() < 4


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_values_are_refused(pre: Path, raster_factory: Make, dtype: str) -> None:
    waves = np.ones((1, *SIZE[::-1]), dtype)
    with pytest.raises(InputError, match=rf"waves\.tif: complex values \({dtype}\)"):
        see(pre, raster_factory("waves.tif", values=waves))


def test_a_single_band_is_grey_and_says_so(pre: Path, raster_factory: Make) -> None:
    seen = see(pre, raster_factory("grey.tif", bands=1, bounds=OFF))
    assert any("single band" in w and "post" in w for w in seen.pair.warnings)
    np.testing.assert_array_equal(seen.post[0], seen.post[1])
    np.testing.assert_array_equal(seen.post[0], seen.post[2])
    both = see(
        raster_factory("grey_pre.tif", bands=1), raster_factory("grey2.tif", bands=1, bounds=OFF, dtype="uint16")
    )
    assert both.post[:, both.valid].std() > 30


@pytest.mark.parametrize("types", [("uint8", "uint16"), ("uint16", "uint8"), ("int16", "float32")])
@pytest.mark.parametrize("grey", ["pre", "post"])
def test_a_grey_date_beside_a_coloured_one(raster_factory: Make, types: tuple[str, str], grey: str) -> None:
    pre = raster_factory("pre.tif", dtype=types[0], bands=1 if grey == "pre" else 3)
    post = raster_factory("post.tif", dtype=types[1], bands=1 if grey == "post" else 3, bounds=OFF)
    seen = see(pre, post)
    assert seen.pre[:, seen.valid].std() > 30 and seen.post[:, seen.valid].std() > 30


# Tiles, damage, and what goes wrong on the way.


def test_tiles_at_the_edge_are_padded_and_say_how_much(pre: Path, raster_factory: Make) -> None:
    seen = see(pre, raster_factory("post.tif"))
    assert seen.fractions == {
        "r00000c00000": 1.0,
        "r00000c00001": 64 / 256,
        "r00001c00000": 32 / 256,
        "r00001c00001": 64 * 32 / 256**2,
    }
    shifted = see(pre, raster_factory("post2.tif"), PairOptions(edge="shift"))
    assert set(shifted.fractions.values()) == {1.0} and len(shifted.fractions) == 4
    dropped = see(pre, raster_factory("post3.tif"), PairOptions(edge="drop"))
    assert list(dropped.fractions) == ["r00000c00000"]


BIG = {"size": (1024, 1024), "bounds": (EAST, NORTH - 1024, EAST + 1024, NORTH), "blocksize": 256}


def test_a_truncated_file_costs_the_tiles_past_the_cut(raster_factory: Make) -> None:
    pre = raster_factory("pre.tif", **BIG)
    post = raster_factory("cut.tif", **BIG)
    whole = see(pre, post)
    with rasterio.open(post) as ds:
        offsets = {
            (row, col): int(ds.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", bidx=1))
            for row in range(4)
            for col in range(4)
        }
    cut = offsets[2, 2]
    os.truncate(post, cut)
    seen = see(pre, post)
    past = {f"r{row:05d}c{col:05d}" for (row, col), at in offsets.items() if at >= cut}
    assert set(seen.failures) == past and len(past) in range(1, 16)
    assert all("cut.tif" in reason for reason in seen.failures.values())
    np.testing.assert_array_equal(seen.valid, seen.read)
    np.testing.assert_array_equal(seen.post[:, seen.read], whole.post[:, seen.read])


@pytest.mark.parametrize("compress", ["deflate", "lzw", "zstd"])
def test_a_damaged_block_costs_one_tile(raster_factory: Make, compress: str) -> None:
    pre = raster_factory("pre.tif", **BIG)
    post = raster_factory("hurt.tif", **BIG, compress=compress)
    with rasterio.open(post) as ds:
        at = int(ds.get_tag_item("BLOCK_OFFSET_1_2", "TIFF", bidx=1))
    with open(post, "r+b") as file:
        file.seek(at)
        file.write(b"\xff\x00\xff" * 20)
    seen = see(pre, post)
    assert list(seen.failures) == ["r00002c00001"]
    assert "hurt.tif" in seen.failures["r00002c00001"]
    assert seen.valid.mean() == pytest.approx(15 / 16)


def test_a_damaged_jpeg_block_is_noted_with_its_tile(raster_factory: Make) -> None:
    """libjpeg decodes something from almost any bytes; only GDAL's log tells."""
    pre = raster_factory("pre.tif", **BIG)
    post = raster_factory("hurt.tif", **BIG, compress="jpeg", photometric="ycbcr")
    with rasterio.open(post) as ds:
        at = int(ds.get_tag_item("BLOCK_OFFSET_1_2", "TIFF", bidx=1))
        length = int(ds.get_tag_item("BLOCK_SIZE_1_2", "TIFF", bidx=1))
    with open(post, "r+b") as file:
        file.seek(at + length // 2)
        file.write(b"\xff\xc4" * (length // 8))
    seen = see(pre, post)
    told = set(seen.failures) | set(seen.notes)
    assert told == {"r00002c00001"}


def test_a_file_that_is_replaced_during_the_run_is_noticed(pre: Path, raster_factory: Make) -> None:
    post = raster_factory("post.tif")

    def watched() -> Watch:
        return Watch({str(path): identify(str(path)) for path in (pre, post)})

    watch = watched()
    watch.check()
    shutil.copy(raster_factory("other.tif", gain=0.5), f"{post}.new")
    os.replace(f"{post}.new", post)
    with pytest.raises(InputChangedError, match=r"post\.tif: it was replaced"):
        watch.check()
    watch = watched()
    with open(post, "r+b") as file:
        file.write(file.read(1))
        os.utime(post, ns=(1, 1))
    with pytest.raises(InputChangedError, match=r"post\.tif"):
        watch.check()
    watch = watched()
    post.unlink()
    with pytest.raises(InputChangedError, match=r"post\.tif: it has vanished"):
        watch.check()


def test_a_file_that_was_replaced_before_the_first_look_is_noticed(pre: Path, raster_factory: Make) -> None:
    """A large model may take minutes to load between the description of an input and its first tile."""
    post = raster_factory("post.tif")
    known = {str(path): identify(str(path)) for path in (pre, post)}
    Watch(known)
    os.utime(post, ns=(1, 1))
    with pytest.raises(InputChangedError, match=r"post\.tif: it was replaced.*cp -p"):
        Watch(known)


def test_the_same_file_twice_is_refused_unless_allowed(pre: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.tif"
    link.symlink_to(pre)
    hard = tmp_path / "hard.tif"
    os.link(pre, hard)
    for other in (pre, link, hard):
        with pytest.raises(InputError, match=r"the same file.*--allow-same"):
            prepare_pair(pre, other)
    assert see(pre, pre, PairOptions(allow_same=True)).valid.all()


@pytest.mark.parametrize(
    ("first", "second", "tags", "older"),
    [
        ("a_2019.tif", "b_2016.tif", {}, True),
        ("a_2016.tif", "b_2019.tif", {}, False),
        ("a_20190705.tif", "b_2019-06-30.tif", {}, True),
        ("a.tif", "b.tif", {"TIFFTAG_DATETIME": "2015:01:02 03:04:05"}, True),
        ("a.tif", "b.tif", {}, False),
    ],
)
def test_a_post_that_is_older_than_pre_is_a_warning(
    raster_factory: Make, first: str, second: str, tags: dict, older: bool
) -> None:
    pre_tags = {"TIFFTAG_DATETIME": "2018:01:02 03:04:05"} if tags else {}
    pair = prepare_pair(raster_factory(first, tags=pre_tags), raster_factory(second, tags=tags))
    assert any("older than pre" in w for w in pair.warnings) == older
    if first.startswith("a_"):
        assert pair.facts()[0].datetime is not None and pair.facts()[0].datetime.startswith("201")


def test_a_block_of_two_gigabytes_is_refused_before_it_is_read(pre: Path, tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.tif"
    side = 26_720
    profile = {
        "driver": "GTiff", "width": side, "height": side, "count": 3, "dtype": "uint8", "crs": UTM,
        "transform": Affine(0.1, 0, EAST, 0, -0.1, NORTH), "interleave": "pixel", "compress": "deflate",
        "tiled": True, "blockxsize": side, "blockysize": side, "SPARSE_OK": True, "photometric": "rgb",
    }  # fmt: skip
    with rasterio.open(bomb, "w", **profile):
        pass
    assert bomb.stat().st_size < 10_000
    with pytest.raises(InputError, match=r"bomb\.tif: one block takes 20\d\d MB.*gdal_translate -co TILED=YES"):
        see(pre, bomb)


def test_empty_blocks_of_a_sparse_file_are_never_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    side = 60_000
    names = []
    for name in ("pre.tif", "post.tif"):
        path = tmp_path / name
        profile = {
            "driver": "GTiff", "width": side, "height": side, "count": 3, "dtype": "uint8", "crs": UTM, "tiled": True,
            "transform": Affine(1, 0, EAST, 0, -1, NORTH), "blockxsize": 512, "blockysize": 512, "SPARSE_OK": True,
            "compress": "deflate", "photometric": "rgb", "BIGTIFF": "YES",
        }  # fmt: skip
        with rasterio.open(path, "w", **profile) as ds:
            xs, ys = centres(ds.transform, 1024, 1024, 30_720, 20_480)
            window = rasterio.windows.Window(30_720, 20_480, 1024, 1024)
            ds.write(np.stack([PATTERN.at(xs, ys, b) for b in range(3)]).astype(np.uint8), window=window)
        names.append(path)
    pair = prepare_pair(*names)
    assert pair.survey.windows >= 4
    decoded = []
    really = RasterReader._pixels

    def counted(reader: RasterReader, ds: rasterio.DatasetReader, window: rasterio.windows.Window) -> object:
        decoded.append(window)
        return really(reader, ds, window)

    monkeypatch.setattr(RasterReader, "_pixels", counted)
    seen = {True: 0, False: 0}
    with pair.env(), pair.aligner() as aligner:
        for index in (0, 1, pair.plan.block_count // 2, pair.plan.block_count - 1):
            for tile in aligner.read(pair.plan.block(index)):
                seen[bool(tile.pair.valid.any())] += 1
        assert not decoded and seen[True] == 0 and seen[False] > 100
        # The superblock with the data: column 30720 and row 20480 in 2048 px.
        across = -(-side // 2048)
        for tile in aligner.read(pair.plan.block(10 * across + 15)):
            seen[bool(tile.pair.valid.any())] += 1
    assert seen[True] == 16 and len(decoded) == 2


def test_a_coarse_post_is_a_warning_then_an_error_then_forced(pre: Path, raster_factory: Make) -> None:
    box = (EAST, NORTH - 288, EAST + 320, NORTH)
    four = raster_factory("by6.tif", bounds=box, size=(320 // 6, 288 // 6))
    assert any("times coarser than the grid" in w for w in prepare_pair(pre, four).warnings)
    twelve = raster_factory("by12.tif", bounds=box, size=(320 // 12, 288 // 12))
    with pytest.raises(InputError, match=r"by12\.tif.*stretched 12.*--res.*--allow-upsampling"):
        prepare_pair(pre, twelve)
    assert prepare_pair(pre, twelve, PairOptions(allow_upsampling=True)).warnings
    assert prepare_pair(pre, twelve, PairOptions(res=(10.0, 10.0))).grid.transform.a == 10.0
    three = raster_factory("by3.tif", bounds=box, size=(320 // 3, 288 // 3))
    assert not any("coarser" in w for w in prepare_pair(pre, three).warnings)


@pytest.mark.parametrize("content", [b"", b"not a raster at all", b"II*\x00\x08\x00\x00\x00\xff\xff" + b"\x00" * 64])
def test_what_is_no_raster_is_an_error_with_its_cause(pre: Path, tmp_path: Path, content: bytes) -> None:
    junk = tmp_path / "junk.tif"
    junk.write_bytes(content)
    with pytest.raises(InputError, match=r"junk\.tif: cannot open") as error:
        prepare_pair(pre, junk)
    assert error.value.__cause__ is not None
    assert error.value.exit_code == 3


def test_a_missing_file_is_named(pre: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.tif: no such file"):
        prepare_pair(pre, tmp_path / "nothing.tif")


def test_gdal_errors_that_are_no_rasterio_errors_are_caught(tmp_path: Path) -> None:
    from rasterio._err import CPLE_AppDefinedError

    from rsccli.geo.raster import raster_errors

    for error in (CPLE_AppDefinedError(1, 1, "odd"), ValueError("bad RPCs"), MemoryError()):
        with pytest.raises(InputError, match=r"x\.tif: cannot read") as caught, raster_errors("x.tif", "read"):
            raise error
        assert caught.value.__cause__ is error

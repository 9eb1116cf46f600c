"""What is done to pairs: averaging (against GDAL), moving, other light."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from probe_pairs import ground, tile_pair, with_roof
from rasterio.warp import Resampling, reproject

from rsccli.errors import InputError
from rsccli.evaluation.probes.lights import LIGHTS, relit
from rsccli.evaluation.probes.moving import KERNEL_PX, moved
from rsccli.evaluation.probes.resample import Levels, area_average, coarsened, enlarged, trimmed
from rsccli.models.captioner import tile_seed


@pytest.mark.shared
@pytest.mark.parametrize(("rows", "level"), [(125, 1.2), (75, 2.0), (15, 10.0)])
def test_averaging_is_that_of_gdal(shared: Path, rows: int, level: float) -> None:
    with rasterio.open(shared / "naip" / "riverside_2016_1.tif") as source:
        image = source.read((1, 2, 3))[:, :250, :250]
    wanted = np.zeros((3, rows, rows), np.float32)
    reproject(
        image.astype(np.float32), wanted, src_transform=Affine(0.6, 0, 0, 0, -0.6, 150), src_crs="EPSG:32611",
        dst_transform=Affine(level, 0, 0, 0, -level, 150), dst_crs="EPSG:32611", resampling=Resampling.average,
    )  # fmt: skip
    ours, valid = area_average(image, np.ones((250, 250), bool), rows, rows)
    assert valid.all()
    assert np.abs(ours - wanted).max() <= 0.51, "rounding alone"


def test_pixels_without_data_do_not_count_in_the_mean() -> None:
    image = np.full((3, 8, 8), 100, np.uint8)
    valid = np.ones((8, 8), bool)
    valid[:, :3] = False
    image[:, ~valid] = 0
    small, seen = area_average(image, valid, 4, 4)
    assert seen[:, 0].tolist() == [False] * 4 and seen[:, 1:].all(), "half of what the second column covers is valid"
    assert (small[:, seen] == 100).all() and (small[:, ~seen] == 0).all()


def test_every_level_shows_the_same_ground_and_tells_its_true_size() -> None:
    pair = tile_pair(ground(0, 256), ground(1, 256), gsd_m=0.6)
    levels = Levels((0.5, 2.0, 10.0))
    whole = trimmed(pair, levels)
    assert whole.valid.shape == (250, 250), "150 m: 15 px of 10 m"
    assert whole.tile.map_bounds == pytest.approx((1.8, 1.8, 151.8, 151.8))
    shown = [coarsened(whole, metres) for metres in levels.metres]
    assert shown[0] is whole, "0.5 m is finer than the pair"
    assert [each.valid.shape for each in shown] == [(250, 250), (75, 75), (15, 15)]
    assert [each.gsd_m for each in shown] == pytest.approx([0.6, 2.0, 10.0])
    assert {each.tile.map_bounds for each in shown} == {whole.tile.map_bounds}
    means = [each.pre.mean() for each in shown]
    assert means == pytest.approx([means[0]] * 3, abs=0.2)


def test_levels_that_do_not_divide_each_other_tell_what_they_became() -> None:
    pair = tile_pair(ground(0, 256), ground(1, 256), gsd_m=1.0)
    whole = trimmed(pair, Levels((1.0, 3.0, 7.0)))
    assert whole.valid.shape == (252, 252)
    assert coarsened(whole, 3.0).gsd_m == 3.0 and coarsened(whole, 7.0).gsd_m == 7.0
    assert coarsened(whole, 5.0).gsd_m == pytest.approx(252 / 50)


def test_a_tile_that_would_have_no_pixels_is_refused_with_a_way_out() -> None:
    with pytest.raises(InputError, match=r"64 px of 0\.6 m are 3\.8 px of 10 m.*--tile-size"):
        trimmed(tile_pair(ground(0, 64), ground(1, 64), gsd_m=0.6), Levels((0.6, 10.0)))


def test_enlarged_pairs_have_their_first_size_and_less_detail() -> None:
    pair = tile_pair(with_roof(ground(0)), ground(0), gsd_m=1.0)
    blurred = enlarged(coarsened(pair, 4.0), 96, 96, pair.gsd_m)
    assert blurred.pre.shape == pair.pre.shape and blurred.gsd_m == 1.0 and blurred.valid.all()
    edges = [np.abs(np.diff(each.pre[0].astype(int), axis=1)).max() for each in (pair, blurred)]
    assert edges[1] < edges[0]
    assert blurred.pre.mean() == pytest.approx(pair.pre.mean(), abs=1)


def test_whole_pixels_are_moved_exactly_and_nothing_comes_in_from_beyond() -> None:
    pair = tile_pair(ground(3), ground(3))
    still = moved(pair, 0, 12)
    assert np.array_equal(still.pre, pair.pre[:, 12:84, 12:84]) and np.array_equal(still.pre, still.post)
    for index in range(8):
        each = replace(pair, tile=replace(pair.tile, col=index))
        shown = moved(each, 5, 12)
        assert np.array_equal(shown.pre, still.pre), "the earlier date stays"
        views = {
            (dx, dy): pair.post[:, 12 - dy : 84 - dy, 12 - dx : 84 - dx]
            for dx, dy in ((5, 0), (0, 5), (-5, 0), (0, -5))
        }
        assert sum(np.array_equal(shown.post, view) for view in views.values()) == 1


def test_every_direction_is_drawn_and_one_pair_keeps_its_own() -> None:
    pair = tile_pair(ground(3), ground(3))
    seen = {moved(replace(pair, tile=replace(pair.tile, col=i)), 4, 12).post.tobytes() for i in range(40)}
    assert len(seen) == 4
    assert len({tile_seed(replace(pair.tile, col=i)) for i in range(40)}) == 40


def test_half_a_pixel_lies_between_its_neighbours() -> None:
    slope = np.broadcast_to(np.arange(96, dtype=np.uint8) * 2, (3, 96, 96)).copy()
    both = np.stack([slope[0], slope[0].T, slope[0]])
    pair = tile_pair(both, both)
    still, half = moved(pair, 0, 12), moved(pair, 0.5, 12)
    gaps = {int(v) for v in np.unique(half.post.astype(int) - still.post.astype(int))}
    assert gaps in ({0, -1}, {0, 1}), "two levels a pixel: half a pixel is one level, along one axis"


def test_pixels_without_data_move_along() -> None:
    pair = tile_pair(ground(3), ground(3))
    valid = np.ones((96, 96), bool)
    valid[40:60, 40:60] = False
    shown = moved(replace(pair, valid=valid, pre=pair.pre * valid, post=pair.post * valid), 6.5, 12)
    hidden = ~shown.valid
    assert 20 * 26 <= hidden.sum() <= 20 * 28
    assert (shown.pre[:, hidden] == 0).all() and (shown.post[:, hidden] == 0).all()


def test_too_small_a_pair_cannot_be_moved() -> None:
    with pytest.raises(InputError, match="48x48 px less 12 on each side leave too little"):
        moved(tile_pair(ground(0, 48), ground(0, 48)), 8, 8 + KERNEL_PX)


def test_lights_are_what_they_say() -> None:
    image, valid = ground(1), np.ones((96, 96), bool)
    by_key = {light.key: relit(light, image, valid, 7) for light in LIGHTS}
    assert len(by_key) == len(LIGHTS) == 10
    assert by_key["gain-0.8"].mean() == pytest.approx(0.8 * image.mean(), abs=0.5)
    assert by_key["gamma-1.33"].mean() < image.mean() < by_key["gamma-0.75"].mean()
    assert by_key["haze-30"].astype(float) == pytest.approx(0.7 * image + 0.3 * 205, abs=0.51)
    assert by_key["cast"][0].mean() > image[0].mean() and by_key["cast"][2].mean() < image[2].mean()
    errors = {key: np.abs(by_key[key].astype(int) - image).mean() for key in ("jpeg-75", "jpeg-40")}
    assert 0 < errors["jpeg-75"] < errors["jpeg-40"] < 5, "colours are not exchanged on the way"


def test_drawn_light_belongs_to_the_pair() -> None:
    image, valid = ground(1), np.ones((96, 96), bool)
    together = LIGHTS[-1]
    assert np.array_equal(relit(together, image, valid, 3), relit(together, image, valid, 3))
    assert not np.array_equal(relit(together, image, valid, 3), relit(together, image, valid, 4))
    valid[:10] = False
    assert (relit(together, image, valid, 3)[:, :10] == 0).all()

"""The common grid as a user asks for it: the default, another CRS, a size, a pattern raster, a box, an area."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely
from pyproj import Transformer

from rsccli.errors import InputError, NoOverlapError, UsageProblem
from rsccli.geo.aoi import read_aoi
from rsccli.geo.grid import GridOptions, choose_grid
from rsccli.geo.pair import PairOptions, match_pair, prepare_pair
from rsccli.geo.raster import describe_raster

UTM = "EPSG:32633"
PRE = {"crs": UTM, "bounds": (412000, 5410000, 412512, 5410512), "size": (512, 512)}
POST = {"crs": UTM, "bounds": (412100.4, 5410050.2, 412612.4, 5410562.2), "size": (1024, 1024)}


@pytest.fixture
def pair(raster_factory: Callable[..., Path]) -> tuple[Path, Path]:
    return raster_factory("pre.tif", **PRE), raster_factory("post.tif", **POST)


def test_default_is_pres_own_lattice_over_the_overlap(pair) -> None:
    _, _, grid, _ = match_pair(*pair)
    assert grid.crs == UTM and tuple(grid.transform)[:6] == (1, 0, 412100, 0, -1, 5410512)
    assert (grid.width, grid.height) == (412, 462)


def test_res_is_anchored_at_whole_multiples(pair) -> None:
    _, _, grid, _ = match_pair(*pair, PairOptions(res=(2, 4)))
    t = grid.transform
    assert (t.a, t.e) == (2, -4) and t.c % 2 == 0 and t.f % 4 == 0
    assert grid.map_bounds.left <= 412100.4 and grid.map_bounds.right >= 412512


def test_dst_crs_keeps_the_size_of_a_pixel_on_the_ground(pair) -> None:
    from rsccli.geo.grid import grid_gsd_m

    _, _, grid, _ = match_pair(*pair, PairOptions(dst_crs="EPSG:3035"))
    assert grid.crs == "EPSG:3035" and grid_gsd_m(grid) == pytest.approx(1, abs=0.01)


def test_like_takes_the_lattice_of_another_raster(pair, raster_factory) -> None:
    like = raster_factory("like.tif", crs=UTM, bounds=(411000.3, 5409000.7, 413000.3, 5411000.7), size=(500, 500))
    _, _, grid, _ = match_pair(*pair, PairOptions(like=str(like)))
    assert grid.transform.a == pytest.approx(4)
    steps = np.array([grid.transform.c - 411000.3, 5411000.7 - grid.transform.f]) / 4
    assert np.allclose(steps, np.round(steps), atol=1e-6)
    with pytest.raises(UsageProblem, match="--like"):
        match_pair(*pair, PairOptions(like=str(like), res=(1, 1)))


def test_bbox_cuts_in_degrees(pair) -> None:
    lon, lat = Transformer.from_crs(UTM, 4326, always_xy=True).transform([412200, 412300], [5410100, 5410300])
    _, _, grid, _ = match_pair(*pair, PairOptions(bbox=(lon[0], lat[0], lon[1], lat[1])))
    assert abs(grid.width - 103) <= 4 and abs(grid.height - 203) <= 4
    with pytest.raises(NoOverlapError, match="--bbox"):
        match_pair(*pair, PairOptions(bbox=(0, 0, 1, 1)))
    with pytest.raises(UsageProblem, match="west,south,east,north"):
        match_pair(*pair, PairOptions(bbox=(10, 50, 11, 40)))


def test_bbox_over_the_antimeridian(raster_factory) -> None:
    place = {"crs": "EPSG:3832", "bounds": (3330000, -2020000, 3350000, -2000000), "size": (200, 200)}
    pre, post = raster_factory("a.tif", **place), raster_factory("b.tif", **place)
    info = describe_raster(pre)
    west, south, east, north = info.lonlat_box
    assert west < 180 < east
    grid, _ = choose_grid(info, describe_raster(post), GridOptions(lonlat_bbox=(179.95, south, -179.95, north)))
    assert 80 < grid.width < 200 and grid.height >= 198


@pytest.mark.parametrize("form", ["geojson", "gpkg", "shp"])
def test_area_of_interest_from_any_vector_file(pair, tmp_path: Path, form: str) -> None:
    area = shapely.box(412200, 5410100, 412260, 5410160)
    lonlat = shapely.transform(
        shapely.segmentize(area, 5),
        lambda p: np.stack(Transformer.from_crs(UTM, 4326, always_xy=True).transform(p[:, 0], p[:, 1]), axis=1),
    )
    path = tmp_path / f"area.{form}"
    if form == "geojson":
        feature = {"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(lonlat)}
        path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    else:
        pyogrio.raw.write(
            path, shapely.to_wkb(np.array([area])), [], [], geometry_type="Polygon", crs=UTM, encoding="UTF-8"
        )
    prepared = prepare_pair(*pair, PairOptions(aoi=str(path), tile_size=32))
    assert abs(prepared.grid.width - 60) <= 2 and abs(prepared.grid.height - 60) <= 2
    assert len(prepared.plan) == 4


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not GeoJSON"),
        ('{"a": 1}', "not GeoJSON"),
        ('{"type": "Point", "coordinates": [1, 2]}', "no polygon"),
        ('{"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}', "broken"),
    ],
)
def test_broken_areas_are_told_with_their_file(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "area.geojson"
    path.write_text(content)
    with pytest.raises(InputError, match=said) as caught:
        read_aoi(str(path))
    assert str(path) in str(caught.value)


def test_missing_area_is_told(tmp_path: Path) -> None:
    for name in ("none.geojson", "none.gpkg"):
        with pytest.raises(InputError, match=name):
            read_aoi(str(tmp_path / name))

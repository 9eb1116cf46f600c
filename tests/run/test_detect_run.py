"""What whole detections find, with a detector whose answer is known for every pixel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import detectors
import numpy as np
import pytest
import rasterio
import shapely
from detect_scenes import BUILDING, ROAD, SIZE, WATER, Marks, detect, ellipsoid_area, job_of, make_scene, read, shapes

from rsccli.errors import UsageProblem
from rsccli.geo.pair import PairOptions
from rsccli.run.detect import job as job_module
from rsccli.run.detect.codes import NODATA, NOT_JUDGED
from rsccli.run.detect.folder import work_folder


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    yield from detectors.known()


@pytest.fixture
def scene(tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    """``scene(marks)``: see `make_scene`."""
    return partial(make_scene, tmp_path)


def test_known_changes_are_found_with_class_area_and_probability(scene: Any, tmp_path: Path) -> None:
    marks: Marks = [
        (np.s_[40:140], np.s_[30:330], 0.9, BUILDING),  # over several tiles and their overlaps
        (np.s_[70:100], np.s_[100:160], 0.1, BUILDING),  # a hole
        (np.s_[300:320], np.s_[10:690], 0.7, ROAD),
        (np.s_[400:500], np.s_[400:500], 0.4, WATER),  # below the threshold
    ]
    found, features = detect(scene(marks), tmp_path / "out.geojson", mask=tmp_path / "m.tif", score=tmp_path / "s.tif")
    by_class = {feature["properties"]["class"]: feature for feature in features}
    assert sorted(by_class) == ["building", "road"] and len(features) == 2
    house, road = by_class["building"], by_class["road"]
    assert len(house["geometry"]["coordinates"]) == 2, "the hole is kept"
    assert house["properties"]["pixels"] == 100 * 300 - 30 * 60
    assert house["properties"]["mean_probability"] == pytest.approx(0.9, abs=0.002)
    assert road["properties"]["mean_probability"] == road["properties"]["max_probability"] == 0.7
    for feature in features:
        properties = feature["properties"]
        assert ellipsoid_area(feature["geometry"]) == pytest.approx(properties["area_m2"], rel=1e-3)
        assert properties["model"] == "marked" and properties["model_revision"] == "1"
    assert found.polygons == 2 and found.area_m2 == pytest.approx(
        sum(feature["properties"]["area_m2"] for feature in features), abs=0.1
    )
    assert not work_folder(tmp_path / "out.geojson").exists()
    with rasterio.open(tmp_path / "m.tif") as file:
        mask = file.read(1)
    with rasterio.open(tmp_path / "s.tif") as file:
        score = file.read(1) * file.scales[0] + file.offsets[0]
    assert (mask == 1).sum() == 28_200 and (mask == 2).sum() == 20 * 680 and set(np.unique(mask)) == {0, 1, 2}
    assert np.abs(score[410:490, 410:490] - 0.4).max() < 0.003
    assert score[75:95, 105:155].max() == pytest.approx(0.1, abs=0.003)


def test_polygons_are_those_of_the_mask_and_the_score(scene: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    marks: Marks = []
    for _ in range(60):
        row, col = int(rng.integers(0, 560)), int(rng.integers(0, 660))
        height, width = (int(value) for value in rng.integers(3, 40, 2))
        marks.append((np.s_[row : row + height], np.s_[col : col + width], rng.random(), int(rng.integers(0, 4))))
    options = {"min_area_m2": 0.0, "simplify_px": 0.0, "mask": tmp_path / "m.tif", "score": tmp_path / "s.tif"}
    _, features = detect(scene(marks), tmp_path / "out.geojson", **options)
    with rasterio.open(tmp_path / "m.tif") as file:
        mask, transform, crs = file.read(1), file.transform, file.crs
    with rasterio.open(tmp_path / "s.tif") as file:
        score = file.read(1) / 250
    drawn = np.zeros_like(mask)
    for feature in features:
        shape = rasterio.warp.transform_geom("EPSG:4326", crs, feature["geometry"])
        code = 1 + detectors.CLASSES.index(feature["properties"]["class"])
        inside = rasterio.features.rasterize([(shape, 1)], mask.shape, transform=transform).astype(bool)
        assert inside.sum() == feature["properties"]["pixels"]
        assert score[inside].mean() == pytest.approx(feature["properties"]["mean_probability"], abs=1e-4)
        assert score[inside].max() == pytest.approx(feature["properties"]["max_probability"], abs=1e-4)
        assert (drawn[inside] == 0).all()
        drawn[inside] = code
    assert np.array_equal(drawn, mask) and len(features) > 20


def test_a_tile_grid_that_lies_elsewhere_gives_the_same(scene: Any, tmp_path: Path) -> None:
    marks: Marks = [(np.s_[100:160], np.s_[90:400], 0.8, WATER), (np.s_[300:420], np.s_[300:310], 0.6, ROAD)]
    pair = scene(marks)
    _, one = detect(pair, tmp_path / "a.geojson")
    for tile, stride in ((128, 128), (160, 64), (256, 192)):
        _, other = detect(pair, tmp_path / f"{tile}.geojson", geometry=PairOptions(tile_size=tile, stride=stride))
        assert shapes(other) == shapes(one)
    assert list(shapes(one)) == ["y000100x000090", "y000300x000300"]


@pytest.mark.parametrize("block_px", [96, 200, 4000])
def test_the_size_of_superblocks_changes_nothing(
    scene: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_px: int
) -> None:
    marks: Marks = [(np.s_[20:580], np.s_[50:60], 0.8, WATER), (np.s_[200:210], np.s_[20:680], 0.8, WATER)]
    pair = scene(marks)

    def look(name: str) -> tuple[list[dict[str, Any]], list[Any]]:
        rasters = {kind: tmp_path / f"{name}-{kind}.tif" for kind in ("mask", "score")}
        _, found = detect(pair, tmp_path / f"{name}.geojson", model="sloped", **rasters)
        return found, [read(path) for path in rasters.values()]

    one, pixels = look("a")
    monkeypatch.setattr(job_module, "_BLOCK_PX", block_px)
    other, others = look("b")
    assert shapes(one) == shapes(other) and one
    # What a tile gets depends on where in it a pixel lies: a tile that was missed or added twice would show.
    assert all(np.array_equal(a, b) for a, b in zip(pixels, others, strict=True)) and len(np.unique(pixels[1])) > 20
    _, crossed = detect(pair, tmp_path / "c.geojson")
    assert len(crossed) == 1


def test_answers_that_depend_on_the_place_in_a_tile_are_blended(scene: Any, tmp_path: Path) -> None:
    pair = scene([])
    steps = {}
    for overlap in (0, 64):
        geometry = PairOptions(tile_size=128, stride=128 - overlap)
        detect(
            pair, tmp_path / f"{overlap}.geojson", model="sloped", geometry=geometry, score=tmp_path / f"{overlap}.tif"
        )
        with rasterio.open(tmp_path / f"{overlap}.tif") as file:
            steps[overlap] = np.abs(np.diff(file.read(1) * 0.004, axis=1)).max()
    assert steps[0] > 0.55 and steps[64] < 0.03


def test_small_changes_are_left_out_and_counted(scene: Any, tmp_path: Path) -> None:
    marks: Marks = [(np.s_[10:14], np.s_[10:15], 0.9, ROAD), (np.s_[95:105], np.s_[95:105], 0.9, ROAD)]
    pair = scene(marks)
    found, features = detect(pair, tmp_path / "a.geojson", min_area_m2=50.0)
    assert [feature["properties"]["pixels"] for feature in features] == [100]
    assert found.dropped.regions == 1 and found.dropped.area_m2 == pytest.approx(20, rel=0.01)
    _, features = detect(pair, tmp_path / "b.geojson", min_area_m2=0.0)
    assert sorted(feature["properties"]["pixels"] for feature in features) == [20, 100]


def test_classes_are_told_apart_as_far_as_asked(scene: Any, tmp_path: Path) -> None:
    marks: Marks = [(np.s_[50:100], np.s_[50:100], 0.9, ROAD), (np.s_[50:100], np.s_[100:200], 0.9, WATER)]
    pair = scene(marks)
    _, features = detect(pair, tmp_path / "all.geojson")
    assert [feature["properties"]["class"] for feature in features] == ["road", "water"]
    _, features = detect(pair, tmp_path / "one.geojson", classes=("change",), mask=tmp_path / "m.tif")
    assert [feature["properties"]["class"] for feature in features] == ["change"]
    assert features[0]["properties"]["pixels"] == 50 * 150
    with rasterio.open(tmp_path / "m.tif") as file:
        assert file.tags()["CODES"] == "0=no change; 1=change; 254=not judged; 255=no data"
    found, features = detect(pair, tmp_path / "some.geojson", classes=("water", "building"), mask=tmp_path / "n.tif")
    assert [feature["properties"]["class"] for feature in features] == ["water"]
    assert list(found.classes) == ["building", "water"]
    with rasterio.open(tmp_path / "n.tif") as file:
        assert set(np.unique(file.read(1))) == {0, 2}
    with pytest.raises(UsageProblem, match="lava: marked does not know it; it knows building, road, vegetation, water"):
        detect(pair, tmp_path / "x.geojson", classes=("lava",))
    with pytest.raises(UsageProblem, match="everything: give it alone"):
        job_of(pair, tmp_path / "x.geojson", classes=("change", "water"))
    assert not (tmp_path / "x.geojson").exists() and not work_folder(tmp_path / "x.geojson").exists()


def test_the_threshold_is_a_probability(scene: Any, tmp_path: Path) -> None:
    pair = scene([(np.s_[50:100], np.s_[50:100], 0.6, ROAD)])
    assert len(detect(pair, tmp_path / "a.geojson", threshold=0.6)[1]) == 1
    assert detect(pair, tmp_path / "b.geojson", threshold=0.604)[1] == []
    for wrong in (0.0, 1.1, float("nan")):
        with pytest.raises(UsageProblem, match="--threshold"):
            job_of(pair, None, threshold=wrong)


def test_pixels_without_data_are_neither_changed_nor_unchanged(scene: Any, tmp_path: Path) -> None:
    mask = np.full(SIZE[::-1], 255, np.uint8)
    mask[200:260, 300:420] = 0
    marks: Marks = [(np.s_[150:300], np.s_[250:500], 0.9, WATER)]
    _, (feature,) = detect(scene(marks, mask=mask), tmp_path / "a.geojson", mask=tmp_path / "m.tif")
    assert feature["properties"]["pixels"] == 150 * 250 - 60 * 120
    assert len(feature["geometry"]["coordinates"]) == 2
    with rasterio.open(tmp_path / "m.tif") as file:
        assert (file.read(1)[200:260, 300:420] == NODATA).all() and file.nodata == NODATA


def test_changes_at_the_edge_of_the_grid_are_whole(scene: Any, tmp_path: Path) -> None:
    marks: Marks = [(np.s_[590:], np.s_[690:], 0.9, ROAD), (np.s_[:7], np.s_[:5], 0.9, WATER)]
    pair = scene(marks)
    for edge in ("pad", "shift"):
        geometry = PairOptions(tile_size=128, stride=96, edge=edge)  # type: ignore[arg-type]
        _, features = detect(pair, tmp_path / f"{edge}.geojson", geometry=geometry, min_area_m2=0.0)
        assert sorted(feature["properties"]["pixels"] for feature in features) == [35, 100]


def test_what_the_detector_should_not_judge_is_told_apart(scene: Any, tmp_path: Path) -> None:
    marks: Marks = [(np.s_[100:200], np.s_[100:500], 0.9, WATER)]
    # Tiles that hold the blue pixel: rows 96-223, columns 288-415 and 384-511.
    pair = scene(marks, blue=[(np.s_[215], np.s_[400], 0, 0)])
    output = tmp_path / "a.geojson"
    found, features = detect(pair, output, mask=tmp_path / "m.tif", score=tmp_path / "s.tif")
    assert found.looked.not_judged > 0 and dict(found.looked.reasons) == {"too blue": found.looked.not_judged}
    with rasterio.open(tmp_path / "m.tif") as file:
        mask = file.read(1)
    with rasterio.open(tmp_path / "s.tif") as file:
        score = file.read(1)
    assert (mask == NOT_JUDGED).sum() == found.not_judged_px > 0
    assert mask[215, 400] == NOT_JUDGED and score[215, 400] == NODATA
    assert sum(feature["properties"]["pixels"] for feature in features) == (mask == 4).sum() < 100 * 400
    found, features = detect(pair, tmp_path / "b.geojson", judge_anyway=True)
    assert found.not_judged_px == 0 and features[0]["properties"]["pixels"] == 100 * 400
    assert found.looked.reasons["too blue"] > 0


def test_a_tile_that_fails_costs_only_its_own_ground(
    scene: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETECTOR_FAIL_TILE", "r00001c00001")
    pair = scene([(np.s_[10:590], np.s_[10:690], 0.9, WATER)])
    geometry = PairOptions(tile_size=128, stride=128)
    found, features = detect(pair, tmp_path / "a.geojson", geometry=geometry, mask=tmp_path / "m.tif")
    assert found.looked.failed == 1 and found.looked.failures[0].startswith("r00001c00001: this batch fails")
    assert features[0]["properties"]["pixels"] == 580 * 680 - 128**2
    with rasterio.open(tmp_path / "m.tif") as file:
        assert (file.read(1)[128:256, 128:256] == NOT_JUDGED).all()


@pytest.mark.parametrize(
    ("crs", "transform", "parts"),
    [
        ("EPSG:4326", rasterio.Affine(0.001, 0, 179.65, 0, -0.001, -17), 2),
        ("EPSG:4326", rasterio.Affine(0.0001, 0, 20, 0, -0.0001, 64), 1),
        ("EPSG:3857", rasterio.Affine(10, 0, 1e6, 0, -10, 8e6), 1),
        ("EPSG:32633", rasterio.Affine(30, 0, 180_000, 0, -30, 7_500_000), 1),
    ],
    ids=["antimeridian", "degrees", "mercator", "far from the meridian"],
)
def test_areas_are_those_of_the_ellipsoid_on_any_grid(
    crs: str, transform: rasterio.Affine, parts: int, scene: Any, tmp_path: Path
) -> None:
    marks: Marks = [(np.s_[100:500], np.s_[100:600], 0.9, WATER), (np.s_[200:300], np.s_[200:300], 0.0, WATER)]
    _, (feature,) = detect(scene(marks, crs=crs, transform=transform), tmp_path / "a.geojson", simplify_px=0.0)
    shape = shapely.geometry.shape(feature["geometry"])
    assert shape.is_valid and len(shapely.get_parts(shape)) == parts
    fine = shapely.geometry.mapping(shapely.segmentize(shape, 0.01))
    assert ellipsoid_area(fine) == pytest.approx(feature["properties"]["area_m2"], rel=1e-3)
    west, _, east, _ = feature["bbox"]
    assert (west > east) == (parts == 2)

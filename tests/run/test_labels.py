from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import shapely
from affine import Affine
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from rsccli.errors import InputError, NoOverlapError
from rsccli.geo.tiles import plan_tiles
from rsccli.models.outlines import COLOURS, LEVELS, draw
from rsccli.run.context import labels_context
from rsccli.run.labels import LEAST_SHARED_PX2, Labels, Rule, TileLabels, read_labels
from rsccli.types import Grid, Tile

UTM = Grid("EPSG:32633", Affine(0.5, 0, 412_000, 0, -0.5, 5_411_000), 1024, 1024)
DEGREES = Grid("EPSG:4326", Affine(4e-6, 0, 13.4, 0, -4e-6, 52.5), 1024, 1024)
ACROSS_180 = Grid("EPSG:4326", Affine(4e-6, 0, 179.998, 0, -4e-6, -17.0), 1024, 1024)


def box(left: float, top: float, width: float = 20, height: float = 20) -> shapely.Polygon:
    """A building in pixels of the grid."""
    return shapely.box(left, top, left + width, top + height)


def placed(grid: Grid, shapes: Sequence[shapely.Geometry], crs: str | None = None) -> np.ndarray:
    """Pixels of a grid as coordinates of a CRS (the grid's own by default)."""
    move = Transformer.from_crs(grid.crs, crs or grid.crs, always_xy=True)
    t = grid.transform

    def to_map(points: np.ndarray) -> np.ndarray:
        return np.stack(move.transform(t.c + t.a * points[:, 0], t.f + t.e * points[:, 1]), axis=1)

    return shapely.transform(np.array(list(shapes), object), to_map)


def write(
    path: Path,
    grid: Grid,
    shapes: Sequence[shapely.Geometry],
    levels: Sequence[Any],
    *,
    crs: str | None = None,
    column: str = "subtype",
    more: dict[str, Sequence[Any]] | None = None,
    geometry_type: str = "Unknown",
    **options: Any,
) -> Path:
    """A vector file of buildings given in pixels of a grid."""
    columns = {column: levels, **(more or {})}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pyogrio warns of a file without CRS, which some tests want
        pyogrio.raw.write(
            str(path),
            shapely.to_wkb(placed(grid, shapes, crs)),
            [np.array(list(values), object) for values in columns.values()],
            list(columns),
            crs=options.pop("written_crs", crs or grid.crs),
            geometry_type=geometry_type,
            **options,
        )
    return path


def tiles_of(grid: Grid, size: int = 256) -> list[Tile]:
    return [tile for block in plan_tiles(grid, size).blocks() for tile in block.tiles]


def total(labels: Labels, grid: Grid, size: int = 256) -> int:
    return sum(sum(labels.of(tile).counts.values()) for tile in tiles_of(grid, size))


def extent(tile: TileLabels) -> tuple[float, float, float, float]:
    points = np.concatenate([np.array(each.points) for each in tile.outlines])
    return (*points.min(axis=0), *points.max(axis=0))  # type: ignore[return-value]


@pytest.mark.parametrize("name", ["labels.geojson", "labels.gpkg", "labels.fgb", "labels.shp"])
@pytest.mark.parametrize("grid", [UTM, DEGREES], ids=["projected", "geographic"])
@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:32633", "EPSG:3857"])
def test_any_format_in_any_crs_on_any_grid(tmp_path: Path, name: str, grid: Grid, crs: str) -> None:
    if name.endswith("geojson"):
        crs = "EPSG:4326"
    shapes = [box(30, 40), box(300.25, 40.5), box(700, 900, 31, 17), box(5000, 40)]
    levels = ["no-damage", "destroyed", "minor-damage", "no-damage"]
    kind = "Polygon" if name.endswith(("shp", "fgb")) else "Unknown"
    path = write(tmp_path / name, grid, shapes, levels, crs=crs, geometry_type=kind)
    labels = read_labels(str(path), grid)
    assert len(labels) == 3 and not labels.warnings and labels.column == "subtype"
    by_tile = {tile.id: labels.of(tile) for tile in tiles_of(grid)}
    assert by_tile["r00000c00000"].counts == {**dict.fromkeys(LEVELS, 0), "no-damage": 1}
    assert by_tile["r00000c00001"].counts == {**dict.fromkeys(LEVELS, 0), "destroyed": 1}
    assert by_tile["r00003c00002"].counts == {**dict.fromkeys(LEVELS, 0), "minor-damage": 1}
    assert sum(len(each.outlines) for each in by_tile.values()) == 3
    # GeoJSON keeps seven decimals of a degree: a hundredth of a metre.
    np.testing.assert_allclose(extent(by_tile["r00000c00001"]), (44.25, 40.5, 64.25, 60.5), atol=0.05)
    assert by_tile["r00000c00001"].outlines[0].level == "destroyed"
    assert by_tile["r00000c00001"].source == f"labels: {name} (centroid)"


def test_a_building_on_the_border_counts_once_or_in_every_tile(tmp_path: Path) -> None:
    # Its centroid in the right one of two tiles; on a corner of four; on the line between two; beside a line.
    shapes = [box(250, 30), box(500, 504), box(502, 100), box(256, 700)]
    path = write(tmp_path / "a.gpkg", UTM, shapes, ["no-damage", "minor", "major", "destroyed"])
    once, everywhere = (read_labels(str(path), UTM, rule=rule) for rule in ("centroid", "touch"))
    by_tile = {tile.id: (once.of(tile), everywhere.of(tile)) for tile in tiles_of(UTM)}

    def tiles(level: str, rule: int) -> set[str]:
        return {name for name, each in by_tile.items() if each[rule].counts[level]}

    assert tiles("no-damage", 0) == {"r00000c00001"}
    assert tiles("no-damage", 1) == {"r00000c00000", "r00000c00001"}
    assert tiles("minor-damage", 0) == {"r00002c00001"}
    four = {"r00001c00001", "r00001c00002", "r00002c00001", "r00002c00002"}
    assert tiles("minor-damage", 1) == four
    assert tiles("major-damage", 0) == {"r00000c00002"}  # the line between two belongs to the right one
    assert tiles("major-damage", 1) == {"r00000c00001", "r00000c00002"}
    assert tiles("destroyed", 0) == tiles("destroyed", 1) == {"r00002c00001"}
    for centroid, touch in by_tile.values():
        assert centroid.outlines == touch.outlines  # what is counted does not decide what is drawn
    assert {name for name, each in by_tile.items() if any(o.level == "minor-damage" for o in each[0].outlines)} == four
    assert once.of(tiles_of(UTM)[0]).source == "labels: a.gpkg (centroid)"
    assert everywhere.source == "labels: a.gpkg (touch)"


def test_outlines_are_cut_at_the_edges_of_the_tile(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gpkg", UTM, [box(246, 500, 20, 24)], ["destroyed"])
    labels = read_labels(str(path), UTM)
    by_tile = {tile.id: labels.of(tile) for tile in tiles_of(UTM)}
    assert extent(by_tile["r00001c00000"]) == pytest.approx((246, 244, 256, 256))
    assert extent(by_tile["r00001c00001"]) == pytest.approx((0, 244, 10, 256))
    assert extent(by_tile["r00002c00000"]) == pytest.approx((246, 0, 256, 12))
    assert extent(by_tile["r00002c00001"]) == pytest.approx((0, 0, 10, 12))
    drawn = draw(np.zeros((3, 256, 256), np.uint8), by_tile["r00001c00000"].outlines)
    ys, xs = np.nonzero((drawn == np.array(COLOURS["destroyed"], np.uint8)[:, None, None]).all(axis=0))
    assert (xs.min(), xs.max(), ys.min(), ys.max()) == (245, 255, 243, 255)


def test_there_are_no_buildings_where_a_padded_tile_leaves_the_grid(tmp_path: Path) -> None:
    grid = Grid(UTM.crs, UTM.transform, 300, 280)
    shapes = [box(270, 10), box(290, 100), box(295, 150), box(310, 200), box(20, 278)]
    path = write(tmp_path / "a.gpkg", grid, shapes, ["no-damage"] * 5)
    # Only the first one has its centroid on the grid: the second's lies on its right edge.
    assert total(read_labels(str(path), grid), grid) == 1
    touch = read_labels(str(path), grid, rule="touch")
    assert total(touch, grid) == 4
    right = touch.of(tiles_of(grid)[1])
    assert right.counts["no-damage"] == 3 and extent(right) == pytest.approx((14, 10, 44, 170))


@pytest.mark.parametrize("reverse", [False, True])
def test_tiles_that_overlap_each_count_what_they_hold(tmp_path: Path, reverse: bool) -> None:
    shapes = [box(190, 30), box(20, 20), box(60, 30)]
    levels = ["destroyed", "no-damage", "minor-damage"]
    order = slice(None, None, -1 if reverse else 1)
    path = write(tmp_path / "a.gpkg", UTM, shapes[order], levels[order])
    labels = read_labels(str(path), UTM)
    plan = plan_tiles(UTM, 256, stride=128)
    assert labels.of(plan.tile(0, 0)).counts["destroyed"] == labels.of(plan.tile(0, 1)).counts["destroyed"] == 1
    drawn = [each.level for each in labels.of(plan.tile(0, 0)).outlines]
    assert drawn == levels[order]  # as they stand in the file


shapes_anywhere = st.lists(
    st.tuples(
        st.floats(-60, 1060, allow_nan=False),
        st.floats(-60, 1060, allow_nan=False),
        st.sampled_from(["box", "ell", "cee", "two"]),
        st.integers(4, 90),
    ),
    min_size=1,
    max_size=25,
)


def building(left: float, top: float, kind: str, side: int) -> shapely.Geometry:
    whole = box(left, top, side, side)
    if kind == "ell":
        return whole - box(left + side / 2, top, side, side / 2)
    if kind == "cee":  # its centroid lies in the courtyard, outside of it
        return whole - box(left + side * 0.1, top + side * 0.1, side, side * 0.8)
    if kind == "two":
        return shapely.MultiPolygon([whole, box(left + 2 * side, top, side, side)])
    return whole


@given(places=shapes_anywhere, size=st.sampled_from([128, 200, 256]), grid=st.sampled_from([UTM, DEGREES]))
@settings(max_examples=40, deadline=None)
def test_every_building_counts_once(
    tmp_path_factory: pytest.TempPathFactory,
    places: list[tuple[float, float, str, int]],
    size: int,
    grid: Grid,
) -> None:
    shapes = [building(*place) for place in places]
    path = write(tmp_path_factory.mktemp("any") / "a.gpkg", grid, shapes, ["no-damage"] * len(shapes))
    centroids = shapely.get_coordinates(shapely.centroid(np.array(shapes, object)))
    # A rounding error decides which side of a line counts what stands on it.
    assume((np.abs(centroids / size - np.round(centroids / size)) * size > 1e-3).all())
    inside = ((centroids > 0) & (centroids < 1024)).all(axis=1)
    try:
        once, everywhere = (read_labels(str(path), grid, rule=rule) for rule in ("centroid", "touch"))
    except NoOverlapError:
        assert not inside.any()
        return
    assert total(once, grid, size) == inside.sum()
    expected = 0
    for tile in tiles_of(grid, size):
        left, top, width, height = tile.px_window
        window = shapely.box(left, top, min(left + width, 1024), min(top + height, 1024))
        shared = shapely.area(shapely.intersection(shapes, window))
        assume(not ((shared > LEAST_SHARED_PX2 / 2) & (shared < LEAST_SHARED_PX2 * 2)).any())
        expected += int((shared > LEAST_SHARED_PX2).sum())
        here = everywhere.of(tile)
        if here.outlines:
            west, north, east, south = extent(here)
            assert west >= 0 and north >= 0 and east <= width and south <= height
    assert total(everywhere, grid, size) == expected


def test_courtyards_parts_and_outlines_that_cross_themselves(tmp_path: Path) -> None:
    court = box(20, 20, 60, 60) - box(40, 40, 10, 10)
    two = shapely.MultiPolygon([box(100, 20), box(140, 20)])
    bow = shapely.Polygon([(200, 20), (240, 60), (240, 20), (200, 60)])
    path = write(tmp_path / "a.gpkg", UTM, [court, two, bow], ["no-damage"] * 3)
    tile = read_labels(str(path), UTM).of(tiles_of(UTM)[0])
    assert tile.counts["no-damage"] == 3 and len(tile.outlines) == 6


def test_levels_in_many_spellings_and_what_is_none(tmp_path: Path) -> None:
    words = ["No Damage", "no_damage", "MINOR", "major_damage ", "Destroyed", "UnClassified", "collapsed", "", None]
    path = write(tmp_path / "a.gpkg", UTM, [box(10 + 26 * i, 10) for i in range(9)], words)
    labels = read_labels(str(path), UTM)
    assert labels.of(tiles_of(UTM)[0]).counts == {
        "no-damage": 2,
        "minor-damage": 1,
        "major-damage": 1,
        "destroyed": 1,
        "un-classified": 4,
    }
    (warning,) = labels.warnings
    assert str(path) in warning and "counted as un-classified" in warning
    assert "'collapsed' (1 times)" in warning and "empty (1 times)" in warning


RULES: list[tuple[str, Rule]] = [(column, rule) for column in ("state", "level") for rule in ("centroid", "touch")]


def test_the_column_can_be_named(tmp_path: Path) -> None:
    more = {"Damage": ["minor"], "level": ["destroyed"]}
    path = str(write(tmp_path / "a.gpkg", UTM, [box(10, 10)], ["no-damage"], column="state", more=more))
    first = tiles_of(UTM)[0]
    assert read_labels(path, UTM).of(first).counts["minor-damage"] == 1
    assert read_labels(path, UTM, field="LEVEL").of(first).counts["destroyed"] == 1
    assert read_labels(path, UTM, field="state").column == "state"
    identities = {read_labels(path, UTM, field=name, rule=rule).identity for name, rule in RULES}
    assert len(identities) == 4
    with pytest.raises(InputError, match=r"a\.gpkg: no column grade among .*: there is state, Damage, level\. Name"):
        read_labels(path, UTM, field="grade")


def test_disaster_type_in_the_words_of_the_captions(tmp_path: Path) -> None:
    shapes = [box(10, 10), box(40, 10), box(70, 10)]
    levels = ["no-damage"] * 3
    one = write(tmp_path / "one.gpkg", UTM, shapes, levels, more={"disaster_type": ["wind", None, "wind"]})
    labels = read_labels(str(one), UTM)
    assert labels.disaster == "storm" and not labels.warnings
    assert labels.of(tiles_of(UTM)[0]).disaster == "storm"
    some = write(tmp_path / "some.gpkg", UTM, shapes, levels, more={"disaster_type": ["fire", "landslide", "fire"]})
    labels = read_labels(str(some), UTM)
    assert labels.disaster == "wildfire"
    assert any("several disasters (fire, landslide)" in warning for warning in labels.warnings)
    none = write(tmp_path / "none.gpkg", UTM, shapes, levels)
    assert read_labels(str(none), UTM).disaster is None


def xbd(path: Path, shapes: Sequence[shapely.Geometry], levels: Sequence[str | None]) -> Path:
    """A label file as xBD has it, with made-up buildings."""
    lonlat = placed(UTM, shapes, "EPSG:4326")

    def features(geometries: Sequence[shapely.Geometry]) -> list[dict[str, Any]]:
        return [
            {
                "properties": {"feature_type": "building", **({"subtype": level} if level else {}), "uid": str(i)},
                "wkt": shapely.to_wkt(geometry, rounding_precision=16),
            }
            for i, (geometry, level) in enumerate(zip(geometries, levels, strict=True))
        ]

    metadata = {"disaster": "made-up", "disaster_type": "volcano", "width": 1024, "height": 1024}
    data = {"features": {"lng_lat": features(lonlat), "xy": features(shapes)}, "metadata": metadata}
    path.write_text(json.dumps(data))
    return path


def test_label_files_of_xbd(tmp_path: Path) -> None:
    levels = ["no-damage", "major-damage", "un-classified"]
    path = xbd(tmp_path / "x_post_disaster.json", [box(30, 40), box(246, 40), box(700, 900)], levels)
    labels = read_labels(str(path), UTM)
    assert len(labels) == 3 and labels.disaster == "volcano eruption" and not labels.warnings
    left, right = (labels.of(tile) for tile in tiles_of(UTM)[:2])
    assert left.counts["no-damage"] == 1 and left.counts["major-damage"] == 0
    assert right.counts["major-damage"] == 1
    assert extent(right) == pytest.approx((0, 40, 10, 60), abs=1e-3)
    context = labels_context(right)
    assert context.counts.startswith("1 building: 0 with no damage, 0 with minor damage, 1 with major damage")
    assert context.disaster == "volcano eruption"


def test_label_files_of_xbd_that_do_not_serve(tmp_path: Path) -> None:
    before = xbd(tmp_path / "x_pre_disaster.json", [box(30, 40)], [None])
    with pytest.raises(InputError, match=r"no column subtype or damage among .* tell no damage before the disaster"):
        read_labels(str(before), UTM)
    data = json.loads(before.read_text())
    del data["features"]["lng_lat"]
    (tmp_path / "pixels.json").write_text(json.dumps(data))
    with pytest.raises(InputError, match=r"pixels\.json: .*without features\.lng_lat"):
        read_labels(str(tmp_path / "pixels.json"), UTM)
    data["features"]["lng_lat"] = []
    (tmp_path / "none.json").write_text(json.dumps(data))
    with pytest.raises(InputError, match=r"none\.json: no polygon among its 0 features"):
        read_labels(str(tmp_path / "none.json"), UTM)


def test_geojson_may_be_called_json(tmp_path: Path) -> None:
    source = write(tmp_path / "a.geojson", UTM, [box(10, 10)], ["destroyed"], crs="EPSG:4326")
    (tmp_path / "a.json").write_bytes(source.read_bytes())
    assert read_labels(str(tmp_path / "a.json"), UTM).of(tiles_of(UTM)[0]).counts["destroyed"] == 1


def test_a_grid_across_the_antimeridian(tmp_path: Path) -> None:
    shapes = [box(100, 20), box(490, 20), box(900, 20)]  # the second one stands on it
    lonlat = shapely.transform(
        placed(ACROSS_180, shapes), lambda p: np.stack([(p[:, 0] + 180) % 360 - 180, p[:, 1]], 1)
    )
    far = shapely.box(-0.003, -17.0012, 0.003, -17.0004)  # the other side of the Earth
    collection = {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "properties": {"damage": "destroyed"}, "geometry": shapely.geometry.mapping(shape)}
            for shape in (*lonlat, far)
        ],
    }
    (tmp_path / "a.geojson").write_text(json.dumps(collection))
    labels = read_labels(str(tmp_path / "a.geojson"), ACROSS_180)
    assert len(labels) == 3 and total(labels, ACROSS_180) == 3
    assert extent(labels.of(tiles_of(ACROSS_180)[1])) == pytest.approx((234, 20, 254, 40), abs=0.1)


def test_what_is_no_polygon_is_left_out_and_said(tmp_path: Path) -> None:
    shapes = [box(10, 10), shapely.Point(50, 50), shapely.LineString([(1, 1), (9, 9)])]
    path = write(tmp_path / "a.gpkg", UTM, shapes, ["destroyed"] * 3)
    labels = read_labels(str(path), UTM)
    assert len(labels) == 1 and "2 of 3 features have no polygon and were left out" in labels.warnings[0]


def test_layers_without_polygons_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    write(path, UTM, [shapely.Point(50, 50)], ["destroyed"], layer="sites", geometry_type="Point")
    write(path, UTM, [box(1, 1)], ["x"], layer="lots", column="owner", geometry_type="Polygon", append=True)
    write(path, UTM, [box(10, 10)], ["destroyed"], layer="damage", geometry_type="Polygon", append=True)
    labels = read_labels(str(path), UTM)
    assert labels.of(tiles_of(UTM)[0]).counts["destroyed"] == 1
    assert "only 'damage' was read" in labels.warnings[0]


def test_files_that_do_not_serve_are_told_with_a_way_out(tmp_path: Path) -> None:
    unplaced = write(tmp_path / "unplaced.gpkg", UTM, [box(10, 10)], ["destroyed"], written_crs=None)
    with pytest.raises(InputError, match=r"unplaced\.gpkg: .*CRS.*ogr2ogr -a_srs .* unplaced\.gpkg"):
        read_labels(str(unplaced), UTM)
    points = write(tmp_path / "points.gpkg", UTM, [shapely.Point(5, 5)], ["destroyed"])
    with pytest.raises(InputError, match=r"points\.gpkg: no polygon among its 1 features"):
        read_labels(str(points), UTM)
    (tmp_path / "empty.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    with pytest.raises(InputError, match=r"empty\.geojson: no polygon"):
        read_labels(str(tmp_path / "empty.geojson"), UTM)
    far = write(tmp_path / "far.gpkg", UTM, [box(9000, 9000)], ["destroyed"])
    with pytest.raises(NoOverlapError, match=r"far\.gpkg: none of its buildings lies on the images:\n  labels lon 13"):
        read_labels(str(far), UTM)
    pixels = write(tmp_path / "pixels.gpkg", UTM, [box(10, 10)], ["destroyed"], written_crs="EPSG:4326")
    with pytest.raises(NoOverlapError, match=r"pixels\.gpkg: its coordinates .* are no degrees.*if they are pixels"):
        read_labels(str(pixels), UTM)
    with pytest.raises(InputError, match=r"missing\.gpkg: the labels cannot be read: No such file"):
        read_labels(str(tmp_path / "missing.gpkg"), UTM)
    (tmp_path / "broken.geojson").write_text('{"type": "FeatureCollection", "features": [')
    with pytest.raises(InputError, match=r"broken\.geojson: the labels cannot be read"):
        read_labels(str(tmp_path / "broken.geojson"), UTM)
    (tmp_path / "text.json").write_text("no JSON at all")
    with pytest.raises(InputError, match=r"text\.json: the labels cannot be read"):
        read_labels(str(tmp_path / "text.json"), UTM)
    with pytest.raises(InputError, match=r"https://example\.org/a\.gpkg: labels are read from a local file"):
        read_labels("https://example.org/a.gpkg", UTM)


def test_the_digest_follows_the_content(tmp_path: Path) -> None:
    path = write(tmp_path / "a.geojson", UTM, [box(10, 10)], ["destroyed"], crs="EPSG:4326")
    labels = read_labels(str(path), UTM)
    assert labels.digest == hashlib.sha256(path.read_bytes()).hexdigest() and labels.digest in labels.identity
    assert read_labels(f"file://{path}", UTM).identity == labels.identity
    assert labels.name == "a.geojson" and str(tmp_path) not in labels.identity + labels.source
    path.write_text(path.read_text().replace("destroyed", "no-damage"))
    assert read_labels(str(path), UTM).digest != labels.digest


def test_the_digest_of_a_shapefile_covers_its_table(tmp_path: Path) -> None:
    digests = []
    for level in ("destroyed", "no-damage"):
        path = write(tmp_path / "a.shp", UTM, [box(10, 10)], [level], geometry_type="Polygon")
        digests.append((read_labels(str(path), UTM).digest, hashlib.sha256(path.read_bytes()).hexdigest()))
    assert digests[0][1] == digests[1][1] and digests[0][0] != digests[1][0]

"""Every format: the same features back, whole or nothing, the same bytes every time."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import geojson
import jsonschema
import numpy as np
import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely
from made_run import FIJI, UTM, make_facts, make_features

from rsccli.errors import InputError, OutputError, UsageProblem
from rsccli.output.features import PROPERTIES, Feature, as_geojson
from rsccli.output.readers import read_outputs
from rsccli.output.writers import WRITERS, check_output, stream_geojsonseq, write_features, writer_for
from rsccli.output.writers.base import LAYER
from rsccli.types import Grid, RunFacts

ROOT = Path(__file__).resolve().parents[2]
FORMATS = [".geojson", ".geojsonl", ".geojsons", ".gpkg", ".fgb", ".parquet", ".csv"]


@pytest.fixture(params=[UTM, FIJI], ids=["utm", "antimeridian"])
def facts(request: pytest.FixtureRequest) -> RunFacts:
    return make_facts(request.param, tiles=48)


@pytest.fixture
def features(facts: RunFacts) -> list[Feature]:
    return make_features(48, facts)


# ---- GeoJSON, against RFC 7946 and RFC 8142 ----


def test_geojson_is_rfc_7946(tmp_path: Path, facts: RunFacts, features: list[Feature]) -> None:
    path = tmp_path / "out.geojson"
    assert write_features(path, features, facts) == 48
    raw = path.read_bytes()
    assert not raw.startswith(b"\xef\xbb\xbf")
    content = json.loads(raw.decode("utf-8"))
    assert content["type"] == "FeatureCollection"
    assert "crs" not in content, "4: the crs member is gone"
    assert not {"coordinates", "geometries", "geometry", "properties"} & set(content), (
        "7.1: no defining members of others"
    )
    assert len(content["bbox"]) == 4
    assert content["rsccli"]["tiles"] == 48
    west, south, east, north = content["bbox"]
    for member in content["features"]:
        assert member["type"] == "Feature" and isinstance(member["id"], str)
        assert set(member) == {"type", "id", "bbox", "geometry", "properties"}
        assert member["geometry"]["type"] in ("Polygon", "MultiPolygon")
        assert south <= member["bbox"][1] and member["bbox"][3] <= north
        if west <= east:
            assert west <= member["bbox"][0] and member["bbox"][2] <= east
        else:
            assert all(lon >= west or lon <= east for lon in (member["bbox"][0], member["bbox"][2]))
    assert geojson.loads(raw).is_valid


def test_geojson_over_the_antimeridian_has_west_above_east(tmp_path: Path) -> None:
    facts = make_facts(FIJI)
    path = tmp_path / "out.geojson"
    write_features(path, make_features(64, facts), facts)
    content = json.loads(path.read_text())
    assert content["bbox"][0] > content["bbox"][2]
    assert {f["geometry"]["type"] for f in content["features"]} == {"Polygon", "MultiPolygon"}


def test_geojson_of_nothing_is_an_empty_collection(tmp_path: Path) -> None:
    path = tmp_path / "out.geojson"
    assert write_features(path, [], make_facts()) == 0
    content = json.loads(path.read_text())
    assert content["features"] == [] and "bbox" not in content


def test_geojson_lines_and_text_sequences(tmp_path: Path, facts: RunFacts, features: list[Feature]) -> None:
    lines, sequence = tmp_path / "out.geojsonl", tmp_path / "out.geojsons"
    write_features(lines, features, facts)
    write_features(sequence, features, facts)
    parsed = [json.loads(line) for line in lines.read_bytes().split(b"\n")[:-1]]
    assert parsed == [dict(as_geojson(f)) for f in features]
    # RFC 8142, 2.1: RS before, LF after each text, RS nowhere else.
    texts = sequence.read_bytes().split(b"\x1e")
    assert texts[0] == b"" and all(text.endswith(b"\n") for text in texts[1:])
    assert [json.loads(text) for text in texts[1:]] == parsed


def test_stream_is_the_same_lines(tmp_path: Path, facts: RunFacts, features: list[Feature]) -> None:
    path = tmp_path / "out.geojsonl"
    write_features(path, features, facts)
    stream = io.BytesIO()
    assert stream_geojsonseq(stream, iter(features)) == len(features)
    assert stream.getvalue() == path.read_bytes()


# ---- GeoPackage and FlatGeobuf, as GDAL reads them ----


@pytest.mark.parametrize("suffix", [".gpkg", ".fgb"])
def test_gdal_reads_it(tmp_path: Path, facts: RunFacts, features: list[Feature], suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    write_features(path, features, facts)
    info = pyogrio.read_info(path, layer="tiles")
    assert info["crs"] == "EPSG:4326"
    assert info["features"] == 48
    assert info["geometry_type"] == ("MultiPolygon" if facts.grid is FIJI else "Polygon")
    assert json.loads(info["layer_metadata"]["rsccli"])["spec_hash"] == facts.spec_hash
    assert info["fields"].tolist() == ["id", *PROPERTIES]
    kinds = dict(zip(info["fields"], info["dtypes"], strict=True))
    assert (kinds["change"], kinds["tile_row"], kinds["change_score"]) == ("bool", "int32", "float64")
    wanted = features[9].bbox
    _, _, shapes, _ = pyogrio.raw.read(
        path, layer=LAYER if suffix == ".gpkg" else None, bbox=wanted if wanted[0] < wanted[2] else None
    )
    assert 1 <= len(shapes) < 48 or wanted[0] > wanted[2], "the spatial index finds a few"


def test_geopackage_says_what_it_is(tmp_path: Path, facts: RunFacts, features: list[Feature]) -> None:
    import sqlite3

    path = tmp_path / "out.gpkg"
    write_features(path, features, facts, date="2024-02-03T04:05:06.000Z")
    with sqlite3.connect(path) as base:
        assert base.execute("pragma integrity_check").fetchone() == ("ok",)
        assert base.execute("pragma application_id").fetchone() == (0x47504B47,), "GeoPackage, requirement 2"
        row = base.execute("select table_name, data_type, srs_id, last_change from gpkg_contents").fetchall()
        date = "2024-02-03T04:05:06.000Z"
        assert row == [("tiles", "features", 4326, date), ("layer_styles", "attributes", None, date)]
        assert base.execute("select count(*) from rtree_tiles_geom").fetchone() == (48,)


# ---- GeoParquet 1.1 ----

# From the GeoParquet 1.1.0 schema: what the file metadata "geo" must hold.
GEO_SCHEMA = {
    "type": "object",
    "required": ["version", "primary_column", "columns"],
    "properties": {
        "version": {"const": "1.1.0"},
        "primary_column": {"type": "string", "minLength": 1},
        "columns": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {
                "type": "object",
                "required": ["encoding", "geometry_types"],
                "properties": {
                    "encoding": {"enum": ["WKB", "polygon", "multipolygon"]},
                    "geometry_types": {
                        "type": "array",
                        "uniqueItems": True,
                        "items": {"pattern": "^(GeometryCollection|(Multi)?(Point|LineString|Polygon))( Z)?$"},
                    },
                    "edges": {"enum": ["planar", "spherical"]},
                    "orientation": {"const": "counterclockwise"},
                    "bbox": {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4},
                    "covering": {
                        "type": "object",
                        "required": ["bbox"],
                        "properties": {
                            "bbox": {
                                "type": "object",
                                "required": ["xmin", "xmax", "ymin", "ymax"],
                                "additionalProperties": {
                                    "type": "array",
                                    "items": {"type": "string"},
                                    "minItems": 2,
                                    "maxItems": 2,
                                },
                            }
                        },
                    },
                },
            },
        },
    },
}


def test_geoparquet_1_1(tmp_path: Path, facts: RunFacts, features: list[Feature]) -> None:
    path = tmp_path / "out.parquet"
    write_features(path, features, facts)
    metadata = pq.read_metadata(path)
    geo = json.loads(metadata.metadata[b"geo"])
    jsonschema.validate(geo, GEO_SCHEMA)
    column = geo["columns"][geo["primary_column"]]
    table = pq.read_table(path)
    shapes = shapely.from_wkb(table.column("geometry").to_pylist())
    assert set(column["geometry_types"]) == {shape.geom_type for shape in shapes}
    assert "crs" not in column, "without crs: OGC:CRS84, longitude and latitude"
    for shape, box in zip(shapes, table.column("bbox").to_pylist(), strict=True):
        assert shape.is_valid
        assert all(part.exterior.is_ccw for part in getattr(shape, "geoms", [shape]))
        west, south, east, north = shape.bounds
        assert (box["xmin"], box["ymin"], box["xmax"], box["ymax"]) == (west, south, east, north)
    for name in ("xmin", "ymin", "xmax", "ymax"):
        assert column["covering"]["bbox"][name] == ["bbox", name]
        field = table.schema.field("bbox").type.field(name)
        assert str(field.type) == "double"
    assert json.loads(metadata.metadata[b"rsccli"])["spec_hash"] == facts.spec_hash


def test_geoparquet_statistics_can_prune(tmp_path: Path) -> None:
    facts = make_facts()
    path = tmp_path / "out.parquet"
    write_features(path, make_features(48, facts), facts)
    group = pq.read_metadata(path).row_group(0)
    boxes = [group.column(i) for i in range(group.num_columns) if group.column(i).path_in_schema == "bbox.xmin"]
    assert boxes[0].statistics.has_min_max


# ---- CSV ----


def test_csv_is_read_by_gdal_and_pandas_alike(tmp_path: Path, facts: RunFacts, features: list[Feature]) -> None:
    import csv

    path = tmp_path / "out.csv"
    write_features(path, features, facts)
    with path.open(encoding="utf-8", newline="") as source:
        rows = list(csv.DictReader(source))
    assert [row["id"] for row in rows] == [f.id for f in features]
    for row, feature in zip(rows, features, strict=True):
        assert row["caption"] == (feature.caption or "")
        assert (
            shapely.from_wkt(row["wkt"]).equals_exact(
                shapely.union_all([shapely.Polygon(r) for r in feature.polygons]), 1e-7
            )
            or len(feature.polygons) > 1
        )
    # GDAL: geometry from the column named WKT.
    info = pyogrio.read_info(path)
    assert info["features"] == 48


# ---- promises of all formats ----


@pytest.mark.parametrize("suffix", FORMATS)
def test_same_input_same_bytes(tmp_path: Path, facts: RunFacts, features: list[Feature], suffix: str) -> None:
    digests = set()
    for name in ("first", "second/other"):
        path = tmp_path / f"{name}{suffix}"
        path.parent.mkdir(exist_ok=True)
        write_features(path, iter(features), facts)
        digests.add(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(digests) == 1, "not even the name of the file is in the file"


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_source_that_fails_leaves_nothing(
    tmp_path: Path, facts: RunFacts, features: list[Feature], suffix: str
) -> None:
    def broken() -> Iterator[Feature]:
        yield from features[:20]
        raise InputError("pre.tif was replaced during the run")

    with pytest.raises(InputError, match="replaced during the run"):
        write_features(tmp_path / f"out{suffix}", broken(), facts)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_failure_keeps_the_old_output(tmp_path: Path, facts: RunFacts, features: list[Feature], suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    path.write_text("the old one")

    def interrupted() -> Iterator[Feature]:
        yield features[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_features(path, interrupted(), facts)
    assert path.read_text() == "the old one"
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", FORMATS)
def test_what_a_killed_run_left_is_cleared_away(
    tmp_path: Path, facts: RunFacts, features: list[Feature], suffix: str
) -> None:
    stale = tmp_path / f".out{suffix}.part"
    stale.mkdir()
    (stale / f"out{suffix}").write_text("half")
    write_features(tmp_path / f"out{suffix}", features, facts)
    assert os.listdir(tmp_path) == [f"out{suffix}"]


FULL_DISK = """
import resource, signal, sys
sys.path.insert(0, "tests")
from pathlib import Path
from made_run import make_facts, make_features
from rsccli.errors import OutputError
from rsccli.output.writers import write_features
facts = make_facts(tiles=4000, tile_size=32, stride=32)
features = make_features(2500, facts)
path = Path(sys.argv[1])
write_features(path, features, facts)
size = path.stat().st_size
path.unlink()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for limit in (40_000, size // 2, size - 1):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        write_features(path, features, facts)
    except OutputError as error:
        print(error)
    else:
        sys.exit(f"{path.stat().st_size} of {size} bytes written under a limit of {limit}")
"""


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_full_disk_is_an_error_with_a_way_out(tmp_path: Path, suffix: str) -> None:
    """The kernel refuses to let files grow beyond a limit, as a full disk would; GDAL may not notice by itself."""
    path = tmp_path / f"out{suffix}"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout.splitlines()
    assert len(said) == 3
    assert all(line.startswith(f"cannot write {path}") and "free space" in line for line in said)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 257])
def test_any_number_of_features(tmp_path: Path, suffix: str, count: int) -> None:
    facts = make_facts(tiles=count, tile_size=64, stride=64)
    features = make_features(count, facts)
    path = tmp_path / f"out{suffix}"
    assert write_features(path, features, facts) == count
    found, back = read_outputs(path)
    assert sorted(back, key=lambda f: f.id) == features
    assert found in (facts, None)


def test_a_folder_that_vanished_is_an_error(tmp_path: Path, facts: RunFacts, features: list[Feature]) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*gone.*another place with -o"):
        write_features(tmp_path / "gone" / "out.geojson", features, facts)


# ---- what is checked before any work ----


def test_unknown_suffixes_list_the_known_ones() -> None:
    with pytest.raises(UsageProblem) as caught:
        writer_for(Path("out.shp"))
    assert all(suffix in str(caught.value) for suffix in WRITERS)
    assert writer_for(Path("OUT.GeoJSON")).name == "GeoJSON"


def test_check_output(tmp_path: Path) -> None:
    check_output(tmp_path / "out.gpkg", overwrite=False)
    there = tmp_path / "there.gpkg"
    there.write_text("")
    check_output(there, overwrite=True)
    with pytest.raises(OutputError, match="--overwrite"):
        check_output(there, overwrite=False)
    with pytest.raises(OutputError, match="mkdir -p"):
        check_output(tmp_path / "none" / "out.gpkg", overwrite=False)
    (tmp_path / "folder.gpkg").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        check_output(tmp_path / "folder.gpkg", overwrite=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_check_output_in_an_unwritable_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="not writable"):
            check_output(tmp_path / "out.gpkg", overwrite=False)
    finally:
        tmp_path.chmod(0o700)


def test_gdal_options_are_put_back(tmp_path: Path) -> None:
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": "2001-01-01T00:00:00.000Z"})
    try:
        facts = make_facts()
        write_features(tmp_path / "out.gpkg", make_features(8, facts), facts)
        assert pyogrio.get_gdal_config_option("OGR_CURRENT_DATE") == "2001-01-01T00:00:00.000Z"
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})


MEMORY = """
import sys
sys.path.insert(0, "tests")
from itertools import chain, repeat, islice
from pathlib import Path
from made_run import make_facts, make_features
from rsccli.peak_memory import peak_memory_bytes
from rsccli.output.writers import write_features
facts = make_facts()
few = make_features(48, facts)
write_features(Path(sys.argv[1]), few, facts)
endless = chain.from_iterable(repeat(few))
write_features(Path(sys.argv[1]), islice(endless, 8_000), facts)
small = peak_memory_bytes() // 1024
write_features(Path(sys.argv[1]), islice(endless, 48_000), facts)
large = peak_memory_bytes() // 1024
print(large - small)
"""


@pytest.mark.parametrize("suffix", FORMATS)
def test_memory_does_not_grow_with_features(tmp_path: Path, suffix: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path / f"out{suffix}")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # 40,000 more features would be some 60 MB if they were held; FlatGeobuf's index holds about 400 bytes of each.
    assert int(done.stdout) < (30_000 if suffix == ".fgb" else 15_000), "kB"


def test_a_very_large_flatgeobuf_goes_without_its_index(tmp_path: Path) -> None:
    few, many = make_facts(tiles=48), make_facts(tiles=250_001)
    features = make_features(48, few)
    with_index, without = tmp_path / "few.fgb", tmp_path / "many.fgb"
    write_features(with_index, features, few)
    write_features(without, features, many)
    nodes = 48 + 3 + 1
    assert abs(with_index.stat().st_size - without.stat().st_size - 40 * nodes) < 100
    assert list(read_outputs(without)[1]) == features, "in the order of the plan"


def test_shapes_keep_every_vertex(tmp_path: Path) -> None:
    facts = make_facts(Grid("EPSG:32651", UTM.transform.__class__(30, 0, 3e5, 0, -30, 3e6), 2048, 2048))
    features = make_features(48, facts)
    path = tmp_path / "out.fgb"
    write_features(path, features, facts)
    _, _, wkb, fields = pyogrio.raw.read(path)
    ids = fields[0].tolist()
    counts = shapely.get_num_coordinates(shapely.from_wkb(wkb))
    assert {i: int(n) for i, n in zip(ids, counts, strict=True)} == {f.id: sum(map(len, f.polygons)) for f in features}
    assert np.all(counts > 5)

"""Files of vectors that are orders for GDAL are refused by every command that reads vectors."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pyogrio
import pytest
import shapely

from rsccli.errors import InputError
from rsccli.geo.aoi import read_aoi
from rsccli.geo.linked import ALLOW
from rsccli.geo.vectors import check_vector
from rsccli.output.readers import read_outputs
from rsccli.run.labels.table import read_table
from rsccli.training.polygons import file_polygons

SQUARE = shapely.box(10.0, 50.0, 10.1, 50.1)
OGR_VRT = (
    '<OGRVRTDataSource><OGRVRTLayer name="x"><SrcDataSource>{secret}</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>'
)
PIPELINE = '{{"type": "gdal_streamed_alg", "command_line": "gdal vector pipeline read {secret}"}}'
KML = (
    '<?xml version="1.0" encoding="UTF-8"?><kml xmlns="http://www.opengis.net/kml/2.2"><Document><Placemark><Polygon>'
    "<outerBoundaryIs><LinearRing><coordinates>10,50 10.1,50 10.1,50.1 10,50</coordinates></LinearRing>"
    "</outerBoundaryIs></Polygon></Placemark></Document></kml>"
)


def write(path: Path, driver: str) -> Path:
    wkb = shapely.to_wkb([SQUARE])
    pyogrio.raw.write(path, wkb, [], [], geometry_type="Polygon", crs="EPSG:4326", driver=driver)
    return path


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    return write(tmp_path / "secret.gpkg", "GPKG")


@pytest.mark.parametrize("text", [OGR_VRT, "\ufeff\n " + OGR_VRT, PIPELINE, "<?xml version='1.0'?>" + OGR_VRT])
@pytest.mark.parametrize("suffix", [".gpkg", ".fgb", ".shp", ".kml", ".vrt"])
def test_orders_are_refused(secret: Path, text: str, suffix: str) -> None:
    path = secret.with_name(f"orders{suffix}")
    path.write_text(text.format(secret=secret))
    readers: tuple[Callable[[], object], ...] = (
        lambda: read_aoi(str(path)),
        lambda: read_table(str(path), None),
        lambda: file_polygons(path, "line 1", None),
    )
    for read in readers:
        with pytest.raises(InputError, match=r"vectors are read from GeoJSON.*--allow-linked"):
            read()
    if suffix in (".gpkg", ".fgb"):
        with pytest.raises(InputError, match="vectors are read from GeoJSON"):
            read_outputs(path)


def test_gdal_itself_would_follow_them(secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = secret.with_name("orders.gpkg")
    path.write_text(OGR_VRT.format(secret=secret).replace('name="x"', 'name="secret"'))
    monkeypatch.setenv(ALLOW, "1")
    assert read_aoi(str(path)).area == pytest.approx(SQUARE.area)


@pytest.mark.parametrize(
    ("name", "driver"),
    [("a.gpkg", "GPKG"), ("a.fgb", "FlatGeobuf"), ("a.shp", "ESRI Shapefile"), ("a.gdb", "OpenFileGDB")],
)
def test_vectors_are_read_as_before(tmp_path: Path, name: str, driver: str) -> None:
    assert read_aoi(str(write(tmp_path / name, driver))).area == pytest.approx(SQUARE.area)


def test_an_area_that_was_drawn_in_a_globe_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.kml"
    path.write_text(KML)
    assert not read_aoi(str(path)).is_empty
    path.write_text(KML.replace("<kml", "<!DOCTYPE kml [<!ENTITY x 'y'>]><kml"))
    with pytest.raises(InputError, match="vectors are read from"):
        check_vector(str(path))


def test_pipes_are_no_vectors(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.gpkg")
    with pytest.raises(InputError, match="not a file"):
        read_aoi(str(tmp_path / "a.gpkg"))

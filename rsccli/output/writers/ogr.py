"""GeoPackage and FlatGeobuf, streamed through GDAL's Arrow interface."""

from __future__ import annotations

import errno
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyogrio

from rsccli.geo.footprint import may_be_cut
from rsccli.output.facts import facts_to_bytes
from rsccli.output.features import Feature
from rsccli.output.qgis.geopackage import add_style
from rsccli.output.qgis.looks import tiles_look
from rsccli.output.writers.base import LAYER
from rsccli.output.writers.batches import GEOMETRY, batches_of, property_columns, property_fields, wkb_column
from rsccli.types import RunFacts

_RTREE = f"rtree_{LAYER}_geom"
_INDEX_GROUP = 16
_INDEXED_TILES = 250_000
_GEOARROW = {
    "ARROW:extension:name": "geoarrow.wkb",
    "ARROW:extension:metadata": json.dumps({"crs": "EPSG:4326"}),
}


class GeoPackageWriter:
    """GeoPackage: one layer ``tiles`` with a spatial index and QGIS's style; the run's facts are layer metadata."""

    name = "GeoPackage"

    def write(self, path: Path, features: Iterator[Feature], facts: RunFacts, date: str) -> None:
        """Write the layer; ``date`` stands where the format demands a date of the last change."""
        with _gdal_option("OGR_CURRENT_DATE", date):
            count = _write(
                path,
                features,
                facts,
                driver="GPKG",
                layer_options={"GEOMETRY_NAME": "geom", "FID": "fid"},
                dataset_options={"VERSION": "1.3"},  # 1.4 makes GDAL before 3.7 (QGIS 3.22) warn
            )
        check_geopackage(path, count)
        add_style(path, LAYER, tiles_look(), date)


class FlatGeobufWriter:
    """FlatGeobuf with its packed spatial index; features lie in the order of the index.

    GDAL sorts the index in memory, some 400 bytes a feature: very large runs go without it, so that memory stays
    bounded.
    """

    name = "FlatGeobuf"
    suffixes: tuple[str, ...] = (".fgb",)

    def write(self, path: Path, features: Iterator[Feature], facts: RunFacts, date: str) -> None:
        """Write the file, with an index where the plan has at most 250,000 tiles."""
        indexed = facts.tiles <= _INDEXED_TILES
        options = {"TITLE": "rsccli", "SPATIAL_INDEX": "YES" if indexed else "NO"}
        count = _write(path, features, facts, driver="FlatGeobuf", layer_options=options)
        check_flatgeobuf(path, count, indexed)


def _write(path: Path, features: Iterator[Feature], facts: RunFacts, **options: Any) -> int:  # noqa: ANN401
    """Write one layer; returns the number of features."""
    # One kind of geometry per layer, as desktop GIS expect: known from the grid, before any feature.
    multi = may_be_cut(facts.grid)
    schema = pa.schema([*property_fields(), pa.field(GEOMETRY, pa.binary(), metadata=_GEOARROW)])

    count = 0

    def batches() -> Iterator[pa.RecordBatch]:
        nonlocal count
        for batch in batches_of(features):
            count += len(batch)
            columns = [*property_columns(batch), wkb_column(batch, multi)]
            yield pa.record_batch(columns, schema=schema)

    pyogrio.write_arrow(
        pa.RecordBatchReader.from_batches(schema, batches()),
        path,
        layer=LAYER,
        geometry_name=GEOMETRY,
        geometry_type="MultiPolygon" if multi else "Polygon",
        crs="EPSG:4326",
        layer_metadata={"rsccli": facts_to_bytes(facts).decode()},
        **options,
    )
    return count


def check_geopackage(path: Path, count: int) -> None:
    """Whether all features and their index are in the file: GDAL closes a full disk's file without an error.

    Raises:
        OSError: something is missing.
    """
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as base:
        try:
            found = {base.execute(f"select count(*) from {table}").fetchone()[0] for table in (LAYER, _RTREE)}
        except sqlite3.DatabaseError as error:
            raise OSError(errno.EIO, f"the GeoPackage is incomplete ({error}), as on a full disk") from error
    if found != {count}:
        raise OSError(errno.EIO, "the GeoPackage is incomplete, as on a full disk")


def check_flatgeobuf(path: Path, count: int, indexed: bool = True) -> None:
    """Whether the file ends where its last feature ends: GDAL closes a full disk's file without an error.

    The layout (flatgeobuf.org): magic, header with its length, packed index of 40-byte nodes in groups of 16,
    features each with its length.

    Raises:
        OSError: something is missing.
    """
    nodes, level = (count, count) if indexed else (0, 0)
    while level:
        level = -(-level // _INDEX_GROUP)
        nodes += level
        if level == 1:
            break
    with path.open("rb") as source:
        source.seek(8)
        end = 12 + int.from_bytes(source.read(4), "little") + 40 * nodes
        for _ in range(count):
            source.seek(end)
            end += 4 + int.from_bytes(source.read(4), "little")
    if path.stat().st_size != end:
        raise OSError(errno.EIO, "the FlatGeobuf file is incomplete, as on a full disk")


@contextmanager
def _gdal_option(name: str, value: str) -> Iterator[None]:
    """One option of pyogrio's GDAL, put back afterwards."""
    before = pyogrio.get_gdal_config_option(name)
    pyogrio.set_gdal_config_options({name: value})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({name: before})

"""GeoPackage and FlatGeobuf, streamed through GDAL's Arrow interface."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyogrio

from rsccli.geo.footprint import may_be_cut
from rsccli.output.facts import facts_to_bytes
from rsccli.output.features import Feature
from rsccli.output.writers.base import LAYER
from rsccli.output.writers.batches import GEOMETRY, batches_of, property_columns, property_fields, wkb_column
from rsccli.types import RunFacts

_GEOARROW = {
    "ARROW:extension:name": "geoarrow.wkb",
    "ARROW:extension:metadata": json.dumps({"crs": "EPSG:4326"}),
}


class GeoPackageWriter:
    """GeoPackage: one layer ``tiles`` with a spatial index; the run's facts are layer metadata."""

    name = "GeoPackage"
    suffixes: tuple[str, ...] = (".gpkg",)

    def write(self, path: Path, features: Iterator[Feature], facts: RunFacts, date: str) -> None:
        """Write the layer; ``date`` stands where the format demands a date of the last change."""
        with _gdal_option("OGR_CURRENT_DATE", date):
            _write(path, features, facts, driver="GPKG", layer_options={"GEOMETRY_NAME": "geom", "FID": "fid"})


class FlatGeobufWriter:
    """FlatGeobuf with its packed spatial index; features lie in the order of the index."""

    name = "FlatGeobuf"
    suffixes: tuple[str, ...] = (".fgb",)

    def write(self, path: Path, features: Iterator[Feature], facts: RunFacts, date: str) -> None:
        """Write the file; GDAL holds one index entry per feature until the end."""
        _write(path, features, facts, driver="FlatGeobuf", layer_options={"TITLE": "rsccli"})


def _write(path: Path, features: Iterator[Feature], facts: RunFacts, **options: Any) -> None:  # noqa: ANN401
    # One kind of geometry per layer, as desktop GIS expect: known from the grid, before any feature.
    multi = may_be_cut(facts.grid)
    schema = pa.schema([*property_fields(), pa.field(GEOMETRY, pa.binary(), metadata=_GEOARROW)])

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in batches_of(features):
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


@contextmanager
def _gdal_option(name: str, value: str) -> Iterator[None]:
    """One option of pyogrio's GDAL, put back afterwards."""
    before = pyogrio.get_gdal_config_option(name)
    pyogrio.set_gdal_config_options({name: value})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({name: before})

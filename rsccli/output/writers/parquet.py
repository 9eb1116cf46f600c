"""GeoParquet 1.1: WKB, counter-clockwise, with a bounding box column that readers can filter by."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rsccli.geo.extent import LonLatExtent
from rsccli.geo.footprint import BBox
from rsccli.output.facts import facts_to_bytes
from rsccli.output.features import Feature
from rsccli.output.writers.batches import GEOMETRY, batches_of, property_columns, property_fields, wkb_column
from rsccli.types import RunFacts

_BOX = pa.struct([pa.field(name, pa.float64(), nullable=False) for name in ("xmin", "ymin", "xmax", "ymax")])


class GeoParquetWriter:
    """GeoParquet: the run's facts are the key ``rsccli`` of the file's metadata."""

    name = "GeoParquet"

    def write(self, path: Path, features: Iterator[Feature], facts: RunFacts, date: str) -> None:
        """Write row groups of a few thousand features; the metadata follows at the end."""
        schema = pa.schema(
            [
                *property_fields(),
                pa.field(GEOMETRY, pa.binary(), nullable=False),
                pa.field("bbox", _BOX, nullable=False),
            ]
        )
        extent = LonLatExtent(facts.grid)
        kinds: set[str] = set()
        with pq.ParquetWriter(path, schema, compression="zstd") as out:
            for batch in batches_of(features):
                for feature in batch:
                    extent.add(feature.bbox)
                    kinds.add("Polygon" if len(feature.polygons) == 1 else "MultiPolygon")
                boxes = pa.array([_planar(feature.bbox) for feature in batch], _BOX)
                columns = [*property_columns(batch), wkb_column(batch), boxes]
                out.write_batch(pa.record_batch(columns, schema=schema))
            out.add_key_value_metadata(
                {"geo": json.dumps(_geo(sorted(kinds), extent.bbox)), "rsccli": facts_to_bytes(facts).decode()}
            )


def _planar(bbox: BBox) -> dict[str, float]:
    """The covering box: plain minima and maxima, which statistics can prune by, even over the antimeridian."""
    west, south, east, north = bbox
    if west > east:
        west, east = -180.0, 180.0
    return {"xmin": west, "ymin": south, "xmax": east, "ymax": north}


def _geo(kinds: list[str], bbox: BBox | None) -> dict[str, object]:
    """The file metadata ``geo``; without ``crs`` it means OGC:CRS84, longitude before latitude."""
    column: dict[str, object] = {
        "encoding": "WKB",
        "geometry_types": kinds,
        "edges": "planar",
        "orientation": "counterclockwise",
        "covering": {"bbox": {name: ["bbox", name] for name in ("xmin", "ymin", "xmax", "ymax")}},
    }
    if bbox is not None:
        column["bbox"] = list(bbox)
    return {"version": "1.1.0", "primary_column": GEOMETRY, "columns": {GEOMETRY: column}}

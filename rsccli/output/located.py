"""Rows with a place and columns of their own: answers about tiles, boxes of a phrase. GeoJSON, GeoPackage and others.

The features of a captioned run have columns that never change; these are for what does not fit into them. Every format
holds the same rows; the facts of the run stand once, as in `rsccli.output.features`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import orjson

from rsccli.errors import UsageProblem
from rsccli.geo.extent import LonLatExtent
from rsccli.geo.footprint import BBox, Ring
from rsccli.output.facts import facts_to_json
from rsccli.output.formulas import shielded
from rsccli.output.qgis.geopackage import add_style
from rsccli.output.qgis.look import Look
from rsccli.output.text import json_bytes
from rsccli.output.writers.atomic import replacing
from rsccli.output.writers.base import UNDATED
from rsccli.types import RunFacts

Value: TypeAlias = str | int | float | bool | None
#: Outer ring and holes.
Rings: TypeAlias = tuple[Ring, ...]
_BATCH = 2048
_DRIVERS = {".gpkg": "GPKG", ".fgb": "FlatGeobuf"}
_LINES = {".geojsonl": b"", ".ndjson": b"", ".geojsons": b"\x1e"}
SUFFIXES: tuple[str, ...] = (".geojson", ".json", *_LINES, *_DRIVERS, ".csv")


@dataclass(frozen=True, slots=True)
class Located:
    """One row.

    Attributes:
        id: unique in the file. polygons: outer ring and holes of each part, longitude and latitude.
        bbox: west, south, east, north in degrees. values: in the order of the columns.
    """

    id: str
    polygons: tuple[Rings, ...]
    bbox: BBox
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Sheet:
    """What all rows of a file share.

    Attributes:
        layer: its name where the format has layers. columns: names and kinds, in order.
        facts: of the run. more: further members of the collection's foreign member ``rsccli``, JSON values.
        look: of the layer in QGIS, kept where the format has a place for it (GeoPackage).
    """

    layer: str
    columns: Mapping[str, type]
    facts: RunFacts
    more: Mapping[str, Any]
    look: Look | None = None

    def member(self) -> bytes:
        """The foreign member ``rsccli``, one line of JSON."""
        return json_bytes({**facts_to_json(self.facts), **self.more})


def check_suffix(path: Path) -> None:
    """Refuse what cannot be written.

    Raises:
        UsageProblem: no format has that suffix.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageProblem(
            f"no output format has the suffix {path.suffix or '(none)'!r} ({path}); use one of {' '.join(SUFFIXES)}, "
            "or -o - for GeoJSONSeq on stdout"
        )


def write_located(path: Path, rows: Iterable[Located], sheet: Sheet) -> int:
    """Write all rows in the format of the suffix; returns how many.

    Raises:
        UsageProblem: unknown suffix. OutputError: the file could not be written; nothing is left behind.
    """
    check_suffix(path)
    suffix = path.suffix.lower()
    with replacing(path) as part:
        if suffix in _DRIVERS:
            return _write_ogr(part, iter(rows), sheet, _DRIVERS[suffix])
        if suffix == ".csv":
            return _write_csv(part, rows, sheet)
        with part.open("wb") as out:
            if suffix in _LINES:
                return _write_lines(out, rows, sheet, _LINES[suffix])
            return _write_collection(out, rows, sheet)


def stream_located(out: BinaryIO, rows: Iterable[Located], sheet: Sheet) -> int:
    """Rows as GeoJSON lines on an open stream, flushed as they come; returns how many.

    Raises:
        BrokenPipeError: the reader has left.
    """
    count = 0
    for row in rows:
        out.write(json_bytes(_feature(row, sheet)) + b"\n")
        out.flush()
        count += 1
    return count


def _feature(row: Located, sheet: Sheet) -> dict[str, object]:
    one = len(row.polygons) == 1
    shape = {"type": "Polygon" if one else "MultiPolygon", "coordinates": row.polygons[0] if one else row.polygons}
    properties = dict(zip(sheet.columns, row.values, strict=True))
    return {"type": "Feature", "id": row.id, "bbox": row.bbox, "geometry": shape, "properties": properties}


def _write_collection(out: BinaryIO, rows: Iterable[Located], sheet: Sheet) -> int:
    extent, count = LonLatExtent(sheet.facts.grid), 0
    out.write(b'{"type":"FeatureCollection","rsccli":' + sheet.member() + b',"features":[')
    for row in rows:
        extent.add(row.bbox)
        out.write((b",\n" if count else b"\n") + json_bytes(_feature(row, sheet)))
        count += 1
    bbox = b"" if extent.bbox is None else b',"bbox":' + orjson.dumps(extent.bbox)
    out.write(b"\n]" + bbox + b"}\n")
    return count


def _write_lines(out: BinaryIO, rows: Iterable[Located], sheet: Sheet, before: bytes) -> int:
    count = 0
    for row in rows:
        out.write(before + json_bytes(_feature(row, sheet)) + b"\n")
        count += 1
    return count


def _write_csv(path: Path, rows: Iterable[Located], sheet: Sheet) -> int:
    import csv

    import shapely

    count = 0
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["id", *sheet.columns, "wkt"])
        for row in rows:
            text = shapely.to_wkt(_shape(row), rounding_precision=7, trim=True)
            writer.writerow([shielded(row.id), *map(_cell, row.values), text])
            count += 1
    return count


def _cell(value: Value) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else shielded(value) if isinstance(value, str) else value


def _shape(row: Located) -> Any:  # noqa: ANN401 - a shapely geometry
    import shapely

    parts = [shapely.Polygon(rings[0], rings[1:]) for rings in row.polygons]
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)


def _write_ogr(path: Path, rows: Iterator[Located], sheet: Sheet, driver: str) -> int:
    import pyarrow as pa
    import pyogrio
    import shapely

    kinds = {str: pa.string(), bool: pa.bool_(), float: pa.float64(), int: pa.int64()}
    fields = [pa.field("id", pa.string(), nullable=False)]
    fields += [pa.field(name, kinds[kind]) for name, kind in sheet.columns.items()]
    schema = pa.schema([*fields, pa.field("geometry", pa.binary(), metadata=_WKB)])
    count = 0
    true_error: BaseException | None = None

    def batches() -> Iterator[pa.RecordBatch]:
        nonlocal count, true_error
        while True:
            try:
                batch = list(islice(rows, _BATCH))
            except BaseException as error:
                # Arrow and GDAL make an error of their own of it.
                true_error = error
                raise
            if not batch:
                return
            count += len(batch)
            shapes = [_shape(row) for row in batch]
            # One kind of geometry per layer, as desktop GIS expect.
            shapes = [shapely.MultiPolygon([each]) if each.geom_type == "Polygon" else each for each in shapes]
            columns = [pa.array([row.id for row in batch], pa.string())]
            for index, kind in enumerate(sheet.columns.values()):
                columns.append(pa.array([row.values[index] for row in batch], kinds[kind]))
            columns.append(pa.array(shapely.to_wkb(shapes, byte_order=1).tolist(), pa.binary()))
            yield pa.record_batch(columns, schema=schema)

    options = {"dataset_options": {"VERSION": "1.3"}} if driver == "GPKG" else {}
    # A date of writing that does not change: equal runs write equal bytes.
    before = pyogrio.get_gdal_config_option("OGR_CURRENT_DATE")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": UNDATED})
    try:
        pyogrio.write_arrow(
            pa.RecordBatchReader.from_batches(schema, batches()),
            path,
            driver=driver,
            layer=sheet.layer,
            geometry_name="geometry",
            geometry_type="MultiPolygon",
            crs="EPSG:4326",
            layer_metadata={"rsccli": sheet.member().decode()},
            **options,
        )
    except RuntimeError:
        if true_error is not None:
            raise true_error from None
        raise
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": before})
    # GDAL closes the file of a full disk without an error.
    found = int(pyogrio.read_info(path, force_feature_count=True)["features"])
    if found != count:
        raise RuntimeError(f"{found} of {count} rows are in the file, as on a full disk")
    if sheet.look is not None and driver == "GPKG":
        add_style(path, sheet.layer, sheet.look, UNDATED)
    return count


_WKB = {"ARROW:extension:name": "geoarrow.wkb", "ARROW:extension:metadata": '{"crs": "EPSG:4326"}'}

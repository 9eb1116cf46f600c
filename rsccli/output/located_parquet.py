"""Rows with a place as GeoParquet 1.1, and the one door to all formats of such rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import shapely

from rsccli.errors import UsageProblem
from rsccli.output.located import SUFFIXES, Located, Sheet, write_located
from rsccli.output.writers.atomic import replacing

PARQUET_SUFFIXES: tuple[str, ...] = (".parquet", ".geoparquet")
ROW_SUFFIXES: tuple[str, ...] = (*SUFFIXES, *PARQUET_SUFFIXES)
_BATCH = 2048


def check_rows_suffix(path: Path) -> None:
    """Refuse what cannot be written.

    Raises:
        UsageProblem: no format has that suffix.
    """
    if path.suffix.lower() not in ROW_SUFFIXES:
        raise UsageProblem(
            f"no output format has the suffix {path.suffix or '(none)'!r} ({path}); use one of "
            f"{' '.join(ROW_SUFFIXES)}, or -o - for GeoJSONSeq on stdout"
        )


class _Source:
    """Passes rows on and remembers what their source raised: GDAL and Arrow turn it into an error of their own."""

    def __init__(self, rows: Iterable[Located]) -> None:
        self._rows = iter(rows)
        self.error: BaseException | None = None

    def __iter__(self) -> Iterator[Located]:
        return self

    def __next__(self) -> Located:
        try:
            return next(self._rows)
        except StopIteration:
            raise
        except BaseException as error:
            self.error = error
            raise


def write_rows(path: Path, rows: Iterable[Located], sheet: Sheet) -> int:
    """Write all rows in the format of the suffix, GeoParquet among them; returns how many.

    Raises:
        UsageProblem: unknown suffix. OutputError: the file could not be written; nothing is left behind. What the
            source of the rows raises comes through as it is.
    """
    check_rows_suffix(path)
    source = _Source(rows)
    try:
        if path.suffix.lower() not in PARQUET_SUFFIXES:
            return write_located(path, source, sheet)
        with replacing(path) as part:
            return _write_parquet(part, source, sheet)
    except Exception:
        if source.error is not None:
            raise source.error from None
        raise


def _write_parquet(path: Path, rows: Iterator[Located], sheet: Sheet) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {str: pa.string(), bool: pa.bool_(), float: pa.float64(), int: pa.int64()}
    box = pa.struct([pa.field(name, pa.float64(), nullable=False) for name in ("xmin", "ymin", "xmax", "ymax")])
    fields = [pa.field("id", pa.string(), nullable=False)]
    fields += [pa.field(name, kinds[kind]) for name, kind in sheet.columns.items()]
    fields += [pa.field("geometry", pa.binary(), nullable=False), pa.field("bbox", box, nullable=False)]
    schema = pa.schema(fields)
    found: set[str] = set()
    count = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as out:
        while batch := list(islice(rows, _BATCH)):
            count += len(batch)
            shapes = [_shape(row) for row in batch]
            found |= {shape.geom_type for shape in shapes}
            columns = [pa.array([row.id for row in batch], pa.string())]
            for index, kind in enumerate(sheet.columns.values()):
                columns.append(pa.array([row.values[index] for row in batch], kinds[kind]))
            columns.append(pa.array(shapely.to_wkb(shapes, byte_order=1).tolist(), pa.binary()))
            columns.append(pa.array([_planar(row) for row in batch], box))
            out.write_batch(pa.record_batch(columns, schema=schema))
        out.add_key_value_metadata({"geo": json.dumps(_geo(sorted(found))), "rsccli": sheet.member().decode()})
    return count


def _shape(row: Located) -> shapely.Geometry:
    parts = [shapely.Polygon(rings[0], rings[1:]) for rings in row.polygons]
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)


def _planar(row: Located) -> dict[str, float]:
    """Plain minima and maxima, which statistics can prune by, even over the antimeridian."""
    west, south, east, north = row.bbox
    if west > east:
        west, east = -180.0, 180.0
    return {"xmin": west, "ymin": south, "xmax": east, "ymax": north}


def _geo(kinds: list[str]) -> dict[str, object]:
    """The file metadata ``geo``; without ``crs`` it means OGC:CRS84, longitude before latitude."""
    column = {
        "encoding": "WKB",
        "geometry_types": kinds,
        "edges": "planar",
        "orientation": "counterclockwise",
        "covering": {"bbox": {name: ["bbox", name] for name in ("xmin", "ymin", "xmax", "ymax")}},
    }
    return {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}

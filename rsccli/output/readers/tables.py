"""Reads GeoPackage, FlatGeobuf and GeoParquet, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import shapely

from rsccli.errors import InputError
from rsccli.geo.vectors import VECTOR_ERRORS, check_vector
from rsccli.output.facts import facts_from_json
from rsccli.output.features import PROPERTIES, Feature
from rsccli.output.readers.build import build_feature, rings_of_shapes
from rsccli.types import RunFacts

_BATCH = 4096


def read_ogr(path: Path) -> tuple[RunFacts | None, Iterator[Feature]]:
    """GeoPackage or FlatGeobuf; the facts are layer metadata."""
    check_vector(str(path))
    try:
        layer = _layer(path)
        info = pyogrio.read_info(path, layer=layer)
    except VECTOR_ERRORS as error:
        raise _damaged(path, error) from error
    if "status" not in info["fields"].tolist():
        raise InputError(f"{path}: its layer has no column 'status'; name an output of rsccli caption")
    return _facts((info["layer_metadata"] or {}).get("rsccli"), path), _ogr_features(path, layer)


def read_parquet(path: Path) -> tuple[RunFacts | None, Iterator[Feature]]:
    """GeoParquet; the facts are the key ``rsccli`` of the file's metadata."""
    try:
        metadata = pq.read_metadata(path)
        names = set(metadata.schema.to_arrow_schema().names)
    except (*VECTOR_ERRORS, pa.ArrowException) as error:
        raise _damaged(path, error) from error
    if not {"id", "status", "geometry"} <= names:
        raise InputError(f"{path}: no columns id, status, geometry; name an output of rsccli caption")
    text = (metadata.metadata or {}).get(b"rsccli")
    return _facts(text, path), _parquet_features(path)


def _layer(path: Path) -> str:
    """The first layer with shapes: a GeoPackage holds styles, too."""
    layers = [(str(name), kind) for name, kind in pyogrio.list_layers(path)]
    return next((name for name, kind in layers if kind is not None), layers[0][0])


def _ogr_features(path: Path, layer: str) -> Iterator[Feature]:
    try:
        with pyogrio.open_arrow(path, layer=layer, batch_size=_BATCH, use_pyarrow=True) as (meta, batches):
            name = meta["geometry_name"] or "wkb_geometry"
            start = 0
            for batch in batches:
                yield from _rows(path, start, batch, name)
                start += batch.num_rows
    except (*VECTOR_ERRORS, pa.ArrowException) as error:
        raise _damaged(path, error) from error


def _parquet_features(path: Path) -> Iterator[Feature]:
    try:
        with pq.ParquetFile(path) as source:
            start = 0
            for batch in source.iter_batches(_BATCH, columns=["id", *PROPERTIES, "geometry"]):
                yield from _rows(path, start, batch, "geometry")
                start += batch.num_rows
    except (*VECTOR_ERRORS, pa.ArrowException) as error:
        raise _damaged(path, error) from error


def _rows(path: Path, start: int, batch: pa.RecordBatch, geometry_name: str) -> Iterator[Feature]:
    shapes = shapely.from_wkb(batch.column(geometry_name).to_pylist())
    names = [name for name in ("id", *PROPERTIES) if name in batch.schema.names]
    for offset, row in enumerate(batch.select(names).to_pylist()):
        where = f"{path}, feature {start + offset + 1}"
        yield build_feature(where, row.get("id"), rings_of_shapes(where, shapes[offset]), row)


def _facts(text: str | bytes | None, path: Path) -> RunFacts | None:
    if text is None:
        return None
    try:
        return facts_from_json(orjson.loads(text), str(path))
    except orjson.JSONDecodeError as error:
        raise InputError(f"{path}: its run facts are not JSON ({error})") from error


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(f"{path}: cannot be read ({str(error).strip()[:200]}); make it again with rsccli caption")

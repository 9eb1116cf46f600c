"""Features as Arrow record batches: what GeoPackage, FlatGeobuf and GeoParquet are written from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import shapely

from rsccli.output.features import PROPERTIES, Feature, properties

GEOMETRY = "geometry"
_BATCH = 4096
_ARROW = {str: pa.string(), bool: pa.bool_(), float: pa.float64(), int: pa.int32()}


def batches_of(features: Iterator[Feature]) -> Iterator[list[Feature]]:
    """Features in lists of a few thousand."""
    while batch := list(islice(features, _BATCH)):
        yield batch


def property_fields() -> list[pa.Field]:
    """The columns ``id`` and all properties."""
    return [pa.field("id", pa.string(), nullable=False)] + [
        pa.field(name, _ARROW[kind]) for name, kind in PROPERTIES.items()
    ]


def property_columns(batch: Sequence[Feature]) -> list[pa.Array]:
    """Arrow arrays of the columns of ``property_fields``."""
    rows = [properties(feature) for feature in batch]
    columns = [pa.array([feature.id for feature in batch], pa.string())]
    for name, kind in PROPERTIES.items():
        columns.append(pa.array([row[name] for row in rows], _ARROW[kind]))
    return columns


def wkb_column(batch: Sequence[Feature], multi: bool = False) -> pa.Array:
    """Footprints as little-endian WKB; ``multi`` makes every one of them a MultiPolygon."""
    return pa.array(shapely.to_wkb(shapes(batch, multi), byte_order=1).tolist(), pa.binary())


def shapes(batch: Sequence[Feature], multi: bool = False) -> npt.NDArray[np.object_]:
    """Footprints as an array of shapely polygons, and MultiPolygons where they are cut."""
    rings = [ring for feature in batch for ring in feature.polygons]
    coordinates = np.array([point for ring in rings for point in ring])
    ring_of_point = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
    polygons: npt.NDArray[np.object_] = shapely.polygons(shapely.linearrings(coordinates, indices=ring_of_point))
    parts = np.array([len(feature.polygons) for feature in batch])
    if not multi and (parts == 1).all():
        return polygons
    joined: npt.NDArray[np.object_] = shapely.multipolygons(polygons, indices=np.repeat(np.arange(len(batch)), parts))
    if multi:
        return joined
    first = np.concatenate([[0], np.cumsum(parts)[:-1]])
    return np.where(parts == 1, polygons[first], joined)

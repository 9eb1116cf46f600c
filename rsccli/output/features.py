"""Features: one per tile of the plan, with the flat properties that every output format carries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

from rsccli.geo.footprint import BBox, Ring, footprints
from rsccli.output.text import storable
from rsccli.types import RunFacts, Status, Tile, TileRecord

if TYPE_CHECKING:
    import geojson

Value: TypeAlias = str | int | float | bool | None

# Footprints are computed for this many tiles at a time.
_BATCH = 2048


@dataclass(frozen=True, slots=True)
class Feature:
    """One tile on the map.

    Attributes:
        id: the tile's id, e.g. ``r00012c00034``.
        polygons: closed counter-clockwise rings in longitude/latitude, one per part of the footprint.
        bbox: west, south, east, north in degrees; west > east over the antimeridian.
        status, caption, change_score, logprob, keywords, changed_area_m2, changed_fraction,
            valid_fraction, reason: as in ``TileRecord``.
        gsd_m: metres per pixel of the grid. shift_px: measured shift of post against pre.
        tile_row, tile_col: place of the tile in the plan, from 0.
    """

    id: str
    polygons: tuple[Ring, ...]
    bbox: BBox
    status: Status
    caption: str | None
    change_score: float | None
    logprob: float | None
    keywords: tuple[str, ...]
    changed_area_m2: float | None
    changed_fraction: float | None
    valid_fraction: float
    gsd_m: float
    shift_px: float | None
    tile_row: int
    tile_col: int
    pre_datetime: str | None
    post_datetime: str | None
    model: str
    model_revision: str
    reason: str | None

    @property
    def change(self) -> bool | None:
        """True, False, or None where nobody can say."""
        return {"changed": True, "unchanged": False}.get(self.status)


# Names and kinds of the properties, in the order in which every format writes them.
PROPERTIES: dict[str, type] = {
    "caption": str,
    "status": str,
    "change": bool,
    "change_score": float,
    "logprob": float,
    "keywords": str,
    "changed_area_m2": float,
    "changed_fraction": float,
    "valid_fraction": float,
    "gsd_m": float,
    "shift_px": float,
    "tile_row": int,
    "tile_col": int,
    "pre_datetime": str,
    "post_datetime": str,
    "model": str,
    "model_revision": str,
    "reason": str,
}


def build_features(results: Iterable[tuple[TileRecord, Tile]], facts: RunFacts) -> Iterator[Feature]:
    """Features of finished tiles, in the order given; holds only a batch at a time.

    Raises:
        CrsError: a tile lies outside of what the grid's CRS can express.
    """
    source = iter(results)
    shift = _rounded(facts.registration.shift_px, 3)
    while batch := list(islice(source, _BATCH)):
        places = footprints(facts.grid, [tile.px_window for _, tile in batch])
        for (record, _), place in zip(batch, places, strict=True):
            yield Feature(
                id=record.tile_id,
                polygons=place.polygons,
                bbox=place.bbox,
                status=record.status,
                caption=_text(record.caption),
                change_score=_rounded(record.change_score, 4),
                logprob=_rounded(record.logprob, 4),
                # The joined property separates with semicolons.
                keywords=tuple(storable(word).replace(";", ",").strip() for word in record.keywords),
                changed_area_m2=_rounded(record.changed_area_m2, 2),
                changed_fraction=_rounded(record.changed_fraction, 6),
                valid_fraction=round(record.valid_fraction, 6),
                gsd_m=round(facts.gsd_m, 4),
                shift_px=shift,
                tile_row=record.row,
                tile_col=record.col,
                pre_datetime=facts.pre.datetime,
                post_datetime=facts.post.datetime,
                model=facts.model,
                model_revision=facts.model_revision,
                reason=_text(record.reason),
            )


def properties(feature: Feature) -> dict[str, Value]:
    """The flat properties, in the order of ``PROPERTIES``."""
    return {
        "caption": feature.caption,
        "status": feature.status,
        "change": feature.change,
        "change_score": feature.change_score,
        "logprob": feature.logprob,
        "keywords": ";".join(feature.keywords),
        "changed_area_m2": feature.changed_area_m2,
        "changed_fraction": feature.changed_fraction,
        "valid_fraction": feature.valid_fraction,
        "gsd_m": feature.gsd_m,
        "shift_px": feature.shift_px,
        "tile_row": feature.tile_row,
        "tile_col": feature.tile_col,
        "pre_datetime": feature.pre_datetime,
        "post_datetime": feature.post_datetime,
        "model": feature.model,
        "model_revision": feature.model_revision,
        "reason": feature.reason,
    }


def geometry(feature: Feature) -> dict[str, object]:
    """The GeoJSON geometry: a Polygon, or a MultiPolygon where the antimeridian cuts the tile."""
    if len(feature.polygons) == 1:
        return {"type": "Polygon", "coordinates": feature.polygons}
    return {"type": "MultiPolygon", "coordinates": tuple((ring,) for ring in feature.polygons)}


def as_json_dict(feature: Feature) -> dict[str, object]:
    """The feature as the streaming writer hands it to orjson (tuples for arrays)."""
    return {
        "type": "Feature",
        "id": feature.id,
        "bbox": feature.bbox,
        "geometry": geometry(feature),
        "properties": properties(feature),
    }


def as_geojson(feature: Feature) -> geojson.Feature:
    """The feature as the ``geojson`` library's type, checked by it.

    Raises:
        ValueError: the library calls the feature invalid.
    """
    import geojson

    # The library rounds coordinates to 6 decimals unless told otherwise.
    kind = geojson.Polygon if len(feature.polygons) == 1 else geojson.MultiPolygon
    shape = kind(_lists(geometry(feature)["coordinates"]), precision=7)
    made = geojson.Feature(id=feature.id, geometry=shape, bbox=list(feature.bbox), properties=properties(feature))
    if not made.is_valid:
        raise ValueError(f"feature {feature.id} is not valid GeoJSON: {made.errors()}")
    return made


def _lists(value: object) -> object:
    return [_lists(item) for item in value] if isinstance(value, tuple) else value


def _text(value: str | None) -> str | None:
    return None if value is None else storable(value)


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)

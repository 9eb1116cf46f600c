"""Boxes and polygons of phrases as rows of a map, with the same flat columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Any

from rsccli.geo.footprint import footprints, window_areas_m2
from rsccli.geo.tiles import TilePlan
from rsccli.output.located import Located, Sheet, Value
from rsccli.output.qgis.looks import places_look
from rsccli.run.ground.record import TileFinds, TileGround
from rsccli.types import RunFacts

LAYER = "places"
COLUMNS = MappingProxyType(
    {
        "phrase": str,
        "phrase_number": int,
        "status": str,
        "kind": str,
        "label": str,
        "class": str,
        "area_m2": float,
        "mean_probability": float,
        "logprob": float,
        "source": str,
        "reason": str,
        "answer": str,
        "tile": str,
        "tile_row": int,
        "tile_col": int,
        "pre_datetime": str,
        "post_datetime": str,
        "model": str,
        "model_revision": str,
    }
)
#: Tiles without boxes that are rows all the same: what went wrong is seen on the map, what is empty is counted.
TOLD: frozenset[str] = frozenset({"malformed", "read_error", "model_error"})
_BATCH = 512


def ground_sheet(facts: RunFacts, told: Sequence[Mapping[str, Any]]) -> Sheet:
    """What all rows share; what was found of each phrase stands in the collection's foreign member ``rsccli``."""
    look = places_look([str(each["phrase"]) for each in told])
    return Sheet(LAYER, COLUMNS, facts, {"ground": list(told)}, look)


def box_rows(
    records: Iterable[TileGround], phrases: Sequence[str], plan: TilePlan, facts: RunFacts, at_once: int = _BATCH
) -> Iterator[Located]:
    """Boxes of tiles; a tile whose answer or whose pixels could not be read is a row with its own footprint.

    Args:
        at_once: tiles whose places are computed together.
    """
    source = iter(records)
    while batch := list(islice(source, at_once)):
        for record in batch:
            for number, phrase in enumerate(phrases, 1):
                finds = record.finds[number - 1]
                if finds.status == "found":
                    yield from _found(record, number, phrase, finds, facts)
                elif finds.status in TOLD:
                    yield _missing(record, number, phrase, finds, plan, facts)


def _found(record: TileGround, number: int, phrase: str, finds: TileFinds, facts: RunFacts) -> Iterator[Located]:
    windows = [box.px_window for box in finds.boxes]
    places, areas = footprints(facts.grid, windows), window_areas_m2(facts.grid, windows)
    for count, (box, place, area) in enumerate(zip(finds.boxes, places, areas, strict=True), 1):
        yield Located(
            f"{record.tile_id}-p{number}-{count}",
            tuple((ring,) for ring in place.polygons),
            place.bbox,
            _values(
                facts,
                phrase=phrase,
                phrase_number=number,
                status="found",
                kind="box",
                label=box.label or None,
                area_m2=round(float(area), 2),
                logprob=finds.logprob,
                source=f"words of {facts.model}",
                tile=record.tile_id,
                tile_row=record.row,
                tile_col=record.col,
            ),
        )


def _missing(
    record: TileGround, number: int, phrase: str, finds: TileFinds, plan: TilePlan, facts: RunFacts
) -> Located:
    (place,) = footprints(facts.grid, [plan.tile(record.row, record.col).px_window])
    return Located(
        f"{record.tile_id}-p{number}",
        tuple((ring,) for ring in place.polygons),
        place.bbox,
        _values(
            facts,
            phrase=phrase,
            phrase_number=number,
            status=finds.status,
            kind="tile",
            logprob=finds.logprob,
            source=f"words of {facts.model}" if finds.status == "malformed" else None,
            reason=finds.reason,
            answer=finds.answer,
            tile=record.tile_id,
            tile_row=record.row,
            tile_col=record.col,
        ),
    )


def polygon_row(feature: Mapping[str, Any], phrase: str, number: int, facts: RunFacts) -> Located:
    """A polygon of a detection as a row of a phrase.

    Args:
        feature: GeoJSON, as `rsccli.run.detect` writes it.
    """
    shape, told = feature["geometry"], feature["properties"]
    parts = [shape["coordinates"]] if shape["type"] == "Polygon" else shape["coordinates"]
    return Located(
        f"{feature['id']}-p{number}",
        tuple(tuple(tuple((x, y) for x, y in ring) for ring in part) for part in parts),
        tuple(feature["bbox"]),
        _values(
            facts,
            phrase=phrase,
            phrase_number=number,
            status="found",
            kind="polygon",
            **{name: told[name] for name in ("class", "area_m2", "mean_probability")},
            source=f"mask of {facts.model}",
        ),
    )


def _values(facts: RunFacts, **given: Value) -> tuple[Value, ...]:
    """Values in the order of the columns; what is not given is unknown."""
    run: dict[str, Value] = {
        "pre_datetime": facts.pre.datetime,
        "post_datetime": facts.post.datetime,
        "model": facts.model,
        "model_revision": facts.model_revision,
    }
    return tuple((run | given).get(name) for name in COLUMNS)

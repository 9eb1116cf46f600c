"""Readers: any output of ours back into facts and features, a batch at a time where the format allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import orjson

from rsccli.errors import InputError, UsageProblem
from rsccli.output.facts import facts_from_json, sensible
from rsccli.output.features import Feature
from rsccli.output.paths import sidecar
from rsccli.output.readers.csv import read_csv
from rsccli.output.readers.geojson import read_geojson, read_geojson_lines
from rsccli.types import RunFacts

__all__ = ["READERS", "read_outputs"]

Reader: TypeAlias = Callable[[Path], tuple[RunFacts | None, Iterator[Feature]]]


def _read_ogr(path: Path) -> tuple[RunFacts | None, Iterator[Feature]]:
    from rsccli.output.readers.tables import read_ogr  # pyogrio and pyarrow cost half a second

    return read_ogr(path)


def _read_parquet(path: Path) -> tuple[RunFacts | None, Iterator[Feature]]:
    from rsccli.output.readers.tables import read_parquet

    return read_parquet(path)


READERS: dict[str, Reader] = {
    ".geojson": read_geojson,
    ".json": read_geojson,
    ".geojsonl": read_geojson_lines,
    ".ndjson": read_geojson_lines,
    ".geojsons": read_geojson_lines,
    ".gpkg": _read_ogr,
    ".fgb": _read_ogr,
    ".parquet": _read_parquet,
    ".geoparquet": _read_parquet,
    ".csv": read_csv,
}


def read_outputs(path: Path) -> tuple[RunFacts | None, Iterator[Feature]]:
    """The facts of the run and its features, from any output of ``rsccli caption``.

    Formats without room for facts (GeoJSONSeq, CSV) take them from ``<stem>.report.json`` beside the file;
    the facts are None where neither has them.

    Raises:
        UsageProblem: unknown suffix. InputError: missing, damaged, or not an output of ours; damage further
            on is raised while the features are read.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise UsageProblem(
            f"{path}: no output of rsccli has the suffix {path.suffix or '(none)'!r}; "
            f"name a file with one of {' '.join(READERS)}"
        )
    if not path.is_file():
        raise InputError(f"{path} does not exist or is no file; name an output of rsccli caption")
    facts, features = reader(path)
    facts = _sidecar_facts(path) if facts is None else facts
    if facts is not None:
        sensible(facts, str(path))
    return facts, features if facts is None else _of_the_grid(path, features, facts)


def _of_the_grid(path: Path, features: Iterator[Feature], facts: RunFacts) -> Iterator[Feature]:
    """The same, while every tile begins on the run's grid."""
    for feature in features:
        top, left = feature.tile_row * facts.stride, feature.tile_col * facts.stride
        if top >= facts.grid.height or left >= facts.grid.width:
            raise InputError(
                f"{path}: tile {feature.id[:40]} (row {feature.tile_row}, column {feature.tile_col}) lies outside of "
                "its own run's grid; make the output again with rsccli caption"
            )
        yield feature


def _sidecar_facts(path: Path) -> RunFacts | None:
    beside = sidecar(path, ".report.json")
    try:
        content = orjson.loads(beside.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, orjson.JSONDecodeError) as error:
        raise InputError(f"{beside}: cannot be read as a report ({error}); delete it, or make it again") from error
    facts = content.get("facts") if isinstance(content, dict) else None
    return None if facts is None else facts_from_json(facts, str(beside))

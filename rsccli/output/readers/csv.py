"""Reads the CSV form."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import shapely

from rsccli.errors import InputError
from rsccli.output.features import PROPERTIES, Feature
from rsccli.output.formulas import unshielded
from rsccli.output.readers.build import build_feature, rings_of_shapes
from rsccli.types import RunFacts


def read_csv(path: Path) -> tuple[RunFacts | None, Iterator[Feature]]:
    """CSV with a WKT column; it holds no facts."""
    return None, _features(path)


def _features(path: Path) -> Iterator[Feature]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as source:
            rows = csv.DictReader(source)
            if not {"id", "status", "wkt"} <= set(rows.fieldnames or ()):
                raise InputError(f"{path}: no columns id, status, wkt; name an output of rsccli caption")
            for row in rows:
                where = f"{path}, line {rows.line_num}"
                values = {name: unshielded(row.get(name) or "") or None for name in PROPERTIES}
                shape = shapely.from_wkt(row["wkt"] or "")
                yield build_feature(where, unshielded(row["id"]), rings_of_shapes(where, shape), values)
    except (OSError, UnicodeDecodeError, csv.Error, shapely.GEOSException) as error:
        raise InputError(f"{path}: cannot be read as CSV ({error}); make it again with rsccli caption") from error

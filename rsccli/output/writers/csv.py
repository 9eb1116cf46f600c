"""CSV with a WKT column."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import shapely

from rsccli.output.features import PROPERTIES, Feature, properties
from rsccli.output.formulas import shielded
from rsccli.output.writers.batches import batches_of, shapes
from rsccli.types import RunFacts


class CsvWriter:
    """CSV in UTF-8, comma separated (RFC 4180); an empty field is an unknown value.

    Texts that a spreadsheet would compute have an apostrophe before them, see `rsccli.output.formulas`.
    """

    name = "CSV"

    def write(self, path: Path, features: Iterator[Feature], facts: RunFacts, date: str) -> None:
        """Write a header line, then one row per feature."""
        with path.open("w", encoding="utf-8", newline="") as out:
            rows = csv.writer(out)
            rows.writerow(["id", *PROPERTIES, "wkt"])
            for batch in batches_of(features):
                # Seven decimals, as everywhere, without trailing zeros.
                wkts = shapely.to_wkt(shapes(batch), rounding_precision=7, trim=True)
                for feature, wkt in zip(batch, wkts.tolist(), strict=True):
                    values = properties(feature).values()
                    rows.writerow([shielded(feature.id), *(_cell(value) for value in values), wkt])


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else shielded(value) if isinstance(value, str) else value

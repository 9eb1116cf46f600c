"""Published figures: quoted, never measured here, and never in one ranking with what is."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

Benchmark = Literal["levir-cc", "rscc"]
_FILE = Path(__file__).resolve().parent.parent / "assets" / "published.csv"
SCORES = ("bleu_4", "meteor", "rouge_l", "cider_d", "s_m", "st5_scs", "avg_l")
#: How figures were made; those of one protocol say nothing about those of another.
PROTOCOL_TITLES = {
    "words": "words",
    "word-ids": "word ids",
    "gpt2-ids": "GPT-2 subword ids",
    "rscc": "RSCC",
}


@dataclass(frozen=True)
class PublishedRow:
    """One quoted line.

    Attributes:
        benchmark: whose protocol and data. parameters_m: in millions, or None where it is not told.
        protocol: key of `PROTOCOL_TITLES`. regime: of RSCC, else None. split, pairs: what it was measured on.
        source: who published it. year: or None where it is not known here.
        values: key and figure as published, a range as ``60.4-62.8``. note: may be empty.
    """

    benchmark: Benchmark
    model: str
    parameters_m: float | None
    protocol: str
    regime: str | None
    split: str
    pairs: int
    source: str
    year: int | None
    values: tuple[tuple[str, str], ...]
    note: str

    def get(self, key: str) -> str | None:
        """A figure as published."""
        return dict(self.values).get(key)


@cache
def published_rows() -> tuple[PublishedRow, ...]:
    """All of them, in the order of the file."""
    with _FILE.open(encoding="utf-8", newline="") as lines:
        return tuple(_row(row) for row in csv.DictReader(lines, strict=True))


def published(benchmark: Benchmark) -> tuple[PublishedRow, ...]:
    """Those of one benchmark."""
    return tuple(row for row in published_rows() if row.benchmark == benchmark)


def _row(row: dict[str, str]) -> PublishedRow:
    benchmark: Benchmark = "rscc" if row["benchmark"] == "rscc" else "levir-cc"
    return PublishedRow(
        benchmark=benchmark,
        model=row["model"],
        parameters_m=float(row["parameters_m"]) if row["parameters_m"] else None,
        protocol=row["protocol"],
        regime=row["regime"] or None,
        split=row["split"],
        pairs=int(row["pairs"]),
        source=row["source"],
        year=int(row["year"]) if row["year"] else None,
        values=tuple((key, row[key]) for key in SCORES if row[key]),
        note=row["note"],
    )

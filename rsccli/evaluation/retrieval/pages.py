"""The result as a page of tables, and as JSON for programs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from rsccli.evaluation.retrieval.ranks import CUTS
from rsccli.evaluation.retrieval.result import Numbers, Retrieval, Row
from rsccli.evaluation.tables.sheet import Page, Sheet
from rsccli.evaluation.tables.sheet import Row as SheetRow
from rsccli.output.text import json_bytes

FORMAT = "rsccli-retrieval-1"
_HEAD = ("", "questions", *(f"R@{cut}" for cut in CUTS), "95 % of R@1", "median rank")
_BY = {
    "captions": "words of captions",
    "pre": "picture before",
    "post": "picture after",
    "change": "after minus before",
}
_NOTES = {
    "captions": "One sentence of each pair asks, the others of the pair are found, each sentence once; no picture is "
    "looked at. Ranking: BM25 with stems, as rsccli search --by caption.",
    "model": "Every caption asks. The difference is scored by its product with the question: what is more like it "
    "after than before.",
    "vectors": "Vectors as given in the file, compared by cosine (those named change by their product).",
    "similarity": "Similarities as given in the file.",
}


def page_of(found: Retrieval) -> Page:
    """What a person is shown."""
    facts = [
        f"{found.source}.",
        f"References: {found.references}{f', split {found.split}' if found.split else ''}.",
        f"{found.pairs:,} pairs"
        + ("" if found.changed_pairs is None else f", {found.changed_pairs:,} changed")
        + f"; {found.texts:,} texts, {found.shared:,} of them are a caption of another pair, too.",
    ]
    sheets = []
    for by in dict.fromkeys(row.by for row in found.rows):
        rows = []
        for row in found.rows:
            if row.by == by:
                rows += _rows(row)
        sheets.append(Sheet(f"retrieval-{by}", f"Retrieval by {_BY.get(by, by)}", _HEAD, tuple(rows)))
    notes = [
        _NOTES[found.kind],
        "Equals: whoever finds a pair that has the very sentence is right; naive: the pair itself alone. Answers with "
        "equal scores count as what a random order of them gives. Chance: a random order of all, with equals.",
        "R@k: share of questions with a right answer among the first k, per cent.",
        *(
            [f"Intervals: bootstrap over pairs, {found.samples:,} samples, seed {found.seed}."]
            if found.samples
            else ["No intervals (--bootstrap 0)."]
        ),
        *found.notes,
    ]
    return Page(f"Retrieval on {Path(found.references).name}", tuple(facts), tuple(sheets), tuple(notes))


def document(found: Retrieval) -> dict[str, Any]:
    """The result as plain JSON values: recalls times 100, in ``rows`` one object for each way and set of questions."""
    return {
        "format": FORMAT,
        "kind": found.kind,
        "source": found.source,
        "references": {"path": found.references, "sha256": found.sha256, "split": found.split},
        "pairs": found.pairs,
        "changed_pairs": found.changed_pairs,
        "texts": found.texts,
        "shared_texts": found.shared,
        "rows": [
            {
                **{name: value for name, value in asdict(row).items() if name not in ("equals", "naive", "chance")},
                **{name: _values(getattr(row, name)) for name in ("equals", "naive", "chance")},
            }
            for row in found.rows
        ],
        "bootstrap": {"samples": found.samples, "seed": found.seed, "level": 0.95},
        "notes": list(found.notes),
    }


def render_json(found: Retrieval) -> str:
    """The result as indented JSON."""
    return json_bytes(document(found), indent=True).decode("utf-8")


def _values(numbers: Numbers) -> dict[str, Any]:
    named = zip(CUTS, numbers.recall, numbers.intervals, strict=True)
    told: dict[str, Any] = {}
    intervals: dict[str, Any] = {}
    for cut, recall, interval in named:
        told[f"recall_{cut}"] = round(recall, 6)
        intervals[f"recall_{cut}"] = None if interval is None else [round(each, 6) for each in interval]
    return {**told, "median_rank": numbers.median_rank, "intervals": intervals}


def _rows(row: Row) -> list[SheetRow]:
    scope = "all" if row.scope == "all" else "changed pairs alone"
    heading = SheetRow((f"{row.way}, {scope}, {row.answers:,} answers",), heading=True)
    return [
        heading,
        *(
            SheetRow((name, f"{row.questions:,}", *_cells(numbers)))
            for name, numbers in (("equals", row.equals), ("naive", row.naive), ("chance", row.chance))
        ),
    ]


def _cells(numbers: Numbers) -> tuple[str, ...]:
    first = numbers.intervals[0]
    interval = "-" if first is None else f"{first[0]:.1f} to {first[1]:.1f}"
    rank = numbers.median_rank
    return (*(f"{each:.1f}" for each in numbers.recall), interval, f"{rank:.1f}".removesuffix(".0"))

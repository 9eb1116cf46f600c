"""Hits as a map and as lines: GeoJSON features with ``rank`` and ``score`` before their own properties."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from rsccli.errors import OutputError, UsageProblem
from rsccli.output.facts import facts_to_json
from rsccli.output.text import json_bytes
from rsccli.output.writers.atomic import replacing
from rsccli.search.layout import IndexFacts
from rsccli.search.query import Hit, Question
from rsccli.types import RunFacts

COLLECTION, LINES = (".geojson", ".json"), (".geojsonl", ".ndjson")


def check_hits(path: Path, overwrite: bool) -> None:
    """Find out before any work whether the hits can be written.

    Raises:
        UsageProblem: another suffix. OutputError: the file exists, or its folder does not.
    """
    if path.suffix.lower() not in (*COLLECTION, *LINES):
        raise UsageProblem(f"-o {path}: hits are GeoJSON: name a file with one of {' '.join((*COLLECTION, *LINES))}")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists; add --overwrite to replace it, or name another file with -o")
    if not path.parent.is_dir():
        raise OutputError(f"the folder {path.parent} does not exist; make it with: mkdir -p {path.parent}")


def hit_feature(hit: Hit) -> dict[str, Any]:
    """A hit as a GeoJSON feature."""
    feature = dict(hit.feature)
    feature["properties"] = {"rank": hit.rank, "score": round(hit.score, 6), **feature["properties"]}
    return feature


def asked_document(question: Question, facts: IndexFacts) -> dict[str, Any]:
    """The question and what was asked, for the member ``search``."""
    only, encoder = question.only, facts.encoder
    return {
        "question": question.text,
        "by": question.by,
        "k": question.k,
        "bbox": None if only.bbox is None else list(only.bbox),
        "status": list(only.statuses),
        "map": facts.source.path,
        "map_sha256": facts.source.sha256,
        "model": None if encoder is None or question.by == "caption" else f"{encoder.name} {encoder.revision}",
    }


def write_hits(
    path: Path, hits: Sequence[Hit], question: Question, facts: IndexFacts, run: RunFacts | None = None
) -> None:
    """Write hits in the form of the suffix, whole or not at all.

    A collection has the question under its member ``search``, and under ``rsccli`` the facts of the run, so that what
    reads maps of ours (``rsccli report``) reads hits, too.

    Raises:
        OutputError: the file cannot be written.
    """
    with replacing(path) as part, part.open("wb") as out:
        if path.suffix.lower() in LINES:
            stream_hits(out, hits)
            return
        head = b'{"type":"FeatureCollection",'
        if run is not None:
            head += b'"rsccli":' + json_bytes(facts_to_json(run)) + b","
        out.write(head + b'"search":' + json_bytes(asked_document(question, facts)) + b',"features":[')
        separator = b"\n"
        for hit in hits:
            out.write(separator + json_bytes(hit_feature(hit)))
            separator = b",\n"
        out.write(b"\n]}\n")


def stream_hits(out: BinaryIO, hits: Iterable[Hit]) -> None:
    """One feature a line."""
    for hit in hits:
        out.write(json_bytes(hit_feature(hit)) + b"\n")

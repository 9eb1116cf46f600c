"""Outputs of ``rsccli caption`` in any format: the key of a record is the tile's id."""

from __future__ import annotations

from pathlib import Path

from rsccli.errors import UsageProblem
from rsccli.evaluation.records.clean import clean_captions
from rsccli.evaluation.records.record import CaptionRecord
from rsccli.output.readers import READERS


def read_output(path: Path, kind: str, column: str | None, problems: list[str]) -> list[CaptionRecord]:
    """One record per tile that has a caption; the others are problems, with their status.

    Args:
        kind: suffix of the reader that takes the file, whatever its own suffix is.

    Raises:
        UsageProblem: a column other than ``caption``. InputError: damaged, or edited beyond use.
    """
    if column not in (None, "caption"):
        raise UsageProblem(f"{path}: captions of an output of rsccli are in caption, not in {column!r}")
    _, features = READERS[kind](path)
    records = []
    for feature in features:

        def note(what: str, tile: str = feature.id) -> None:
            problems.append(f"tile {tile}: {what}")

        if feature.caption is None:
            note(f"no caption, {feature.status}" + (f" ({feature.reason})" if feature.reason else ""))
            continue
        records.append(
            CaptionRecord(
                key=feature.id,
                captions=clean_captions(feature.caption, "caption", note),
                changed=feature.change,
                model=feature.model,
                where=f"{path}:{feature.id}",
            )
        )
    return records

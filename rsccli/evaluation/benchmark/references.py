"""Captions of people from another file than the list of pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rsccli.evaluation.benchmark.pairs import BenchmarkPair, PairList
from rsccli.evaluation.join import join
from rsccli.evaluation.records import CaptionRecord, RecordFile, read_captions


@dataclass(frozen=True)
class WithReferences:
    """Pairs with what another file says of them.

    Attributes:
        lines: how both files met, for people.
    """

    pairs: tuple[BenchmarkPair, ...]
    lines: tuple[str, ...]


def with_references(
    source: PairList, pairs: Sequence[BenchmarkPair], path: Path, split: str | None = None, column: str | None = None
) -> WithReferences:
    """Give pairs the captions of a file, joined by id or by the file names of pre and post.

    Args:
        pairs: of ``source``. split: only captions of this split. column: field that holds them.

    Raises:
        UsageProblem, InputError: a file that cannot be read, or that has no caption for any of the pairs.
    """
    file = read_captions(path, column=column, split=split, role="references")
    # A join of captions is asked for; what a pair "says" here is its number, so that the answer names it.
    asked = [
        CaptionRecord(pair.key, (str(number),), pair.pre or None, pair.post or None, where=str(source.path))
        for number, pair in enumerate(pairs)
    ]
    joined = join(RecordFile(source.path, source.format, tuple(asked)), file)
    splits = {record.key: record.split for record in file.records}
    found = list(pairs)
    for key, number, captions, changed in zip(
        joined.keys, joined.predictions, joined.references, joined.changed, strict=True
    ):
        pair = found[int(number)]
        found[int(number)] = replace(
            pair,
            references=captions,
            changed=pair.changed if changed is None else changed,
            split=pair.split or splits.get(key),
        )
    report = joined.report
    lines = [f"{report.joined} pairs have captions of {path.name}, joined by {report.by}"]
    if report.unmatched_references.count:
        lines.append(f"{report.unmatched_references.count} records of {path.name} belong to no pair here")
    lines += [f"{path.name}: {line}" for line in report.reference_problems]
    return WithReferences(tuple(found), (*lines, *report.notes))

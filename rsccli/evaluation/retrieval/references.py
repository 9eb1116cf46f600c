"""Captions of people as tasks of retrieval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rsccli.errors import InputError
from rsccli.evaluation.changeflag import changed_by_words
from rsccli.evaluation.records import grouped, read_captions
from rsccli.evaluation.retrieval.measure import Task


@dataclass(frozen=True)
class References:
    """Captions of people.

    Attributes:
        path: the file. names: of the pairs. captions: of each, at least one. changed: what the file says of a pair, or
            else its captions. notes: what was left out.
    """

    path: Path
    names: tuple[str, ...]
    captions: tuple[tuple[str, ...], ...]
    changed: tuple[bool | None, ...]
    notes: tuple[str, ...]


def read_references(path: Path, split: str | None = None, column: str | None = None) -> References:
    """Captions of a file, see `rsccli.evaluation.records`.

    Raises:
        InputError: the file cannot be read, or has fewer than two pairs with captions.
    """
    file = read_captions(path, column=column, split=split, role="references")
    kept = [record for record in file.records if record.captions]
    if len(kept) < 2:
        raise InputError(f"{path}: {len(kept)} pairs with captions: retrieval needs at least two to choose from")
    notes = [f"{path.name}: {line}" for line in grouped(file.problems)]
    if len(kept) < len(file.records):
        notes.append(f"{path.name}: {len(file.records) - len(kept)} pairs without captions were left out")
    return References(
        path,
        tuple(record.key for record in kept),
        tuple(record.captions for record in kept),
        tuple(changed_by_words(record.captions) if record.changed is None else record.changed for record in kept),
        tuple(notes),
    )


def task_of(captions: Sequence[Sequence[str]], changed: Sequence[bool | None]) -> Task:
    """Every caption is a text."""
    texts = [text for own in captions for text in own]
    owners = [pair for pair, own in enumerate(captions) for _ in own]
    return Task(captions, texts, owners, changed)

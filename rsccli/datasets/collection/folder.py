"""The folder of a data set: names of its files, and reading a finished one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import orjson

from rsccli.datasets.collection.pair import LabelledPair, pair_from_json
from rsccli.errors import InputError

IMAGES, ANNOTATED = "images", "annotated"
PAIRS, PROMPTS, FOOTPRINTS, PROBLEMS, FACTS = (
    "pairs.jsonl",
    "prompts.jsonl",
    "footprints.geojson",
    "problems.jsonl",
    "dataset.json",
)
JOURNAL = "dataset.journal"


@dataclass(frozen=True)
class Dataset:
    """A finished data set.

    Attributes:
        folder: of it. pairs: in order. digest: sha256 of ``pairs.jsonl``, hexadecimal.
    """

    folder: Path
    pairs: tuple[LabelledPair, ...]
    digest: str


def read_dataset(folder: Path) -> Dataset:
    """Read a finished data set.

    Raises:
        InputError: it is none, is not finished, or was altered so that it cannot be read.
    """
    if not (folder / FACTS).is_file():
        why = "it was cut: run the command that made it again" if (folder / JOURNAL).is_file() else "make one first"
        raise InputError(f"{folder}: no finished data set of rsccli dataset ({FACTS} is missing): {why}")
    path = folder / PAIRS
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    pairs = []
    for number, line in enumerate(data.splitlines(), start=1):
        try:
            value = orjson.loads(line)
            pairs.append(pair_from_json(value if isinstance(value, dict) else {}))
        except ValueError as error:
            raise InputError(f"{path}, line {number}: {error}; make the data set again") from error
    return Dataset(folder, tuple(pairs), hashlib.sha256(data).hexdigest())

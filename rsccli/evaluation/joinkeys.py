"""Ways to tell that two records are of one pair."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass

from rsccli.evaluation.records.record import CaptionRecord, base_name

_IMAGE = re.compile(r"\.(?:png|tiff?|jpe?g|jp2|webp|bmp|npy)$", re.IGNORECASE)


@dataclass(frozen=True)
class Way:
    """One way to name the pair of a record.

    Attributes:
        name: for people and reports.
        key: of a record; None where it has none of this kind.
        exact: what the key stands for. Two of them under one key are two pairs, which must not become one.
    """

    name: str
    key: Callable[[CaptionRecord], Hashable | None]
    exact: Callable[[CaptionRecord], Hashable | None]


def stem(name: str) -> str:
    """Last part of a path without the suffix of an image: ``test/A/7.png`` and ``7.tif`` are ``7``."""
    return _IMAGE.sub("", base_name(name))


def _id(record: CaptionRecord) -> str | None:
    return record.key if record.keyed == "id" else None


def _line(record: CaptionRecord) -> str | None:
    return record.key if record.keyed == "line" else None


def _id_stem(record: CaptionRecord) -> str | None:
    return stem(record.key) if record.keyed == "id" else None


def _both(of: Callable[[str], str]) -> Callable[[CaptionRecord], Hashable | None]:
    def key(record: CaptionRecord) -> tuple[str, str] | None:
        return None if record.pre is None or record.post is None else (of(record.pre), of(record.post))

    return key


_paths = _both(lambda path: path.replace("\\", "/").removeprefix("./"))
_stems = _both(stem)
LINES = Way("line", _line, _line)
WAYS = (
    Way("id", _id, _id),
    Way("pre and post", _both(base_name), _paths),
    Way("id without folder and suffix", _id_stem, _id),
    Way("pre and post without suffix", _stems, _paths),
    LINES,
)
_BY_ID = (WAYS[0], WAYS[2])


@dataclass(frozen=True)
class Attempt:
    """What one way joins.

    Attributes:
        pairs: keys that both sides have, in the order of the references.
        refused: why the way cannot be taken, in words, or None.
        doubted: pairs of one id whose images have other names in the two files, in words.
    """

    way: Way
    pairs: tuple[Hashable, ...]
    refused: str | None = None
    doubted: tuple[str, ...] = ()


def attempts(predictions: Iterable[CaptionRecord], references: Iterable[CaptionRecord]) -> tuple[Attempt, ...]:
    """Every way, the one that joins the most pairs first; of those that join as many, the stricter one.

    Ids that contradict the names of the images (both files numbered their own rows) come after the names.
    """
    sides = (tuple(predictions), tuple(references))
    found = [_attempt(way, *sides) for way in WAYS]
    # Sorting keeps the order of equals.
    return tuple(sorted(found, key=lambda attempt: (-len(attempt.pairs), bool(attempt.doubted))))


def _attempt(way: Way, predictions: tuple[CaptionRecord, ...], references: tuple[CaptionRecord, ...]) -> Attempt:
    said, wanted = _grouped(way, predictions), _grouped(way, references)
    pairs = tuple(key for key in wanted if key in said)
    if way is LINES and pairs and (said.keys() != wanted.keys() or len(said) < len(predictions)):
        return Attempt(
            way,
            pairs,
            f"line by line is only right where both have the same lines, and these have {len(predictions)} and "
            f"{len(references)} records; give every line an id",
        )
    for key in pairs:
        for side in (said, wanted):
            if len(side[key]) > 1:
                one, other = (words_of(value) for value in list(side[key])[:2])
                return Attempt(way, pairs, f"by {way.name}, {one} and {other} would be one pair")
    images = (_grouped(way, predictions, _stems), _grouped(way, references, _stems)) if way in _BY_ID else ({}, {})
    doubted = tuple(
        f"{words_of(key)}: {words_of(next(iter(images[0][key])))} and {words_of(next(iter(images[1][key])))}"
        for key in pairs
        if key in images[0] and key in images[1] and not images[0][key].keys() & images[1][key].keys()
    )
    return Attempt(way, pairs, doubted=doubted)


def _grouped(
    way: Way, records: Iterable[CaptionRecord], exact: Callable[[CaptionRecord], Hashable | None] | None = None
) -> dict[Hashable, dict[Hashable, None]]:
    """What stands under each key of the way, in the records' order."""
    found: dict[Hashable, dict[Hashable, None]] = {}
    for record in records:
        key, value = way.key(record), (exact or way.exact)(record)
        if key is not None and value is not None:
            found.setdefault(key, {})[value] = None
    return found


def words_of(value: Hashable) -> str:
    """A key for people."""
    return " | ".join(value) if isinstance(value, tuple) else str(value)

"""What a file of captions holds, whatever its format."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

KeyedBy = Literal["id", "pre and post", "line"]


@dataclass(frozen=True)
class CaptionRecord:
    """One pair's captions: of a model (one) or of people (one or more).

    Attributes:
        key: how the file names the pair: its id, or the file names of pre and post, or its place in the file.
        captions: with single spaces and no empty one among them; none at all where the file has only empty ones.
        pre, post: base name or path, as given.
        changed: what the file itself says of the pair, e.g. ``changeflag`` of LEVIR-CC; None: nothing.
        split: ``train``, ``val``, ``test`` or another name.
        model: who wrote the captions. regime: how it was asked, e.g. ``zero-shot``, ``textual_prompt``.
        where: ``file:line`` or ``file:number``.
        keyed: what ``key`` is. A line is only another file's pair where both files have the same lines.
    """

    key: str
    captions: tuple[str, ...]
    pre: str | None = None
    post: str | None = None
    changed: bool | None = None
    split: str | None = None
    model: str | None = None
    regime: str | None = None
    where: str = ""
    keyed: KeyedBy = "id"


@dataclass(frozen=True)
class RecordFile:
    """A file of captions as it was read.

    Attributes:
        format: name in `rsccli.evaluation.records.FORMATS`.
        records: in the file's order.
        problems: what was left out or mended, one line each: ``PLACE: WHAT (DETAIL)``, e.g. ``line 7: empty caption``.
    """

    path: Path
    format: str
    records: tuple[CaptionRecord, ...]
    problems: tuple[str, ...] = ()


def names_key(pre: str, post: str) -> str:
    """Key of a pair that is known by its images alone."""
    return f"{base_name(pre)} | {base_name(post)}"


def base_name(path: str) -> str:
    """Last part of a path that was written on any system."""
    return re.split(r"[\\/]", path.strip().rstrip("\\/"))[-1]


def grouped(problems: Iterable[str]) -> list[str]:
    """The same problems, one line per kind: ``25 x empty caption, first at line 1``; the most frequent first."""
    counts: Counter[str] = Counter()
    first: dict[str, str] = {}
    for problem in problems:
        where, _, what = problem.partition(": ")
        kind = what.partition(" (")[0] or where
        counts[kind] += 1
        first.setdefault(kind, where)
    return [f"{count} x {kind}, first at {first[kind]}" for kind, count in counts.most_common()]

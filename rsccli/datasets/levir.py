"""A LEVIR-CC folder (Liu et al. 2022): checked file by file, and indexed for training and evaluation.

``images/SPLIT/A/NAME.png`` is before, ``images/SPLIT/B/NAME.png`` after, ``LevirCCcaptions.json`` holds five sentences
of each pair. LEVIR-MCI, WHU-CDC and Dubai-CC have the same layout.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsccli import __version__
from rsccli.datasets.collection.images import read_png
from rsccli.datasets.collection.problem import Problem, first_of
from rsccli.datasets.collection.progress import Progress, silent
from rsccli.errors import InputError, OutputError, UsageProblem
from rsccli.evaluation.changeflag import changed_by_words, says_unchanged
from rsccli.evaluation.records import CaptionRecord, read_captions
from rsccli.output.text import json_bytes
from rsccli.output.writers.atomic import replacing

CAPTIONS = "LevirCCcaptions.json"
SENTENCES = 5
DATES = ("A", "B")


@dataclass(frozen=True)
class LevirJob:
    """One ``rsccli dataset levir``.

    Attributes:
        folder: of the data set. output: the index; None: ``index.jsonl`` in it.
        captions: file of sentences; None: ``LevirCCcaptions.json`` in the folder. side_px: of every image.
        jobs: threads; they do not change the result. overwrite: replace the index.
    """

    folder: Path
    output: Path | None = None
    captions: Path | None = None
    side_px: int = 256
    jobs: int = 2
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.side_px < 1:
            raise UsageProblem(f"--side {self.side_px}: give the side of an image in pixels, 256 for LEVIR-CC")


@dataclass(frozen=True)
class LevirFacts:
    """What a folder holds.

    Attributes:
        index: file. pairs: in the index. changed, unchanged: of them, by flag or words. sentences: of them.
        by_split: pairs of each split. left_out: pairs that could not be used. doubtful: pairs in the index with
            something wrong about their words, or with twins in another split. notes: further findings.
    """

    index: str
    pairs: int
    changed: int
    unchanged: int
    sentences: int
    by_split: dict[str, int]
    left_out: int
    doubtful: int
    notes: int
    version: str = __version__


@dataclass(frozen=True)
class _Seen:
    """What looking at one pair gave: sha256 of the pixels of both dates, or what is wrong."""

    digest: str | None
    problem: str | None


def index_levir(job: LevirJob, progress: Progress = silent) -> tuple[LevirFacts, tuple[Problem, ...]]:
    """Check a folder and write its index, with the problems beside it (``index.problems.jsonl``).

    Returns:
        Facts, and what was found.

    Raises:
        InputError: no such folder, no sentences, or no pair that can be used. OutputError: the index cannot be written.
    """
    folder, output = job.folder, job.output or job.folder / "index.jsonl"
    _refuse_what_is_there(folder, output, job.overwrite)
    file = read_captions(job.captions or folder / CAPTIONS)
    problems = [Problem(file.path.name, each, left_out=False) for each in file.problems]
    records, twice = _once(file.records)
    problems += twice
    seen: dict[str, _Seen] = {}
    with ThreadPoolExecutor(max(1, job.jobs), "rsccli-levir") as pool:
        looks = pool.map(lambda each: _look(folder, each, job.side_px), records)
        for record, found in zip(records, looks, strict=True):
            seen[_name(record)] = found
            progress(1, False, len(records))
    kept = []
    for record in records:
        problem = seen[_name(record)].problem or (None if record.captions else "it has no sentence")
        if problem is None:
            kept.append(record)
        else:
            problems.append(Problem(_name(record), problem))
    if not kept:
        raise InputError(f"{folder}: no pair of {file.path.name} could be used:\n{first_of(problems)}")
    doubts = [*_wrong_words(kept), *_leaks(kept, seen)]
    problems += [*doubts, *_copies(kept, seen), *_strays(folder, records)]
    facts = LevirFacts(
        index=str(output),
        pairs=len(kept),
        changed=sum(_changed(record) for record in kept),
        unchanged=sum(not _changed(record) for record in kept),
        sentences=sum(len(record.captions) for record in kept),
        by_split=dict(sorted(Counter(record.split for record in kept if record.split).items())),
        left_out=sum(problem.left_out for problem in problems),
        doubtful=len({problem.file for problem in doubts}),
        notes=sum(not problem.left_out for problem in problems) - len(doubts),
    )
    _write(job, output, kept, problems)
    return facts, tuple(problems)


def _refuse_what_is_there(folder: Path, output: Path, overwrite: bool) -> None:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    if not (folder / "images").is_dir():
        raise InputError(f"{folder}: no folder images in it: give the folder that LEVIR-CC was unpacked into")
    if output.suffix.lower() != ".jsonl":
        raise UsageProblem(f"-o {output}: an index has the suffix .jsonl")
    if output.exists() and not overwrite:
        raise OutputError(f"{output} exists; add --overwrite to replace it, or name another file with -o")
    if not output.parent.is_dir():
        raise OutputError(f"the folder {output.parent} does not exist; make it with: mkdir -p {output.parent}")
    if not os.access(output.parent, os.W_OK | os.X_OK):
        raise OutputError(f"the folder {output.parent} is not writable; name a file elsewhere with -o")


def _name(record: CaptionRecord) -> str:
    """How problems and the index name a pair."""
    return f"{record.split}/{record.key}" if record.split else record.key


def _once(records: Sequence[CaptionRecord]) -> tuple[list[CaptionRecord], list[Problem]]:
    first: dict[str, CaptionRecord] = {}
    problems = []
    for record in records:
        if (name := _name(record)) in first:
            problems.append(Problem(name, f"it stands twice in the file of sentences: {record.where} was left out"))
        else:
            first[name] = record
    return list(first.values()), problems


def _paths(folder: Path, record: CaptionRecord) -> tuple[Path, Path]:
    assert record.pre is not None and record.post is not None
    return folder / "images" / record.pre, folder / "images" / record.post


def _look(folder: Path, record: CaptionRecord, side_px: int) -> _Seen:
    """Read both images of a pair whole."""
    if record.pre is None or record.post is None:
        return _Seen(None, "the file of sentences does not name its images")
    digest = hashlib.sha256()
    for path in _paths(folder, record):
        where = path.relative_to(folder)
        if not path.is_file():
            return _Seen(None, f"{where} is missing")
        try:
            pixels = read_png(path)
        except InputError as error:
            return _Seen(None, str(error).replace(str(path), str(where)))
        height, width = pixels.shape[1:]
        if (width, height) != (side_px, side_px):
            return _Seen(None, f"{where} has {width}x{height} pixels, not {side_px}x{side_px}")
        digest.update(pixels.tobytes())
    return _Seen(digest.hexdigest(), None)


def _changed(record: CaptionRecord) -> bool:
    """What the flag says, or else most of the words."""
    if record.changed is not None:
        return record.changed
    return bool(changed_by_words(record.captions))


def _wrong_words(records: Sequence[CaptionRecord]) -> Iterator[Problem]:
    """Pairs whose sentences are not five, or deny what the flag says."""
    for record in records:
        if len(record.captions) != SENTENCES:
            yield Problem(_name(record), f"{len(record.captions)} sentences, not {SENTENCES}", left_out=False)
        if record.changed is None:
            yield Problem(_name(record), "no change flag", left_out=False)
            continue
        against = [text for text in record.captions if says_unchanged(text) == record.changed]
        if against:
            flag = "changed" if record.changed else "unchanged"
            told = f"{len(against)} of its {len(record.captions)} sentences the opposite: {against[0]!r}"
            yield Problem(_name(record), f"its flag says {flag}, {told}", left_out=False)


def _twins(records: Sequence[CaptionRecord], seen: dict[str, _Seen]) -> Iterator[tuple[CaptionRecord, CaptionRecord]]:
    """(first, later) pairs whose images are equal, pixel by pixel."""
    first: dict[str | None, CaptionRecord] = {}
    for record in records:
        other = first.setdefault(seen[_name(record)].digest, record)
        if other is not record:
            yield other, record


def _leaks(records: Sequence[CaptionRecord], seen: dict[str, _Seen]) -> Iterator[Problem]:
    for other, record in _twins(records, seen):
        if other.split != record.split:
            text = f"its images are those of {_name(other)}, in another split: what is tested was learned from"
            yield Problem(_name(record), text, left_out=False)


def _copies(records: Sequence[CaptionRecord], seen: dict[str, _Seen]) -> Iterator[Problem]:
    for other, record in _twins(records, seen):
        if other.split == record.split:
            yield Problem(_name(record), f"its images are those of {_name(other)}", left_out=False)


def _strays(folder: Path, records: Sequence[CaptionRecord]) -> Iterator[Problem]:
    """Images that no sentence is about."""
    named = {path for record in records if record.pre and record.post for path in _paths(folder, record)}
    for path in sorted((folder / "images").rglob("*.png")):
        if path.parent.name in DATES and path not in named:
            yield Problem(str(path.relative_to(folder)), "no sentence is about it", left_out=False)


def _write(job: LevirJob, output: Path, records: Sequence[CaptionRecord], problems: Sequence[Problem]) -> None:
    beside = output.with_name(output.name.removesuffix(output.suffix) + ".problems.jsonl")
    beside.unlink(missing_ok=True)
    if problems:
        with replacing(beside) as part, part.open("wb") as out:
            out.writelines(json_bytes(problem.to_json()) + b"\n" for problem in problems)
    with replacing(output) as part, part.open("wb") as out:
        out.writelines(json_bytes(line) + b"\n" for line in _lines(job.folder, output.parent, records))


def _lines(folder: Path, beside: Path, records: Sequence[CaptionRecord]) -> Iterator[dict[str, Any]]:
    """Records as training and evaluation read them; paths are relative to the index."""
    for record in records:
        pre, post = (Path(os.path.relpath(path, beside)).as_posix() for path in _paths(folder, record))
        yield {
            "id": record.key,
            "pre": pre,
            "post": post,
            "captions": list(record.captions),
            "status": "changed" if _changed(record) else "unchanged",
            "split": record.split,
        }

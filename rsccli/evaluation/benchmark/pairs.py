"""The pairs of a benchmark, and which of them are asked about."""

from __future__ import annotations

import fnmatch
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from rsccli.errors import InputError, UsageProblem
from rsccli.evaluation.benchmark.told import Told
from rsccli.evaluation.records.fields import split_name


@dataclass(frozen=True)
class BenchmarkPair:
    """One pair.

    Attributes:
        key: unique. index: number in the list of pairs, which draws of a model depend on.
        pre, post: images as the list names them. pre_file, post_file: where they are; None where they are not.
        annotated: the later date with outlines on it, or None.
        references: captions of people, may be empty. changed: what the list says of the pair, or None.
        gsd_m: metres per pixel, or None where its record does not say. problem: why its images cannot be used.
    """

    key: str
    index: int
    pre: str
    post: str
    pre_file: Path | None = None
    post_file: Path | None = None
    annotated: Path | None = None
    references: tuple[str, ...] = ()
    changed: bool | None = None
    split: str | None = None
    gsd_m: float | None = None
    told: Told = field(default_factory=Told)
    problem: str | None = None


@dataclass(frozen=True)
class PairList:
    """All pairs of what a user named.

    Attributes:
        path: file or folder of the list. format: of it. captioned: whether it holds references.
        notes: what a reader should know of it.
    """

    path: Path
    format: str
    pairs: tuple[BenchmarkPair, ...]
    captioned: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choice:
    """Which pairs are asked about.

    Attributes:
        split: only those of this split. only: pattern of their names (``test_*``). limit: most pairs, 0 for all.
        seed: that these are drawn with.
    """

    split: str | None = None
    only: str | None = None
    limit: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.limit < 0:
            raise UsageProblem(f"--limit {self.limit}: give the largest number of pairs, or 0 for all")


@dataclass(frozen=True)
class Chosen:
    """The pairs that are asked about, all of them with references.

    Attributes:
        found: pairs of the list. matching: of split and pattern. without: of these without a reference, not asked.
        splits: chosen pairs of each split, ``""`` where nobody says.
    """

    pairs: tuple[BenchmarkPair, ...]
    found: int
    matching: int
    without: int
    splits: tuple[tuple[str, int], ...]


def of_name(pairs: Sequence[BenchmarkPair], choice: Choice, path: Path) -> tuple[BenchmarkPair, ...]:
    """Pairs whose name fits ``choice.only``.

    Raises:
        InputError: none does.
    """
    if choice.only is None:
        return tuple(pairs)
    return _kept(
        pairs, lambda pair: fnmatch.fnmatchcase(pair.key, choice.only or ""), path, f"fits --only {choice.only}"
    )


def of_split(pairs: Sequence[BenchmarkPair], choice: Choice, path: Path) -> tuple[BenchmarkPair, ...]:
    """Pairs of ``choice.split``, or all of them where they are of one split.

    Raises:
        UsageProblem: several splits and none was named, or nobody says which pair is of which.
        InputError: no such split.
    """
    there = Counter(pair.split for pair in pairs)
    names = ", ".join(f"{name or 'none'} ({number:,})" for name, number in there.items())
    if choice.split is None:
        if len(there) > 1:
            raise UsageProblem(f"{path} holds several splits: {names}; name one with --split")
        return tuple(pairs)
    if set(there) == {None}:
        raise UsageProblem(f"{path}: it does not say which pair is of which split; leave --split {choice.split} out")
    wanted = split_name(choice.split.strip())
    return _kept(pairs, lambda pair: pair.split == wanted, path, f"is of the split {choice.split!r}; it has {names}")


def _kept(
    pairs: Sequence[BenchmarkPair], keep: Callable[[BenchmarkPair], bool], path: Path, what: str
) -> tuple[BenchmarkPair, ...]:
    kept = tuple(pair for pair in pairs if keep(pair))
    if not kept:
        raise InputError(f"{path}: none of {len(pairs)} pairs {what}")
    return kept


def choose(pairs: Sequence[BenchmarkPair], choice: Choice, found: int, path: Path) -> Chosen:
    """Draw the pairs that are asked about among those with a reference.

    Args:
        pairs: that fit split and pattern, with their references. found: pairs of the list.

    Raises:
        InputError: no pair has a reference, or no image of any is there.
    """
    scored = [pair for pair in pairs if pair.references]
    if not scored:
        raise InputError(f"{path}: no pair has a reference caption; give a file of captions with --references")
    if choice.limit and len(scored) > choice.limit:
        order = np.random.default_rng(choice.seed).permutation(len(scored))[: choice.limit]
        scored = [scored[index] for index in sorted(order.tolist())]
    if all(pair.problem for pair in scored):
        raise InputError(f"{path}: no pair can be used; {scored[0].key}: {scored[0].problem}")
    splits = Counter(pair.split or "" for pair in scored)
    return Chosen(tuple(scored), found, len(pairs), sum(not pair.references for pair in pairs), tuple(splits.items()))


def merged(pairs: Sequence[BenchmarkPair], path: Path) -> tuple[BenchmarkPair, ...]:
    """Records of one pair put together: each has its own references.

    Raises:
        InputError: two pairs have one name.
    """
    found: dict[str, BenchmarkPair] = {}
    for pair in pairs:
        first = found.setdefault(pair.key, pair)
        if first is pair:
            continue
        if (first.pre, first.post) != (pair.pre, pair.post):
            raise InputError(f"{path}: two pairs are named {pair.key}; give each an id of its own")
        found[pair.key] = replace(first, references=(*first.references, *pair.references))
    return tuple(found.values())

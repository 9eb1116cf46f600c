"""What was retrieved, as plain frozen values: tables and JSON are made from these alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rsccli.evaluation.retrieval.ranks import CUTS, Rank

Way = Literal["text to change", "change to text"]


@dataclass(frozen=True)
class Numbers:
    """Recall@1, 5 and 10, times 100, with 95 % intervals, and the median rank.

    Attributes:
        recall: by `rsccli.evaluation.retrieval.ranks.CUTS`. intervals: low and high of each; None where there is none.
    """

    recall: tuple[float, ...]
    median_rank: float
    intervals: tuple[tuple[float, float] | None, ...]


@dataclass(frozen=True)
class Row:
    """One way of retrieval on one set of questions.

    Attributes:
        by: what stands for a change: ``captions``, ``pre``, ``post``, ``change``, or the name of an array.
        way: what is asked and what is found. scope: ``all``, or ``changed`` (questions of changed pairs alone, against
            all answers). questions, answers: how many.
        equals: duplicates counted as equals. naive: only the very pair is right. chance: of a random order, as equals.
    """

    by: str
    way: Way
    scope: Literal["all", "changed"]
    questions: int
    answers: int
    equals: Numbers
    naive: Numbers
    chance: Numbers


@dataclass(frozen=True)
class Retrieval:
    """All that ``rsccli evaluate retrieval`` found.

    Attributes:
        kind: ``captions`` (texts find texts by their words), ``model`` (a dual encoder), ``vectors``, ``similarity``.
        source: what was evaluated, in words. references, sha256, split: the captions of people.
        pairs, texts: how many. changed_pairs: of them, None where nothing tells. shared: texts that are a caption of
            another pair, too.
        samples, seed: of the intervals.
    """

    kind: Literal["captions", "model", "vectors", "similarity"]
    source: str
    references: str
    sha256: str
    split: str | None
    pairs: int
    changed_pairs: int | None
    texts: int
    shared: int
    rows: tuple[Row, ...]
    samples: int
    seed: int
    notes: tuple[str, ...] = ()


def numbers_of(ranks: Sequence[Rank], groups: Sequence[int], samples: int, seed: int) -> Numbers:
    """Means of many questions.

    Args:
        ranks: of the questions. groups: pair of each: an interval draws pairs, since the questions of one pair go
            together. samples: of the bootstrap, 0 for none. seed: of its random numbers.
    """
    recall = np.array([rank.recall for rank in ranks])
    first = np.array([rank.first for rank in ranks])
    intervals: list[tuple[float, float] | None] = [None] * len(CUTS)
    numbers, places = np.unique(np.array(groups), return_inverse=True)
    if samples > 0 and len(numbers) > 1:
        sums = np.zeros((len(numbers), len(CUTS) + 1))
        np.add.at(sums, places, np.column_stack([recall, np.ones(len(recall))]))
        generator = np.random.default_rng(seed)
        drawn = np.empty((samples, len(CUTS)))
        for sample in range(samples):
            weights = np.bincount(generator.integers(0, len(numbers), len(numbers)), minlength=len(numbers))
            whole = weights @ sums
            drawn[sample] = whole[:-1] / whole[-1]
        low, high = np.percentile(drawn, (2.5, 97.5), axis=0)
        intervals = [(100 * float(a), 100 * float(b)) for a, b in zip(low, high, strict=True)]
    return Numbers(tuple((100 * recall.mean(axis=0)).tolist()), float(np.median(first)), tuple(intervals))

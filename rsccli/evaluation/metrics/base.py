"""What a metric gives back: sums where it adds up over pairs, a function of the chosen pairs where it does not.

Nearly every score is a function of sums over pairs: BLEU of matched and possible n-grams, METEOR 1.5 of matches and
lengths, the others of a mean. `Measured` keeps the numbers of each pair, so that subsets, bootstraps and paired tests
are additions of rows. The number of *different* words does not add up; `Whole` counts it again for the pairs asked for,
and it gets no bootstrap interval: a sample with replacement always repeats texts, so it always looks less rich.

Both have ``keys``, ``notes``, ``len()`` and ``value(indices)``; only `Measured` has ``values(counts)``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from rsccli.errors import InputError

F64 = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
Combine: TypeAlias = Callable[[F64, F64], F64]


@dataclass(frozen=True, eq=False)
class Measured:
    """What a metric measured on N pairs, as numbers that add up over pairs.

    Attributes:
        keys: names of the values, e.g. ``("bleu_1", "bleu_2", "bleu_3", "bleu_4")``.
        statistics: (N, K), a row for each pair.
        combine: sums (..., K) and numbers of pairs (...) to values (..., len(keys)); text scores are times 100.
            NaN where there are no pairs.
        notes: what a reader must know, e.g. which METEOR it is.
    """

    keys: tuple[str, ...]
    statistics: F64
    combine: Combine
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.statistics)

    def value(self, indices: Indices | None = None) -> F64:
        """The values (len(keys),) on all pairs, or on those of ``indices`` (repeated indices count again)."""
        rows = self.statistics if indices is None else self.statistics[indices]
        return self.combine(rows.sum(axis=0), np.asarray(float(len(rows))))

    def values(self, counts: F64) -> F64:
        """The values (B, len(keys)) on B samples; ``counts`` (B, N) says how often each holds each pair."""
        return self.combine(counts @ self.statistics, counts.sum(axis=1))


@dataclass(frozen=True, eq=False)
class Whole:
    """What a metric counts over all texts at once: it does not add up over pairs and is not resampled.

    Attributes:
        keys: names of the values. pairs: N. value_of: indices of pairs to values (len(keys),). notes: as in `Measured`.
    """

    keys: tuple[str, ...]
    pairs: int
    value_of: Callable[[Indices], F64]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return self.pairs

    def value(self, indices: Indices | None = None) -> F64:
        """The values (len(keys),) on all pairs, or on those of ``indices``."""
        return self.value_of(np.arange(self.pairs) if indices is None else indices)


Measurement: TypeAlias = Measured | Whole


class Metric(ABC):
    """One metric; holds its choices (folders, which METEOR) and caches.

    Attributes:
        name: for messages, e.g. ``"METEOR 1.5"``.
        keys: the keys that `measure` will give.
        of_the_set: whether a pair's numbers depend on the other pairs given with it (CIDEr-D takes its document
            frequencies from the references given). Rows of such a metric may be summed over samples of the same set,
            but another set (the changed pairs alone) must be measured anew.
        outside: whether another process does the work, so that this one can do something else meanwhile.
    """

    name: str
    keys: tuple[str, ...]
    of_the_set: bool = False
    outside: bool = False

    @abstractmethod
    def measure(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Measurement:
        """Score each prediction against its references; texts are as the protocol left them.

        Raises:
            InputError: different numbers of predictions and references, or a pair without a reference.
            ModelError: a model or Java that failed.
        """


def measure_all(
    metrics: Sequence[Metric], predictions: Sequence[str], references: Sequence[Sequence[str]]
) -> list[Measurement]:
    """What each metric measures, in their order; Java works while Python counts.

    Raises:
        InputError, ModelError: as `Metric.measure`.
    """
    with ThreadPoolExecutor(max_workers=max(1, sum(metric.outside for metric in metrics))) as pool:
        begun = {
            index: pool.submit(metric.measure, predictions, references)
            for index, metric in enumerate(metrics)
            if metric.outside
        }
        here = {
            index: metric.measure(predictions, references) for index, metric in enumerate(metrics) if not metric.outside
        }
        return [begun[index].result() if index in begun else here[index] for index in range(len(metrics))]


def check_pairs(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    """Every prediction must have at least one reference.

    Raises:
        InputError: it has none, or the lists differ in length.
    """
    if len(predictions) != len(references):
        raise InputError(
            f"{len(predictions)} predictions against references of {len(references)} pairs: join them first"
        )
    for index, texts in enumerate(references):
        if not texts:
            raise InputError(f"pair {index + 1} has no reference; leave such pairs out before scoring")


def means(sums: F64, pairs: F64) -> F64:
    """Sums (..., K) over numbers of pairs (...): means, NaN without pairs."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(sums / np.asarray(pairs)[..., None], np.float64)


def hundred_means(sums: F64, pairs: F64) -> F64:
    """`means` times 100: scores of 0 to 1 become points."""
    return 100.0 * means(sums, pairs)


def mean_score(key: str, scores: Sequence[float] | F64, notes: tuple[str, ...] = ()) -> Measured:
    """A score that is the mean of the pairs' scores, times 100."""
    return Measured((key,), np.asarray(scores, np.float64).reshape(-1, 1), hundred_means, notes)

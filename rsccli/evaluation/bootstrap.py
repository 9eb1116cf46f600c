"""Intervals and paired tests from sums per pair: no text is scored a second time.

The bootstrap (Efron 1979; for such scores Koehn 2004) draws as many pairs as there are, with replacement, and scores
the sample. With sums per pair a sample is a row of weights: all samples are one product of matrices. The interval is
that of the percentiles 2.5 and 97.5.

The paired test is approximate randomisation (Noreen 1989; Riezler and Maxwell 2005): under the hypothesis that the two
files are equally good, exchanging their captions of a pair changes nothing; p is the share of random exchanges whose
difference is at least as large as the observed one, in either direction.

Document frequencies of CIDEr-D are those of the evaluated pairs; they are not drawn anew with the samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rsccli.evaluation.metrics.base import F64
from rsccli.evaluation.scored import Scored

LEVEL = 0.95
_PERCENTILES = (50 * (1 - LEVEL), 100 - 50 * (1 - LEVEL))
# Weights of one block of samples: 4 million numbers, 32 MB.
_BLOCK = 4_000_000


@dataclass(frozen=True, eq=False)
class PairedResult:
    """First minus second, for each key.

    Attributes:
        difference: (keys,). interval: (keys, 2), 95 %. p_value: (keys,), two-sided.
    """

    difference: F64
    interval: F64
    p_value: F64


def intervals(scored: Sequence[Scored], samples: int, seed: int) -> list[F64]:
    """95 % bootstrap intervals of several sets of scores.

    Args:
        scored: scores; those on equally many pairs get the same samples, so on the same pairs they can be compared.
        samples: how many; 0 gives NaN. seed: of the random numbers; the same seed gives the same intervals.

    Returns:
        For each of ``scored`` (len(keys), 2): low and high; NaN where a value does not add up over pairs, where a
        sample has none (no pair that is called changed, say), or where fewer than two pairs leave nothing to draw from.
    """
    told: dict[int, F64] = {}
    for pairs in dict.fromkeys(map(len, scored)):
        same = [index for index, each in enumerate(scored) if len(each) == pairs]
        if samples < 1 or pairs < 2:
            told |= {index: np.full((len(scored[index].keys), 2), np.nan) for index in same}
            continue
        statistics = [scored[index].statistics() for index in same]
        sums = _sampled_sums(np.hstack(statistics), samples, seed)
        number, start = np.full(samples, float(pairs)), 0
        for index, own in zip(same, statistics, strict=True):
            stop = start + own.shape[1]
            told[index] = _percentiles(scored[index].of_sums(sums[:, start:stop], number))
            start = stop
    return [told[index] for index in range(len(scored))]


def compare(first: Scored, second: Scored, samples: int, seed: int) -> PairedResult:
    """Two sets of scores on the same pairs: difference, paired bootstrap interval, approximate randomisation.

    Args:
        first, second: scores of the same metrics on the same N pairs, in the same order. samples: of the bootstrap, and
            as many random exchanges; 0 gives differences alone. seed: of the random numbers.
    """
    pairs = len(first)
    difference = first.values() - second.values()
    if samples < 1 or pairs < 2:
        nothing = np.full(len(first.keys), np.nan)
        return PairedResult(difference, np.stack([nothing, nothing], axis=-1), nothing)
    one, other = first.statistics(), second.statistics()
    width, number = one.shape[1], np.full(samples, float(pairs))
    sums = _sampled_sums(np.hstack([one, other]), samples, seed)
    drawn = first.of_sums(sums[:, :width], number) - second.of_sums(sums[:, width:], number)
    apart = other - one
    moved = np.concatenate([swaps @ apart for swaps in _exchanges(pairs, samples, seed)])
    exchanged = first.of_sums(one.sum(axis=0) + moved, number) - second.of_sums(other.sum(axis=0) - moved, number)
    # Sums in another order differ in the last bits: equal is at least as large.
    as_large = np.abs(exchanged) >= np.abs(difference) - 1e-9
    p_value = (1 + as_large.sum(axis=0)) / (samples + 1)
    p_value = np.where(np.isnan(exchanged).any(axis=0), np.nan, p_value)
    return PairedResult(difference, _percentiles(drawn), p_value)


def _sampled_sums(statistics: F64, samples: int, seed: int) -> F64:
    """(N, K) to (samples, K)."""
    return np.concatenate([counts @ statistics for counts in _sample_counts(len(statistics), samples, seed)])


def _sample_counts(pairs: int, samples: int, seed: int) -> Iterator[F64]:
    """Blocks (b, N): how often each sample holds each pair."""
    generator = np.random.default_rng(seed)
    for size in _blocks(pairs, samples):
        drawn = generator.integers(0, pairs, size=(size, pairs)) + pairs * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * pairs).reshape(size, pairs).astype(np.float64)


def _exchanges(pairs: int, samples: int, seed: int) -> Iterator[F64]:
    """Blocks (b, N) of zeros and ones: which pairs exchange their captions."""
    # A generator of its own: exchanges must not depend on how many numbers the bootstrap drew.
    generator = np.random.default_rng((seed, 1))
    for size in _blocks(pairs, samples):
        yield generator.integers(0, 2, size=(size, pairs)).astype(np.float64)


def _blocks(pairs: int, samples: int) -> Iterator[int]:
    block = max(1, _BLOCK // pairs)
    for start in range(0, samples, block):
        yield min(block, samples - start)


def _percentiles(drawn: F64) -> F64:
    """(samples, keys) to (keys, 2); NaN where any sample has no value."""
    # A sample may hold no case that a score speaks of (no unchanged pair, say): then there is no honest interval.
    low, high = np.percentile(drawn, _PERCENTILES, axis=0)
    return np.stack([low, high], axis=-1)

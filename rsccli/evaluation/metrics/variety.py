"""How varied predictions are: distinct-1, distinct-2 (Li et al. 2016) and the size of the vocabulary."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rsccli.evaluation.metrics.base import F64, Indices, Metric, Whole, check_pairs
from rsccli.evaluation.metrics.ngrams import count_ngrams


class Variety(Metric):
    """Different n-grams over all n-grams of all predictions together, times 100, and the number of different words.

    They do not add up over pairs, and more pairs always look poorer: compare equal numbers of pairs only.
    """

    name = "variety"
    keys = ("distinct_1", "distinct_2", "vocabulary")

    def measure(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Whole:
        """See `Metric`; capitals do not count."""
        check_pairs(predictions, references)
        ngrams = count_ngrams([text.lower().split() for text in predictions], 2)

        def values(indices: Indices) -> F64:
            kinds, shares = [], []
            for order in ngrams:
                _, rows = order.of(indices.astype(np.int64))
                different, every = len(np.unique(order.gram[rows])), int(order.count[rows].sum())
                kinds.append(different)
                shares.append(100.0 * different / every if every else np.nan)
            return np.array([*shares, kinds[0]], np.float64)

        return Whole(self.keys, len(predictions), values)

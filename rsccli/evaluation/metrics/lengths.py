"""Avg_L: how long predictions are. Endless repetition shows here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rsccli.evaluation.metrics.base import Measured, Metric, check_pairs, means


class AverageLength(Metric):
    """Mean number of white-space separated words of the predictions, as the protocol left them; not times 100."""

    name = "Avg_L"
    keys = ("avg_l",)

    def measure(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Measured:
        """See `Metric`."""
        check_pairs(predictions, references)
        words = np.array([len(text.split()) for text in predictions], np.float64)
        return Measured(self.keys, words.reshape(-1, 1), means)

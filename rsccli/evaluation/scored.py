"""The scores of one set of predictions on one set of pairs, kept as sums per pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rsccli.evaluation.metrics.base import F64, Measured, Measurement
from rsccli.evaluation.metrics.composed import PARTS


@dataclass(frozen=True, eq=False)
class Scored:
    """What every metric of a run measured on the same N pairs.

    Attributes:
        parts: one measurement for each metric, all of N pairs.
        with_s_m: whether S*m belongs to the protocol; it is there when its four parts are.
    """

    parts: tuple[Measurement, ...]
    with_s_m: bool = False

    def __len__(self) -> int:
        return len(self.parts[0]) if self.parts else 0

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of the values, in the order of the metrics; S*m stands last."""
        told = tuple(key for part in self.parts for key in part.keys)
        return (*told, "s_m") if self.with_s_m and set(PARTS) <= set(told) else told

    @property
    def resampled(self) -> tuple[bool, ...]:
        """For each key: whether it adds up over pairs, so that samples of the pairs can be scored."""
        told = [isinstance(part, Measured) for part in self.parts for _ in part.keys]
        return (*told, True) if len(self.keys) > len(told) else tuple(told)

    def values(self) -> F64:
        """The values (len(keys),) on all pairs."""
        return self._with_derived([part.value() for part in self.parts])

    def statistics(self) -> F64:
        """What adds up over pairs: (N, K), the columns of all metrics side by side."""
        columns = [part.statistics for part in self.parts if isinstance(part, Measured)]
        return np.hstack(columns) if columns else np.zeros((len(self), 0))

    def of_sums(self, sums: F64, pairs: F64) -> F64:
        """Values (..., len(keys)) of sums (..., K) over numbers of pairs (...); NaN for what does not add up."""
        values, start = [], 0
        for part in self.parts:
            if isinstance(part, Measured):
                stop = start + part.statistics.shape[1]
                values.append(part.combine(sums[..., start:stop], pairs))
                start = stop
            else:
                values.append(np.full((*sums.shape[:-1], len(part.keys)), np.nan))
        return self._with_derived(values)

    def _with_derived(self, values: Sequence[F64]) -> F64:
        together = np.concatenate([np.asarray(each, np.float64) for each in values], axis=-1)
        keys = self.keys
        if len(keys) == together.shape[-1]:
            return together
        mean = together[..., [keys.index(key) for key in PARTS]].mean(axis=-1, keepdims=True)
        return np.concatenate([together, mean], axis=-1)

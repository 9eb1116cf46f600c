"""Texts of pairs, the metrics that measure them, and what these found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rsccli.evaluation.metrics.base import Indices, Measured, Measurement, Metric, Whole, measure_all
from rsccli.evaluation.protocols import TextProtocol
from rsccli.evaluation.scored import Scored


@dataclass(frozen=True, eq=False)
class ScoredPairs:
    """Predictions that were scored against references.

    Attributes:
        predictions, references: as the protocol left them. metrics: in the order of the parts of ``scored``.
    """

    predictions: tuple[str, ...]
    references: tuple[tuple[str, ...], ...]
    metrics: tuple[Metric, ...]
    scored: Scored

    def restricted(self, indices: Indices) -> ScoredPairs:
        """Some of the pairs, as if only these had been evaluated.

        Rows are taken over, but for metrics whose rows depend on the whole set (the document frequencies of CIDEr-D
        come from the references given): these measure the chosen pairs anew.
        """
        if len(indices) == len(self.predictions):
            return self
        predictions = tuple(self.predictions[i] for i in indices)
        references = tuple(self.references[i] for i in indices)
        parts = [
            metric.measure(predictions, references) if metric.of_the_set else _rows(part, indices)
            for metric, part in zip(self.metrics, self.scored.parts, strict=True)
        ]
        return ScoredPairs(predictions, references, self.metrics, Scored(tuple(parts), self.scored.with_s_m))


def score_pairs(
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    protocol: TextProtocol,
    metrics: Sequence[Metric],
) -> ScoredPairs:
    """Measure every metric on texts as they were written."""
    said, true = protocol.apply(predictions, references)
    scored = Scored(tuple(measure_all(metrics, said, true)), "s_m" in protocol.metrics)
    return ScoredPairs(tuple(said), tuple(map(tuple, true)), tuple(metrics), scored)


def _rows(part: Measurement, indices: Indices) -> Measurement:
    if isinstance(part, Measured):
        return Measured(part.keys, part.statistics[indices], part.combine, part.notes)
    return Whole(part.keys, len(indices), lambda chosen: part.value_of(indices[chosen]), part.notes)

"""Scores the sentences of floors on the pairs of a split, each different (sentence, references) once.

Floors say the same few sentences again and again, and half of LEVIR-CC's pairs have the same references: of a hundred
thousand pairs of texts a tenth are different.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from rsccli.evaluation.metrics.base import F64, Indices, Measured, Measurement, Metric
from rsccli.evaluation.protocols import TextProtocol
from rsccli.evaluation.scored import Scored
from rsccli.evaluation.split import Split

Texts = tuple[str, tuple[str, ...]]


class Judge:
    """Scores of sentences that are known beforehand, on pairs of one split.

    Args:
        split: the pairs. sentences: all that will be scored, as written. protocol: how texts are normalised.
        metrics: in which scores; of words, and such as add up over pairs.
    """

    def __init__(
        self, split: Split, sentences: Iterable[str], protocol: TextProtocol, metrics: Sequence[Metric]
    ) -> None:
        written = list(dict.fromkeys(sentences))
        # In one call: word ids number the words of all texts together.
        said, references = protocol.apply(written, split.references)
        self._said = dict(zip(written, said, strict=True))
        self._references = [tuple(texts) for texts in references]
        self._metrics = [metric if metric.of_the_set else _Remembering(metric) for metric in metrics]
        self._with_s_m = "s_m" in protocol.metrics

    def score(self, sentences: Sequence[str], pairs: Indices) -> Scored:
        """Score a sentence for each of the pairs against all references of its pair."""
        said = [self._said[sentence] for sentence in sentences]
        return self._measure(said, [self._references[i] for i in pairs])

    def score_first(self, pairs: Indices) -> Scored:
        """Score the first reference of each of the pairs against the others; each has at least two."""
        references = [self._references[i] for i in pairs]
        return self._measure([texts[0] for texts in references], [texts[1:] for texts in references])

    def _measure(self, said: list[str], references: list[tuple[str, ...]]) -> Scored:
        return Scored(tuple(metric.measure(said, references) for metric in self._metrics), self._with_s_m)


class _Remembering(Metric):
    """A metric whose rows do not depend on each other, asked once for every different pair of texts."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        self.name, self.keys = metric.name, metric.keys
        self._rows: dict[Texts, int] = {}
        self._blocks: list[F64] = []

    def measure(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Measurement:
        """See `Metric`."""
        asked = list(zip(predictions, map(tuple, references), strict=True))
        new = [texts for texts in dict.fromkeys(asked) if texts not in self._rows]
        # Without new texts: no rows, but the way to combine them.
        measured = self._metric.measure([said for said, _ in new], [texts for _, texts in new])
        assert isinstance(measured, Measured)
        start = len(self._rows)
        self._rows.update((texts, start + place) for place, texts in enumerate(new))
        self._blocks.append(measured.statistics)
        rows = np.concatenate(self._blocks)[[self._rows[texts] for texts in asked]]
        return Measured(measured.keys, rows, measured.combine, measured.notes)

"""How alike two sets of captions are: texts, words and answers, for agreement with another run or with people.

Text scores are those of the protocol "words" (`rsccli.evaluation.protocols`), times 100: BLEU-4, ROUGE-L, CIDEr-D.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rsccli.evaluation.metrics.base import Measured
from rsccli.evaluation.probes.estimates import NOTHING, Estimate, figure

F64 = npt.NDArray[np.float64]
PROTOCOL = "words"
KEYS = ("bleu_4", "rouge_l", "cider_d")
TITLES = ("BLEU-4", "ROUGE-L", "CIDEr-D")


@dataclass(frozen=True)
class TextScores:
    """Scores of one set of captions against references, times 100 as everywhere; ``n``: pairs."""

    n: int
    bleu_4: Estimate
    rouge_l: Estimate
    cider_d: Estimate

    def cells(self) -> tuple[str, ...]:
        """For a table."""
        return tuple(each.text(1) for each in (self.bleu_4, self.rouge_l, self.cider_d))


NO_SCORES = TextScores(0, NOTHING, NOTHING, NOTHING)


def text_scores(captions: Sequence[str], references: Sequence[Sequence[str]], places: Sequence[str]) -> TextScores:
    """Score captions against references; pairs without a reference are left out.

    Args:
        captions: one for each pair. references: of each pair. places: of each pair.
    """
    from rsccli.evaluation.protocols import MetricChoices, metrics_for, protocol_named

    kept = [index for index, texts in enumerate(references) if any(text.strip() for text in texts)]
    if not kept:
        return NO_SCORES
    said, wanted = protocol_named(PROTOCOL).apply([captions[i] for i in kept], [list(references[i]) for i in kept])
    own = [places[i] for i in kept]
    found: dict[str, Estimate] = {}
    # Neither Java nor WordNet for scores that need none.
    for metric in metrics_for(PROTOCOL, MetricChoices(meteor="off", spice=False)):
        if not set(metric.keys) & set(KEYS):
            continue
        measured = metric.measure(said, wanted)
        assert isinstance(measured, Measured)
        for column, key in enumerate(measured.keys):
            if key in KEYS:
                found[key] = figure(_column(measured, column), own)
    return TextScores(len(kept), *(found[key] for key in KEYS))


def _column(measured: Measured, column: int) -> Callable[[F64], F64]:
    return lambda weights: measured.values(weights)[:, column]


def keyword_agreement(
    first: Sequence[Sequence[str]], second: Sequence[Sequence[str]], places: Sequence[str]
) -> Estimate:
    """F1 of words that two runs said of the same pairs: twice the shared ones over all; nothing where none was said."""
    shared = np.array([2.0 * len(set(a) & set(b)) for a, b in zip(first, second, strict=True)])
    said = np.array([float(len(set(a)) + len(set(b))) for a, b in zip(first, second, strict=True)])
    if not said.sum():
        return Estimate(None, n=len(places), places=len(set(places)))

    def measure(weights: F64) -> F64:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((weights @ shared) / (weights @ said), np.float64)

    return figure(measure, places)

"""How well answers fit labels: recall, false alarms, ranking, and captions of people, where a set has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rsccli.evaluation.probes.answering import Answer, called
from rsccli.evaluation.probes.estimates import NOTHING, Estimate, auc, figure, share
from rsccli.evaluation.probes.pairs import PairLabel


@dataclass(frozen=True)
class Fit:
    """Answers against labels; an answer of "unsure" is no call of change.

    Attributes:
        recall: called changed, of the pairs that changed. false_alarms: called changed, of those that did not.
        ranking: area under the curve of the score (AUC); nothing where there is no score or one class is missing.
    """

    recall: Estimate
    false_alarms: Estimate
    ranking: Estimate


def fit_to_labels(answers: Sequence[Answer], labels: Sequence[PairLabel]) -> Fit:
    """Compare answers with what is known of their pairs."""
    flags = called(answers, "changed")

    def of(wanted: bool) -> Estimate:
        kept = [index for index, label in enumerate(labels) if label.changed is wanted]
        return share([flags[i] for i in kept], [labels[i].place for i in kept])

    return Fit(of(True), of(False), ranking(answers, labels))


def ranking(answers: Sequence[Answer], labels: Sequence[PairLabel]) -> Estimate:
    """AUC of the score over labelled pairs."""
    kept = [
        i for i, (a, b) in enumerate(zip(answers, labels, strict=True)) if a.score is not None and b.changed is not None
    ]
    changed = np.array([labels[i].changed for i in kept], bool)
    if not changed.any() or changed.all():
        return NOTHING
    scores = np.array([answers[i].score for i in kept], np.float64)
    return figure(auc(scores, changed), [labels[i].place for i in kept])

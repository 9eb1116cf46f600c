"""METEOR 1.5 (Denkowski and Lavie 2014), by its own jar: the METEOR of change-captioning papers.

The jar gives 23 counts for a prediction and its best reference. The corpus score is made of their sums, and that, not
the mean of the pairs' scores, is what ``Meteor().compute_score`` of pycocoevalcap returns and what papers print. It is
made here from the same sums, so that subsets and bootstraps need no second alignment.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rsccli.errors import ModelError
from rsccli.evaluation.metrics.base import F64, Measured, Metric, check_pairs
from rsccli.evaluation.metrics.java import INSTALL_JAVA, coco_folder, find_java
from rsccli.evaluation.metrics.meteor_process import FIELDS, JAR, Question, process
from rsccli.evaluation.metrics.meteor_text import normalised

# The "rank" parameters for English, and the weights of its matchers: exact, stem, synonym, paraphrase.
ALPHA, BETA, GAMMA, DELTA = 0.85, 0.2, 0.6, 0.75
WEIGHTS = np.array([1.0, 0.6, 0.8, 0.6])
# Where the counts stand: lengths, function words, then for each matcher its content words (ours, theirs) and function
# words (ours, theirs), then chunks and matched words.
OUR_LENGTH, THEIR_LENGTH, OUR_FUNCTION, THEIR_FUNCTION, STAGES = range(5)
CHUNKS, OUR_MATCHES, THEIR_MATCHES = 20, 21, 22
KEPT = 200_000


def missing() -> str | None:
    """What METEOR 1.5 lacks on this machine and how to get it; None where it can run."""
    if find_java() is None:
        return f"METEOR 1.5 needs Java: {INSTALL_JAVA}"
    folder = coco_folder("meteor")
    if folder is None or not (folder / JAR).is_file():
        return f"METEOR 1.5 needs {JAR}, which comes with pycocoevalcap: pip install pycocoevalcap"
    return None


def additive(counts: F64) -> F64:
    """Counts (N, 23) of the jar as the jar adds them up: a perfect match has no chunks."""
    perfect = (
        (counts[:, OUR_MATCHES] == counts[:, OUR_LENGTH])
        & (counts[:, THEIR_MATCHES] == counts[:, THEIR_LENGTH])
        & (counts[:, CHUNKS] == 1)
    )
    added = counts.copy()
    added[perfect, CHUNKS] = 0.0
    return added


def combine_meteor(sums: F64, pairs: F64) -> F64:
    """Sums (..., 23) to METEOR times 100: the jar's ``computeMetrics``."""
    stages = sums[..., STAGES:CHUNKS].reshape(*sums.shape[:-1], len(WEIGHTS), 4)
    content, function = DELTA * WEIGHTS, (1 - DELTA) * WEIGHTS
    ours = stages[..., 0] @ content + stages[..., 2] @ function
    theirs = stages[..., 1] @ content + stages[..., 3] @ function
    lengths, functions = sums[..., [OUR_LENGTH, THEIR_LENGTH]], sums[..., [OUR_FUNCTION, THEIR_FUNCTION]]
    weighed = DELTA * (lengths - functions) + (1 - DELTA) * functions
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = 1.0 / ((1.0 - ALPHA) / (ours / weighed[..., 0]) + ALPHA / (theirs / weighed[..., 1]))
        fragmentation = sums[..., CHUNKS] / ((sums[..., OUR_MATCHES] + sums[..., THEIR_MATCHES]) / 2.0)
        score = mean * (1.0 - GAMMA * fragmentation**BETA)
    score = 100.0 * np.where(np.isfinite(score), np.maximum(score, 0.0), 0.0)
    return np.where(np.asarray(pairs) > 0, score, np.nan)[..., None]


class MeteorJava(Metric):
    """METEOR 1.5 of a corpus, from sums; every different (prediction, references) is aligned once.

    Args:
        exact: match equal words alone. Word ids take this: no two numbers have a stem or a meaning in common, and the
            jar's table of paraphrases holds pairs of numbers ("102" for "103"), with which a score would depend on the
            order of the vocabulary.

    Raises:
        ModelError: no Java or no jar.
    """

    name = "METEOR 1.5"
    keys = ("meteor",)
    outside = True

    def __init__(self, exact: bool = False) -> None:
        lacking = missing()
        if lacking:
            raise ModelError(lacking)
        self._plain, self._marked = process("-lower", exact), process("-norm", exact)
        self._plain.start()  # it loads while the first texts are read
        self._kept: dict[Question, F64] = {}
        self._notes = ("meteor is METEOR 1.5 (Java)" + (", equal words alone" if exact else ""),)

    def measure(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Measured:
        """See `Metric`.

        Raises:
            ModelError: the jar stopped or answered something else than counts.
        """
        check_pairs(predictions, references)
        asked = [(prediction, *texts) for prediction, texts in zip(predictions, references, strict=True)]
        if len(self._kept) > KEPT:
            self._kept.clear()
        self._count([question for question in dict.fromkeys(asked) if question not in self._kept])
        counts = np.array([self._kept[question] for question in asked], np.float64).reshape(-1, FIELDS)
        return Measured(self.keys, additive(counts), combine_meteor, self._notes)

    def _count(self, questions: list[Question]) -> None:
        """Have the jar count; what it need not normalise goes to a process that does not."""
        plain: dict[Question, Question] = {}
        for question in questions:
            parted = [normalised(text) for text in question]
            known = tuple(text for text in parted if text is not None)
            if len(known) == len(question):
                plain[question] = known
        marked = [question for question in questions if question not in plain]
        if marked:
            self._marked.start()
        self._kept.update(zip(plain, self._plain.counts(list(plain.values())), strict=True))
        if marked:
            self._kept.update(zip(marked, self._marked.counts(marked), strict=True))

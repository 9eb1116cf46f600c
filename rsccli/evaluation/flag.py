"""The change flag: does a caption say that something changed, and is that right?

Changed is the positive class. A flag comes from the file where the file says so, else from the words: a caption that
says that nothing changed is unchanged, every other caption is changed, an empty one too. References of a pair are
unchanged when more than half of them say so (`rsccli.evaluation.changeflag`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rsccli.evaluation.changeflag import says_unchanged
from rsccli.evaluation.join import Joined
from rsccli.evaluation.metrics.base import F64, Indices, Measured

KEYS = ("accuracy", "precision", "recall", "f1")
_TP, _FP, _FN, _TN = range(4)


@dataclass(frozen=True, eq=False)
class Flags:
    """Flags of N pairs.

    Attributes:
        changed: (N,) True is changed. told: (N,) whether the file itself gave it; else the words did.
    """

    changed: npt.NDArray[np.bool_]
    told: npt.NDArray[np.bool_]

    @property
    def by_file(self) -> int:
        """How many the file itself gave."""
        return int(self.told.sum())

    @property
    def by_words(self) -> int:
        """How many were read from the words."""
        return len(self.changed) - self.by_file

    def only(self, indices: Indices) -> Flags:
        """The flags of some of the pairs."""
        return Flags(self.changed[indices], self.told[indices])


def true_flags(joined: Joined) -> Flags:
    """Whether the pairs changed: what the references' file says, else their words."""
    return Flags(np.array(joined.flags, np.bool_), np.array([flag is not None for flag in joined.changed], np.bool_))


def predicted_flags(joined: Joined) -> Flags:
    """Whether the predictions say so: what their file says (the status of our own outputs), else their words."""
    said = [
        not says_unchanged(text) if flag is None else flag
        for text, flag in zip(joined.predictions, joined.predicted_changed, strict=True)
    ]
    told = [flag is not None for flag in joined.predicted_changed]
    return Flags(np.array(said, np.bool_), np.array(told, np.bool_))


def measure_flags(predicted: Flags, true: Flags) -> Measured:
    """Accuracy, precision, recall and F1 (0 to 1) as sums over pairs: true and false positives and negatives."""
    said, is_so = predicted.changed, true.changed
    cells = np.stack([said & is_so, said & ~is_so, ~said & is_so, ~said & ~is_so], axis=1)
    return Measured(KEYS, cells.astype(np.float64), _combine)


def count_cells(measured: Measured) -> tuple[int, int, int, int]:
    """True positives, false positives, false negatives, true negatives, in pairs."""
    sums = measured.statistics.sum(axis=0)
    return int(sums[_TP]), int(sums[_FP]), int(sums[_FN]), int(sums[_TN])


def _combine(sums: F64, pairs: F64) -> F64:
    """NaN where a share has no cases: precision where nothing is called changed, recall where nothing changed."""
    tp, fp, fn, tn = (sums[..., cell] for cell in range(4))
    with np.errstate(invalid="ignore", divide="ignore"):
        values = ((tp + tn) / pairs, tp / (tp + fp), tp / (tp + fn), 2 * tp / (2 * tp + fp + fn))
    return np.stack([np.asarray(value, np.float64) for value in values], axis=-1)

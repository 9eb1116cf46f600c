"""Recall and rank of one question with any number of right answers, ties counted as what a coin would give.

A question's answers are sorted by score. Where right and wrong ones have equal scores their order means nothing: the
recall is then the chance that a random order of the equals brings a right one among the first k, and the rank what it
is on average. So a system that gives everything the same score gets exactly what chance gets.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

#: The k of Recall@k.
CUTS = (1, 5, 10)


@dataclass(frozen=True)
class Rank:
    """What one question reached.

    Attributes:
        recall: for each of `CUTS` the chance, 0 to 1, that a right answer is among the first k. first: average rank of
            the first right answer, from 1.
    """

    recall: tuple[float, ...]
    first: float


def rank_of(scores: npt.NDArray[np.floating], right: Bool) -> Rank:
    """Rank one question's answers.

    Args:
        scores: (N,), higher is better. right: (N,), at least one True.

    Raises:
        ValueError: no answer is right, or a score is no number.
    """
    if not right.any() or np.isnan(scores).any():
        raise ValueError("a question needs a right answer, and every answer a score")
    best = scores[right].max()
    ahead = int((scores > best).sum())
    equal = scores == best
    good = int((equal & right).sum())
    bad = int(equal.sum()) - good
    return _among(ahead, good, bad)


def chance_of(right: int, total: int) -> Rank:
    """What a random order of the answers reaches."""
    return _among(0, right, total - right)


def _among(ahead: int, good: int, bad: int) -> Rank:
    """Behind ``ahead`` wrong answers come ``good`` right and ``bad`` wrong ones in random order."""
    recall = []
    for cut in CUTS:
        places = cut - ahead
        # All of the places left may go to wrong ones.
        missed = comb(bad, places) / comb(bad + good, places) if 0 < places <= bad else float(places <= 0)
        recall.append(1.0 - missed)
    # The first of g right ones among g + b stands on average at (g + b + 1) / (g + 1).
    return Rank(tuple(recall), ahead + (good + bad + 1) / (good + 1))

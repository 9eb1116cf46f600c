"""How often a model gets stuck: the share of predictions in which a block of words stands three times in a row."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from rsccli.evaluation.metrics.base import Measured, Metric, check_pairs, mean_score

TIMES = 3
# Words become characters of a private plane, so that a block of words is a block of characters.
FIRST_CHARACTER = 0xF0000
STUCK = re.compile(r"(.+?)" + r"\1" * (TIMES - 1), re.DOTALL)


@lru_cache(1 << 16)
def is_stuck(text: str) -> bool:
    """Whether any block of one or more words follows on itself at least twice more; capitals do not count."""
    numbers: dict[str, int] = {}
    characters = (
        chr(FIRST_CHARACTER + numbers.setdefault(word, len(numbers)) % 0xFFFF) for word in text.lower().split()
    )
    return STUCK.search("".join(characters)) is not None


class RepetitionRate(Metric):
    """Share of predictions, times 100, that hold the same block of words at least three times in a row.

    "a road is built a road is built a road is built" does, and so does "very very very"; a word that comes back
    later does not.
    """

    name = "repetition rate"
    keys = ("repetition_rate",)

    def measure(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Measured:
        """See `Metric`."""
        check_pairs(predictions, references)
        return mean_score("repetition_rate", [float(is_stuck(text)) for text in predictions])

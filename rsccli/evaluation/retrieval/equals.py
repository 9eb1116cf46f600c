"""Which texts are captions of which pairs, when equal captions count as equal."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Bool = npt.NDArray[np.bool_]

_WORDS = re.compile(r"[^\W_]+")


def plain(text: str) -> str:
    """A text as its words alone: what differs in case, spaces or full stops is the same sentence."""
    return " ".join(_WORDS.findall(text.lower()))


class Equals:
    """Right answers among N pairs and T texts.

    Args:
        captions: of each pair, all that people wrote. texts: that are asked for or found. owners: pair of each text.
    """

    def __init__(self, captions: Sequence[Sequence[str]], texts: Sequence[str], owners: Sequence[int]) -> None:
        self._sets = [frozenset(map(plain, own)) for own in captions]
        self._texts = [plain(text) for text in texts]
        self._owners = np.array(owners, np.int64)
        self._pairs: dict[str, list[int]] = {}
        for pair, own in enumerate(self._sets):
            for text in own:
                self._pairs.setdefault(text, []).append(pair)
        self._places: dict[str, list[int]] = {}
        for place, text in enumerate(self._texts):
            self._places.setdefault(text, []).append(place)

    def pairs_of(self, text: int, duplicates: bool) -> Bool:
        """(N,) pairs that are right answers to a text; ``duplicates``: also others with an equal caption."""
        right = np.zeros(len(self._sets), bool)
        right[self._owners[text]] = True
        if duplicates:
            right[self._pairs.get(self._texts[text], [])] = True
        return right

    def texts_of(self, pair: int, duplicates: bool) -> Bool:
        """(T,) texts that are right answers to a pair."""
        right: Bool = self._owners == pair
        if duplicates:
            for text in self._sets[pair]:
                right[self._places.get(text, [])] = True
        return right

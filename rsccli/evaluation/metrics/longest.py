"""Length of the longest common subsequence, a machine word of positions at a time (Hyyrö 2004)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Places(NamedTuple):
    """Where the words of a sentence stand: bit i of ``masks[word]`` is set where word i is that word."""

    length: int
    masks: dict[str, int]


def places_of(words: Sequence[str]) -> Places:
    """Make `Places` once for a sentence that is compared with many."""
    masks: dict[str, int] = {}
    for index, word in enumerate(words):
        masks[word] = masks.get(word, 0) | 1 << index
    return Places(len(words), masks)


def longest_common(words: Sequence[str], places: Places) -> int:
    """Words in the longest common subsequence of ``words`` and the sentence of ``places``."""
    full = (1 << places.length) - 1
    open_places = full
    for word in words:
        mask = places.masks.get(word)
        if mask is not None:
            taken = open_places & mask
            open_places = ((open_places + taken) | (open_places - taken)) & full
    return places.length - open_places.bit_count()

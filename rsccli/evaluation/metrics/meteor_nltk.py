"""METEOR as nltk computes it (Lavie and Agarwal 2007): alpha 0.9, beta 3, gamma 0.5, best over the references.

The same matches in the same order as ``nltk.translate.meteor_score``, which stems and looks up every word anew for
every pair; here each different word is looked up once, and a pair of texts is aligned once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from rsccli.evaluation.metrics.base import Measured, Metric, check_pairs, mean_score

ALPHA, BETA, GAMMA = 0.9, 3.0, 0.5
KEPT = 1 << 16

Synonyms = Callable[[str], frozenset[str]]


class Text(NamedTuple):
    """A text as METEOR sees it: lower-cased words and their stems."""

    words: tuple[str, ...]
    stems: tuple[str, ...]


Match = tuple[int, int]


def _match_equal(
    ours: Sequence[str], theirs: Sequence[str], our_places: list[int], their_places: list[int], matches: list[Match]
) -> tuple[list[int], list[int]]:
    """Match equal words from the back, each with the last free place of the reference; gives back what is left."""
    free: dict[str, list[int]] = {}
    for place in their_places:
        free.setdefault(theirs[place], []).append(place)
    left: list[int] = []
    taken: set[int] = set()
    for place in reversed(our_places):
        places = free.get(ours[place])
        if places:
            other = places.pop()
            taken.add(other)
            matches.append((place, other))
        else:
            left.append(place)
    left.reverse()
    return left, [place for place in their_places if place not in taken]


def _match_synonyms(
    ours: Sequence[str],
    theirs: Sequence[str],
    our_places: list[int],
    their_places: list[int],
    synonyms: Synonyms,
    matches: list[Match],
) -> None:
    """Match synonyms the same way."""
    free = their_places
    for place in reversed(our_places):
        names = synonyms(ours[place])
        for other in reversed(free):
            if theirs[other] in names:
                matches.append((place, other))
                free = [kept for kept in free if kept != other]
                break


def align(ours: Text, theirs: Text, synonyms: Synonyms | None) -> list[Match]:
    """Pairs of places (ours, theirs), by our places: equal words first, then equal stems, then synonyms of stems."""
    matches: list[Match] = []
    left, free = _match_equal(ours.words, theirs.words, [*range(len(ours.words))], [*range(len(theirs.words))], matches)
    if left and free:
        left, free = _match_equal(ours.stems, theirs.stems, left, free, matches)
    if left and free and synonyms is not None:
        # nltk looks up the stems, not the words, at this point.
        _match_synonyms(ours.stems, theirs.stems, left, free, synonyms, matches)
    matches.sort()
    return matches


def score(ours: Text, theirs: Text, synonyms: Synonyms | None) -> float:
    """METEOR (0 to 1) of one prediction against one reference."""
    matches = align(ours, theirs, synonyms)
    if not matches:
        return 0.0
    precision = float(len(matches)) / len(ours.words)
    recall = float(len(matches)) / len(theirs.words)
    mean = (precision * recall) / (ALPHA * precision + (1 - ALPHA) * recall)
    joined = sum(a + 1 == next_a and b + 1 == next_b for (a, b), (next_a, next_b) in pairwise(matches))
    penalty: float = GAMMA * (float(len(matches) - joined) / len(matches)) ** BETA
    return (1 - penalty) * mean


class MeteorNltk(Metric):
    """Mean over the pairs of the best score over the references.

    Args:
        words_of: text to words.
        synonyms: word to its synonyms and itself; None matches equal words and stems alone.
        note: which WordNet, which words.
    """

    name = "METEOR of nltk"
    keys = ("meteor",)

    def __init__(self, words_of: Callable[[str], list[str]], synonyms: Synonyms | None, note: str) -> None:
        from nltk.stem.porter import PorterStemmer

        stem: Callable[[str], str] = lru_cache(KEPT)(PorterStemmer().stem)

        def read(text: str) -> Text:
            words = tuple(word.lower() for word in words_of(text))
            return Text(words, tuple(stem(word) for word in words))

        self._read: Callable[[str], Text] = lru_cache(KEPT)(read)
        self._synonyms = synonyms
        self._notes = (note,)
        self._scores: Callable[[str, str], float] = lru_cache(4 * KEPT)(self._score)

    def _score(self, prediction: str, reference: str) -> float:
        return score(self._read(prediction), self._read(reference), self._synonyms)

    def measure(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Measured:
        """See `Metric`."""
        check_pairs(predictions, references)
        scores = self._scores
        best = [
            max(scores(prediction, text) for text in texts)
            for prediction, texts in zip(predictions, references, strict=True)
        ]
        return mean_score("meteor", best, self._notes)

"""The caption that agrees best with all captions of a group, by CIDEr-D.

CIDEr-D (Vedantam et al. 2015) of a candidate against a caption: for n = 1 to 4 the cosine of their TF-IDF vectors with
the candidate's entries clipped at those of the caption, times a Gaussian of the difference in length (sigma 6), mean
over n, times 10. The consensus of a candidate is its mean over all captions of the group, its own included: that
favours captions which were written word for word several times, as it should.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_SIGMA = 6.0
_ORDERS = (1, 2, 3, 4)
# Candidates of a group: the most frequent distinct captions, first come first. More would cost and change little.
_CANDIDATES = 100

Ngram = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class DocumentFrequencies:
    """In the captions of how many pairs each n-gram stands.

    Attributes:
        pairs: number of pairs. found: n-gram to number of pairs.
    """

    pairs: int
    found: dict[Ngram, int]

    def idf(self, ngram: Ngram) -> float:
        """Inverse document frequency, as in the scorer of the COCO captions."""
        return math.log(self.pairs) - math.log(max(1, self.found.get(ngram, 0)))


def document_frequencies(references: Sequence[Sequence[str]]) -> DocumentFrequencies:
    """Count in how many pairs each n-gram of 1 to 4 words is said."""
    found: Counter[Ngram] = Counter()
    for captions in references:
        found.update({ngram for caption in captions for n in _ORDERS for ngram in _ngrams(caption.split(), n)})
    return DocumentFrequencies(max(1, len(references)), dict(found))


def consensus(captions: Sequence[str], frequencies: DocumentFrequencies) -> str:
    """The caption of the group with the highest mean CIDEr-D against all of them.

    Args:
        captions: all captions of the group, repeated ones as often as they were written; not empty.
        frequencies: document frequencies of the whole split that the group comes from.
    """
    counted = Counter(captions)
    distinct = list(counted)
    weights = np.array([counted[caption] for caption in distinct], np.float64)
    words = [caption.split() for caption in distinct]
    candidates = np.argsort(-weights, kind="stable")[:_CANDIDATES]
    lengths = np.array([max(0, len(each) - 1) for each in words], np.float64)
    closeness = np.exp(-((lengths[candidates][:, None] - lengths[None]) ** 2) / (2 * _SIGMA**2))
    total = np.zeros(len(candidates))
    for n in _ORDERS:
        vectors = _tf_idf(words, n, frequencies)
        norms = np.linalg.norm(vectors, axis=1)
        norms[norms == 0] = 1.0
        for row, index in enumerate(candidates):
            said = np.flatnonzero(vectors[index])
            others = vectors[:, said]
            agreement = (np.minimum(vectors[index, said], others) * others).sum(axis=1)
            total[row] += (agreement / (norms[index] * norms) * closeness[row]) @ weights
    return distinct[int(candidates[int(np.argmax(total))])]


def _tf_idf(words: Sequence[Sequence[str]], n: int, frequencies: DocumentFrequencies) -> np.ndarray:
    columns: dict[Ngram, int] = {}
    entries = [Counter(_ngrams(each, n)) for each in words]
    for entry in entries:
        for ngram in entry:
            columns.setdefault(ngram, len(columns))
    vectors = np.zeros((len(words), max(1, len(columns))))
    idf = {ngram: frequencies.idf(ngram) for ngram in columns}
    for row, entry in enumerate(entries):
        for ngram, count in entry.items():
            vectors[row, columns[ngram]] = count * idf[ngram]
    return vectors


def _ngrams(words: Sequence[str], n: int) -> list[Ngram]:
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]

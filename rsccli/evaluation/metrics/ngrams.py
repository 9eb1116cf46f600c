"""n-grams of many sentences at once, as arrays: what BLEU, CIDEr-D and the counts of different n-grams share.

The scorers of pycocoevalcap keep a dictionary per sentence, half a minute for 10,000 pairs; sorted integers take
about a second for the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]
Words = Sequence[str]


@dataclass(frozen=True, eq=False)
class Ngrams:
    """The n-grams of one order in S sentences: a row for each different n-gram of each sentence.

    Attributes:
        sentence: (R,) which sentence, ascending. gram: (R,) which n-gram, ascending within a sentence.
        count: (R,) how often it stands there. starts: (S + 1,) rows of sentence s are ``starts[s]:starts[s + 1]``.
        kinds: number of different n-grams; ``gram`` is below it.
    """

    sentence: I64
    gram: I64
    count: I64
    starts: I64
    kinds: int

    def of(self, sentences: I64) -> tuple[I64, I64]:
        """Rows of each of the sentences asked for: positions in ``sentences`` (ascending) and row numbers."""
        sizes = self.starts[sentences + 1] - self.starts[sentences]
        owner = np.repeat(np.arange(len(sentences)), sizes)
        before = np.repeat(np.cumsum(sizes) - sizes, sizes)
        rows = np.arange(int(sizes.sum())) - before + np.repeat(self.starts[sentences], sizes)
        return owner, rows


def count_ngrams(sentences: Sequence[Words], highest: int) -> list[Ngrams]:
    """n-grams of orders 1 to ``highest``; different orders number their n-grams apart."""
    numbers: dict[str, int] = {}
    lengths = np.fromiter((len(words) for words in sentences), np.int64, len(sentences))
    flat: Iterable[int] = (numbers.setdefault(word, len(numbers)) for words in sentences for word in words)
    tokens = np.fromiter(flat, np.int64, int(lengths.sum()))
    sentence = np.repeat(np.arange(len(sentences), dtype=np.int64), lengths)
    counted = []
    gram, kinds = tokens, len(numbers)
    for order in range(1, highest + 1):
        if order > 1:
            # Those n-grams live on that have another word behind them in the same sentence.
            whole = np.flatnonzero(sentence[: len(gram) - 1] == sentence[order - 1 :]) if len(gram) else gram
            longer = gram[whole] * len(numbers) + tokens[whole + order - 1]
            kept, inverse = np.unique(longer, return_inverse=True)
            # Places without an n-gram of this order keep a number that no sentence uses.
            gram = np.full(max(len(gram) - 1, 0), len(kept), np.int64)
            gram[whole] = inverse
            kinds = len(kept)
        counted.append(_rows(sentence[: len(gram)], gram, kinds, len(sentences)))
    return counted


def _rows(sentence: I64, gram: I64, kinds: int, sentences: int) -> Ngrams:
    inside = gram < kinds
    keys, counts = np.unique(sentence[inside] * max(kinds, 1) + gram[inside], return_counts=True)
    owners = keys // max(kinds, 1)
    starts = np.searchsorted(owners, np.arange(sentences + 1))
    return Ngrams(owners, keys % max(kinds, 1), counts.astype(np.int64), starts.astype(np.int64), kinds)


def run_starts(ascending: I64) -> I64:
    """Where each run of equal numbers begins; np.unique hashes instead, which is slower on numbers like these."""
    return np.flatnonzero(np.concatenate([[True], ascending[1:] != ascending[:-1]])) if len(ascending) else ascending


class Pairs(NamedTuple):
    """Predictions and references by number, each different text once.

    Attributes:
        sentences: the different texts, as words. prediction: (N,) which of them each pair predicts.
        reference: (M,) which of them the references are, pair after pair. pair: (M,) whose reference it is, ascending.
        first: (N,) where a pair's references begin in ``reference``.
    """

    sentences: list[tuple[str, ...]]
    prediction: I64
    reference: I64
    pair: I64
    first: I64


def number_texts(predictions: Sequence[Words], references: Sequence[Sequence[Words]]) -> Pairs:
    """Give every different text a number; every pair has at least one reference."""
    numbers: dict[tuple[str, ...], int] = {}

    def number(words: Words) -> int:
        return numbers.setdefault(tuple(words), len(numbers))

    prediction = np.fromiter((number(words) for words in predictions), np.int64, len(predictions))
    sizes = np.fromiter((len(texts) for texts in references), np.int64, len(references))
    flat = (number(words) for texts in references for words in texts)
    reference = np.fromiter(flat, np.int64, int(sizes.sum()))
    pair = np.repeat(np.arange(len(predictions), dtype=np.int64), sizes)
    return Pairs(list(numbers), prediction, reference, pair, np.cumsum(sizes) - sizes)

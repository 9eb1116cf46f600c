"""BLEU-1 to BLEU-4 of a corpus (Papineni et al. 2002), and the bare n-gram precisions that RSCC prints."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rsccli.evaluation.metrics.base import F64, Measured, Metric, check_pairs
from rsccli.evaluation.metrics.ngrams import Ngrams, Pairs, count_ngrams, number_texts, run_starts

HIGHEST = 4
KEYS = tuple(f"bleu_{order}" for order in range(1, HIGHEST + 1))
# pycocoevalcap keeps its fractions finite with these; without them the last digits differ.
SMALL, TINY = 1e-9, 1e-15


def clipped_matches(pairs: Pairs, ngrams: Ngrams) -> F64:
    """n-grams (N,) of each prediction that its references have, each at most as often as the reference with most."""
    found = np.zeros(len(pairs.prediction))
    owner, rows = ngrams.of(pairs.reference)
    keys = pairs.pair[owner] * ngrams.kinds + ngrams.gram[rows]
    if not len(keys):
        return found
    order = np.argsort(keys, kind="stable")
    keys, counts = keys[order], ngrams.count[rows][order]
    starts = run_starts(keys)
    keys, most = keys[starts], np.maximum.reduceat(counts, starts)
    owner, rows = ngrams.of(pairs.prediction)
    wanted = owner * ngrams.kinds + ngrams.gram[rows]
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    hits = np.where(keys[at] == wanted, np.minimum(most[at], ngrams.count[rows]), 0)
    return np.asarray(np.bincount(owner, weights=hits, minlength=len(found)), np.float64)


def _matched_and_possible(
    predictions: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]
) -> tuple[F64, F64, F64]:
    """Lengths (N, 2) of prediction and closest reference, and matched and possible n-grams (N, HIGHEST)."""
    pairs = number_texts(predictions, references)
    sizes = np.fromiter((len(words) for words in pairs.sentences), np.int64, len(pairs.sentences))
    length = sizes[pairs.prediction]
    other = sizes[pairs.reference]
    # Of two references equally far, the shorter: the distance leads, the length breaks the tie.
    far = np.abs(other - length[pairs.pair]) * (int(sizes.max(initial=0)) + 1) + other
    closest = np.minimum.reduceat(far, pairs.first) % (int(sizes.max(initial=0)) + 1) if len(length) else length
    orders = np.arange(HIGHEST)
    possible = np.maximum(0, length[:, None] - orders).astype(np.float64)
    matched = np.stack([clipped_matches(pairs, ngrams) for ngrams in count_ngrams(pairs.sentences, HIGHEST)], axis=1)
    return np.stack([length, closest], axis=1).astype(np.float64), matched, possible


def combine_bleu(sums: F64, pairs: F64) -> F64:
    """Sums (..., 2 + 2 * HIGHEST) of lengths, matched and possible n-grams to BLEU-1..4 times 100."""
    length, closest = sums[..., 0], sums[..., 1]
    matched, possible = sums[..., 2 : 2 + HIGHEST], sums[..., 2 + HIGHEST :]
    products = np.cumprod((matched + TINY) / (possible + SMALL), axis=-1)
    scores = products ** (1.0 / np.arange(1, HIGHEST + 1))
    ratio = (length + TINY) / (closest + SMALL)
    penalty = np.where(ratio < 1, np.exp(1 - 1 / np.minimum(ratio, 1)), 1.0)
    scores = 100.0 * scores * penalty[..., None]
    return np.where(np.asarray(pairs)[..., None] > 0, scores, np.nan)


class Bleu(Metric):
    """Corpus BLEU with the closest reference length, as ``Bleu(4)`` of pycocoevalcap computes it."""

    name = "BLEU"
    keys = KEYS

    def measure(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Measured:
        """See `Metric`; words are what white space parts."""
        check_pairs(predictions, references)
        parted = [[text.split() for text in texts] for texts in references]
        lengths, matched, possible = _matched_and_possible([text.split() for text in predictions], parted)
        return Measured(KEYS, np.concatenate([lengths, matched, possible], axis=1), combine_bleu)


def combine_precisions(sums: F64, pairs: F64) -> F64:
    """Sums (..., 2 * HIGHEST) of matched and possible n-grams to precisions times 100, 0 where none is possible."""
    matched, possible = sums[..., :HIGHEST], sums[..., HIGHEST:]
    scores = 100.0 * matched / np.maximum(possible, 1.0)
    return np.where(np.asarray(pairs)[..., None] > 0, scores, np.nan)


class NgramPrecisions(Metric):
    """Precisions of n-grams over the corpus, no geometric mean and no brevity penalty: RSCC's "BLEU-n".

    They are the ``precisions`` of Hugging Face evaluate's BLEU, on words of mteval-v13a, capitals kept.
    """

    name = "BLEU"
    keys = KEYS

    def __init__(self, words_of: Callable[[str], list[str]]) -> None:
        self._words_of = words_of

    def measure(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Measured:
        """See `Metric`."""
        check_pairs(predictions, references)
        words = self._words_of
        parted = [[words(text) for text in texts] for texts in references]
        _, matched, possible = _matched_and_possible([words(text) for text in predictions], parted)
        notes = ("bleu_n are bare n-gram precisions, as RSCC prints them",)
        return Measured(KEYS, np.concatenate([matched, possible], axis=1), combine_precisions, notes)

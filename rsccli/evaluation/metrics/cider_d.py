"""CIDEr-D (Vedantam et al. 2015): TF-IDF cosine of n-grams, clipped, with a penalty for another length.

``CiderScorer`` of pycocoevalcap is this variant: it clips, weighs lengths with sigma 6, does not stem, and multiplies
by 10. Papers multiply by 100 again ("136.6"), and so do the values here. Document frequencies come from the references
that are measured together, so the changed pairs alone are measured anew rather than picked from all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rsccli.evaluation.metrics.base import F64, Measured, Metric, check_pairs, mean_score
from rsccli.evaluation.metrics.ngrams import Ngrams, Pairs, count_ngrams, number_texts, run_starts

HIGHEST = 4
SIGMA = 6.0
TIMES = 10.0


def _cosines(pairs: Pairs, ngrams: Ngrams) -> F64:
    """Clipped TF-IDF cosine (M,) of each reference with its pair's prediction, for one order of n-grams."""
    owner, rows = ngrams.of(pairs.reference)
    kinds = max(ngrams.kinds, 1)
    # In how many pairs' references an n-gram stands.
    wanted = pairs.pair[owner] * kinds + ngrams.gram[rows]
    held = np.sort(wanted)
    frequency = np.bincount(held[run_starts(held)] % kinds, minlength=kinds)
    rarity = np.log(float(len(pairs.prediction))) - np.log(np.maximum(1.0, frequency))
    weight = ngrams.count * rarity[ngrams.gram]
    norm = np.sqrt(np.bincount(ngrams.sentence, weights=weight**2, minlength=len(pairs.sentences)))
    said, said_rows = ngrams.of(pairs.prediction)
    said_keys = said * kinds + ngrams.gram[said_rows]
    if not len(said_keys):
        return np.zeros(len(pairs.reference))
    at = np.minimum(np.searchsorted(said_keys, wanted), len(said_keys) - 1)
    theirs = weight[rows]
    ours = np.where(said_keys[at] == wanted, weight[said_rows[at]], 0.0)
    dot = np.bincount(owner, weights=np.minimum(ours, theirs) * theirs, minlength=len(pairs.reference))
    norms = norm[pairs.prediction][pairs.pair] * norm[pairs.reference]
    # What has no weight at all (one pair, or n-grams that every pair has) is like nothing.
    cosines = np.zeros(len(pairs.reference))
    np.divide(dot, norms, out=cosines, where=norms != 0)
    return cosines


def pair_scores(predictions: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]) -> F64:
    """CIDEr-D (N,) of each pair, 0 to 10."""
    if not len(predictions):
        return np.zeros(0)
    pairs = number_texts(predictions, references)
    counted = count_ngrams(pairs.sentences, HIGHEST)
    sizes = np.fromiter((len(words) for words in pairs.sentences), np.int64, len(pairs.sentences))
    # The original measures length in word pairs.
    lengths = np.maximum(sizes - 1, 0)
    apart = (lengths[pairs.prediction][pairs.pair] - lengths[pairs.reference]).astype(np.float64)
    similar = np.mean([_cosines(pairs, ngrams) for ngrams in counted], axis=0)
    similar *= np.exp(-(apart**2) / (2 * SIGMA**2))
    members = np.bincount(pairs.pair, minlength=len(predictions))
    return TIMES * np.bincount(pairs.pair, weights=similar, minlength=len(predictions)) / members


class CiderD(Metric):
    """Mean CIDEr-D over the pairs, times 10 as in pycocoevalcap and times 100 as in papers."""

    name = "CIDEr-D"
    keys = ("cider_d",)
    of_the_set = True

    def measure(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Measured:
        """See `Metric`; words are what white space parts."""
        check_pairs(predictions, references)
        parted = [[text.split() for text in texts] for texts in references]
        return mean_score("cider_d", pair_scores([text.split() for text in predictions], parted))

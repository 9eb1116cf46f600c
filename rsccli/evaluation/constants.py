"""The best constant sentences of a split, searched on a sample of its pairs.

Candidates are what people wrote most often, so the search finds what a careless captioner would find. The measure is
the mean of those of BLEU-4, METEOR, ROUGE-L and CIDEr-D that the metrics give.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rsccli.evaluation.changeflag import says_unchanged
from rsccli.evaluation.consensus import consensus, document_frequencies
from rsccli.evaluation.judge import Judge
from rsccli.evaluation.metrics.base import F64, Indices
from rsccli.evaluation.metrics.composed import PARTS
from rsccli.evaluation.scored import Scored
from rsccli.evaluation.split import MANY_HOUSES, NO_DIFFERENCE, SAME_AS_BEFORE, Split

_SAMPLE = 400
_NO_CHANGE_CANDIDATES = 5
_CHANGE_CANDIDATES = 10
_CONSENSUS_CAPTIONS = 500


@dataclass(frozen=True, eq=False)
class Candidates:
    """What is tried, and on which pairs.

    Attributes:
        still: sentences that say that nothing changed. told: that tell of a change. pairs: indices of at most 400.
    """

    still: tuple[str, ...]
    told: tuple[str, ...]
    pairs: Indices


@dataclass(frozen=True)
class Constants:
    """The best sentences found.

    Attributes:
        alone: no-change sentence for every pair.
        flagged: unchanged and changed, for a perfect flag to pick from.
        flagged_cider: the same two for CIDEr-D alone: which no-change sentence is taken moves it most. None where
            CIDEr-D is not measured.
        changed: for the changed pairs when these are scored alone.
    """

    alone: str
    flagged: tuple[str, str]
    flagged_cider: tuple[str, str] | None
    changed: str


def candidates_of(split: Split, seed: int) -> Candidates:
    """The sentences that people wrote most often, and the one of changed pairs that agrees best with the others.

    Args:
        seed: of the sample of pairs.
    """
    number = len(split.references)
    pairs = np.arange(number)
    if number > _SAMPLE:
        pairs = np.sort(np.random.default_rng(seed).choice(number, _SAMPLE, replace=False))
    still = [SAME_AS_BEFORE, NO_DIFFERENCE, *_frequent(split, _NO_CHANGE_CANDIDATES, changed=False)]
    told = [MANY_HOUSES, *_frequent(split, _CHANGE_CANDIDATES - 1, changed=True)]
    sample = split.only(pairs)
    captions = [caption for texts in sample.changed_only().references for caption in texts]
    if captions:
        told.append(consensus(captions[:_CONSENSUS_CAPTIONS], document_frequencies(sample.references)))
    return Candidates(tuple(dict.fromkeys(still))[:_NO_CHANGE_CANDIDATES], tuple(dict.fromkeys(told)), pairs)


def find_constants(split: Split, candidates: Candidates, judge: Judge) -> Constants:
    """Try every candidate, and every pair of candidates under a perfect flag.

    Args:
        judge: knows the candidates' sentences.
    """
    pairs, still, told = candidates.pairs, candidates.still, candidates.told
    changed = split.changed[pairs]

    def scored(sentence: str, where: Indices) -> Scored:
        return judge.score([sentence] * len(where), where)

    of_still = [scored(sentence, pairs) for sentence in still]
    of_told = [scored(sentence, pairs) for sentence in told]
    keys = of_still[0].keys
    # A perfect flag: rows of one sentence where unchanged, of the other where changed.
    together = {
        (calm, event): _values(rows, np.where(changed[:, None], other.statistics(), rows.statistics()))
        for calm, rows in zip(still, of_still, strict=True)
        for event, other in zip(told, of_told, strict=True)
    }
    flagged_cider = None
    if "cider_d" in keys:
        column = keys.index("cider_d")
        flagged_cider = max(together, key=lambda both: together[both][column])
    where = pairs[changed]
    return Constants(
        alone=_best(still, of_still),
        flagged=max(together, key=lambda both: _merit(keys, together[both])),
        flagged_cider=flagged_cider,
        changed=_best(told, [scored(sentence, where) for sentence in told]) if len(where) else MANY_HOUSES,
    )


def _frequent(split: Split, number: int, *, changed: bool) -> list[str]:
    """The most frequent sentences of changed or unchanged pairs that say just that."""
    captions = (
        " ".join(caption.lower().split())
        for texts, flag in zip(split.references, split.changed, strict=True)
        if flag == changed
        for caption in texts
    )
    counted = Counter(captions).most_common(5 * number)
    return [caption for caption, _ in counted if says_unchanged(caption) is not changed][:number]


def _best(sentences: Sequence[str], scored: Sequence[Scored]) -> str:
    merits = [_merit(each.keys, each.values()) for each in scored]
    return sentences[int(np.argmax(merits))]


def _values(scored: Scored, statistics: F64) -> F64:
    return scored.of_sums(statistics.sum(axis=0), np.asarray(float(len(statistics))))


def _merit(keys: Sequence[str], values: F64) -> float:
    return float(np.mean([value for key, value in zip(keys, values, strict=True) if key in PARTS]))

"""Captions against human sentences: BLEU-4, ROUGE-L and CIDEr-D over words, one reference each.

Protocol "words": lower-cased, punctuation removed, no stems and no synonyms. No METEOR: it needs data that is not
here. Figures are times 100, as in papers.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

ORDERS = (1, 2, 3, 4)
ROUGE_BETA = 1.2
CIDER_SIGMA = 6.0


def words(text: str) -> list[str]:
    """Lower-case words."""
    return re.findall(r"[a-z0-9]+(?:[-'][a-z0-9]+)*", text.lower())


def grams(tokens: Sequence[str], order: int) -> Counter[tuple[str, ...]]:
    """Counts of the runs of ``order`` words."""
    return Counter(tuple(tokens[at : at + order]) for at in range(len(tokens) - order + 1))


def bleu4(said: Sequence[str], wanted: Sequence[str]) -> float:
    """BLEU-4 of the corpus (Papineni et al. 2002), without smoothing."""
    pairs = [(words(a), words(b)) for a, b in zip(said, wanted, strict=True)]
    logs = 0.0
    for order in ORDERS:
        hits = total = 0
        for a, b in pairs:
            mine, theirs = grams(a, order), grams(b, order)
            hits += sum((mine & theirs).values())
            total += sum(mine.values())
        if not hits:
            return 0.0
        logs += np.log(hits / total) / len(ORDERS)
    length, reference = (sum(len(pair[side]) for pair in pairs) for side in (0, 1))
    return float(100 * np.exp(logs + min(0.0, 1 - reference / length)))


def _common(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(b) + 1)
    for word in a:
        before = 0
        for at, other in enumerate(b, 1):
            before, row[at] = row[at], before + 1 if word == other else max(row[at], row[at - 1])
    return row[-1]


def rouge_l_each(said: Sequence[str], wanted: Sequence[str]) -> list[float]:
    """ROUGE-L of each sentence, beta 1.2, 0-100."""
    found = []
    for one, other in zip(said, wanted, strict=True):
        a, b = words(one), words(other)
        same = _common(a, b)
        if not same:
            found.append(0.0)
            continue
        precision, recall = same / len(a), same / len(b)
        found.append(100 * (1 + ROUGE_BETA**2) * precision * recall / (recall + ROUGE_BETA**2 * precision))
    return found


def cider_d_each(said: Sequence[str], wanted: Sequence[str]) -> list[float]:
    """CIDEr-D of each sentence (Vedantam et al. 2015); document frequency from the references given; times 100."""
    references = [words(text) for text in wanted]
    seen: Counter[tuple[str, ...]] = Counter()
    for tokens in references:
        seen.update({gram for order in ORDERS for gram in grams(tokens, order)})
    number = np.log(float(len(references)))

    def weighted(tokens: list[str], order: int) -> dict[tuple[str, ...], float]:
        return {gram: n * (number - np.log(max(1, seen[gram]))) for gram, n in grams(tokens, order).items()}

    found = []
    for text, reference in zip(said, references, strict=True):
        tokens = words(text)
        total = 0.0
        for order in ORDERS:
            mine, theirs = weighted(tokens, order), weighted(reference, order)
            size = np.sqrt(sum(v * v for v in mine.values()) * sum(v * v for v in theirs.values()))
            if size:
                total += sum(min(v, theirs[gram]) * theirs[gram] for gram, v in mine.items() if gram in theirs) / size
        gap = len(tokens) - len(reference)
        # The original gives 10 times the mean cosine, and papers print 100 times that.
        found.append(float(1000 * total / len(ORDERS) * np.exp(-(gap**2) / (2 * CIDER_SIGMA**2))))
    return found


def medoid(sentences: Sequence[str]) -> str:
    """The sentence that is most like all others (ROUGE-L): the best constant answer that needs no image."""
    distinct = sorted(set(sentences))
    return max(distinct, key=lambda one: float(np.mean(rouge_l_each([one] * len(sentences), sentences))))

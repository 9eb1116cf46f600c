"""What a captioner could say that knew 17 true keywords of a pair and nothing else.

For each changed pair its keywords are read from its references; of all changed training pairs with the same keywords,
the caption is taken that agrees best with all their captions (CIDEr-D, document frequencies of the whole training
split). Where no training pair has just these keywords, all pairs with the fewest keywords more or less stand in.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from rsccli.evaluation.consensus import consensus, document_frequencies
from rsccli.evaluation.keywords import keywords_of
from rsccli.evaluation.protocols import protocol_named
from rsccli.evaluation.split import Split

# Captions of one group that are compared; a larger group agrees on the same sentence.
_MOST = 1000


def oracle_sentences(references: Sequence[Sequence[str]], training: Split) -> tuple[str, ...]:
    """A training caption for each changed pair, chosen by its true keywords.

    Args:
        references: captions of the changed pairs, as written: their keywords are the labels that are read.
        training: pairs to learn from; at least one must be changed.
    """
    # Consensus is about words: lower case, without full stops.
    _, written = protocol_named("words").apply([""] * len(training.references), training.references)
    frequencies = document_frequencies(written)
    groups: dict[frozenset[str], list[str]] = defaultdict(list)
    for texts, changed in zip(written, training.changed, strict=True):
        if changed:
            groups[keywords_of(texts)].extend(texts)
    known: dict[frozenset[str], str] = {}
    for captions in references:
        keywords = keywords_of(captions)
        if keywords not in known:
            known[keywords] = consensus(_group(keywords, groups)[:_MOST], frequencies)
    return tuple(known[keywords_of(captions)] for captions in references)


def _group(keywords: frozenset[str], groups: dict[frozenset[str], list[str]]) -> list[str]:
    """Captions of the group with these keywords, or of all groups that differ from them in the fewest."""
    if keywords in groups:
        return groups[keywords]
    least = min(len(keywords ^ other) for other in groups)
    return [caption for other, captions in groups.items() if len(keywords ^ other) == least for caption in captions]

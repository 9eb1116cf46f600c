"""Whether captions say that something changed.

Half of LEVIR-CC's pairs are unchanged and carry the same five sentences; other data sets and most models say it in
other words. The rule is the one that gives captions of large models their status (`rsccli.models.large.answer`): a
caption is unchanged where its words deny change and tell of none. "No difference except a new house" tells of one.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from rsccli.models.large.answer import status_of

#: The sentences of LEVIR-CC's unchanged pairs (Liu et al. 2022), in the order of its files.
LEVIR_CC_UNCHANGED = (
    "there is no difference",
    "the two scenes seem identical",
    "the scene is the same as before",
    "no change has occurred",
    "almost nothing has changed",
)


@lru_cache(maxsize=1 << 16)
def says_unchanged(text: str) -> bool:
    """Whether a caption says that nothing changed, and tells of no change beside it.

    A caption without words says nothing of the kind, nor does one that leaves it open.
    """
    return status_of(text)[0] == "unchanged"


def changed_by_words(captions: Iterable[str]) -> bool | None:
    """What several captions of one pair say: unchanged where more than half of them do, else changed.

    None where there is no caption. Where as many say the one as the other, those who saw something are believed.
    """
    said = [says_unchanged(caption) for caption in captions]
    return 2 * sum(said) <= len(said) if said else None

"""Floors and ceilings of a split: what predictors say that look at no pixel.

| name | on | what it says |
|---|---|---|
| `same_as_before`, `no_difference` | all pairs | one of two no-change sentences of LEVIR-CC, for every pair |
| `best_no_change` | all pairs | the best of the split's own no-change sentences, for every pair |
| `perfect_flag_houses` | all pairs | the true flag picks "the scene is the same as before" or "many houses are ..." |
| `perfect_flag_best`, `perfect_flag_cider` | all pairs | the true flag picks one of the two best constants found |
| `perfect_flag_keywords` | all pairs | as above, for changed pairs the consensus training sentence of their keywords |
| `changed_houses`, `changed_best`, `changed_keywords` | changed pairs | the same sentences on the changed pairs alone |
| `human_first` | changed pairs | the first human sentence against the others of its pair |

This file says what is said; `rsccli.evaluation.floorscores` scores it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rsccli.evaluation.constants import Constants
from rsccli.evaluation.metrics.base import Indices
from rsccli.evaluation.result import LeftOut, Scope
from rsccli.evaluation.split import MANY_HOUSES, NO_DIFFERENCE, SAME_AS_BEFORE, Split

_NO_UNCHANGED = "the references call no pair unchanged"
_NO_CHANGED = "the references call no pair changed"


@dataclass(frozen=True, eq=False)
class Floor:
    """What a predictor says that looks at no pixel.

    Attributes:
        name: for programs. title: for people. scope: on which pairs. reads_labels: whether it reads what is to be
            predicted. sentences: the constants among what it says; empty where it says something else for every pair.
        pairs: indices of the pairs. predictions: one for each of them; None is the first reference of each, which is
            then scored against the others.
    """

    name: str
    title: str
    scope: Scope
    reads_labels: bool
    sentences: tuple[str, ...]
    pairs: Indices
    predictions: tuple[str, ...] | None


def floors_of(
    split: Split, constants: Constants, oracle: Sequence[str] | None, no_oracle: str
) -> tuple[list[Floor], list[LeftOut]]:
    """All floors that make sense for the split, and the others with the reason.

    Args:
        constants: the best constants found. oracle: a sentence for each changed pair, made from its true keywords; None
            where there is no training split. no_oracle: the reason, then.
    """
    floors, left_out = [], []
    for found in (*_overall(split, constants, oracle, no_oracle), *_changed_only(split, constants, oracle, no_oracle)):
        if isinstance(found, Floor):
            floors.append(found)
        else:
            left_out.append(found)
    return floors, left_out


def _overall(split: Split, constants: Constants, oracle: Sequence[str] | None, no_oracle: str) -> list[Floor | LeftOut]:
    everything = np.arange(len(split.changed))
    changed = int(split.changed.sum())
    unchanged = len(split.changed) - changed

    def always(name: str, title: str, sentence: str, labels: bool) -> Floor | LeftOut:
        if not unchanged:
            return LeftOut(name, title, _NO_UNCHANGED)
        return Floor(name, title, "overall", labels, (sentence,), everything, (sentence,) * len(everything))

    def flagged(name: str, title: str, said: tuple[str, ...], told: Sequence[str]) -> Floor | LeftOut:
        if not unchanged or not changed:
            return LeftOut(name, title, _NO_UNCHANGED if changed else _NO_CHANGED)
        given = iter(told)
        predictions = tuple(next(given) if flag else said[0] for flag in split.changed)
        return Floor(name, title, "overall", True, said, everything, predictions)

    def picked(name: str, title: str, both: tuple[str, str] | None) -> Floor | LeftOut:
        if both is None:
            return LeftOut(name, title, "CIDEr-D is not among the scores")
        return flagged(name, title, both, (both[1],) * changed)

    keywords = ("perfect_flag_keywords", "perfect flag + 17 oracle keywords")
    return [
        always("same_as_before", f'always "{SAME_AS_BEFORE}"', SAME_AS_BEFORE, False),
        always("no_difference", f'always "{NO_DIFFERENCE}"', NO_DIFFERENCE, False),
        always("best_no_change", "always the best no-change sentence found", constants.alone, True),
        picked("perfect_flag_houses", f'perfect flag + "{MANY_HOUSES}"', (SAME_AS_BEFORE, MANY_HOUSES)),
        picked("perfect_flag_best", "perfect flag + best constants found", constants.flagged),
        picked("perfect_flag_cider", "perfect flag + constants found for CIDEr-D", constants.flagged_cider),
        LeftOut(*keywords, no_oracle)
        if oracle is None and changed and unchanged
        else flagged(*keywords, (SAME_AS_BEFORE,), oracle or ()),
    ]


def _changed_only(
    split: Split, constants: Constants, oracle: Sequence[str] | None, no_oracle: str
) -> list[Floor | LeftOut]:
    changed = np.flatnonzero(split.changed)
    several = np.array([i for i in changed if len(split.references[i]) > 1], np.intp)

    def floor(labels: bool, sentences: tuple[str, ...], said: Sequence[str]) -> Callable[[str, str], Floor]:
        return lambda name, title: Floor(name, title, "changed_only", labels, sentences, changed, tuple(said))

    def constant(sentence: str, labels: bool) -> Callable[[str, str], Floor]:
        return floor(labels, (sentence,), (sentence,) * len(changed))

    def without(reason: str) -> Callable[[str, str], LeftOut]:
        return lambda name, title: LeftOut(name, title, reason)

    kinds: list[tuple[str, str, Callable[[str, str], Floor | LeftOut]]] = [
        ("changed_houses", f'always "{MANY_HOUSES}"', constant(MANY_HOUSES, False)),
        ("changed_best", "always the best constant found", constant(constants.changed, True)),
        ("changed_keywords", "17 oracle keywords", without(no_oracle) if oracle is None else floor(True, (), oracle)),
        (
            "human_first",
            "first human sentence against the others",
            (lambda name, title: Floor(name, title, "changed_only", False, (), several, None))
            if len(several)
            else without("no changed pair has two references"),
        ),
    ]
    return [make(name, title) if len(changed) else LeftOut(name, title, _NO_CHANGED) for name, title, make in kinds]

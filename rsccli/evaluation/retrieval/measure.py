"""Rows of the result from whatever scores a text against a change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from rsccli.evaluation.retrieval.equals import Bool, Equals
from rsccli.evaluation.retrieval.ranks import Rank, chance_of, rank_of
from rsccli.evaluation.retrieval.result import Row, Way, numbers_of

Scores = npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Task:
    """Pairs and texts that find each other.

    Attributes:
        captions: of each of N pairs. texts: T texts. owners: (T,) pair of each. changed: (N,) or None where unknown.
    """

    captions: Sequence[Sequence[str]]
    texts: Sequence[str]
    owners: Sequence[int]
    changed: Sequence[bool | None]


@dataclass
class Tally:
    """Ranks of questions as they come, of one way of retrieval; several tasks may go into one tally."""

    by: str
    way: Way
    answers: int = 0
    equals: list[Rank] = field(default_factory=list)
    naive: list[Rank] = field(default_factory=list)
    chance: list[Rank] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    changed: list[bool | None] = field(default_factory=list)

    def add(self, scores: Scores, equals: Bool, naive: Bool, group: int, changed: bool | None) -> None:
        """One question: scores of all answers, and which are right in either sense."""
        self.answers = max(self.answers, len(scores))
        self.equals.append(rank_of(scores, equals))
        self.naive.append(rank_of(scores, naive))
        self.chance.append(chance_of(int(equals.sum()), len(scores)))
        self.groups.append(group)
        self.changed.append(changed)

    def rows(self, samples: int, seed: int) -> list[Row]:
        """The row of all questions and, where some are known to be of changed pairs, the row of these."""
        made = [self._row("all", range(len(self.groups)), samples, seed)]
        changed = [place for place, each in enumerate(self.changed) if each]
        if changed and len(changed) < len(self.groups):
            made.append(self._row("changed", changed, samples, seed))
        return made

    def _row(self, scope: Literal["all", "changed"], places: Sequence[int], samples: int, seed: int) -> Row:
        groups = [self.groups[place] for place in places]
        equals, naive, chance = (
            numbers_of([ranks[place] for place in places], groups, drawn, seed)
            for ranks, drawn in ((self.equals, samples), (self.naive, samples), (self.chance, 0))
        )
        return Row(self.by, self.way, scope, len(places), self.answers, equals, naive, chance)


def measure(
    task: Task,
    tallies: tuple[Tally, Tally],
    of_text: Callable[[int], Scores],
    of_pair: Callable[[int], Scores],
) -> None:
    """Ask with every text and with every pair.

    Args:
        tallies: for texts that find changes, and for changes that find texts.
        of_text: scores (N,) of all pairs for a text. of_pair: scores (T,) of all texts for a pair.
    """
    equals = Equals(task.captions, task.texts, task.owners)
    for text, owner in enumerate(task.owners):
        right = equals.pairs_of(text, True), equals.pairs_of(text, False)
        tallies[0].add(of_text(text), *right, owner, task.changed[owner])
    for pair in sorted(set(task.owners)):
        right = equals.texts_of(pair, True), equals.texts_of(pair, False)
        tallies[1].add(of_pair(pair), *right, pair, task.changed[pair])


def shared_texts(task: Task) -> int:
    """Texts that are a caption of another pair, too."""
    equals = Equals(task.captions, task.texts, task.owners)
    return sum(int(equals.pairs_of(text, True).sum()) > 1 for text in range(len(task.texts)))

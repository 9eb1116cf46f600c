"""Texts that find texts: how far words alone lead, with the index that ``rsccli search`` has by default.

One sentence of each pair asks, the others of the pair are its document; each sentence asks once. No picture is looked
at: this is the floor of search by captions, reached with captions of people.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rsccli.errors import InputError
from rsccli.evaluation.retrieval.equals import plain
from rsccli.evaluation.retrieval.measure import Scores, Tally, Task, measure
from rsccli.evaluation.retrieval.references import References
from rsccli.evaluation.retrieval.result import Row
from rsccli.search.words import TextIndex


def lexical_rows(references: References, samples: int, seed: int) -> tuple[list[Row], list[Task], list[str]]:
    """Rows of both ways, the tasks that they come from, and what a reader should know.

    Raises:
        InputError: no two pairs have two sentences.
    """
    usable = [pair for pair, own in enumerate(references.captions) if len(own) > 1]
    if len(usable) < 2:
        raise InputError(
            f"{references.path}: {len(usable)} pairs with two sentences or more: one asks and the others are found, so "
            "there is nothing to measure"
        )
    tallies = (Tally("captions", "text to change"), Tally("captions", "change to text"))
    tasks = []
    for turn in range(max(len(references.captions[pair]) for pair in usable)):
        pairs = [pair for pair in usable if len(references.captions[pair]) > turn]
        if len(pairs) < 2:
            break
        captions = [references.captions[pair] for pair in pairs]
        changed = [references.changed[pair] for pair in pairs]
        task = Task(captions, [own[turn] for own in captions], range(len(pairs)), changed)
        documents = ["\n".join(own[:turn] + own[turn + 1 :]) for own in captions]
        _measure(task, documents, tallies)
        tasks.append(task)
    left = len(references.captions) - len(usable)
    notes = [f"{left} pairs with a single sentence were left out"] if left else []
    return [row for tally in tallies for row in tally.rows(samples, seed)], tasks, notes


def _measure(task: Task, documents: Sequence[str], tallies: tuple[Tally, Tally]) -> None:
    """One turn: sentence against documents, and documents against sentences."""
    of_documents, of_texts = _Ranker(documents), _Ranker(task.texts)
    try:
        measure(
            task,
            tallies,
            lambda text: of_documents.scores(task.texts[text]),
            lambda pair: of_texts.scores(documents[pair]),
        )
    finally:
        of_documents.close()
        of_texts.close()


class _Ranker:
    """BM25 scores of all texts for a question; equal texts are indexed and equal questions asked once."""

    def __init__(self, texts: Sequence[str]) -> None:
        numbers: dict[str, int] = {}
        self._place = np.array([numbers.setdefault(plain(text), len(numbers)) for text in texts])
        self._index = TextIndex(list(numbers))
        self._count = len(numbers)
        self._known: dict[str, Scores] = {}

    def scores(self, question: str) -> Scores:
        asked = plain(question)
        if asked not in self._known:
            # What shares no word with the question is found last, all of it alike.
            found = np.zeros(self._count, np.float32)
            for place, score in self._index.scores(asked) if asked else ():
                found[place] = score
            self._known[asked] = found
        spread: Scores = self._known[asked][self._place]
        return spread

    def close(self) -> None:
        self._index.close()

"""The scene's answer from a large model's words: equal answers are counted and quoted, numbers are not repeated.

A model's number is its own: nothing here was measured. Tiles whose answers hold one are cited, so that a person can
look at them.
"""

from __future__ import annotations

import re

from rsccli.models.small.answers import TileAnswer
from rsccli.output.text import storable
from rsccli.run.ask.record import TileAnswers
from rsccli.run.ask.scene import Looked, SceneAnswer, TileList, status_without_answers

#: Different answers that are told apart, that are quoted, and how long a quotation may be.
KEPT, QUOTED, LONGEST = 500, 5, 120
_NUMBER = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozens?|hundreds?|thousands?|half|twice)\b",
    re.IGNORECASE,
)
_VERDICT = re.compile(r"^\W*(yes|no)\b", re.IGNORECASE)


class WordsTally:
    """Gathers the answers to one question.

    Args:
        text: the question.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._looked, self._numbers, self._others = Looked(), TileList(), TileList()
        self._verdicts = {"yes": TileList(), "no": TileList()}
        self._groups: dict[str, tuple[str, TileList]] = {}

    def add(self, record: TileAnswers, answer: TileAnswer) -> None:
        """See `rsccli.run.ask.scene.Tally`."""
        self._looked.add(record, answer)
        if answer.status != "answered" or answer.text is None:
            return
        weight = answer.logprob or 0.0
        verdict = _VERDICT.match(answer.text)
        if verdict is not None:
            self._verdicts[verdict[1].lower()].add(record, weight)
        elif _NUMBER.search(answer.text):
            self._numbers.add(record, weight)
        else:
            key = " ".join(re.findall(r"\w+", answer.text.lower()))
            if key not in self._groups and len(self._groups) >= KEPT:
                self._others.add(record, weight)
            else:
                self._groups.setdefault(key, (_quoted(answer.text), TileList()))[1].add(record, weight)

    def answer(self) -> SceneAnswer:
        """See `rsccli.run.ask.scene.Tally`."""
        looked = self._looked
        status = status_without_answers(looked)
        if status is not None:
            return SceneAnswer(
                self._text, status, f"No tile could be asked.{looked.rest()}", by_status=looked.by_status
            )
        groups = sorted(self._groups.values(), key=lambda each: (-each[1].count, each[0]))
        told = [f"“{name}” in {tiles.told()}" for name, tiles in self._verdicts.items() if tiles.count]
        told += [f"{quotation} in {tiles.told()}" for quotation, tiles in groups[:QUOTED]]
        left = sum(tiles.count for _, tiles in groups[QUOTED:]) + self._others.count
        if left:
            told.append(f"other words in {left:,} {'tile' if left == 1 else 'tiles'}")
        if self._numbers.count:
            told.append(
                f"a number in the answers to {self._numbers.told()}, which the model gives and nobody measured: it is "
                "not repeated or added up here"
            )
        text = f"Of {looked.tiles:,} tiles that were asked the model says {'; '.join(told)}." if told else "No answer."
        cited = self._verdicts["yes"] if self._verdicts["yes"].count else groups[0][1] if groups else self._numbers
        return SceneAnswer(
            self._text,
            "answered" if told else "unsure",
            text + looked.rest(),
            tiles=cited.ids,
            tile_count=cited.count,
            by_status=looked.by_status,
        )


def _quoted(text: str) -> str:
    words = storable(text).replace("“", '"').replace("”", '"').rstrip(".")
    return f"“{words if len(words) <= LONGEST else words[: LONGEST - 1] + '…'}”"

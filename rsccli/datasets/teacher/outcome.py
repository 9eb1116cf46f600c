"""What a teacher made of one pair."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from rsccli.datasets.collection.pair import LabelledPair
from rsccli.models.prompts import Regime


@dataclass(frozen=True)
class Outcome:
    """A caption, or why there is none.

    Attributes:
        id: of the pair. text: the caption, or None. problem: why there is none, or None.
        malformed: answers that were no captions, the last one included. tries: requests that it took.
        prompt_tokens, answer_tokens: as the endpoint counts them, 0 where it does not.
    """

    id: str
    text: str | None
    problem: str | None = None
    malformed: int = 0
    tries: int = 1
    prompt_tokens: int = 0
    answer_tokens: int = 0

    def to_json(self) -> dict[str, Any]:
        """As it stands in the journal."""
        return asdict(self)


def outcome_from_json(value: Mapping[str, Any]) -> Outcome:
    """Read what `Outcome.to_json` made."""
    return Outcome(**value)


class Teacher(Protocol):
    """What captions pairs."""

    @property
    def model(self) -> str:
        """What records call it."""
        ...

    @property
    def revision(self) -> str | None:
        """Of the model, where there is one."""
        ...

    @property
    def regime(self) -> Regime:
        """How it is asked."""
        ...

    def teach(self, pairs: Sequence[LabelledPair], stopped: Callable[[], bool]) -> Iterator[Outcome]:
        """Caption pairs, in any order; an outcome comes as soon as it is there.

        Args:
            stopped: asked between pairs; once it says yes no further pair is begun.

        Raises:
            ModelError: nothing will come of it, for any pair.
        """
        ...

"""What a captioner offers beside captions where it can be asked in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from rsccli.types import Caption, TilePair


@runtime_checkable
class Answers(Protocol):
    """A captioner that answers questions in words; bundles of large models do."""

    def answer(self, pairs: Sequence[TilePair], questions: Sequence[str]) -> list[list[Caption]]:
        """Answers to several questions of each pair, with one look at the pictures where the model allows it.

        Args:
            pairs: one batch. questions: plain text each.

        Returns:
            For each question one answer for each pair.

        Raises:
            OutOfMemoryError: the batch does not fit. ModelError: the model failed on this batch.
        """
        ...

"""Rows of a ``generate()`` call of transformers as decoded rows, and the rule against loops as it wants it.

This module imports torch and transformers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import LogitsProcessor

from rsccli.models.decoding.tokens import Decoded, LoopRule, Prompt, Stopped, loop_tokens, tokens_so_far, without_loop


class LoopGuard(LogitsProcessor):  # type: ignore[misc]  # transformers carries no types
    """The rule against loops of `rsccli.models.decoding.tokens`, for one ``generate()`` call.

    Args:
        end: token that ends a row. rule: what counts as a loop. skip: leading tokens that are the prompt's.
        beams: of the call.
    """

    def __init__(self, end: int, rule: LoopRule, skip: int = 0, beams: int = 1) -> None:
        self._end, self._rule, self._skip, self._beams = end, rule, skip, beams
        self._ended: set[tuple[int, tuple[int, ...]]] = set()

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Leave nothing but the end to rows whose best token would complete a loop."""
        allowed = scores.clone()
        for row, ids in enumerate(input_ids.tolist()):
            if int(scores[row].argmax()) in loop_tokens(ids[self._skip :], self._rule):
                allowed[row] = -torch.inf
                allowed[row, self._end] = scores[row, self._end]
                self._ended.add((row // self._beams, tuple(ids)))
        return allowed

    def ended(self, row: int, ids: Sequence[int]) -> bool:
        """Whether a row of the batch was ended by the rule after these ids (prompt included), not by the model."""
        return (row, tuple(ids)) in self._ended

    def kept(self, tokens: Sequence[int]) -> tuple[int, ...]:
        """What remains of tokens that the rule ended."""
        return without_loop(tokens, self._rule)


class PromptPenalty(LogitsProcessor):  # type: ignore[misc]
    """Makes tokens of the prompt and of the caption less likely, where ``generate()`` knows embeddings alone.

    Args:
        prompt: with ids. penalty: above 1. beams: of the call.
    """

    def __init__(self, prompt: Prompt, penalty: float, beams: int = 1) -> None:
        self._prompt, self._penalty, self._beams = prompt, penalty, beams

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """As `rsccli.models.decoding.tokens.penalised`."""
        seen = torch.from_numpy(tokens_so_far(self._prompt, scores.shape[1])).to(scores.device)
        seen = seen.repeat_interleave(self._beams, dim=0)
        if input_ids.shape[1]:
            seen.scatter_(1, input_ids, True)
        return torch.where(seen, torch.where(scores < 0, scores * self._penalty, scores / self._penalty), scores)


def decoded_rows(
    result: Any,  # noqa: ANN401
    sequences: torch.Tensor,
    ends: frozenset[int],
    guard: LoopGuard | None,
    beams: int,
) -> list[Decoded]:
    """What a ``generate()`` call said.

    Args:
        result: with logits, and with scores of sequences where there are beams. sequences: (N, S), generated tokens.
        ends: tokens that end a row. guard: that the call had. beams: at least 1.
    """
    whole = result.sequences.tolist()
    return [_row(result, row, whole[row], ids, ends, guard, beams) for row, ids in enumerate(sequences.tolist())]


def _row(
    result: Any,  # noqa: ANN401
    row: int,
    whole: list[int],
    ids: list[int],
    ends: frozenset[int],
    guard: LoopGuard | None,
    beams: int,
) -> Decoded:
    places = [place for place, token in enumerate(ids) if token in ends]
    length = places[0] if places else len(ids)
    tokens = tuple(ids[:length])
    stopped: Stopped = "end" if places else "length"
    if guard is not None and places and guard.ended(row, whole[: len(whole) - len(ids) + length]):
        tokens, stopped = guard.kept(tokens), "loop"
    if beams > 1:
        # With length penalty 1 the score of a beam is the mean log-probability of its tokens.
        return Decoded(tokens, float(result.sequences_scores[row]), stopped)
    spent = min(length + 1, len(ids))
    logprobs = [float(torch.log_softmax(result.logits[step][row].double(), dim=-1)[ids[step]]) for step in range(spent)]
    return Decoded(tokens, float(np.mean(logprobs)), stopped)

"""Rows of a ``generate()`` call of transformers as decoded rows, and the rule against loops as it wants it.

This module imports torch and transformers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from transformers import LogitsProcessor

from rsccli.models.decoding.tokens import Decoded, LoopRule, Stopped, loop_tokens, without_loop


class LoopGuard(LogitsProcessor):  # type: ignore[misc]  # transformers carries no types
    """The rule against loops of `rsccli.models.decoding.tokens`.

    Args:
        end: token that ends a row. rule: what counts as a loop. skip: leading tokens that are the prompt's.
    """

    def __init__(self, end: int, rule: LoopRule, skip: int = 0) -> None:
        self._end, self._rule, self._skip = end, rule, skip

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Leave nothing but the end to rows whose best token would complete a loop."""
        allowed = scores.clone()
        for row, ids in enumerate(input_ids[:, self._skip :].tolist()):
            if int(scores[row].argmax()) in loop_tokens(ids, self._rule):
                allowed[row] = -torch.inf
                allowed[row, self._end] = scores[row, self._end]
        return allowed


def decoded_rows(
    result: Any,  # noqa: ANN401
    sequences: torch.Tensor,
    ends: frozenset[int],
    rule: LoopRule,
    beams: int,
) -> list[Decoded]:
    """What a ``generate()`` call said.

    Args:
        result: with logits, and with scores of sequences where there are beams. sequences: (N, S), generated tokens.
        ends: tokens that end a row. rule: against loops. beams: at least 1.
    """
    return [_row(result, row, ids, ends, rule, beams) for row, ids in enumerate(sequences.tolist())]


def _row(result: Any, row: int, ids: list[int], ends: frozenset[int], rule: LoopRule, beams: int) -> Decoded:  # noqa: ANN401
    places = [place for place, token in enumerate(ids) if token in ends]
    length = places[0] if places else len(ids)
    found = ids[:length]
    tokens = without_loop(found, rule)
    stopped: Stopped = "loop" if len(tokens) < length else "end" if places else "length"
    if beams > 1:
        # With length penalty 1 the score of a beam is the mean log-probability of its tokens.
        return Decoded(tokens, float(result.sequences_scores[row]), stopped)
    spent = min(length + 1, len(ids))
    logprobs = [float(torch.log_softmax(result.logits[step][row].double(), dim=-1)[ids[step]]) for step in range(spent)]
    return Decoded(tokens, float(np.mean(logprobs)), stopped)

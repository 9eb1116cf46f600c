"""What both decoders share: the prompt of a batch, the result of one row and the rule against loops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from rsccli.errors import UsageProblem

# A block of up to this many tokens that would stand three times in a row is a loop; no sentence needs that.
LONGEST_LOOP = 16

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
Stopped = Literal["end", "loop", "length"]


@dataclass(frozen=True)
class Decoded:
    """One decoded row.

    Attributes:
        tokens: generated ids without the end token.
        logprob: mean log-probability of the generated tokens, end token included where it was reached; <= 0.
        stopped: why it ended: the model's own ``end``, the guard against a ``loop``, or the ``length`` allowed.
    """

    tokens: tuple[int, ...]
    logprob: float
    stopped: Stopped = "end"


@dataclass(frozen=True)
class LoopRule:
    """When repetition ends a caption.

    Attributes:
        longest: longest repeated block that is looked for, tokens; 0 switches the rule off.
        least: tokens that the repeated stretch must have at least, so that the zeros of 1000000 pass; a block stands
            at least three times in any case.
    """

    longest: int = LONGEST_LOOP
    least: int = 0

    def copies(self, block: int) -> int:
        """How many copies of a block in a row make a loop."""
        return max(3, -(-self.least // block))


#: Of the small captioner, whose tokens are words.
LOOP_RULE = LoopRule()
NO_LOOP_RULE = LoopRule(longest=0)


@dataclass(frozen=True)
class Sampling:
    """Random choice of tokens.

    Attributes:
        temperature: 0 takes the best token; above 0 logits are divided by it.
        top_p: the most probable tokens that together have this share, 0-1 (nucleus sampling, Holtzman et al. 2020).
        seed: of the draws. A row's draws depend on this, on the row's own seed and on the step alone.

    Raises:
        UsageProblem: a value out of range.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature <= 100:
            raise UsageProblem(f"temperature {self.temperature:g}: give 0 (the best token always) to 100")
        if not 0 < self.top_p <= 1:
            raise UsageProblem(f"top_p {self.top_p:g}: give a share above 0 and up to 1")
        if self.seed < 0:
            raise UsageProblem(f"seed {self.seed}: give 0 or more")


GREEDY = Sampling()


@dataclass(frozen=True, eq=False)
class PerToken:
    """An input of the decoder with one value for every token of the prompt.

    Attributes:
        values: (N, L, ...), 0 where the prompt is padded. following: (N, 1, ...), for every generated token.
    """

    values: npt.NDArray[Any]
    following: npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Prompt:
    """Where decoding begins.

    Attributes:
        embeds: (N, L, D) embeddings of image and text tokens.
        mask: (N, L), 1 where the prompt is real. Rows shorter than L are padded on the left, or, where some leading
            tokens are ``shared``, behind those.
        positions: (N, L), or (N, 3, L) for rotary positions in time, height and width; None: counted from the mask.
        per_token: further inputs with a value per token, by name.
        context: inputs that stay as they are through all steps, (N, ...), by name.
        shared: how many leading tokens are the same in all rows, whose keys and values are computed once.
        shared_key: stands for these tokens: prompts with equal keys share across batches, too.
        seeds: (N,) for sampling, or None for the row's number.
        ids: token ids of each row, for a penalty on repeating them, or None.
    """

    embeds: F32
    mask: I64
    positions: I64 | None = None
    per_token: Mapping[str, PerToken] = field(default_factory=dict)
    context: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    shared: int = 0
    shared_key: object = None
    seeds: I64 | None = None
    ids: tuple[I64, ...] | None = None

    @property
    def rows(self) -> int:
        """N."""
        return len(self.embeds)

    @property
    def first_row(self) -> Prompt:
        """The first row alone."""
        return replace(
            self,
            embeds=self.embeds[:1],
            mask=self.mask[:1],
            positions=None if self.positions is None else self.positions[:1],
            per_token={name: PerToken(each.values[:1], each.following[:1]) for name, each in self.per_token.items()},
            context={name: each[:1] for name, each in self.context.items()},
            seeds=None if self.seeds is None else self.seeds[:1],
            ids=None if self.ids is None else self.ids[:1],
        )

    def token_positions(self) -> I64:
        """Positions of the prompt's tokens, (N, L) or (N, 3, L)."""
        if self.positions is not None:
            return self.positions
        # Padding has position 0 like the first real token; the mask keeps it from being seen.
        counted: I64 = np.maximum(np.cumsum(self.mask, axis=1) - 1, 0)
        return counted


def tokens_so_far(prompt: Prompt, vocab: int) -> npt.NDArray[np.bool_]:
    """Which tokens stand in each row's prompt, (N, V)."""
    seen = np.zeros((prompt.rows, vocab), bool)
    for row, ids in enumerate(prompt.ids or ()):
        seen[row, ids[ids < vocab]] = True
    return seen


def penalised(logits: F32, seen: npt.NDArray[np.bool_], penalty: float) -> F32:
    """Logits (N, V) with those of tokens that were seen made smaller (Keskar et al. 2019, as transformers does it)."""
    scores: F32 = np.where(seen, np.where(logits < 0, logits * penalty, logits / penalty), logits)
    return scores


def next_positions(positions: I64) -> I64:
    """Positions of the first generated token, (N, 1) or (N, 3, 1): one after the largest of the row in all axes."""
    largest = positions.reshape(len(positions), -1).max(axis=1).reshape(-1, *[1] * (positions.ndim - 1))
    following: I64 = np.broadcast_to(largest + 1, (*positions.shape[:-1], 1)).copy()
    return following


class Decoder(Protocol):
    """From a prompt to tokens."""

    def decode(self, prompt: Prompt, max_new_tokens: int) -> list[Decoded]:
        """Decode a batch.

        Args:
            prompt: N rows. max_new_tokens: at least 1.

        Returns:
            One result for each row.
        """
        ...

    def embed(self, input_ids: I64) -> F32:
        """Embeddings (N, L, D) of token ids (N, L)."""
        ...


def loop_tokens(generated: Sequence[int], rule: LoopRule = LOOP_RULE) -> set[int]:
    """Tokens that would complete the last copy of a block that makes a loop, given what was generated so far.

    A decoder ends a row whose best token is one of these: what follows would be the same again.

    Args:
        generated: ids of one row. rule: what counts as a loop.
    """
    return {generated[-block] for block in _nearly_looped(generated, rule)}


def without_loop(generated: Sequence[int], rule: LoopRule = LOOP_RULE) -> tuple[int, ...]:
    """Leave one copy of a block that a row ends with again and again; other rows come back as they are."""
    blocks = _nearly_looped(generated, rule)
    if not blocks:
        return tuple(generated)
    return tuple(generated[: len(generated) - (rule.copies(blocks[0]) - 1) * blocks[0] + 1])


def _nearly_looped(generated: Sequence[int], rule: LoopRule) -> list[int]:
    """Lengths of blocks of which all copies but one token stand at the end."""
    found = []
    for block in range(1, min(rule.longest, (len(generated) + 1) // 3) + 1):
        repeated = (rule.copies(block) - 1) * block
        if repeated + block - 1 <= len(generated) and all(
            generated[-i] == generated[-i - block] for i in range(1, repeated)
        ):
            found.append(block)
    return found

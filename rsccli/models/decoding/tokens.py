"""What both decoders share: the result of one row and the rule against loops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

# A block of up to this many tokens that would stand three times in a row is a loop; no sentence needs that.
LONGEST_LOOP = 16


@dataclass(frozen=True)
class Decoded:
    """One decoded row.

    Attributes:
        tokens: generated ids without the end token.
        logprob: mean log-probability of the generated tokens, end token included where it was reached; <= 0.
    """

    tokens: tuple[int, ...]
    logprob: float


class Decoder(Protocol):
    """From a prefix of embeddings to tokens."""

    def decode(
        self, prefix: npt.NDArray[np.float32], mask: npt.NDArray[np.int64], max_new_tokens: int
    ) -> list[Decoded]:
        """Decode a batch.

        Args:
            prefix: (N, L, D) embeddings: image tokens and prompt, the begin token last.
            mask: (N, L), 1 where the prefix is real; rows shorter than L are padded on the left.
            max_new_tokens: at least 1.

        Returns:
            One result for each row.
        """
        ...

    def embed(self, input_ids: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Embeddings (N, L, D) of token ids (N, L)."""
        ...


def loop_tokens(generated: Sequence[int], longest: int = LONGEST_LOOP) -> set[int]:
    """Tokens that would complete the third copy in a row of one block, given what was generated so far.

    A decoder ends a row whose best token is one of these: what follows would be the same again.

    Args:
        generated: ids of one row.
        longest: longest block that is looked for.
    """
    return {generated[-block] for block in _nearly_looped(generated, longest)}


def without_loop(generated: Sequence[int], longest: int = LONGEST_LOOP) -> tuple[int, ...]:
    """Leave one copy of a block that a row ends with again and again; other rows come back as they are."""
    blocks = _nearly_looped(generated, longest)
    return tuple(generated[: len(generated) - 2 * blocks[0] + 1] if blocks else generated)


def _nearly_looped(generated: Sequence[int], longest: int) -> list[int]:
    """Lengths of blocks of which two copies and all but one token of a third stand at the end."""
    return [
        block
        for block in range(1, min(longest, (len(generated) + 1) // 3) + 1)
        if all(generated[-i] == generated[-i - block] for i in range(1, 2 * block))
    ]

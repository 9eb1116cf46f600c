"""A long prompt is read in stretches: the attention scores of a whole one would not fit.

A prompt of L tokens has rows x heads x L x L scores, which the graph holds at least twice: 15 GB for three tiles of a
model that cuts each picture into twelve. A stretch attends to what was read before it through keys and values, as
a generated token does, so the result is the same but for rounding.
"""

from __future__ import annotations

from collections.abc import Iterator

from rsccli.models.manifest import DecoderSpec

#: Attention scores of one stretch, bytes.
SCORES_BYTES = 128 * 2**20
#: Tokens of all rows together in one stretch: what a CPU has in its caches while it works (docs/benchmarks.md).
TOKENS = 1024
#: Tokens that a stretch has at least in each row.
LEAST_TOKENS = 16


def stretches(spec: DecoderSpec, rows: int, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Where each stretch begins and ends.

    Args:
        spec: of the decoder. rows: of the batch. start: tokens whose keys and values are there already.
        stop: end of the prompt, tokens; more than ``start``.
    """
    size = stretch_tokens(spec, rows, stop)
    for first in range(start, stop, size):
        yield first, min(first + size, stop)


def stretch_tokens(spec: DecoderSpec, rows: int, length: int) -> int:
    """Tokens of a stretch in each row, for prompts of a length."""
    return max(LEAST_TOKENS, min(TOKENS // rows, SCORES_BYTES // (4 * rows * spec.query_heads * length)))

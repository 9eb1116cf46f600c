"""Dealing superblocks out to shards: every shard does it for itself and gets the same, as it hangs on numbers alone."""

from __future__ import annotations

import heapq
from collections.abc import Sequence


def deal(work: Sequence[int], count: int) -> tuple[tuple[int, ...], ...]:
    """Which superblocks each shard takes.

    The largest first, each to the shard that has least so far (longest processing time first: at most 4/3 of the best,
    Graham, SIAM J. Appl. Math. 17, 1969). Equal ones go round in turn, so that a dense part of an image, whose captions
    take longer than the estimate knows, is spread over all shards.

    Args:
        work: of each superblock; what is 0 is nobody's. count: shards.

    Returns:
        Superblocks of each shard, ascending; empty where there are more shards than superblocks.
    """
    shares: list[list[int]] = [[] for _ in range(count)]
    loads = [(0, shard) for shard in range(count)]
    for block in sorted((index for index, amount in enumerate(work) if amount > 0), key=lambda i: (-work[i], i)):
        load, shard = loads[0]
        shares[shard].append(block)
        heapq.heapreplace(loads, (load + work[block], shard))
    return tuple(tuple(sorted(share)) for share in shares)

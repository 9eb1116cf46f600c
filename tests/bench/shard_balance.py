"""How even shards are: by work or by count, in turn or in one piece. Prints the table of docs/shards.md.

python tests/bench/shard_balance.py PRE POST [SEEN_MS EMPTY_MS]
"""

from __future__ import annotations

import sys
import time

import numpy as np

from rsccli.geo.engine import TileFailure
from rsccli.geo.pair import PreparedPair, prepare_pair
from rsccli.run.shard.deal import deal
from rsccli.run.shard.work import block_tiles, block_work


def true_work(pair: PreparedPair, seen_ms: float, empty_ms: float) -> np.ndarray:
    """Milliseconds of each superblock, every tile read."""
    found = np.zeros(pair.plan.block_count)
    with pair.env(), pair.aligner() as aligner:
        for block in pair.plan.blocks():
            for read in aligner.read(block):
                seen = not isinstance(read, TileFailure) and read.pair.valid.mean() >= 0.1
                found[block.index] += seen_ms if seen else empty_ms
    return found


def in_pieces(work: np.ndarray, count: int) -> list[np.ndarray]:
    """Neighbours together, cut where the sum passes each n-th of the whole."""
    cuts = np.searchsorted(np.cumsum(work), work.sum() * np.arange(1, count) / count)
    return np.split(np.arange(len(work)), cuts)


def main() -> None:
    """Measure and print."""
    pre, post, *numbers = sys.argv[1:]
    seen_ms, empty_ms = ([float(n) for n in numbers] or [42.0, 0.09])[:2]
    begin = time.perf_counter()
    pair = prepare_pair(pre, post)
    prepared = time.perf_counter()
    work = block_work(pair)
    print(f"prepare {prepared - begin:.1f} s, estimate {time.perf_counter() - prepared:.1f} s")
    truth = true_work(pair, seen_ms, empty_ms)
    print(f"{len(pair.plan)} tiles in {len(work)} superblocks; largest shard over the mean:")
    print("| shards | pieces of equal count | in turn | pieces of equal work | largest first, by work | best known |")
    print("|--:|--:|--:|--:|--:|--:|")
    for count in (2, 4, 8, 16, 32):
        ways = (
            np.array_split(np.arange(len(work)), count),
            deal(block_tiles(pair.plan).tolist(), count),
            in_pieces(work, count),
            deal(work.tolist(), count),
            deal((truth * 1000).astype(int).tolist(), count),
        )
        shares = [max(truth[list(part)].sum() for part in way) / (truth.sum() / count) for way in ways]
        print(f"| {count} | {' | '.join(f'{share:.2f}' for share in shares)} |")


if __name__ == "__main__":
    main()

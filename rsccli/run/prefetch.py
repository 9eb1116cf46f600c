"""Reader threads: superblocks are read and warped ahead of the model, and handed over in the plan's order."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import cv2

from rsccli.geo.engine import PairAligner, TileFailure, TileRead
from rsccli.geo.pair import PreparedPair
from rsccli.geo.tiles import Superblock
from rsccli.stages import STAGES

BlockResult = tuple[Superblock, list[TileRead | TileFailure]]
#: What was read, and when that was.
_Timed = tuple[list[TileRead | TileFailure], float]


def read_blocks(pair: PreparedPair, blocks: Iterable[Superblock], jobs: int = 1) -> Iterator[BlockResult]:
    """Read superblocks in order, ``jobs`` at a time, at most one finished block ahead of the consumer per thread.

    Every thread has file handles of its own: GDAL lets go of the interpreter lock while it decodes.
    """
    # One thread per reader: OpenCV's own would only compete with them and with the model.
    cv2.setNumThreads(1)
    local = threading.local()
    aligners: list[PairAligner] = []

    def read(block: Superblock) -> _Timed:
        with pair.env():
            if not hasattr(local, "aligner"):
                local.aligner = pair.aligner()
                aligners.append(local.aligner)
            aligner: PairAligner = local.aligner
            return aligner.read(block), time.perf_counter()

    with ThreadPoolExecutor(jobs, "rsccli-reader") as pool:
        waiting: deque[tuple[Superblock, Future[_Timed]]] = deque()
        try:
            for block in blocks:
                waiting.append((block, pool.submit(read, block)))
                if len(waiting) > jobs:
                    done, result = waiting.popleft()
                    yield done, _taken(result)
            while waiting:
                done, result = waiting.popleft()
                yield done, _taken(result)
        finally:
            for _, future in waiting:
                future.cancel()
            pool.shutdown(wait=True)
            for aligner in aligners:
                aligner.close()


def _taken(result: Future[_Timed]) -> list[TileRead | TileFailure]:
    """The next superblock; counts who waited for whom: the model for it, or it for the model."""
    asked = time.perf_counter()
    reads, finished = result.result()
    STAGES.add("wait_pixels", time.perf_counter() - asked)
    STAGES.add("wait_model", max(0.0, asked - finished))
    return reads

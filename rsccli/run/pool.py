"""Several captioners as one: a batch is cut into parts that run at the same time, one GPU each.

A thread drives each captioner: ONNX Runtime lets go of the interpreter while a graph runs. A part is as large as a
batch of a single captioner and starts where that would start, so the captions do not depend on how many there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait

from rsccli.models.captioner import Captioner, CaptionerInfo
from rsccli.types import Caption, TilePair


class PooledCaptioner:
    """The pool.

    Args:
        captioners: equal but for their device, at least one. size: tiles of one part.
    """

    def __init__(self, captioners: Sequence[Captioner], size: int) -> None:
        self._captioners, self._size = list(captioners), size
        self._threads = ThreadPoolExecutor(len(captioners), "rsccli-gpu")

    @property
    def info(self) -> CaptionerInfo:
        """Of the first."""
        return self._captioners[0].info

    def caption(self, pairs: Sequence[TilePair]) -> list[Caption]:
        """Caption a batch; see `rsccli.models.captioner.Captioner`."""
        parts = [pairs[i : i + self._size] for i in range(0, len(pairs), self._size)]
        lanes = len(self._captioners)
        found: list[Caption] = []
        # As many parts at once as there are captioners, each on its own.
        for start in range(0, len(parts), lanes):
            given = zip(self._captioners, parts[start : start + lanes], strict=False)
            running = [self._threads.submit(captioner.caption, part) for captioner, part in given]
            # All, also where one fails: a captioner must not get its next part while it is at work.
            wait(running)
            # Each is let go before its error is raised, which would else hold itself and the arrays of the batch.
            while running:
                found += running.pop(0).result()
        return found

    def close(self) -> None:
        """Close all."""
        self._threads.shutdown(wait=True)
        for captioner in self._captioners:
            captioner.close()

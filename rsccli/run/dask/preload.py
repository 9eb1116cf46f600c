"""What a worker that is started here does first: it leaves Ctrl-C, which a terminal sends to all, to who started it."""

from __future__ import annotations

import signal


def dask_setup(worker: object) -> None:
    """Called by dask.distributed in each new worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

"""Handing tasks to workers: whoever is free gets the next one; what fails is tried again, by whoever is free then."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

from distributed import Future, KilledWorker

from rsccli.errors import (
    BundleError,
    JournalMismatchError,
    RsccliError,
    StoppedError,
    UsageProblem,
    WorkerError,
)
from rsccli.run.dask.cluster import DEATHS, Workers
from rsccli.run.dask.task import Errand, Outcome, Told, run_errand
from rsccli.run.signals import StopRequest

#: How often a task is tried.
ATTEMPTS = 4
#: These come again as they came.
_FINAL = (UsageProblem, JournalMismatchError, BundleError)

#: Given (number of the task, tiles done, tiles in it or 0).
TaskProgress = Callable[[Told], None]


@dataclass(frozen=True)
class Done:
    """A task that is done: its place among those that were given."""

    number: int
    outcome: Outcome


def hand_out(
    workers: Workers,
    tasks: Sequence[object],
    stop: StopRequest,
    progress: TaskProgress = lambda told: None,
    tell: Callable[[str], None] = lambda text: None,
    attempts: int = ATTEMPTS,
) -> Iterator[Done]:
    """Run tasks on the workers; they come back in the order in which they end.

    Args:
        tasks: see `rsccli.run.dask.task.Errand`. stop: asked twice a second. tell: a line for a person.
        attempts: how often a task is tried.

    Raises:
        StoppedError: a signal asked to stop; journals are kept.
        WorkerError: workers died under one task again and again. The rest is as for the tasks.
    """
    client = workers.client
    topic = f"rsccli-{uuid.uuid4().hex}"
    arrived: SimpleQueue[Future | Told] = SimpleQueue()
    # Events and results come in by another thread; here they are looked at one by one.
    client.subscribe_topic(topic, lambda event: arrived.put(Told(*event[1])))
    folder = str(Path.cwd())
    running: dict[str, tuple[int, int, Future]] = {}
    later: list[tuple[float, int, int]] = []

    def start(number: int, attempt: int) -> None:
        errand = Errand(tasks[number], folder, number, topic)  # type: ignore[arg-type]
        # A key of its own: what failed must not be taken for what is tried again.
        future = client.submit(run_errand, errand, key=f"{topic}-{number}-{attempt}", pure=False, retries=0)
        running[future.key] = (number, attempt, future)
        future.add_done_callback(arrived.put)

    try:
        for number in range(len(tasks)):
            start(number, 1)
        while running or later:
            if stop.name:
                raise StoppedError(
                    f"stopped by {stop.name} with {len(running) + len(later)} of {len(tasks)} tasks left; run the same "
                    "command again to go on"
                )
            now = time.monotonic()
            for due in [each for each in later if each[0] <= now]:
                later.remove(due)
                start(*due[1:])
            try:
                came = arrived.get(timeout=0.5)
            except Empty:
                continue
            if isinstance(came, Told):
                progress(came)
                continue
            number, attempt, _ = running.pop(came.key, (-1, 0, came))
            if number < 0:
                continue
            if came.status == "finished":
                yield Done(number, came.result())
                continue
            error = _error(came, number)
            if attempt >= attempts or isinstance(error, _FINAL) or not isinstance(error, RsccliError):
                raise error
            wait_s = 2.0**attempt
            tell(f"task {number + 1} failed and is tried again in {wait_s:.0f} s: {error}")
            later.append((now + wait_s, number, attempt + 1))
    finally:
        futures = [future for _, _, future in running.values()]
        if futures:
            client.cancel(futures, force=True)
        client.unsubscribe_topic(topic)


def _error(future: Future, number: int) -> BaseException:
    error: BaseException | None = future.exception()
    if isinstance(error, KilledWorker):
        return WorkerError(
            f"task {number + 1}: {DEATHS + 1} workers died while they ran it (out of memory? see the logs of the "
            "workers). What is done is kept"
        )
    if error is None or future.status in ("cancelled", "lost"):
        return WorkerError(f"task {number + 1}: the scheduler gave it up ({future.status}); run the same command again")
    return error

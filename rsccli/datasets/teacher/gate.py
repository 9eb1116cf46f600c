"""When the next request may go out: a rate limit of our own, and pauses that an endpoint asks for."""

from __future__ import annotations

import random
import threading
import time

from rsccli.errors import UsageProblem

#: Longest pause between two tries, unless the endpoint names a longer one.
LONGEST_BACKOFF_S = 60.0


class Halted(Exception):
    """The run is being stopped: no further request goes out."""


class Gate:
    """Lets requests of all threads through, one after another.

    Args:
        per_minute: most requests a minute, evenly spaced; None: no limit. first_wait_s: pause after a first failure.
    """

    def __init__(self, per_minute: float | None = None, first_wait_s: float = 1.0) -> None:
        if per_minute is not None and per_minute <= 0:
            raise UsageProblem(f"--per-minute {per_minute:g}: give a number above 0")
        self._space_s = 60.0 / per_minute if per_minute else 0.0
        self._first_wait_s = first_wait_s
        self._next = 0.0
        self._lock = threading.Lock()
        self._halt = threading.Event()
        self._random = random.Random()

    def enter(self) -> None:
        """Wait for the next place.

        Raises:
            Halted: the run is being stopped.
        """
        while True:
            with self._lock:
                now = time.monotonic()
                if now >= self._next and not self._halt.is_set():
                    self._next = now + self._space_s
                    return
                left = self._next - now
            if self._halt.wait(max(0.0, left)):
                raise Halted

    def hold(self, seconds: float) -> None:
        """Let nobody through for so long: the endpoint asked for it."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)

    def rest(self, tries: int) -> None:
        """Pause after a failure: twice as long each time, with chance in it, so that threads do not fall into step.

        Args:
            tries: that failed so far, from 1.

        Raises:
            Halted: the run is being stopped.
        """
        longest = min(LONGEST_BACKOFF_S, self._first_wait_s * 2 ** (tries - 1))
        if self._halt.wait(longest * self._random.uniform(0.5, 1.0)):
            raise Halted

    def halt(self) -> None:
        """Nobody goes through any more."""
        self._halt.set()

"""Stop at a safe point: SIGTERM, SIGINT and SIGUSR1 ask the loop to end after the batch in hand."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

ASKED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


class StopRequest:
    """While it is entered, the signals set ``name`` instead of ending the process.

    A second Ctrl-C ends it at once, as a person expects. Outside of the main thread it does nothing. One within another
    (a pair within a series) passes on what it hears.
    """

    def __init__(self) -> None:
        self.name: str | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in ASKED:
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.name is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.name = signal.Signals(number).name
        outer = getattr(self._before.get(signal.Signals(number)), "__self__", None)
        if isinstance(outer, StopRequest):
            outer.name = self.name

"""Stop at a safe point: SIGTERM, SIGINT and SIGUSR1 ask the loop to end after the batch in hand.

Outside of the loop, while inputs are measured or a model is loaded, there is nothing to finish: the command line stops
at once (``stop_at_once``), with the same exit code.
"""

from __future__ import annotations

import signal
import threading
from dataclasses import dataclass
from types import FrameType
from typing import Any

from rsccli.errors import StoppedError

ASKED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


@dataclass
class _Heard:
    """What this process heard outside of a `StopRequest`.

    Attributes:
        name: of the signal, or None. done: whether some work was brought to its end: then the rest is a few messages,
            and to stop would only hide that all is well.
    """

    name: str | None = None
    done: bool = False


_heard = _Heard()


class StoppedAtOnce(SystemExit):
    """A signal came where there is nothing to finish. No `Exception`: nobody who expects those may pass over it."""

    exit_code = StoppedError.exit_code

    def __init__(self, name: str) -> None:
        super().__init__(StoppedError.exit_code)
        self.text = f"stopped by {name}; run the same command again"

    def __str__(self) -> str:
        return self.text


def stop_at_once() -> None:
    """From now on the signals end the main thread with `StoppedAtOnce`, wherever no `StopRequest` is entered.

    A second signal ends the process as the system does it. What was to be ignored stays ignored.
    """
    for number in ASKED:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop)


def _stop(number: int, frame: FrameType | None) -> None:
    # Kept beside being raised: what is raised within a callback of another library may get lost there.
    _heard.name = signal.Signals(number).name
    if _heard.done:
        return
    for each in ASKED:
        if signal.getsignal(each) == _stop:
            signal.signal(each, signal.SIG_DFL)
    raise StoppedAtOnce(_heard.name)


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
            self.name = _heard.name
            for number in ASKED:
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        # Before the handlers change: the next signal may come between two of them.
        if self._before:
            _heard.done = kind is None
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.name is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.name = signal.Signals(number).name
        outer = getattr(self._before.get(signal.Signals(number)), "__self__", None)
        if isinstance(outer, StopRequest):
            outer.name = self.name

"""How far a run is: a bar with rate and time left on a terminal, one plain line a minute otherwise."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rsccli.run.caption import PreparedJob

LINE_EVERY_S = 60.0


class TileProgress:
    """Counts tiles, or scenes, on stderr; call it with (how many, whether an earlier run had finished them)."""

    def __init__(self, total: int, quiet: bool, unit: str = "tile") -> None:
        from tqdm import tqdm

        self._total = total
        self._quiet = quiet
        self._units = f"{unit}s"
        self._done = self._old = 0
        self._start = self._last = time.monotonic()
        # disable=None: tqdm draws only on a terminal.
        self._bar = tqdm(total=total, unit=unit, file=sys.stderr, disable=True if quiet else None, smoothing=0.1)

    def __enter__(self) -> TileProgress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.close()

    def __call__(self, tiles: int, old: bool) -> None:
        """Count finished tiles."""
        self._done += tiles
        if old:
            self._old += tiles
            self._bar.initial = tiles
            if not self._quiet:
                print(f"rsccli: {tiles} of {self._total} {self._units} were finished before, going on", file=sys.stderr)
        self._bar.update(tiles)
        now = time.monotonic()
        if self._bar.disable and not self._quiet and now - self._last >= LINE_EVERY_S:
            self._last = now
            rate = (self._done - self._old) / (now - self._start)
            left = (self._total - self._done) / rate if rate else float("inf")
            print(
                f"rsccli: {self._done} of {self._total} {self._units}, {rate:.1f} a second, {left / 60:.0f} min left",
                file=sys.stderr,
                flush=True,
            )


@contextmanager
def announced(place: str, name: str, prepared: PreparedJob, quiet: bool) -> Iterator[TileProgress]:
    """The progress of one pair of many, after a line that says which.

    Args:
        place: ``scene 3 of 10``. name: of the pair, which its warnings begin with.
    """
    if not quiet:
        print(f"rsccli: {place}: {name}", file=sys.stderr)
        for warning in prepared.facts.warnings:
            print(f"rsccli: warning: {name}: {warning}", file=sys.stderr)
    with TileProgress(len(prepared.pair.plan), quiet) as shown:
        yield shown

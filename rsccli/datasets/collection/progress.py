"""How far a data set is, told to whoever shows it."""

from __future__ import annotations

from collections.abc import Callable

#: (pairs or tiles that a step finished, whether an earlier run had finished them, all of them).
Progress = Callable[[int, bool, int], None]


def silent(done: int, old: bool, total: int) -> None:
    """Show nothing."""

"""Streams whose reader may leave: ``rsccli caption ... -o - | head`` is no error of ours."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer


@contextmanager
def reader_may_leave() -> Iterator[None]:
    """Around what writes to stdout: a reader that has left ends the command with exit code 0.

    Caught here and not around the whole command line: Typer turns a broken pipe into exit code 1 by itself.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes stdout once more on its way out: nobody is to hear of that.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None

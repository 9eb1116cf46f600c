"""What goes to a terminal is text: file names, captions and tags of strangers cannot move the cursor or hide a line.

A message may quote anything. Control characters in it (escape sequences among them), marks that turn the direction of
writing, and bytes that are no text are shown by their codes.
"""

from __future__ import annotations

import io
import re
import sys
from typing import TextIO

_UNSHOWN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def shown(text: str) -> str:
    """The text with every character that a terminal would act on as its code; tabs and line feeds stay."""
    return _UNSHOWN.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


class PlainStream(io.TextIOBase):
    """A text stream whose control characters come out as codes.

    Args:
        stream: where to. A carriage return at the very start of what is written passes: progress bars redraw their line
            with it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write text; returns how many characters of it."""
        back = "\r" if text.startswith("\r") else ""
        self._stream.write(back + shown(text[len(back) :]))
        return len(text)

    def flush(self) -> None:
        """Pass on what is kept back."""
        self._stream.flush()

    def isatty(self) -> bool:
        """Whether a person looks at it."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Of the file below."""
        return self._stream.fileno()

    def writable(self) -> bool:
        """It is there to be written."""
        return True

    def close(self) -> None:
        """The stream below belongs to the process: it stays open."""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Of the stream below."""
        return self._stream.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        """How the stream below treats what it cannot encode."""
        return self._stream.errors

    @property
    def buffer(self) -> io.BufferedIOBase:
        """The bytes below, for data."""
        return self._stream.buffer  # type: ignore[return-value]


def guard_streams() -> None:
    """Guard stderr, and stdout where it is a terminal: in a pipe it carries data."""
    sys.unraisablehook = _unraisable
    sys.stderr = PlainStream(sys.stderr)
    if sys.stdout is not None and sys.stdout.isatty():
        sys.stdout = PlainStream(sys.stdout)


def _unraisable(hint: sys.UnraisableHookArgs) -> None:
    """What Python can raise to nobody is told as ever, but for messages of GDAL that are no UTF-8.

    They quote the bytes of a damaged file; rasterio cannot decode them, and the error that matters is raised beside.
    """
    if isinstance(hint.exc_value, UnicodeDecodeError) and "log_error" in repr(hint.object):
        return
    sys.__unraisablehook__(hint)

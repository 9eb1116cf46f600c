"""Any text as one word of bash: names may hold spaces, quotes, ``$(...)``, line ends, or bytes that are no text."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable


def word(text: str) -> str:
    """Quote a text so that bash takes it as one word, and as nothing else.

    What a terminal might act on (escapes, line ends, signs that change the direction of text) and bytes that are no
    UTF-8 are written as ``\\xHH``: a script stays plain text, whatever names are in it.

    Args:
        text: as the command line gives it, bytes that are no UTF-8 as lone surrogates. No NUL: no argument has one.
    """
    if text.isprintable() and not set(text) & set("'$`"):
        # A comma needs no quotes, but those who read an array of words wonder whether it does.
        return f"'{text}'" if "," in text else shlex.quote(text)
    return "$'" + "".join(_escaped(character) for character in text) + "'"


def words(texts: Iterable[str]) -> list[str]:
    """Each of them as one word."""
    return [word(text) for text in texts]


def _escaped(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if character.isprintable():
        return character
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(character))

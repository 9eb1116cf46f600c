"""Captions as files hold them: text, lists, lists that were written as text, nothing, numbers."""

from __future__ import annotations

import ast
import io
import json
import math
import tokenize
from collections.abc import Callable

from rsccli.output.text import storable

# How programs write a missing value into a table or a text; "None" and "N/A" may be an answer.
MISSING = frozenset({"nan", "NaN", "NAN", "-nan", "<NA>", "#N/A", "NA", "NULL", "null", "\\N"})
_DEPTH = 3


def clean_captions(value: object, name: str, note: Callable[[str], None]) -> tuple[str, ...]:
    """The captions in a value of a file, with single spaces and no empty one among them.

    Args:
        value: a text; a list of them; a list that was written as text (``"['a', 'b']"``, JSON, Python or NumPy); an
            object with ``raw``, ``caption``, ``text`` or ``tokens``; None.
        name: of the field that holds it. note: told of everything that is left out or mended.
    """
    return tuple(_captions(value, name, note, 0))


def _captions(value: object, name: str, note: Callable[[str], None], depth: int) -> list[str]:
    if isinstance(value, str):
        return _of_text(value, name, note, depth)
    if isinstance(value, list | tuple):
        if not value:
            note(f"empty caption ({name}: an empty list)")
        return [text for member in value for text in _captions(member, name, note, depth)]
    if isinstance(value, dict):
        for inner in ("raw", "caption", "text", "sentence"):
            if inner in value:
                return _captions(value[inner], name, note, depth)
        tokens = value.get("tokens")
        if isinstance(tokens, list) and all(isinstance(token, str) for token in tokens):
            return _captions(" ".join(tokens), name, note, depth)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        note(f"empty caption ({name}: a missing value)")
    else:
        note(f"a caption that is no text, left out ({name}: {str(value)[:40]})")
    return []


def _of_text(text: str, name: str, note: Callable[[str], None], depth: int) -> list[str]:
    plain = " ".join(text.split())
    if not plain:
        note(f"empty caption ({name})")
        return []
    if plain in MISSING:
        note(f"empty caption ({name}: {plain!r} stands for a missing value)")
        return []
    if plain.startswith("[") and plain.endswith("]") and depth < _DEPTH:
        members = _list_in_text(text.strip())
        if members is not None:
            note(f"a list written as text ({name})")
            return _captions(members, name, note, depth + 1)
        note(f"text in brackets that is no list, kept as it is ({name})")
    stored = storable(plain)
    if stored != plain:
        note(f"characters that no file can hold, replaced ({name})")
    return [stored]


def _list_in_text(text: str) -> list[object] | None:
    """Members of a list that was written as text, or None where it is no such list."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return _python_list(text)
    # "[changedet]" is no list; a list of numbers is none of captions.
    return found if isinstance(found, list) and all(_may_hold_text(member) for member in found) else None


def _python_list(text: str) -> list[object] | None:
    """Members of a list as Python or NumPy print it.

    By tokens, as Python reads "'a' 'b'" (NumPy's way to print two texts) as one text.
    """
    members: list[object] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.STRING:
                member = ast.literal_eval(token.string)
                if not isinstance(member, str):
                    return None
                members.append(member)
            elif token.type == tokenize.NAME and token.string in ("None", "nan", "null"):
                members.append(None)
            elif token.type == tokenize.OP and token.string in ("[", "]", ","):
                continue
            elif token.type not in (tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER):
                return None
    except (tokenize.TokenError, SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    return members


def _may_hold_text(value: object) -> bool:
    return value is None or isinstance(value, str | list | dict) or (isinstance(value, float) and math.isnan(value))

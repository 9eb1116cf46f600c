"""Text that every format can hold.

File names may hold bytes that are no UTF-8 (Python keeps them as lone surrogates), and a model may say anything: no
format can store a lone surrogate, and a NUL ends a text in some of them.
"""

from __future__ import annotations

import json
import re

import orjson

_UNSTORABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def storable(text: str) -> str:
    """The text with the replacement character where a character cannot be stored."""
    return text if text.isascii() and text.isprintable() else _UNSTORABLE.sub("\ufffd", text)


def json_bytes(value: object, indent: bool = False) -> bytes:
    """JSON in UTF-8, even where a text in it is no UTF-8."""
    option = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE if indent else 0
    try:
        return orjson.dumps(value, option=option)
    except TypeError:
        # What orjson cannot encode: once through the standard library, which can.
        plain = json.loads(json.dumps(value, default=_members))
        return orjson.dumps(_storable(plain), option=option)


def _members(value: object) -> object:
    """Members of a frozen value, as orjson writes them itself."""
    from dataclasses import fields, is_dataclass

    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    raise TypeError(f"{type(value).__name__} is no JSON value")


def _storable(value: object) -> object:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {_storable(name): _storable(item) for name, item in value.items()}
    return value

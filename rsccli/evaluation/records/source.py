"""Text, JSON and JSON lines of a file, with the file and the line in every message."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rsccli.errors import InputError


def read_text(path: Path) -> str:
    """Whole text of a file in UTF-8; a byte order mark is left out.

    Raises:
        InputError: it cannot be read, or is no UTF-8.
    """
    try:
        # Not read_text: a carriage return inside of a quoted cell of a table is the cell's own.
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text ({error}); save it as UTF-8") from error


def parse_json(text: str, path: Path) -> Any:  # noqa: ANN401 - any JSON value
    """The one JSON value of a file.

    Raises:
        InputError: damaged; the message names the line.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path}, line {error.lineno}: not JSON ({error.msg}, column {error.colno}); mend it, or make it again"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON that can be read ({error}); make the file again") from error


def json_lines(text: str, path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Number (from 1) and object of every line that is not blank.

    Raises:
        InputError: a line is damaged or no object; the message names it.
    """
    # Only at line feeds: str.splitlines would cut texts that hold U+2028 and its like.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            what = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
            raise InputError(f"{path}, line {number}: not JSON ({what}); mend it, or make the file again") from error
        if not isinstance(value, dict):
            raise InputError(f'{path}, line {number}: a record is an object, for example {{"id": "7", "caption": ""}}')
        yield number, value


def as_objects(value: object, path: Path) -> list[Mapping[str, Any]]:
    """The members of a JSON list, all of them objects.

    Raises:
        InputError: one is none; the message names its number (from 1).
    """
    members = value if isinstance(value, list) else []
    for number, member in enumerate(members, start=1):
        if not isinstance(member, dict):
            raise InputError(
                f'{path}, record {number}: a record is an object, for example {{"id": "7", "caption": ""}}'
            )
    return members

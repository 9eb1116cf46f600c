"""Types of disaster in the words of RSCC, from what xBD's labels and file names say; a file may add to them."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rsccli.datasets.collection.pair import UNKNOWN_DISASTER
from rsccli.errors import InputError

# The words of `disaster_type` in xBD's labels, and those that end the names of its disasters.
_TYPES: Mapping[str, str] = {
    "volcano": "volcano eruption",
    "volcano eruption": "volcano eruption",
    "fire": "wildfire",
    "wildfire": "wildfire",
    "bushfire": "wildfire",
    "wind": "storm",
    "storm": "storm",
    "hurricane": "storm",
    "tornado": "storm",
    "earthquake": "earthquake",
    "flooding": "flooding",
    "flood": "flooding",
    "tsunami": "tsunami",
}


@dataclass(frozen=True)
class DisasterMap:
    """What a disaster is called.

    Attributes:
        own: names of disasters or types, lower case, and what the user calls them. digest: of the file, or empty.
    """

    own: Mapping[str, str]
    digest: str = ""

    def type_of(self, event: str | None, given: str | None) -> str:
        """The type of one disaster.

        The user's word for the event, then the user's and the built-in one for the label's type, then the built-in one
        for a word of the event's name, else ``unknown``.

        Args:
            event: name, e.g. ``santa-rosa-wildfire``. given: the label's ``disaster_type``.
        """
        named, typed = _key(event), _key(given)
        for table, key in ((self.own, named), (self.own, typed), (_TYPES, typed)):
            if key in table:
                return table[key]
        return next((_TYPES[word] for word in re.split(r"[\s_-]+", named) if word in _TYPES), UNKNOWN_DISASTER)


def _key(text: str | None) -> str:
    return " ".join((text or "").split()).casefold()


def read_disasters(path: Path | None) -> DisasterMap:
    """The built-in map, with a user's file before it.

    Args:
        path: ``.toml`` or ``.json``, one table: names of disasters (``hurricane-harvey``) or xBD's types (``wind``)
            and what they are called. None: the built-in map alone.

    Raises:
        InputError: it cannot be read, or holds something else.
    """
    if path is None:
        return DisasterMap({})
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
        table = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not TOML or JSON in UTF-8: {error}") from error
    if not isinstance(table, dict) or not table:
        raise InputError(f'{path}: write one line for each disaster, for example: hurricane-harvey = "flooding"')
    own = {}
    for name, value in table.items():
        if not isinstance(value, str) or not value.strip():
            raise InputError(f'{path}: {name} = {value!r}: a type of disaster is a text, for example {name} = "storm"')
        own[_key(name)] = " ".join(value.split())
    return DisasterMap(own, hashlib.sha256(data).hexdigest())

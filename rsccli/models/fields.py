"""Strict reading of one JSON object: every complaint names the file and the field's path."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

from rsccli.errors import BundleError


class Fields:
    """One object of a JSON document; remembers which of its fields were read.

    Args:
        document: the object.
        path: file that it came from, for messages.
        where: path of the object inside the file, empty for the root.

    Raises:
        BundleError: it is no object.
    """

    def __init__(self, document: object, path: Path, where: str = "") -> None:
        self._path = path
        self._where = where
        if not isinstance(document, dict):
            raise BundleError(f"{path}: {f'field {where!r}' if where else 'the document'} must be an object")
        self._items: dict[str, object] = document
        self._read: set[str] = set()

    def problem(self, name: str, what: str) -> BundleError:
        """An error that names the file and the field."""
        return BundleError(f"{self._path}: field {self._name(name)!r} {what}: export the bundle again")

    def _name(self, name: str) -> str:
        return f"{self._where}.{name}" if self._where else name

    def _get(self, name: str) -> object:
        if name not in self._items:
            raise self.problem(name, "is missing")
        self._read.add(name)
        return self._items[name]

    def has(self, name: str) -> bool:
        """Whether an optional field is there and not null."""
        self._read.add(name)
        return self._items.get(name) is not None

    def names(self) -> tuple[str, ...]:
        """Names of all fields, in the document's order."""
        return tuple(self._items)

    def raw(self) -> Mapping[str, object]:
        """The whole object as it is, for parts that are free in form."""
        return dict(self._items)

    def done(self) -> None:
        """Refuse fields that nobody read: a misspelt one must not pass in silence."""
        for name in self._items:
            if name not in self._read:
                raise self.problem(name, "is unknown to this version of rsccli")

    def child(self, name: str) -> Fields:
        """An object inside this one."""
        return Fields(self._get(name), self._path, self._name(name))

    def text(self, name: str) -> str:
        """A string."""
        value = self._get(name)
        if not isinstance(value, str):
            raise self.problem(name, f"must be a string, not {value!r:.80}")
        return value

    def hex_digest(self, name: str) -> str:
        """A sha256 in hex."""
        value = self.text(name)
        if not re.fullmatch("[0-9a-f]{64}", value):
            raise self.problem(name, "must be 64 lower-case hex digits")
        return value

    def integer(self, name: str, *, low: int) -> int:
        """A whole number of at least ``low``; true and false are none."""
        value = self._get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < low:
            raise self.problem(name, f"must be a whole number of at least {low}, not {value!r:.80}")
        return value

    def number(self, name: str, *, low: float = -math.inf, high: float = math.inf) -> float:
        """A finite number in a range."""
        return self._number(self._get(name), name, low, high)

    def _number(self, value: object, name: str, low: float, high: float) -> float:
        # NaN and infinities get through Python's JSON reader, and huge integers overflow a float.
        if isinstance(value, bool) or not isinstance(value, int | float) or not -1e300 < value < 1e300:
            raise self.problem(name, f"must be a finite number, not {value!r:.80}")
        if not low <= value <= high:
            raise self.problem(name, f"must be in {low}..{high}, not {value!r:.80}")
        return float(value)

    def _list(self, name: str, length: int | None) -> list[object]:
        value = self._get(name)
        if not isinstance(value, list):
            raise self.problem(name, f"must be a list, not {value!r:.80}")
        if length is not None and len(value) != length:
            raise self.problem(name, f"must have {length} entries, not {len(value)}")
        return value

    def numbers(
        self,
        name: str,
        *,
        length: int,
        low: float = -math.inf,
        high: float = math.inf,
        above: float | None = None,
    ) -> tuple[float, ...]:
        """A list of finite numbers in a range; ``above`` is a bound that they may not touch."""
        values = tuple(self._number(value, name, low, high) for value in self._list(name, length))
        if above is not None and any(value <= above for value in values):
            raise self.problem(name, f"must be above {above}")
        return values

    def integers(self, name: str, *, low: int) -> tuple[int, ...]:
        """A list of whole numbers of at least ``low``."""
        values = self._list(name, None)
        whole = tuple(value for value in values if isinstance(value, int) and not isinstance(value, bool))
        if len(whole) != len(values) or any(value < low for value in whole):
            raise self.problem(name, f"must hold whole numbers of at least {low} only")
        return whole

    def boolean(self, name: str) -> bool:
        """True or false."""
        value = self._get(name)
        if not isinstance(value, bool):
            raise self.problem(name, f"must be true or false, not {value!r:.80}")
        return value

    def texts(self, name: str, *, length: int | None = None, unique: bool = False) -> tuple[str, ...]:
        """A list of strings."""
        values = self._list(name, length)
        texts = tuple(value for value in values if isinstance(value, str))
        if len(texts) != len(values):
            raise self.problem(name, "must hold strings only")
        if unique and len(set(texts)) != len(texts):
            raise self.problem(name, "names something twice")
        return texts

    def mapping_of_texts(self) -> Mapping[str, str]:
        """This object as names to strings."""
        return {name: self.text(name) for name in self._items}

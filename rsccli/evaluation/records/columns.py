"""Which fields of a table or of JSON lines hold the captions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from rsccli.errors import InputError, UsageProblem

Role = Literal["predictions", "references"]

# From the surest to the least sure; "*" stands for numbered fields (caption0, caption1, ...).
_OF_MODELS = ("prediction", "predicted_caption", "pred", "generated", "generated_caption", "hypothesis", "output")
_OF_PEOPLE = ("references", "reference", "refs", "ground_truth", "gt", "gts")
_OF_ANYBODY = ("captions", "sentences", "*", "caption", "change_caption", "text")
_ORDER: dict[Role, tuple[str, ...]] = {
    "predictions": (*_OF_MODELS, "response", "answer", "change_caption", "caption", *_OF_ANYBODY, *_OF_PEOPLE),
    "references": (*_OF_PEOPLE, *_OF_ANYBODY, "answer", "response", *_OF_MODELS),
}
_KNOWN = frozenset(_ORDER["references"])
_NUMBERED = re.compile(r"(?:caption|reference|ref|sentence|captions|references)[ _-]?(\d+)")


def caption_columns(names: Iterable[str], column: str | None, role: Role | None, path: Path) -> tuple[str, ...]:
    """The fields of captions among all fields of a file, numbered ones by their number.

    Args:
        names: of all fields, in the file's order. column: what the user asked for: a name, or a pattern such as
            ``caption*``; upper and lower case are the same.
        role: what the captions are for; decides where a file holds predictions and references in one line.

    Raises:
        UsageProblem: several fields may hold them and neither ``column`` nor ``role`` says which.
        InputError: no field holds them.
    """
    known = {name: name.strip().lower() for name in names}
    if column is not None:
        found = [name for name, plain in known.items() if fnmatchcase(plain, column.strip().lower())]
        if not found:
            raise InputError(f"{path}: no field {column!r}; it has {_listed(known)}")
        return tuple(sorted(found, key=lambda name: _number(known[name])))
    groups: dict[str, list[str]] = {}
    for name, plain in known.items():
        if _NUMBERED.fullmatch(plain):
            groups.setdefault("*", []).append(name)
        elif plain in _KNOWN:
            groups.setdefault(plain, []).append(name)
    if not groups:
        raise InputError(
            f"{path}: no field of captions; it has {_listed(known)}. Call it caption, captions or references, "
            "or name it as the column"
        )
    if len(groups) > 1 and role is None:
        choices = " or ".join("caption*" if group == "*" else group for group in groups)
        raise UsageProblem(f"{path}: several fields may hold the captions; name one as the column: {choices}")
    group = next(group for group in _ORDER[role or "references"] if group in groups)
    return tuple(sorted(groups[group], key=lambda name: _number(known[name])))


def _number(plain: str) -> int:
    digits = re.search(r"(\d+)$", plain)
    return int(digits[1]) if digits else -1


def _listed(known: dict[str, str]) -> str:
    return ", ".join(known)[:200] or "nothing"

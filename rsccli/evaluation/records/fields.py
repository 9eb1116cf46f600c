"""Records from named fields: the rows of a table, JSON lines, a JSON list."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsccli.evaluation.records.clean import MISSING, clean_captions
from rsccli.evaluation.records.columns import Role, caption_columns
from rsccli.evaluation.records.record import CaptionRecord, KeyedBy, names_key

_ID = ("id", "image_id", "pair_id", "tile_id", "key", "filename", "file_name", "name", "imgid")
_PRE = ("pre", "pre_image", "image_pre", "pre_path", "before", "image_a", "img_a")
_POST = ("post", "post_image", "image_post", "post_path", "after", "image_b", "img_b")
_MODEL = ("model", "model_id")
_REGIME = ("regime", "inference_type")
_FLAG = ("changed", "changeflag", "change_flag")
# Fields of this name may say something else (a class number): only these words count.
_PERHAPS_FLAG = ("status", "label")
_FLAG_WORDS = {"changed": True, "change": True, "unchanged": False, "no change": False, "no_change": False}
_SPLITS = {"training": "train", "validation": "val", "valid": "val", "dev": "val", "testing": "test"}
_YES = frozenset({"true", "1", "yes", "changed", "change"})
_NO = frozenset({"false", "0", "no", "unchanged", "no change", "no_change"})


@dataclass(frozen=True)
class Row:
    """Named fields of one pair and where they stand.

    Attributes:
        number: of the line or member, from 1: the key where the fields have no better one.
        place: for problems, e.g. ``line 7``. where: for records, e.g. ``file.csv:7``.
    """

    number: int
    place: str
    where: str
    values: Mapping[str, Any]


def read_rows(
    rows: Iterable[Row], path: Path, column: str | None, role: Role | None, problems: list[str]
) -> list[CaptionRecord]:
    """One record per row; what was left out or mended goes to ``problems``.

    Raises:
        UsageProblem, InputError: see `caption_columns`.
    """
    rows = list(rows)
    names = dict.fromkeys(name for row in rows for name in row.values)
    columns = caption_columns(names, column, role, path) if rows else ()
    return [_record(row, columns, problems) for row in rows]


def _record(row: Row, columns: tuple[str, ...], problems: list[str]) -> CaptionRecord:
    def note(what: str) -> None:
        problems.append(f"{row.place}: {what}")

    captions: list[str] = []
    for name in columns:
        if name in row.values:
            captions += clean_captions(row.values[name], name, note)
        elif len(columns) == 1:
            note(f"empty caption (no {name})")
    values = {name.strip().lower(): value for name, value in row.values.items()}
    pre, post = _text(values, _PRE), _text(values, _POST)
    key, keyed = _key(values, pre, post, row.number)
    return CaptionRecord(
        key=key,
        captions=tuple(captions),
        pre=pre,
        post=post,
        changed=_flag(values, note),
        split=split_name(_text(values, ("split",))),
        model=_text(values, _MODEL),
        regime=_text(values, _REGIME),
        where=row.where,
        keyed=keyed,
    )


def _key(values: Mapping[str, Any], pre: str | None, post: str | None, number: int) -> tuple[str, KeyedBy]:
    found = _text(values, _ID)
    if found is not None:
        return found, "id"
    if pre is not None and post is not None:
        return names_key(pre, post), "pre and post"
    return f"line {number}", "line"


def _text(values: Mapping[str, Any], names: Iterable[str]) -> str | None:
    """The first of some fields that holds something."""
    for name in names:
        text = id_text(values.get(name))
        if text is not None:
            return text
    return None


def id_text(value: object) -> str | None:
    """A name or number as text; None where it is neither, or missing."""
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        value = int(value)  # a table with one missing number turns all of them into fractions
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value).strip()
    return None if not text or text in MISSING else text


def split_name(text: str | None) -> str | None:
    """``train``, ``val`` or ``test`` however it is written; another name in lower case."""
    plain = text.lower() if text is not None else None
    return None if plain is None else _SPLITS.get(plain, plain)


def flag_of(value: object) -> bool | None:
    """Whether a value says changed or unchanged; None where it says neither."""
    plain = id_text(value) if not isinstance(value, bool) else str(value)
    plain = "" if plain is None else plain.lower()
    return True if plain in _YES else False if plain in _NO else None


def _flag(values: Mapping[str, Any], note: Callable[[str], None]) -> bool | None:
    for name in _FLAG:
        value = values.get(name)
        if value is None or value == "":
            continue
        found = flag_of(value)
        if found is None and str(value).strip().lower() not in ("unsure", "unknown"):
            note(f"a change flag that says neither changed nor unchanged ({name}: {str(value)[:40]!r})")
        return found
    words = [str(values.get(name)).strip().lower() for name in _PERHAPS_FLAG]
    return next((_FLAG_WORDS[word] for word in words if word in _FLAG_WORDS), None)

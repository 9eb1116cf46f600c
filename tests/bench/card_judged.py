"""The hundred real pairs whose captions a person judges, and what was judged."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from card_sets import JUDGED, Imagery, Item, chips, harvey, prairie

PAIRS = 100
FILE = JUDGED / "captions.csv"
COLUMNS = ("set", "pair", "label_caption", "caption_decoder", "caption_grammar", "object", "verb", "place", "note")
VERDICTS = ("object", "verb", "place")


def spaced(items: Sequence[Item], number: int) -> list[Item]:
    """So many of them, evenly spaced; all where there are fewer."""
    if len(items) <= number:
        return list(items)
    return [items[int((at + 0.5) * len(items) / number)] for at in range(number)]


def span(item: Item) -> int:
    """Years from the earlier to the later date of a NAIP pair."""
    first, last = item.name.split(":")[1].split("-")
    return int(last) - int(first)


def set_of(item: Item) -> str:
    """``naip``, ``harvey`` or ``prairie``."""
    start = item.name.split(":")[0].split(" ")[0]
    return start if start in ("harvey", "prairie") else "naip"


def to_judge(imagery: Imagery) -> tuple[Item, ...]:
    """Flooded Harvey pairs, prairie tiles, and NAIP test chips with marked change: every place once, then more."""
    flooded = [item for item in harvey(imagery.folder) if item.seen == "changed"]
    fields = [replace(item, seen="changed") for item in prairie(imagery.folder)]
    marked = [item for item in chips(imagery.test) if item.seen == "changed" and item.truth is not None]
    longest: dict[str, Item] = {}
    for item in marked:
        if item.place not in longest or span(item) > span(longest[item.place]):
            longest[item.place] = item
    first = list(longest.values())
    room = PAIRS - len(flooded) - len(fields)
    taken = {item.name for item in first}
    more = spaced([item for item in marked if item.name not in taken], max(0, room - len(first)))
    return (*spaced(first, room), *more, *flooded, *fields)


@dataclass(frozen=True)
class Verdict:
    """One judged caption.

    Attributes:
        pair: name of the pair. decoder, grammar: what was judged. right: object, verb, place; None: not judged.
        note: of the person who judged.
    """

    pair: str
    decoder: str
    grammar: str
    right: tuple[bool | None, ...]
    note: str


def read_verdicts(path: Path = FILE) -> tuple[Verdict, ...]:
    """What was judged; empty where nothing was."""
    if not path.exists():
        return ()
    with path.open(newline="", encoding="utf-8") as lines:
        return tuple(
            Verdict(
                row["pair"],
                row["caption_decoder"],
                row["caption_grammar"],
                tuple({"1": True, "0": False}.get(row[name].strip()) for name in VERDICTS),
                row["note"],
            )
            for row in csv.DictReader(lines)
        )

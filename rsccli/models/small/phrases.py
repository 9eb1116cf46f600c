"""What a phrase such as "flooded road" means to a mask with classes: a table of words, and nothing beside it.

The words are those of `rsccli.models.small.subjects`. A phrase stands for every class that one of its words names:
"flooded road" for water and road, as the mask cannot tell a road under water from other water. Words that name no
class ("red", "large") cannot be seen in a mask: they are told back, and change nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from rsccli.models.small.questions import CHANGE, Refused
from rsccli.models.small.subjects import OTHER, find_subjects

LONGEST_PHRASE = 200
_SMALL = frozenset("a an the of in on at to with and or any all some".split())


@dataclass(frozen=True)
class Phrase:
    """What is looked for.

    Attributes:
        text: as it was given. classes: of the mask, in the order of its words; empty: change of any class.
        wider: words for people, where a class holds more than what was asked for, e.g. ``trees: all vegetation``.
        unread: words that name nothing in a mask.
    """

    text: str
    classes: tuple[str, ...]
    wider: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


def read_phrase(text: str, class_names: Sequence[str]) -> Phrase | Refused:
    """Classes that a phrase stands for, or why there are none.

    Args:
        class_names: of the detector.
    """
    if len(text) > LONGEST_PHRASE:
        return Refused(f"it is longer than {LONGEST_PHRASE} characters")
    plain = unicodedata.normalize("NFKC", text).lower()
    words = re.sub(r"[^\w\s]|_", " ", plain).split()
    subjects, rest = find_subjects(words)
    # The names of the classes themselves, beside the words of the table.
    named = [word for word in rest if word in class_names]
    rest = [word for word in rest if word not in named]
    apart = [each.name for each in subjects if each.class_name == OTHER or each.class_name not in class_names]
    if apart:
        return Refused(
            f"the mask has no class of its own for {' and '.join(apart)}: its classes are {', '.join(class_names)}"
        )
    classes = tuple(dict.fromkeys([*(each.class_name for each in subjects), *named]))
    # What became of a thing is not in the mask either: a building that came and one that went are both "building".
    unread = tuple(word for word in rest if word not in _SMALL and word not in CHANGE)
    if not classes and (unread or not set(rest) & CHANGE):
        return Refused(
            f"no word of it names a class of the mask: name {', '.join(class_names)}, or change (docs/ground.md has "
            "all words)"
        )
    wider = tuple(f"{each.name}: all {each.class_name}" for each in subjects if not each.whole)
    return Phrase(text, classes, wider, unread)

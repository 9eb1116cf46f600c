"""Reads a question about change: a small closed grammar, for captioners that give numbers and no words.

What it understands, by the first words:

| form | begins with | asks for |
|---|---|---|
| change | did, has, have, is, are, was, were, do, does, any | whether something changed, or a subject did |
| kind | what, which | which kinds of change there are |
| amount | how much, how large, what area, what share, how many hectares | area of the change mask, or its share |
| where | where, which tiles, which parts | where the change lies |
| count | how many | separate parts of the change mask, or tiles |

Every other word must be one that it knows: a subject (`rsccli.models.small.subjects`), a word of change, or a small
word. One that it does not know may turn the question round ("except", "larger than", "near the river"), so the
question is refused and the word is named. Questions of what stands there, and not of what changed, are refused, too.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from rsccli.models.small.subjects import SUBJECTS, Subject, find_subjects

Form = Literal["change", "kind", "amount", "where", "count"]
Role = Literal["gained", "lost", "damaged"]
Unit = Literal["m2", "ha", "km2", "%"]
Counted = Literal["parts", "tiles"]
LONGEST_QUESTION = 300

_GAINED = (
    "new newly build built construct constructed add added appear appeared erect erected gain gained grow grown grew "
    "expand expanded increase increased more planted extend extended larger greener rise risen rose create created "
    "emerge emerged"
)
_LOST = (
    "remove removed demolish demolished gone disappear disappeared lose lost loss clear cleared cut felled decrease "
    "decreased less fewer smaller shrink shrunk shrank dry dried drier recede receded vanish vanished missing razed"
)
ROLES: dict[str, tuple[Role, ...]] = {
    **{word: ("gained",) for word in _GAINED.split()},
    **{word: ("lost",) for word in _LOST.split()},
    **{word: ("damaged",) for word in ("damage", "damaged")},
    **{
        word: ("lost", "damaged") for word in ("destroy", "destroyed", "destruction", "collapse", "collapsed", "ruined")
    },
}
CHANGE: frozenset[str] = frozenset(
    "change changes changed changing different difference differences differ alter altered alteration alterations "
    "happen happened transform transformed affected".split()
)
UNITS: dict[str, Unit] = {
    **{word: "m2" for word in ("m2", "sqm", "square metres", "square meters", "square metre", "square meter")},
    **{word: "ha" for word in ("ha", "hectare", "hectares")},
    **{word: "km2" for word in ("km2", "square kilometres", "square kilometers")},
    **{word: "%" for word in ("percent", "percentage", "share", "fraction", "proportion")},
}
_SMALL = frozenset(
    "a an the of in on at to there any anything something some it its has have had is are was were been be do does did "
    "you see visible there's that which what's by up down away off i can could tell me show".split()
)
_AREA = frozenset("area areas surface land ground extent size".split())
_PLACE = frozenset("tile tiles part parts place places location locations spot spots".split())
_SCENE = frozenset(
    "this these two both area scene place tile image images picture pictures land landscape ground site".split()
)
_KINDS = frozenset("kind kinds type types sort sorts".split())
_ASIDE = re.compile(
    r"\b(?:"
    r"(?:between|across|in|on|of|over|for|within)\s+(?:(?:the|these|both|this|whole|entire)\s+)*(?:(?:two|2)\s+)?"
    r"(?:dates?|times?|images?|pictures?|photos?|scenes?|area|tile|place|pair)"
    r"|in\s+the\s+(?:second|later|post)\s+(?:image|picture|photo|date)"
    r"|(?:between|from)\s+(?:the\s+)?(?:first|earlier|pre|before)(?:\s+(?:image|picture|date))?\s+"
    r"(?:and|to)\s+(?:the\s+)?(?:second|later|post|after)(?:\s+(?:image|picture|date))?"
    r"|since\s+(?:the\s+)?(?:first|earlier|pre)\s+(?:image|picture|date)"
    r"|in\s+total|overall|altogether|over\s+time|please|here"
    r")\b"
)


@dataclass(frozen=True)
class Asked:
    """What a question asks for.

    Attributes:
        form: see the module. subject: of what, or None for change of any kind.
        roles: what became of the subject; empty: anything. unit: of an amount. counted: what a count counts.
    """

    form: Form
    subject: Subject | None = None
    roles: tuple[Role, ...] = ()
    unit: Unit = "m2"
    counted: Counted = "parts"

    @property
    def keywords(self) -> tuple[str, ...]:
        """Keywords that say yes; empty for change of any kind."""
        if self.subject is None:
            return ()
        if not self.roles:
            return self.subject.keywords
        return tuple(word for role in self.roles for word in getattr(self.subject, role))

    @property
    def needs_classes(self) -> bool:
        """Whether the mask's classes are needed beside keywords and the mask."""
        return self.subject is not None


@dataclass(frozen=True)
class Refused:
    """A question that is not understood. reason: why, for a person."""

    reason: str


def read_question(text: str) -> Asked | Refused:
    """What a question asks for, or why that cannot be said."""
    if len(text) > LONGEST_QUESTION:
        return Refused(f"it is longer than {LONGEST_QUESTION} characters")
    words = _words(text)
    if not words:
        return Refused("it holds no words")
    found = _form(words)
    if found is None:
        return Refused(f"no question begins like this: begin with {_BEGINNINGS}")
    form, rest, unit, counted = found
    subjects, rest = find_subjects(rest)
    allowed = _SMALL
    if form in ("amount", "where", "count"):
        allowed = allowed | _AREA | _PLACE
    elif form == "change" and not subjects:
        allowed = allowed | _SCENE
    left = [word for word in rest if word not in ROLES and word not in CHANGE and word not in allowed]
    if left:
        return Refused(_not_known(left))
    if len(subjects) > 1:
        return Refused(f"it names {' and '.join(each.name for each in subjects)}: ask about one of them at a time")
    said = {ROLES[word] for word in rest if word in ROLES}
    if len(said) > 1:
        # "less damage", "more were lost": each word alone is known, together they say something else.
        return Refused("it says two things of what became of it: say one of new, lost, damaged or destroyed")
    roles = said.pop() if said else ()
    subject = subjects[0] if subjects else _implied(roles)
    change = bool(roles) or any(word in CHANGE for word in rest)
    return _settled(form, subject, roles, unit, counted, change)


_BEGINNINGS = "did, is, are, what, which, how much, what area, how many or where"


def _settled(
    form: Form, subject: Subject | None, roles: tuple[Role, ...], unit: Unit, counted: Counted, change: bool
) -> Asked | Refused:
    """The question, if a mask and keywords can answer it."""
    if subject is None and roles:
        return Refused(f"it does not say of what: name one of {', '.join(each.name for each in SUBJECTS)}")
    if subject is not None and not change and not subject.change:
        return Refused(f"it asks what is there, not what changed: ask of new, lost or changed {subject.name}")
    if subject is None and not change and form != "where":
        return Refused("it does not ask for a change")
    if form == "where" and subject is None and not change:
        return Refused("it does not say where what is: ask where something changed")
    asked = Asked(form, subject, roles, unit, counted)
    if subject is not None and not asked.keywords:
        return Refused(f"nothing names {subject.name} that were {' or '.join(roles)}")
    if form == "count" and counted == "parts" and subject is not None and not subject.counted:
        return Refused(f"{subject.name} cannot be counted in a mask: ask how much, or in how many tiles")
    return asked


def _implied(roles: tuple[Role, ...]) -> Subject | None:
    """Damage without a word of what is that of buildings: nothing else is called damaged."""
    return SUBJECTS[0] if roles == ("damaged",) else None


def _not_known(words: list[str]) -> str:
    if {"and", "or"} & set(words):
        return "it asks for more than one thing: ask one question for each"
    named = ", ".join(f'"{word[:40]}"' for word in words[:3])
    return f"it does not understand {named}{' and more' if len(words) > 3 else ''}"


def _words(text: str) -> list[str]:
    """Lower-case words without what only says which two images are meant."""
    plain = unicodedata.normalize("NFKC", text).lower().replace("²", "2").replace("%", " percent ")
    # Apostrophes part, too: "hasn't" becomes a word that nobody knows, and is refused.
    plain = " ".join(re.sub(r"[^\w\s]|_", " ", plain).split())
    return _ASIDE.sub(" ", plain).split()


def _form(words: list[str]) -> tuple[Form, list[str], Unit, Counted] | None:
    """The form by the first words, the other words, and the unit or what is counted."""
    if words[0] == "in" and words[1:2] in (["which"], ["what"], ["how"]):
        words = words[1:]
    unit, without = _unit(words)
    first, second = words[0], words[1] if len(words) > 1 else ""
    if first == "how" and second == "many":
        if unit is not None:
            return "amount", without[2:], unit, "parts"
        tiles = len(words) > 2 and words[2] in ("tile", "tiles")
        return "count", words[3 if tiles else 2 :], "m2", "tiles" if tiles else "parts"
    if first == "how" and second in ("much", "large", "big", "extensive", "wide"):
        return "amount", without[2:], unit or "m2", "parts"
    if first in ("what", "which"):
        behind = [word for word in words[1:4] if word not in ("is", "was", "the")][:1]
        if unit is not None or behind in (["area"], ["surface"], ["size"], ["extent"]):
            return "amount", without[1:], unit or "m2", "parts"
        if behind and (behind[0] in _PLACE or behind[0] in ("areas", "locations")):
            return "where", words[1:], "m2", "parts"
        return "kind", [word for word in words[1:] if word not in _KINDS], "m2", "parts"
    if first == "where":
        return "where", words[1:], "m2", "parts"
    if first in ("did", "has", "have", "is", "are", "was", "were", "do", "does", "any"):
        return "change", words[1:], "m2", "parts"
    return None


def _unit(words: list[str]) -> tuple[Unit | None, list[str]]:
    """The unit that is asked for, and the words without it."""
    for at in range(len(words)):
        for length in (2, 1):
            unit = UNITS.get(" ".join(words[at : at + length])) if at + length <= len(words) else None
            if unit is not None:
                return unit, words[:at] + words[at + length :]
    return None, words

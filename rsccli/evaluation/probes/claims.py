"""What words of a caption claim to have appeared or gone, so that the swap of the dates can be seen in any captioner.

A captioner with keywords claims these. Of any other one its sentence is read: objects, and the verb nearest to each.
It is a reading of plain sentences of the kind that change captioners write, not of language.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rsccli.evaluation.probes.answering import Answer
from rsccli.models.small.facts import REVERSED

APPEARS, GONE = "appears", "gone"

#: Objects that sentences are read for: everyday names of one thing are one object.
_OBJECTS: tuple[tuple[str, str], ...] = (
    ("parking lot", r"parking\s+(?:lots?|areas?|spaces?)|car\s*parks?"),
    ("sports field", r"play\s*grounds?|playing\s+fields?|sports?\s+fields?|stadiums?|(?:tennis|basketball)\s+courts?"),
    ("pool", r"(?:swimming\s+)?pools?"),
    (
        "building",
        r"buildings?|houses?|homes?|villas?|residences?|residential\s+\w+|structures?|warehouses?|factor(?:y|ies)"
        r"|malls?|hangars?|constructions?|settlements?|sheds?|blocks?\s+of\s+flats|apartments?|schools?|neighbou?rhoods?",
    ),
    (
        "road",
        r"(?:cross)?roads?|streets?|tracks?|intersections?|paths?|lanes?|highways?|motorways?|roundabouts?|cul-de-sacs?|bridges?|runways?",
    ),
    ("trees", r"trees?|forests?|woods?|woodlands?|jungles?|orchards?"),
    ("vegetation", r"vegetation|plants?|grass(?:es|land|lands)?|lawns?|shrubs?|bush(?:es)?|meadows?|greenery|crops?"),
    ("water", r"floods?|flood\s*water|water|lakes?|ponds?|rivers?|canals?|streams?|reservoirs?"),
    (
        "bare ground",
        r"bare\s*-?\s*lands?|bare\s+(?:soil|ground|fields?|areas?)|barelands?|deserts?|waste\s*lands?|dirt",
    ),
    ("snow", r"snow"),
)
_OBJECT = re.compile("|".join(rf"(?P<o{i}>\b(?:{words})\b)" for i, (_, words) in enumerate(_OBJECTS)), re.IGNORECASE)
_UP = (
    r"appear(?:s|ed|ing)?|emerg(?:e|es|ed)|built|constructed|erected|completed|added|laid(?!\s+bare)|paved|planted|arise[ns]?|arose"
    r"|(?:gone|went|go|goes|put|sprung|show(?:s|n|ed)?)\s+up|now\s+stands?|new|newly|set\s+up|(?:has|have)\s+(?:grown|spread)|covers?|covered|fills?"
    r"|established|developed|formed|flooded|brought|visible"
)
_DOWN = (
    r"disappear(?:s|ed)?|vanish(?:es|ed)?|removed|demolished|destroyed|razed|cleared|(?:is|are|was|were|has|have)\s+gone"
    r"|(?:taken|pulled|torn)\s+(?:down|away|up)|cut|chopped|felled|lost|no\s+longer|dried|shrunk|receded|melted"
    r"|knocked\s+down|missing|eliminated|dismantled|former"
)
_VERB = re.compile(rf"(?P<down>\b(?:{_DOWN})\b)|(?P<up>\b(?:{_UP})\b)", re.IGNORECASE)
#: Where something is, not what: "along the road", "beside a large building", "on both sides of the street".
_BESIDE = re.compile(
    r"\b(?:along|alongside|beside|besides|near|nearby|around|next\s+to|close\s+to|in\s+front\s+of|between|behind|across"
    r"|at|on|in|inside|over|under|among|amid|from|through|to|by|surrounding"
    r"|(?:sides?|edge|corner|top|bottom|middle|cent(?:er|re)|left|right|north|south|east|west|end|rest)\s+of)"
    r"\s+(?:\w+\s+){0,3}?(?:and\s+the\s+)?$",
    re.IGNORECASE,
)
#: "X is replaced by Y", "X has given way to Y", "X turned into Y": left went, right came.
_BECAME = re.compile(
    r"\b(?:(?:is|are|was|were|been|being|get|gets|got)\s+)?(?:replaced\s+(?:by|with)|(?:turn(?:s|ed)?|changed|converted"
    r"|transformed|developed)\s+(?:in)?to|(?:gives?|gave|given)\s+way\s+to|(?:became|becomes|become))\b",
    re.IGNORECASE,
)
#: "Y replaces X", "Y in place of X", "Y instead of X": left came, right went.
_INSTEAD = re.compile(
    r"\b(?:replac(?:e|es|ed|ing)|tak(?:e|es|en|ing)\s+the\s+place\s+of|took\s+the\s+place\s+of|(?:in|at)\s+(?:the\s+)?place\s+of"
    r"|instead\s+of|occup(?:y|ies|ied))\b",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[.;,]\s*|\s+(?:and|while|but|whereas)\s+", re.IGNORECASE)


@dataclass(frozen=True)
class Vocabulary:
    """How claims are found in answers.

    Attributes:
        keywords: whether they are the answer's keywords; else its sentence is read.
        reverse: what each claim must become when the dates are exchanged.
        kinds: claims by what they are of.
    """

    keywords: bool
    reverse: dict[str, str]
    kinds: tuple[tuple[str, frozenset[str]], ...]

    def claims(self, answer: Answer) -> tuple[str, ...]:
        """All claims of an answer, the strongest or first one first."""
        if self.keywords:
            return answer.keywords
        return () if answer.status == "unchanged" else sentence_claims(answer.text)

    def turning(self, answer: Answer) -> tuple[str, ...]:
        """Claims that have another reverse than themselves."""
        return tuple(claim for claim in self.claims(answer) if self.reverse.get(claim, claim) != claim)

    def turns(self, claim: str, others: Sequence[str]) -> bool:
        """Whether other claims hold the reverse of one and not itself; the table of reverses is read both ways."""
        return claim not in others and any(
            self.reverse.get(claim) == other or self.reverse.get(other) == claim for other in others
        )


def _sentence_reverse() -> dict[str, str]:
    pairs = {}
    for name, _ in _OBJECTS:
        pairs[f"{name} {APPEARS}"], pairs[f"{name} {GONE}"] = f"{name} {GONE}", f"{name} {APPEARS}"
    return pairs


SENTENCES = Vocabulary(
    keywords=False,
    reverse=_sentence_reverse(),
    kinds=tuple(
        (kind, frozenset(f"{name} {way}" for name in names for way in (APPEARS, GONE)))
        for kind, names in (
            ("buildings", ("building",)),
            ("roads", ("road", "parking lot")),
            ("plants", ("trees", "vegetation", "bare ground")),
            ("water", ("water",)),
        )
    ),
)
KEYWORDS = Vocabulary(
    keywords=True,
    reverse=dict(REVERSED),
    kinds=(
        ("buildings", frozenset(("new house", "new building", "building removed"))),
        ("roads", frozenset(("new road", "road removed"))),
        ("plants", frozenset(("bare soil", "greener vegetation", "drier vegetation", "new trees", "tree loss"))),
        ("water", frozenset(("flood", "water gain", "water loss"))),
    ),
)


def vocabulary_of(keywords: Sequence[str]) -> Vocabulary:
    """Keywords where a captioner has some that can turn round, else its sentences.

    Args:
        keywords: that the captioner may say.
    """
    return KEYWORDS if set(keywords) & set(REVERSED) else SENTENCES


def sentence_claims(text: str) -> tuple[str, ...]:
    """Claims of a caption, e.g. ``building appears``, in the order of the text."""
    found: dict[str, None] = {}
    for clause in _clauses(text):
        found |= dict.fromkeys(_clause_claims(clause))
    return tuple(found)


def _clauses(text: str) -> Iterator[str]:
    """Parts of a text with a verb each; a part without one belongs to the next, or to the last one."""
    held = ""
    last: str | None = None
    for piece in _CLAUSE.split(" ".join(text.split())):
        held = f"{held} and {piece}" if held else piece
        if any(pattern.search(piece) for pattern in (_BECAME, _INSTEAD, _VERB)):
            if last is not None:
                yield last
            last, held = held, ""
    if last is not None:
        yield f"{last} and {held}" if held else last


def _clause_claims(clause: str) -> Iterator[str]:
    for pattern, left, right in ((_BECAME, GONE, APPEARS), (_INSTEAD, APPEARS, GONE)):
        turn = pattern.search(clause)
        came = list(_named(clause[turn.end() :])) if turn is not None else []
        # "The grass has become greener" tells of no other object, and "replaced" alone of nothing that went.
        if turn is not None and came:
            yield from (f"{name} {left}" for name in _named(clause[: turn.start()]))
            yield from (f"{name} {right}" for name in came)
            return
    verbs = [(match.start(), APPEARS if match.group("up") else GONE) for match in _VERB.finditer(clause)]
    if not verbs:
        return
    for match in _OBJECT.finditer(clause):
        if not _BESIDE.search(clause[: match.start()]):
            _, way = min(verbs, key=lambda verb: abs(verb[0] - match.start()))
            yield f"{_name(match)} {way}"


def _named(part: str) -> Iterator[str]:
    """Objects of a part of a clause that are not only where something is."""
    for match in _OBJECT.finditer(part):
        if not _BESIDE.search(part[: match.start()]):
            yield _name(match)


def _name(match: re.Match[str]) -> str:
    return next(name for i, (name, _) in enumerate(_OBJECTS) if match.group(f"o{i}"))

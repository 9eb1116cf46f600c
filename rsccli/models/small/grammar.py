"""The grammar that turns facts into sentences: what the decoder learns from, and its rival.

Sentences are written here, none is taken from a data set. Two registers: ``short``, one plain clause for each
finding with left, right, top and bottom (the way of the LEVIR-CC annotators), and ``news``, fuller sentences
with compass directions (the way of RSCC; a grid is north-up). A sentence names all keywords of its facts and
no other, so that it can be checked with ``named_keywords``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from rsccli.models.small.facts import (
    COUNTED,
    COUNTS,
    EXTENTS,
    KEYWORDS,
    MAX_KEYWORDS,
    NOWHERE,
    PLACES,
    REGISTERS,
    SPREAD,
    UNCHANGED,
    UNSURE,
    Facts,
    Finding,
    Register,
)

SPOT, PART, LARGE, MOST = (EXTENTS.index(name) for name in ("spot", "part", "large", "most"))


@dataclass(frozen=True)
class Wording:
    """How one kind of change is said.

    Attributes:
        one, many: clauses of the short register with one object, and with ``{n}`` of them; ``many`` without a
            number holds for what cannot be counted.
        news_one, news_many: the same in the news register.
        noun: what it is called where nobody is sure. marker: what tells it in a sentence (a pattern).
    """

    one: tuple[str, ...]
    many: tuple[str, ...]
    news_one: tuple[str, ...]
    news_many: tuple[str, ...]
    noun: str
    marker: str


def _mass(short: tuple[str, ...], news: tuple[str, ...], noun: str, marker: str) -> Wording:
    return Wording(short, short, news, news, noun, marker)


WORDINGS: dict[str, Wording] = {
    "new house": Wording(
        ("a new house has been built", "a house now stands", "one house has appeared"),
        ("{n} new houses have been built", "{n} houses now stand", "{n} houses have appeared"),
        ("a single new house has been completed", "one new home has gone up"),
        ("{n} new houses have been completed", "{n} new homes have gone up"),
        "new houses",
        r"\b(houses?|homes?)\b",
    ),
    "new building": Wording(
        ("a large building has been built", "a large building now stands", "a large building has appeared"),
        ("{n} large buildings have been built", "{n} large buildings now stand", "{n} large buildings have appeared"),
        ("a large new structure has been put up", "one large building has been completed"),
        ("{n} large new structures have been put up", "{n} large buildings have been completed"),
        "a large building",
        r"\blarge (new )?(buildings?|structures?)\b",
    ),
    "building removed": Wording(
        ("a building has been taken down", "one building is gone", "a building has disappeared"),
        ("{n} buildings have been taken down", "{n} buildings are gone", "{n} buildings have disappeared"),
        ("a building that stood there before has been demolished", "one building has been pulled down"),
        ("{n} buildings that stood there before have been demolished", "{n} buildings have been pulled down"),
        "demolition",
        r"\btaken down\b|\bbuildings? (is|are) gone\b|\bbuildings? ha(s|ve) disappeared\b|\bdemolished\b"
        r"|\bpulled down\b|\bdemolition\b",
    ),
    "building damage": Wording(
        ("a roof is damaged", "damage to a roof can be seen"),
        ("{n} roofs are damaged", "damage to {n} roofs can be seen"),
        ("one building shows a damaged roof", "a roof has been torn open"),
        ("{n} buildings show damaged roofs", "{n} roofs have been torn open"),
        "damaged roofs",
        r"\broofs?\b",
    ),
    "debris": _mass(
        ("debris is scattered", "debris lies around", "rubble covers the ground"),
        ("debris has been scattered between what still stands", "rubble and debris now cover the ground"),
        "debris",
        r"\b(debris|rubble)\b",
    ),
    "construction site": _mass(
        ("building work has begun", "a construction site has opened"),
        ("the ground has become a construction site", "construction work is under way"),
        "a construction site",
        r"\bbuilding work\b|\bconstruction\b",
    ),
    "new road": _mass(
        ("a new road has been laid", "a road has been built", "a road has appeared"),
        ("a new road has been laid through the scene", "a road that was not there before has been built"),
        "a new road",
        r"\broad has been (laid|built)\b|\broad has appeared\b|\bnew road\b|\broad that was not there\b",
    ),
    "road removed": _mass(
        ("a road has disappeared", "an old road is gone"),
        ("a former road can no longer be seen", "an old road has been taken up"),
        "the loss of a road",
        r"\broad has disappeared\b|\bold road\b|\bformer road\b|\bloss of a road\b",
    ),
    "parking lot": _mass(
        ("a parking lot has been laid out", "a parking lot has been paved"),
        ("the ground has been paved as a parking lot", "a parking lot has been laid out and marked"),
        "a parking lot",
        r"\bparking lot\b",
    ),
    "bare soil": _mass(
        ("the ground has been cleared", "bare soil has appeared", "the ground is now bare"),
        ("the ground has been cleared down to bare soil", "plants have given way to bare soil"),
        "cleared ground",
        r"\bcleared\b|\bbare\b",
    ),
    "greener vegetation": _mass(
        ("the vegetation is greener", "the ground has turned green", "grass has grown"),
        ("vegetation has become greener and denser", "dry ground has turned green"),
        "greener vegetation",
        r"\bgreen(er)?\b|\bgrass has grown\b",
    ),
    "drier vegetation": _mass(
        ("the vegetation has dried out", "plants have turned brown", "the grass is drier"),
        ("vegetation that was fresh before has dried out", "lawns and shrubs have turned brown"),
        "drier vegetation",
        r"\bdried out\b|\bturned brown\b|\bdrier\b",
    ),
    "new trees": _mass(
        ("new trees have grown", "trees have been planted", "trees have appeared"),
        ("young trees have been planted", "new trees now stand where the ground was open"),
        "new trees",
        r"\bnew trees\b|\bplanted\b|\btrees have appeared\b",
    ),
    "tree loss": _mass(
        ("trees have been cut", "trees are gone", "trees have disappeared"),
        ("trees have been felled", "trees that stood there before are gone"),
        "lost trees",
        r"\btrees have been (cut|felled)\b|\btrees (that stood there before )?are gone\b|\btrees have disappeared\b"
        r"|\blost trees\b",
    ),
    "flood": _mass(
        ("flood water covers the ground", "the ground is flooded", "flood water stands"),
        ("flood water has covered streets and open ground", "the area has been flooded around what stands higher"),
        "flood water",
        r"\bflood(ed)?\b",
    ),
    "water gain": _mass(
        ("open water has spread", "a body of water has grown", "a pond has appeared"),
        ("a body of water has grown over what was land", "open water has spread beyond its old shore"),
        "more open water",
        r"\bopen water\b|\bwater has grown\b|\bpond has appeared\b",
    ),
    "water loss": _mass(
        ("the water has receded", "a body of water has shrunk", "a pond has dried"),
        ("the water has receded and left its bed open", "a body of water has shrunk from its old shore"),
        "less water",
        r"\breceded\b|\bshrunk\b|\bpond has dried\b|\bless water\b",
    ),
    "burn scar": _mass(
        ("fire has left a burn scar", "the ground is burnt"),
        ("fire has blackened the ground", "a burn scar marks the ground"),
        "a burn scar",
        r"\bburn scar\b|\bburnt\b|\bblackened\b",
    ),
    "mud": _mass(
        ("mud covers the ground", "a landslide has come down"),
        ("mud has flowed over the ground and buried it", "a landslide has left a track of mud"),
        "mud",
        r"\bmud\b|\blandslide\b",
    ),
    "swimming pool": Wording(
        ("a swimming pool has been built", "a pool has appeared"),
        ("{n} swimming pools have been built", "{n} pools have appeared"),
        ("one swimming pool has been added to a garden", "a new swimming pool has been dug"),
        ("{n} swimming pools have been added to gardens", "{n} new swimming pools have been dug"),
        "a swimming pool",
        r"\bpools?\b",
    ),
    "sports field": Wording(
        ("a sports field has been laid out", "a playing field has appeared"),
        ("{n} sports fields have been laid out", "{n} playing fields have appeared"),
        ("a sports field has been levelled and marked", "one playing field has been built"),
        ("{n} sports fields have been levelled and marked", "{n} playing fields have been built"),
        "a sports field",
        r"\b(sports|playing) fields?\b",
    ),
    "solar panels": _mass(
        ("solar panels have been installed", "solar panels have appeared"),
        ("rows of solar panels have been installed", "solar panels now cover open space"),
        "solar panels",
        r"\bsolar panels\b",
    ),
    "boats": Wording(
        ("a boat has come or gone", "one boat has moved"),
        ("{n} boats have come or gone", "{n} boats have moved"),
        ("one boat has left or reached its berth", "a boat has changed its berth"),
        ("{n} boats have left or reached their berths", "{n} boats have changed their berths"),
        "boats that moved",
        r"\bboats?\b",
    ),
    "snow": _mass(
        ("snow has fallen", "snow covers the ground"),
        ("the ground now lies under snow", "snow has covered the ground"),
        "snow cover",
        r"\bsnow (has (fallen|covered)|covers)\b|\bunder snow\b|\bsnow cover\b",
    ),
    "snow melted": _mass(
        ("the snow has melted", "the snow is gone"),
        ("the snow has melted and the ground lies open", "the snow of the earlier date is gone"),
        "snow that melted",
        r"\bsnow (has melted|is gone|of the earlier|that melted)\b",
    ),
}
COUNT_WORDS: tuple[str, ...] = ("", "one", "two", "three", "several", "many")
NOTHING: dict[Register, tuple[str, ...]] = {
    "short": (
        "No lasting change can be seen between the two dates.",
        "Nothing of note has changed.",
        "Both dates show the same ground.",
        "The ground looks alike on both dates.",
    ),
    "news": (
        "The two images show the same ground without any lasting change.",
        "Apart from light and season, nothing of note has changed between the two dates.",
        "No lasting change of the ground can be made out between the earlier and the later image.",
    ),
}
# In the order of PLACES, up to "spread".
WHERE: dict[Register, tuple[tuple[str, ...], ...]] = {
    "short": (
        ("in the upper left", "in the upper left part"),
        ("at the top", "along the top"),
        ("in the upper right", "in the upper right part"),
        ("on the left", "on the left side"),
        ("in the centre", "in the middle"),
        ("on the right", "on the right side"),
        ("in the lower left", "in the lower left part"),
        ("at the bottom", "along the bottom"),
        ("in the lower right", "in the lower right part"),
        ("in several places", "across the scene"),
    ),
    "news": (
        ("in the northwest", "in the northwestern part of the scene"),
        ("in the north", "in the northern part of the scene"),
        ("in the northeast", "in the northeastern part of the scene"),
        ("in the west", "in the western part of the scene"),
        ("near the middle of the scene", "in the heart of the scene"),
        ("in the east", "in the eastern part of the scene"),
        ("in the southwest", "in the southwestern part of the scene"),
        ("in the south", "in the southern part of the scene"),
        ("in the southeast", "in the southeastern part of the scene"),
        ("at several spots", "at scattered spots"),
    ),
}
EXTENT_WORDS: dict[Register, dict[int, tuple[str, ...]]] = {
    "short": {
        SPOT: ("in a small spot",),
        LARGE: ("over a large area",),
        MOST: ("over most of the scene", "nearly everywhere"),
    },
    "news": {
        SPOT: ("on a small patch of ground",),
        LARGE: ("over a wide area",),
        MOST: ("across most of the scene", "nearly everywhere in view"),
    },
}
UNNAMED: dict[Register, tuple[str, ...]] = {
    "short": ("something has changed", "the ground has changed"),
    "news": ("the ground has changed in a way that cannot be named",),
}
OPENINGS: tuple[str, ...] = ("", "", "between the two dates,", "in the later image,", "since the earlier image,")


def _pick(rng: np.random.Generator | None, options: tuple[str, ...]) -> str:
    return options[0 if rng is None else int(rng.integers(len(options)))]


def _where(rng: np.random.Generator | None, finding: Finding, register: Register) -> str:
    """Where, and how widely; empty where there is no mask to say so."""
    if finding.place == NOWHERE:
        return ""
    extents = EXTENT_WORDS[register]
    if finding.extent == MOST:
        return _pick(rng, extents[MOST])
    place = _pick(rng, WHERE[register][finding.place])
    counted = finding.keyword is not None and KEYWORDS[finding.keyword] in COUNTED
    if counted or finding.place == SPREAD or finding.extent not in extents:
        return place
    return f"{_pick(rng, extents[finding.extent])} {place}"


def _clause(rng: np.random.Generator | None, finding: Finding, register: Register) -> str:
    if finding.keyword is None:
        return _pick(rng, UNNAMED[register])
    name = KEYWORDS[finding.keyword]
    wording = WORDINGS[name]
    single = COUNTS[finding.count] == "one"
    ways = (
        (wording.one if single else wording.many)
        if register == "short"
        else (wording.news_one if single else wording.news_many)
    )
    if finding.extent >= LARGE:
        # What covers much of a scene is no pond.
        ways = tuple(way for way in ways if not re.search(r"\bpond\b", way))
    number = COUNT_WORDS[finding.count] if name in COUNTED else ""
    return " ".join(_pick(rng, ways).format(n=number).split())


def sentence(facts: Facts, register: Register = "short", rng: np.random.Generator | None = None) -> str:
    """The facts in words.

    Args:
        facts: what to say. register: the way of speaking.
        rng: chooses among the ways of saying it; None: always the first of them.

    Returns:
        Words that the tokenizer of ``vocabulary`` knows, first letter capital, full stop at the end.
    """
    if facts.status == UNCHANGED:
        return _pick(rng, NOTHING[register])
    findings = facts.findings or (Finding(None),)
    if facts.status == UNSURE:
        nouns = [WORDINGS[KEYWORDS[f.keyword]].noun for f in findings if f.keyword is not None]
        what = " and ".join(nouns) or "some change"
        where = _where(rng, findings[0], register)
        if register == "short":
            return _finish(f"possibly {what} {where}, but this is not certain")
        return _finish(f"the images hint at {what} {where}, which they do not confirm")
    places = {(finding.place, finding.extent) for finding in findings}
    if len(places) == 1 and len(findings) > 1:
        clauses = [_clause(rng, finding, register) for finding in findings]
        clauses[-1] = f"{clauses[-1]}, all {_where(rng, findings[0], register)}"
        if findings[0].place == NOWHERE:
            clauses[-1] = clauses[-1].removesuffix(", all ")
    else:
        clauses = [f"{_clause(rng, finding, register)} {_where(rng, finding, register)}" for finding in findings]
    if register == "short":
        if len(clauses) == 1:
            return _finish(clauses[0])
        return _finish(f"{', '.join(clauses[:-1])}, and {clauses[-1]}")
    first = f"{_pick(rng, OPENINGS)} {clauses[0]}"
    if len(clauses) == 1:
        return _finish(first)
    rest = clauses[1] if len(clauses) == 2 else f"{clauses[1]}, and {clauses[2]}"
    return f"{_finish(first)} {_finish(f'also, {rest}')}"


def _finish(text: str) -> str:
    text = re.sub(r"\s+(?=[,.])", "", " ".join(text.split()))
    return f"{text[0].upper()}{text[1:]}."


_MARKERS = {name: re.compile(wording.marker) for name, wording in WORDINGS.items()}


def named_keywords(text: str) -> frozenset[str]:
    """Which keywords a sentence of this grammar names."""
    lowered = text.lower()
    return frozenset(name for name, marker in _MARKERS.items() if marker.search(lowered))


def vocabulary() -> frozenset[str]:
    """Every word and mark that a sentence of the grammar can hold, with both cases of first words."""
    pieces = [
        *COUNT_WORDS,
        *OPENINGS,
        "and , . all also",
        "possibly some change but this is not certain",
        "the images hint at which they do not confirm",
    ]
    for register in REGISTERS:
        pieces += [*NOTHING[register], *UNNAMED[register]]
        for ways in (*WHERE[register], *EXTENT_WORDS[register].values()):
            pieces += ways
    for wording in WORDINGS.values():
        clauses = (*wording.one, *wording.many, *wording.news_one, *wording.news_many)
        pieces += [*(clause.replace("{n}", "") for clause in clauses), wording.noun]
    words = {word for piece in pieces for word in re.findall(r"\w+|[^\w\s]", piece)}
    return frozenset(words | {word.capitalize() for word in words})


def random_facts(rng: np.random.Generator) -> Facts:
    """Facts that no image stands behind: the decoder learns from them to say what it is told."""
    status = int(rng.choice(3, p=[0.08, 0.25, 0.67]))
    if status == UNCHANGED:
        return Facts(UNCHANGED)
    number = int(rng.choice([0, 1, 2, 3], p=[0.07, 0.4, 0.28, 0.25]))
    keywords: list[int | None] = [int(k) for k in rng.choice(len(KEYWORDS), min(number, MAX_KEYWORDS), replace=False)]
    place, extent = int(rng.integers(0, NOWHERE)), int(rng.integers(1, len(EXTENTS)))
    findings = []
    for keyword in keywords or [None]:
        if rng.random() < 0.6:
            place, extent = int(rng.integers(0, NOWHERE)), int(rng.integers(1, len(EXTENTS)))
        counted = keyword is not None and KEYWORDS[keyword] in COUNTED
        count = int(rng.integers(0, len(COUNTS))) if counted else 0
        findings.append(Finding(keyword, count, place, extent))
    return Facts(status, tuple(findings))


def described(place: int, extent: int) -> str:
    """Place and extent in a few words, for tables: ``upper left, part``."""
    return f"{PLACES[place]}, {EXTENTS[extent]}"

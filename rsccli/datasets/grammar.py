"""The grammar that turns facts into sentences: every caption that the small captioner learns from.

Sentences are written here, none is taken from a data set. Each kind of change has a few ways of saying it;
a sentence names all keywords of its facts and no other, so that it can be checked with ``named_keywords``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from rsccli.models.small.facts import KEYWORDS, NOWHERE, PLACES, SPREAD, STATUS_NAMES, Facts

UNCHANGED, UNSURE, CHANGED = range(len(STATUS_NAMES))
MOST = 4
LARGE = 3


@dataclass(frozen=True)
class Wording:
    """How one kind of change is said.

    Attributes:
        one, many: clauses with one object and with ``{n}`` of them; ``many`` holds for uncounted things.
        noun: what it is called where nobody is sure. marker: what tells it in a sentence (a pattern).
    """

    one: tuple[str, ...]
    many: tuple[str, ...]
    noun: str
    marker: str


def _uncounted(clauses: tuple[str, ...], noun: str, marker: str) -> Wording:
    return Wording(clauses, clauses, noun, marker)


WORDINGS: dict[str, Wording] = {
    "new house": Wording(
        ("a new house has been built", "a house now stands where none was"),
        ("{n} new houses have been built", "{n} houses now stand where none were"),
        "new houses",
        r"\bhouses?\b",
    ),
    "new building": Wording(
        ("a large building has been put up", "a new large building stands"),
        ("{n} large buildings have been put up", "{n} new large buildings stand"),
        "a large building",
        r"\blarge buildings?\b",
    ),
    "building removed": Wording(
        ("a building has been taken down", "one building is gone"),
        ("{n} buildings have been taken down", "{n} buildings are gone"),
        "demolition",
        r"\btaken down\b|\bbuildings? (is|are) gone\b|\bdemolition\b",
    ),
    "building damage": _uncounted(("roofs are damaged", "damage to roofs can be seen"), "damaged roofs", r"\broofs\b"),
    "debris": _uncounted(("debris is scattered over the ground", "debris lies around"), "debris", r"\bdebris\b"),
    "new road": _uncounted(("a new road has been laid", "a new road runs through"), "a new road", r"\bnew road\b"),
    "road removed": _uncounted(
        ("a road has disappeared", "an old road is gone"),
        "a lost road",
        r"\broad (has disappeared|is gone)\b|\blost road\b",
    ),
    "parking lot": _uncounted(
        ("a parking lot has been paved", "there is a new parking lot"), "a parking lot", r"\bparking\b"
    ),
    "bare soil": _uncounted(
        ("the ground has been cleared to bare soil", "bare soil has been laid open"), "bare soil", r"\bbare soil\b"
    ),
    "greener vegetation": _uncounted(
        ("the vegetation is greener", "plants have turned green"), "greener vegetation", r"\bgreen(er)?\b"
    ),
    "drier vegetation": _uncounted(
        ("the vegetation has dried out", "plants have turned brown"),
        "drier vegetation",
        r"\bdried out\b|\bturned brown\b|\bdrier\b",
    ),
    "new trees": _uncounted(
        ("new trees have grown", "trees have been planted"), "new trees", r"\bnew trees\b|\bplanted\b"
    ),
    "tree loss": _uncounted(
        ("trees have been cut", "trees are gone"), "lost trees", r"\btrees (have been cut|are gone)\b|\blost trees\b"
    ),
    "flood": _uncounted(("flood water covers the ground", "the ground is flooded"), "flood water", r"\bflood(ed)?\b"),
    "water gain": _uncounted(
        ("open water has spread", "a body of water has grown"), "more open water", r"\bopen water\b|\bwater has grown\b"
    ),
    "water loss": _uncounted(
        ("the water has receded", "a body of water has shrunk"), "less water", r"\breceded\b|\bshrunk\b|\bless water\b"
    ),
    "burn scar": _uncounted(
        ("fire has left a burn scar", "the ground is burnt"), "a burn scar", r"\bburn scar\b|\bburnt\b"
    ),
}
COUNTS: tuple[str, ...] = ("two", "three", "several", "many")
NOTHING: tuple[str, ...] = (
    "Nothing of note has changed.",
    "Both dates show the same ground.",
    "No lasting change can be seen between the two dates.",
    "The ground looks alike on both dates.",
)
WHERE: tuple[tuple[str, ...], ...] = (
    *((f"in the {place}", f"in the {place} part") for place in ("upper left",)),
    ("at the top", "along the top"),
    ("in the upper right", "in the upper right part"),
    ("on the left", "on the left side"),
    ("in the centre", "in the middle"),
    ("on the right", "on the right side"),
    ("in the lower left", "in the lower left part"),
    ("at the bottom", "along the bottom"),
    ("in the lower right", "in the lower right part"),
    ("in several places", "across the scene"),
)
EVERYWHERE: tuple[str, ...] = ("over most of the scene", "nearly everywhere")
WIDELY: tuple[str, ...] = ("over a large area",)


def _pick(rng: np.random.Generator, options: tuple[str, ...]) -> str:
    return options[int(rng.integers(len(options)))]


def count_word(count: int | None) -> str:
    """``two`` to ``many``; empty where the number is not known."""
    if count is None:
        return ""
    return {2: "two", 3: "three"}.get(count, "several" if count < 8 else "many")


def place_phrase(rng: np.random.Generator, facts: Facts) -> str:
    """Where, and how widely; empty where there is no mask to say so."""
    if facts.place == NOWHERE:
        return ""
    if facts.extent == MOST:
        return _pick(rng, EVERYWHERE)
    where = _pick(rng, WHERE[facts.place])
    if facts.extent == LARGE and facts.place != SPREAD:
        return f"{WIDELY[0]} {where}"
    return where


def _clause(rng: np.random.Generator, keyword: str, count: int | None) -> str:
    wording = WORDINGS[keyword]
    clauses = wording.one if count == 1 else wording.many
    return " ".join(_pick(rng, clauses).format(n=count_word(count)).split())


def sentence(rng: np.random.Generator, facts: Facts, counts: dict[str, int] | None = None) -> str:
    """One sentence that says the facts.

    Args:
        rng: chooses among the ways of saying it.
        facts: what to say. counts: how many objects of a keyword, where that is known.

    Returns:
        Words that the tokenizer of ``vocabulary`` knows, first letter capital, full stop at the end.
    """
    if facts.status == UNCHANGED:
        return _pick(rng, NOTHING)
    where = place_phrase(rng, facts)
    names = [KEYWORDS[index] for index in facts.keywords]
    if facts.status == UNSURE:
        what = " and ".join(WORDINGS[name].noun for name in names) or "some change"
        text = f"possibly {what} {where}, but this is not certain"
    elif not names:
        text = f"something has changed {where}, of a kind that cannot be named"
    else:
        known = counts or {}
        clauses = [_clause(rng, name, known.get(name)) for name in names]
        text = f"{clauses[0]} {where}"
        if len(clauses) == 2:
            text = f"{text}, and {clauses[1]}"
        elif len(clauses) > 2:
            text = f"{text}, {', '.join(clauses[1:-1])}, and {clauses[-1]}"
    text = re.sub(r"\s+(?=[,.])", "", " ".join(text.split()))
    return f"{text[0].upper()}{text[1:]}."


def named_keywords(text: str) -> frozenset[str]:
    """Which keywords a sentence of this grammar names."""
    lowered = text.lower()
    return frozenset(name for name, wording in WORDINGS.items() if re.search(wording.marker, lowered))


def vocabulary() -> frozenset[str]:
    """Every word and mark that a sentence of the grammar can hold, with both cases of first words."""
    pieces = [
        *NOTHING,
        *EVERYWHERE,
        *WIDELY,
        *COUNTS,
        *PLACES,
        "and , .",
        "possibly some change but this is not certain",
    ]
    pieces.append("something has changed of a kind that cannot be named")
    for ways in WHERE:
        pieces += ways
    for wording in WORDINGS.values():
        pieces += [*(clause.replace("{n}", "") for clause in (*wording.one, *wording.many)), wording.noun]
    words = {word for piece in pieces for word in re.findall(r"\w+|[^\w\s]", piece)}
    return frozenset(words | {word.capitalize() for word in words})


def random_facts(rng: np.random.Generator) -> Facts:
    """Facts that no image stands behind: the decoder learns from them to say what it is told."""
    status = int(rng.choice(3, p=[0.15, 0.25, 0.6]))
    if status == UNCHANGED:
        return Facts(UNCHANGED)
    number = int(rng.choice(4, p=[0.08, 0.32, 0.3, 0.3]))
    keywords = tuple(sorted(int(k) for k in rng.choice(len(KEYWORDS), number, replace=False)))
    if rng.random() < 0.1:
        return Facts(status, keywords)
    return Facts(status, keywords, int(rng.integers(1, 5)), int(rng.integers(0, NOWHERE)))

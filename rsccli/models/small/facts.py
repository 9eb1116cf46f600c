"""The facts that a sentence of the small captioner is made from, and how they are read off the scores.

A sentence says no more than its facts: whether something changed, which kinds of change, how many of each,
where, and over how much of the scene. The grammar turns facts into sentences; the decoder is told the same
facts as prompt tokens. Numpy and OpenCV only: the caption path imports this.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from rsccli.types import Bool

KEYWORDS: tuple[str, ...] = (
    "new house",
    "new building",
    "building removed",
    "building damage",
    "debris",
    "construction site",
    "new road",
    "road removed",
    "parking lot",
    "bare soil",
    "greener vegetation",
    "drier vegetation",
    "new trees",
    "tree loss",
    "flood",
    "water gain",
    "water loss",
    "burn scar",
    "mud",
    "swimming pool",
    "sports field",
    "solar panels",
    "boats",
    "snow",
    "snow melted",
)
# What a change is called when the dates are swapped; kinds that are not here are seen one way only.
REVERSED: dict[str, str] = {
    "new house": "building removed",
    "new building": "building removed",
    "building removed": "new building",
    "new road": "road removed",
    "road removed": "new road",
    "bare soil": "greener vegetation",
    "greener vegetation": "drier vegetation",
    "drier vegetation": "greener vegetation",
    "new trees": "tree loss",
    "tree loss": "new trees",
    "flood": "water loss",
    "water gain": "water loss",
    "water loss": "water gain",
    "burn scar": "greener vegetation",
    "boats": "boats",
    "snow": "snow melted",
    "snow melted": "snow",
}
# Two findings that deny each other; the stronger one stays.
CONTRARY: frozenset[frozenset[str]] = frozenset(
    frozenset(pair)
    for pair in (
        ("greener vegetation", "drier vegetation"),
        ("flood", "water loss"),
        ("water gain", "water loss"),
        ("flood", "water gain"),
        ("snow", "snow melted"),
        ("new house", "new building"),
        ("new road", "road removed"),
        ("new trees", "tree loss"),
    )
)
# Things that can be counted in a mask; the others are said without a number.
COUNTED: frozenset[str] = frozenset(
    ("new house", "new building", "building removed", "building damage", "swimming pool", "sports field", "boats")
)
# What is looked for most: told beside whatever else is more probable. Not what is gone: floods look like it.
BUILT: frozenset[str] = frozenset(("new house", "new building", "construction site"))
STATUS_NAMES: tuple[str, ...] = ("unchanged", "unsure", "changed")
UNCHANGED, UNSURE, CHANGED = range(len(STATUS_NAMES))
EXTENTS: tuple[str, ...] = ("none", "spot", "part", "large", "most")
EXTENT_EDGES: tuple[float, ...] = (0.015, 0.12, 0.45)
PLACES: tuple[str, ...] = (
    "upper left",
    "top",
    "upper right",
    "left",
    "centre",
    "right",
    "lower left",
    "bottom",
    "lower right",
    "spread",
    "nowhere",
)
SPREAD = PLACES.index("spread")
NOWHERE = PLACES.index("nowhere")
COUNTS: tuple[str, ...] = ("uncounted", "one", "two", "three", "several", "many")
COUNT_EDGES: tuple[int, ...] = (2, 3, 4, 9)
THIRDS: tuple[float, float] = (0.36, 0.64)
SPREAD_DEVIATION = 0.34
# Of what changed at one place this share lies near its middle, in parts of the scene's sides.
NEAR, NEAR_SHARE = 0.3, 0.45
MAX_KEYWORDS = 3
Register = Literal["short", "news"]
REGISTERS: tuple[Register, ...] = get_args(Register)
# Prompt tokens: register, status, and four for each of MAX_KEYWORDS findings.
PROMPT_TOKENS = 2 + 4 * MAX_KEYWORDS
NOTHING_TOKEN = "<->"


@dataclass(frozen=True)
class Finding:
    """One kind of change in a scene.

    Attributes:
        keyword: index into ``KEYWORDS``, or None: a change of a kind that cannot be named.
        count: index into ``COUNTS``. place: index into ``PLACES``. extent: index into ``EXTENTS``.
    """

    keyword: int | None
    count: int = 0
    place: int = NOWHERE
    extent: int = 0


@dataclass(frozen=True)
class Facts:
    """What one sentence may say.

    Attributes:
        status: index into ``STATUS_NAMES``.
        findings: what changed, the most important first, at most ``MAX_KEYWORDS``; empty where unchanged.
    """

    status: int
    findings: tuple[Finding, ...] = ()

    @property
    def keywords(self) -> tuple[int, ...]:
        """Keyword indices of the findings that have one."""
        return tuple(finding.keyword for finding in self.findings if finding.keyword is not None)


def count_index(number: int) -> int:
    """Index into ``COUNTS`` of a number of objects, 0 where none was counted."""
    if number < 1:
        return 0
    return 1 + sum(number >= edge for edge in COUNT_EDGES)


def mask_facts(mask: Bool, valid: Bool) -> tuple[int, int]:
    """Extent and place of a change mask.

    Args:
        mask: bool (h, w), changed cells. valid: bool (h, w), cells with data in both dates.

    Returns:
        Indices into ``EXTENTS`` and ``PLACES``.
    """
    inside = mask & valid
    changed = int(inside.sum())
    if changed == 0:
        return 0, NOWHERE
    fraction = changed / int(valid.sum())
    extent = 1 + sum(fraction >= edge for edge in EXTENT_EDGES)
    rows, cols = np.nonzero(inside)
    height = int(np.nonzero(valid.any(axis=1))[0][-1]) + 1
    width = int(np.nonzero(valid.any(axis=0))[0][-1]) + 1
    y, x = (rows + 0.5) / height, (cols + 0.5) / width
    near = (np.abs(x - x.mean()) < NEAR) & (np.abs(y - y.mean()) < NEAR)
    # The middle of two spots on either side is where nothing changed.
    if x.var() + y.var() > SPREAD_DEVIATION**2 or near.mean() < NEAR_SHARE:
        return extent, SPREAD
    low, high = THIRDS
    row = int(y.mean() >= low) + int(y.mean() >= high)
    col = int(x.mean() >= low) + int(x.mean() >= high)
    return extent, 3 * row + col


def count_parts(mask: Bool, smallest: int = 2) -> int:
    """Connected parts (8 neighbours) of at least ``smallest`` cells."""
    import cv2  # describing a captioner must not load it

    number, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    return int((stats[1:number, cv2.CC_STAT_AREA] >= smallest).sum())


def prompt_words(facts: Facts, register: Register) -> list[str]:
    """Facts as ``PROMPT_TOKENS`` special tokens of the tokenizer, which the decoder reads before its sentence."""
    words = [f"<{register}>", f"<{STATUS_NAMES[facts.status]}>"]
    for finding in facts.findings:
        name = "unnamed" if finding.keyword is None else KEYWORDS[finding.keyword]
        words += [f"<{name}>", f"<n {COUNTS[finding.count]}>", f"<at {PLACES[finding.place]}>"]
        words.append(f"<over {EXTENTS[finding.extent]}>")
    return words + [NOTHING_TOKEN] * (PROMPT_TOKENS - len(words))


def prompt_vocabulary() -> list[str]:
    """Every token that ``prompt_words`` can give, in a fixed order."""
    return [
        NOTHING_TOKEN,
        *(f"<{register}>" for register in REGISTERS),
        *(f"<{status}>" for status in STATUS_NAMES),
        "<unnamed>",
        *(f"<{name}>" for name in KEYWORDS),
        *(f"<n {count}>" for count in COUNTS),
        *(f"<at {place}>" for place in PLACES),
        *(f"<over {extent}>" for extent in EXTENTS),
    ]

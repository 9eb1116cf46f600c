"""The scene in one paragraph: claims made of counts, masks and geometry, each with the tiles that it stands on.

No model writes here. A model may phrase the paragraph anew (`rsccli.output.phrasing`), and only what these claims say.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from rsccli.output import numbers
from rsccli.output.areas import UNNAMED, AreaGatherer, AreaList
from rsccli.output.features import Feature
from rsccli.output.ground import tiles_overlap
from rsccli.output.wording import CITED, cited, counted, kind_name, shown
from rsccli.types import FAILED, RunFacts, Status

#: Areas and kinds that the paragraph tells of.
TOLD_AREAS = 3
TOLD_KINDS = 5
# One more than is cited: where there is but one more it is cited as well.
_EXAMPLES = CITED + 1


@dataclass(frozen=True)
class Claim:
    """One sentence of the paragraph, and what it stands on.

    Attributes:
        text: with its citation in square brackets.
        tile_ids: tiles that it is about: all of them for a change area, else those that it cites.
        keywords: kinds of change that it names. directions: parts of the scene that it names.
        needed: a paragraph without it would mislead.
    """

    text: str
    tile_ids: tuple[str, ...]
    keywords: tuple[str, ...] = ()
    directions: tuple[str, ...] = ()
    needed: bool = False


@dataclass(frozen=True)
class Scene:
    """The summary of a scene in words.

    Attributes:
        paragraph: what a reader reads: the claims one after another, or what a model made of them and passed.
        claims: the facts, in order. pre_day, post_day: dates of the pair as the claims have them, or None.
        phrased_by: name and revision of the model whose words the paragraph is, or None.
        rejected: which model's words were not used and why, a sentence, or None.
    """

    paragraph: str
    claims: tuple[Claim, ...]
    pre_day: str | None = None
    post_day: str | None = None
    phrased_by: str | None = None
    rejected: str | None = None


@dataclass(frozen=True)
class SceneNumbers:
    """What of a summary the paragraph tells.

    Attributes:
        tiles: features counted. by_status: every status with its number of tiles.
        changed_area_m2, compared_area_m2: see `rsccli.output.summary.Summary`.
    """

    tiles: int
    by_status: tuple[tuple[Status, int], ...]
    changed_area_m2: float | None
    compared_area_m2: float | None
    pre_datetime: str | None
    post_datetime: str | None


class SceneGatherer:
    """Takes features one by one, in any order.

    Args:
        facts: of the run, or None where they are lost.
    """

    def __init__(self, facts: RunFacts | None) -> None:
        self._facts = facts
        self._areas = AreaGatherer(facts)
        self._changed: list[_Seen] = []
        self._first: dict[str, list[_Seen]] = {}

    def add(self, feature: Feature) -> None:
        """Take in one feature."""
        self._areas.add(feature)
        seen = _Seen((feature.tile_row, feature.tile_col, feature.id))
        kept = self._first.setdefault(_group(feature.status), [])
        if len(kept) < _EXAMPLES:
            heapq.heappush(kept, seen)
        elif seen.key < kept[0].key:
            heapq.heapreplace(kept, seen)

    def areas(self) -> AreaList:
        """Change areas of all that was added."""
        return self._areas.areas()

    def scene(self, summary: SceneNumbers, areas: AreaList) -> Scene:
        """The paragraph of all that was added."""
        first = {status: sorted(seen.key for seen in kept) for status, kept in self._first.items()}
        examples = {status: [key[2] for key in keys] for status, keys in first.items()}
        claims = [
            _main(summary, examples, self._facts),
            *_kinds(areas),
            *_areas(areas),
            *_others(summary, examples),
        ]
        return Scene(
            " ".join(claim.text for claim in claims),
            tuple(claims),
            numbers.day(summary.pre_datetime),
            numbers.day(summary.post_datetime),
        )


@dataclass(frozen=True, slots=True)
class _Seen:
    """Orders a heap so that its first entry comes last in reading order."""

    key: tuple[int, int, str]

    def __lt__(self, other: _Seen) -> bool:
        return self.key > other.key


def _group(status: Status) -> str:
    """Statuses that are told together."""
    return "failed" if status in FAILED else status


def _main(summary: SceneNumbers, examples: dict[str, list[str]], facts: RunFacts | None) -> Claim:
    """How much changed, of how much."""
    pre, post = numbers.day(summary.pre_datetime), numbers.day(summary.post_datetime)
    when = f"Between {pre} and {post}, " if pre and post and pre != post else ""
    changed = dict(summary.by_status)["changed"]
    if not changed:
        text = f"{when}none of {counted(summary.tiles, 'tile')} is called changed"
        judged = next((status for status in ("unchanged", "unsure", "failed") if status in examples), None)
        if judged is None:
            return Claim(_sentence(text), (), needed=True)
        number = sum(count for status, count in summary.by_status if _group(status) == judged)
        named = shown(examples[judged], number)
        return Claim(_sentence(f"{text} {cited(examples[judged], number)}"), named, needed=True)
    text = f"{when}{numbers.count(changed)} of {counted(summary.tiles, 'tile')} {_are(changed)} called changed"
    if summary.changed_area_m2 is not None:
        bound = "up to " if facts is not None and tiles_overlap(facts) else ""
        text += f", with {bound}{numbers.area(summary.changed_area_m2)} of changed ground in {_their(changed)}"
        if summary.compared_area_m2:
            share = numbers.percent(summary.changed_area_m2 / summary.compared_area_m2)
            text += f", {share} of the {numbers.area(summary.compared_area_m2)} that both dates cover"
    named = shown(examples["changed"], changed)
    return Claim(_sentence(f"{text} {cited(examples['changed'], changed)}"), named, needed=True)


def _kinds(areas: AreaList) -> list[Claim]:
    """How many tiles carry each kind of change; a claim for each, so that a number belongs to its kind alone."""
    named = [kind for kind in areas.kinds if kind.keyword != UNNAMED]
    if len(named) < 2:
        return []
    told = named[:TOLD_KINDS]
    claims = []
    for place, kind in enumerate(told):
        text = f"{kind_name(kind.keyword)} in {counted(kind.tiles, 'tile')} {cited(kind.first, kind.tiles)}"
        end = ";"
        if place == len(told) - 1:
            end = f"; and {counted(len(named) - len(told), 'more kind')}." if len(named) > len(told) else "."
        head = "By kind: " if place == 0 else ""
        claims.append(Claim(f"{head}{text}{end}", shown(kind.first, kind.tiles), (kind.keyword,)))
    return claims


def _areas(areas: AreaList) -> list[Claim]:
    """The largest change areas."""
    claims = []
    total = numbers.count(areas.total)
    head = "The only change area is " if areas.total == 1 else f"The largest of {total} change areas is "
    for place, area in enumerate(areas.areas[:TOLD_AREAS]):
        named = (area.keyword,) if area.keyword else ()
        text = f"{head if place == 0 else ''}{area.sentence}"
        claims.append(Claim(text, area.tile_ids, named, (area.direction,) if area.direction else ()))
    left = areas.total - TOLD_AREAS
    if left > 0:
        largest = areas.areas[TOLD_AREAS]
        text = f"1 more is {largest.id}"
        if left > 1:
            text = f"{numbers.count(left)} more follow, {largest.id} the largest of them"
        claims.append(Claim(f"{text} {cited(largest.tile_ids[:1])}.", largest.tile_ids[:1]))
    return claims


def _others(summary: SceneNumbers, examples: dict[str, list[str]]) -> list[Claim]:
    """Tiles that are not called changed."""
    by_status = dict(summary.by_status)
    failed = sum(by_status[status] for status in by_status if status in FAILED)
    without = by_status["nodata"] + by_status["skipped"]
    claims = []
    for key, number, words in (
        ("unsure", by_status["unsure"], f"{_are(by_status['unsure'])} unsure"),
        ("unchanged", by_status["unchanged"], f"{_are(by_status['unchanged'])} called unchanged"),
        ("failed", failed, "could not be read or captioned"),
    ):
        if number:
            claims.append(_counted_claim(number, words, examples.get(key, []), needed=key == "failed"))
    if without:
        named = sorted([*examples.get("nodata", []), *examples.get("skipped", [])])
        claims.append(_counted_claim(without, "had too little that both dates cover", named))
    return claims


def _counted_claim(number: int, words: str, examples: Sequence[str], needed: bool = False) -> Claim:
    text = f"{counted(number, 'tile')} {words} {cited(examples, number)}."
    return Claim(text, shown(examples, number), needed=needed)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _their(number: int) -> str:
    return "its mask" if number == 1 else "their masks"

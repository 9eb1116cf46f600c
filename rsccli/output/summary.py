"""One pass over the features to the summary that every form of the report is made from.

Sums do not depend on the order of the features (areas are added as whole square centimetres), so the same
run gives the same report from any output format.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from rsccli.geo.footprint import tile_area_m2
from rsccli.output.areas import AreaList
from rsccli.output.features import Feature
from rsccli.output.ground import tiles_overlap
from rsccli.output.histograms import AreaBin, ScoreCounts, Spread
from rsccli.output.scene import Scene, SceneGatherer, SceneNumbers
from rsccli.types import FAILED, STATUSES, PxWindow, RunFacts, Status

STRONGEST = 12
FAILED_SHOWN = 20
KEYWORDS_SHOWN = 30
# A plug-in captioner may invent words without end; counting them must not eat the memory.
_KEYWORDS_COUNTED = 10_000


@dataclass(frozen=True)
class RankedTile:
    """One tile of the list of strongest changes.

    Attributes:
        lonlat: middle of its bounding box, degrees.
    """

    tile_id: str
    status: Status
    caption: str
    change_score: float | None
    changed_area_m2: float | None
    changed_fraction: float | None
    keywords: tuple[str, ...]
    lonlat: tuple[float, float]


@dataclass(frozen=True)
class FailedTile:
    """One tile that could not be read or captioned."""

    tile_id: str
    status: Status
    reason: str | None


@dataclass(frozen=True)
class Summary:
    """What a run found, as numbers from geometry and masks.

    Attributes:
        tiles: features counted.
        by_status: every status with its number of tiles, in the order of ``STATUSES``.
        changed_area_m2: area of the masks of tiles called changed; None where the captioner gives no masks.
        unsure_area_m2: the same of tiles called unsure.
        compared_area_m2: ground that both dates cover; None where tiles overlap or facts are missing.
        ranked: the tiles called changed with the highest change scores; where no tile is called changed, the
            unsure ones. Ties: larger area first, then tile id.
        keywords: words with the number of tiles that carry them, most frequent first.
        keywords_total: how many different words there are.
        failed: the first failed tiles by id. failed_total: how many there are.
        scores: tiles by change score, for each status that has scores. areas: changed tiles by changed area.
        notes: how to read the numbers. warnings: of the inputs, the pair and the output. limits: of the model.
        change_areas: neighbouring tiles with the same kind of change. scene: all of it in one paragraph.
    """

    tiles: int
    by_status: tuple[tuple[Status, int], ...]
    changed_area_m2: float | None
    unsure_area_m2: float | None
    compared_area_m2: float | None
    ranked: tuple[RankedTile, ...]
    keywords: tuple[tuple[str, int], ...]
    keywords_total: int
    failed: tuple[FailedTile, ...]
    failed_total: int
    scores: tuple[ScoreCounts, ...]
    areas: tuple[AreaBin, ...]
    pre_datetime: str | None
    post_datetime: str | None
    model: str | None
    model_revision: str | None
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    limits: tuple[str, ...]
    change_areas: AreaList
    scene: Scene

    def count(self, status: Status) -> int:
        """Number of tiles with that status."""
        return dict(self.by_status)[status]

    @property
    def changed_share(self) -> float | None:
        """Changed share of the compared ground, 0-1."""
        if self.changed_area_m2 is None or not self.compared_area_m2:
            return None
        return self.changed_area_m2 / self.compared_area_m2


def summarise(features: Iterable[Feature], facts: RunFacts | None) -> Summary:
    """Summarise features in one pass; holds a few dozen of them at a time, and some 60 bytes of each changed one.

    Args:
        facts: of the run, or None where the output has lost them: then areas compared, limits and input
            warnings are unknown.
    """
    statuses: Counter[str] = Counter()
    area_cm2: Counter[str] = Counter()
    words: Counter[str] = Counter()
    masks: set[str] = set()
    valid_px = 0
    spread = Spread()
    gathered = SceneGatherer(facts)
    ranking = {"changed": _Ranking(STRONGEST), "unsure": _Ranking(STRONGEST)}
    failed = _Ranking(FAILED_SHOWN)
    last: Feature | None = None
    for last in features:
        status = last.status
        statuses[status] += 1
        spread.add(last)
        gathered.add(last)
        if last.changed_area_m2 is not None:
            masks.add(status)
            area_cm2[status] += round(last.changed_area_m2 * 10_000)
        if facts is not None:
            valid_px += round(last.valid_fraction * facts.tile_size**2)
        for word in last.keywords:
            if word in words or len(words) < _KEYWORDS_COUNTED:
                words[word] += 1
        if status in ranking:
            ranking[status].add((-(last.change_score or 0.0), -(last.changed_area_m2 or 0.0), last.id), last)
        elif status in FAILED:
            failed.add((0.0, 0.0, last.id), last)
    overlap = facts is not None and tiles_overlap(facts)
    by_status = tuple((status, statuses[status]) for status in STATUSES)
    changed_area_m2 = area_cm2["changed"] / 10_000 if masks else None
    compared_area_m2 = None if facts is None or overlap else _compared_area_m2(facts, valid_px)
    told = SceneNumbers(
        statuses.total(),
        by_status,
        changed_area_m2,
        compared_area_m2,
        last.pre_datetime if last else None,
        last.post_datetime if last else None,
    )
    change_areas = gathered.areas()
    return Summary(
        tiles=statuses.total(),
        by_status=by_status,
        changed_area_m2=changed_area_m2,
        unsure_area_m2=area_cm2["unsure"] / 10_000 if masks else None,
        compared_area_m2=compared_area_m2,
        ranked=tuple(_ranked(f) for f in ranking["changed"].best() or ranking["unsure"].best()),
        keywords=tuple(sorted(words.items(), key=lambda item: (-item[1], item[0]))[:KEYWORDS_SHOWN]),
        keywords_total=len(words),
        failed=tuple(FailedTile(f.id, f.status, f.reason) for f in failed.best()),
        failed_total=sum(statuses[status] for status in FAILED),
        scores=spread.scores(),
        areas=spread.areas(),
        pre_datetime=last.pre_datetime if last else None,
        post_datetime=last.post_datetime if last else None,
        model=last.model if last else None,
        model_revision=last.model_revision if last else None,
        notes=_notes(overlap, bool(masks), statuses),
        warnings=_warnings(facts, statuses),
        limits=facts.limits if facts else (),
        change_areas=change_areas,
        scene=gathered.scene(told, change_areas),
    )


class _Ranking:
    """The few features with the smallest keys, in a heap of fixed size."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._heap: list[_Largest] = []

    def add(self, key: tuple[float, float, str], feature: Feature) -> None:
        entry = _Largest(key, feature)
        if len(self._heap) < self._size:
            heapq.heappush(self._heap, entry)
        elif key < self._heap[0].key:
            heapq.heapreplace(self._heap, entry)

    def best(self) -> list[Feature]:
        return [entry.feature for entry in sorted(self._heap, key=lambda entry: entry.key)]


@dataclass(frozen=True, slots=True)
class _Largest:
    """Orders a heap so that its first entry has the largest key."""

    key: tuple[float, float, str]
    feature: Feature

    def __lt__(self, other: _Largest) -> bool:
        return self.key > other.key


def _ranked(feature: Feature) -> RankedTile:
    west, south, east, north = feature.bbox
    lon = (west + (east if east >= west else east + 360)) / 2
    return RankedTile(
        tile_id=feature.id,
        status=feature.status,
        caption=feature.caption or "",
        change_score=feature.change_score,
        changed_area_m2=feature.changed_area_m2,
        changed_fraction=feature.changed_fraction,
        keywords=feature.keywords,
        lonlat=(round(lon - 360 if lon > 180 else lon, 5), round((south + north) / 2, 5)),
    )


def _compared_area_m2(facts: RunFacts, valid_px: int) -> float:
    grid = facts.grid
    whole = tile_area_m2(grid, PxWindow(0, 0, grid.width, grid.height))
    return round(whole * valid_px / (grid.width * grid.height), 2)


def _notes(overlap: bool, masks: bool, statuses: Counter[str]) -> tuple[str, ...]:
    notes = []
    if overlap:
        notes.append("Tiles overlap: ground that two tiles share counts in the area of both.")
    if not masks and statuses.total():
        notes.append("The captioner gives no masks: changed areas are unknown.")
    return tuple(notes)


def _warnings(facts: RunFacts | None, statuses: Counter[str]) -> tuple[str, ...]:
    if facts is None:
        return ("The facts of the run are missing from this file: inputs, grid and limits are unknown.",)
    found = [f"{facts.pre.name}: {text}" for text in facts.pre.warnings]
    found += [f"{facts.post.name}: {text}" for text in facts.post.warnings]
    found += facts.warnings
    if statuses.total() != facts.tiles:
        found.append(f"The file holds {statuses.total()} of the {facts.tiles} tiles of the plan.")
    return tuple(dict.fromkeys(found))

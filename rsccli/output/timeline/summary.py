"""The series in numbers: each pair, each kind over time, and the tiles that changed more than once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rsccli.output.features import Feature
from rsccli.output.ground import tile_id
from rsccli.output.summary import Summary
from rsccli.output.timeline.facts import SeriesFacts
from rsccli.output.timeline.pairs import SeriesPair
from rsccli.output.timeline.seasonal import Judged, Verdict, judge
from rsccli.output.timeline.table import PairTable, Place
from rsccli.types import FAILED, Status

#: Kinds and tiles that a page shows.
KINDS_SHOWN = 20
TILES_SHOWN = 30


@dataclass(frozen=True)
class KindCount:
    """One kind of change in one pair: tiles that carry it, and how many of these are seasonal."""

    keyword: str
    tiles: int
    seasonal: int


@dataclass(frozen=True)
class PairSummary:
    """One pair in numbers.

    Attributes:
        by_status: every status with its number of tiles. failed: tiles that could not be read or captioned.
        changed_area_m2: of the masks of tiles called changed; None where the captioner gives none.
        area_per_year_m2: the same for each year between the dates.
        seasonal: tiles called changed whose kinds are all seasonal; undecided: of which nobody can tell.
        kinds: most frequent first. paragraph: the scene of the pair in words.
    """

    pair: SeriesPair
    tiles: int
    by_status: tuple[tuple[Status, int], ...]
    failed: int
    changed_area_m2: float | None
    area_per_year_m2: float | None
    seasonal: int
    undecided: int
    kinds: tuple[KindCount, ...]
    paragraph: str

    @property
    def changed(self) -> int:
        """Tiles called changed."""
        return dict(self.by_status)["changed"]


@dataclass(frozen=True)
class TileHistory:
    """One tile over time.

    Attributes:
        states: what each pair says, in their order; None where a pair has no such tile.
        changes: pairs of neighbours in time in which it is called changed.
    """

    tile_id: str
    states: tuple[Judged | None, ...]
    verdicts: tuple[Verdict, ...]
    changes: int


@dataclass(frozen=True)
class Timeline:
    """A series in numbers.

    Attributes:
        ever_changed: tiles that at least one pair of neighbours in time calls changed. more_than_once: by two or more.
        kinds: every kind of change, most frequent first.
        histories: tiles with most changes first, at most ``TILES_SHOWN``. warnings: of all pairs.
    """

    facts: SeriesFacts
    pairs: tuple[PairSummary, ...]
    ever_changed: int
    more_than_once: int
    kinds: tuple[str, ...]
    histories: tuple[TileHistory, ...]
    warnings: tuple[str, ...]

    @property
    def failed(self) -> int:
        """Failed tiles of all pairs."""
        return sum(pair.failed for pair in self.pairs)


class SeriesJudge:
    """What all pairs say, and verdicts on any tile of any of them.

    Args:
        facts: of the series. features_of: the features of a pair, by its index; read once for each.
    """

    def __init__(self, facts: SeriesFacts, features_of: Callable[[int], Iterator[Feature]]) -> None:
        self._facts = facts
        self.tables = [PairTable(facts.rows, facts.cols, features_of(index)) for index in range(len(facts.pairs))]

    def verdict(self, pair: int, place: Place) -> Verdict:
        """Whether a tile's change in a pair is seasonal."""
        return judge(pair, self._facts.pairs, lambda index: self.tables[index].at(place))


def build_timeline(facts: SeriesFacts, judged: SeriesJudge, summaries: Sequence[Summary]) -> Timeline:
    """Put the pairs together.

    Args:
        summaries: of each pair, in the order of ``facts.pairs``.
    """
    pairs = tuple(
        _pair_summary(index, pair, summary, judged)
        for index, (pair, summary) in enumerate(zip(facts.pairs, summaries, strict=True))
    )
    near = [index for index, pair in enumerate(facts.pairs) if pair.kind == "consecutive"]
    changes: Counter[Place] = Counter(place for index in near for place in judged.tables[index].changed())
    # Where no neighbours were compared the other pairs are all there is.
    if not near:
        changes = Counter(place for table in judged.tables for place in table.changed())
    order = sorted(changes, key=lambda place: (-changes[place], place))
    total: Counter[str] = Counter()
    for pair in pairs:
        total.update({kind.keyword: kind.tiles for kind in pair.kinds})
    told = [text for summary in summaries for text in summary.warnings]
    return Timeline(
        facts=facts,
        pairs=pairs,
        ever_changed=len(changes),
        more_than_once=sum(count > 1 for count in changes.values()),
        kinds=tuple(kind for kind, _ in sorted(total.items(), key=lambda item: (-item[1], item[0]))),
        histories=tuple(_history(place, changes[place], judged, len(pairs)) for place in order[:TILES_SHOWN]),
        warnings=tuple(dict.fromkeys((*facts.warnings, *told))),
    )


def _pair_summary(index: int, pair: SeriesPair, summary: Summary, judged: SeriesJudge) -> PairSummary:
    table = judged.tables[index]
    tiles: Counter[str] = Counter()
    seasonal: Counter[str] = Counter()
    whole = undecided = 0
    for place in table.changed():
        verdict = judged.verdict(index, place)
        there = table.at(place)
        tiles.update(there.kinds if there else ())
        seasonal.update(verdict.keywords)
        whole += verdict.seasonal is True
        undecided += verdict.seasonal is None
    area = summary.changed_area_m2
    return PairSummary(
        pair=pair,
        tiles=summary.tiles,
        by_status=summary.by_status,
        failed=sum(count for status, count in summary.by_status if status in FAILED),
        changed_area_m2=area,
        area_per_year_m2=None if area is None or pair.years <= 0 else round(area / pair.years, 2),
        seasonal=whole,
        undecided=undecided,
        kinds=tuple(
            KindCount(kind, count, seasonal[kind])
            for kind, count in sorted(tiles.items(), key=lambda item: (-item[1], item[0]))
        ),
        paragraph=summary.scene.paragraph,
    )


def _history(place: Place, changes: int, judged: SeriesJudge, pairs: int) -> TileHistory:
    return TileHistory(
        tile_id(*place),
        tuple(table.at(place) for table in judged.tables),
        tuple(judged.verdict(index, place) for index in range(pairs)),
        changes,
    )

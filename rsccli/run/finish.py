"""The end of a run: finished tiles become the map, its mask, its report and its style.

Whoever captioned them, one process or many shards, this writes the files: so they are the same, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rsccli.errors import InputChangedError
from rsccli.geo.identity import local_path
from rsccli.geo.tiles import TilePlan
from rsccli.output.features import Feature, build_features
from rsccli.output.report import Pictures, ShownTiles, write_reports
from rsccli.output.report.basemap import Basemap
from rsccli.output.style import write_style
from rsccli.output.summary import Summary, summarise
from rsccli.output.writers import write_features
from rsccli.run.detect.caption_mask import write_caption_mask
from rsccli.run.detect.codes import Legend
from rsccli.run.phrase import SummaryModel, phrase_summary
from rsccli.run.pictures import worth_a_look
from rsccli.types import RunFacts, TileRecord

#: Pictures of tiles by id: those to show one by one, and those to show sharp on the map.
ReadPictures = Callable[[Sequence[str], Sequence[str]], Pictures]


@dataclass(frozen=True)
class Wanted:
    """What is written.

    Attributes:
        output: the map. mask: a GeoTIFF for the kinds of change of every pixel, or None.
        report: write the reports and the style beside the output. basemap, summary_model: of the report, or None.
    """

    output: Path
    mask: Path | None = None
    report: bool = True
    basemap: Basemap | None = None
    summary_model: SummaryModel | None = None


@dataclass(frozen=True, eq=False)
class Finished:
    """Tiles that are done.

    Attributes:
        plan: all tiles. facts: of the run. legend: of its masks.
        records: every tile of the plan, by row and column; called anew for each pass. pictures: see `ReadPictures`.
        date: the newer input's, see `newest_date`.
    """

    plan: TilePlan
    facts: RunFacts
    legend: Legend
    records: Callable[[], Iterator[TileRecord]]
    pictures: ReadPictures
    date: str


def write_outputs(wanted: Wanted, finished: Finished) -> Summary:
    """Write everything that is wanted; each file whole or not at all.

    Raises:
        OutputError: one of them cannot be written. ModelError: the model that phrases the summary is gone.
    """
    plan, facts = finished.plan, finished.facts

    def features() -> Iterator[Feature]:
        return build_features(((r, plan.tile(r.row, r.col)) for r in finished.records()), facts)

    write_features(wanted.output, features(), facts, finished.date)
    if wanted.mask is not None:
        write_caption_mask(wanted.mask, plan, finished.records, finished.legend, facts)
    shown = ShownTiles()
    summary = phrase_summary(summarise(shown.of(features()), facts), wanted.summary_model)
    if wanted.report:
        tiles = shown.strongest()
        try:
            pictures = finished.pictures([tile.tile_id for tile in summary.ranked], worth_a_look(tiles))
        except InputChangedError:
            pictures = Pictures(notes=("The images are not shown: one of them was replaced after it was captioned.",))
        write_reports(wanted.output, summary, facts, pictures, tiles, wanted.basemap)
        write_style(wanted.output)
    return summary


def newest_date(*paths: str) -> str:
    """For formats that must carry a date of writing: the newer input's, so that equal runs write equal bytes."""
    local = [found for found in map(local_path, paths) if found is not None]
    times = [Path(path).stat().st_mtime for path in local if Path(path).exists()]
    newest = datetime.fromtimestamp(max(times, default=0), UTC)
    return newest.strftime("%Y-%m-%dT%H:%M:%S.000Z")

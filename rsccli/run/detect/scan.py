"""The first half of a detection: the model sees every tile, and finished probabilities go to the disk.

Each row of superblocks becomes one file of two bands, scores and codes of the likeliest class, and one line of a
journal. A stopped run goes on with the first row that has no line; what rows left for the next lies beside them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from rsccli.errors import ModelError, StoppedError
from rsccli.geo.tiles import TilePlan
from rsccli.models.captioner import Detects
from rsccli.run.caption import Progress
from rsccli.run.checked import asked, checked_detection
from rsccli.run.detect.job import DETECT_STATUSES, PreparedDetect
from rsccli.run.detect.rasters import WorkRaster
from rsccli.run.detect.stitch import Stitcher
from rsccli.run.detect.sums import CarryStore
from rsccli.run.line_journal import LineJournal
from rsccli.run.loop import Room
from rsccli.run.metrics.meter import Meter
from rsccli.run.signals import StopRequest
from rsccli.run.visit import Visit, in_parts, visit_tiles
from rsccli.stages import stage
from rsccli.types import Detection, TilePair

# Of the reasons why tiles failed, or were not judged.
_REASONS_KEPT = 20


@dataclass
class Looked:
    """What became of the tiles.

    Attributes:
        judged, not_judged, nodata, failed: how many tiles. reasons: why some were not judged, with how many.
        failures: the first failed tiles, with the reason.
    """

    judged: int = 0
    not_judged: int = 0
    nodata: int = 0
    failed: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    @property
    def tiles(self) -> int:
        """All of them."""
        return self.judged + self.not_judged + self.nodata + self.failed

    def add(self, other: Looked) -> None:
        """Take in another row."""
        self.judged += other.judged
        self.not_judged += other.not_judged
        self.nodata += other.nodata
        self.failed += other.failed
        self.reasons = Counter(dict((self.reasons + other.reasons).most_common(_REASONS_KEPT)))
        self.failures = (self.failures + other.failures)[:_REASONS_KEPT]

    def by_status(self) -> dict[str, int]:
        """How many tiles of each status; see `rsccli.run.detect.job.DETECT_STATUSES`."""
        counts = zip(DETECT_STATUSES, (self.judged, self.not_judged, self.nodata, self.failed), strict=True)
        return {status: count for status, count in counts if count}

    def to_json(self) -> dict[str, Any]:
        """As a journal keeps it."""
        return {**vars(self), "reasons": dict(self.reasons)}

    @staticmethod
    def from_json(value: dict[str, Any]) -> Looked:
        """The inverse."""
        return Looked(**{**value, "reasons": Counter(value["reasons"])})


def row_file(folder: Path, block_row: int) -> Path:
    """Where the finished pixels of a row of superblocks lie."""
    return folder / f"row-{block_row:05d}.tif"


def block_counts(plan: TilePlan) -> tuple[int, int]:
    """Superblocks down and across."""
    return -(-plan.rows // plan.block_rows), -(-plan.cols // plan.block_cols)


def _looked_before(journal: LineJournal) -> Looked:
    looked = Looked()
    for entry in journal.entries:
        looked.add(Looked.from_json(entry["looked"]))
    return looked


def tiles_before(journal: LineJournal) -> int:
    """Tiles that earlier processes finished."""
    return _looked_before(journal).tiles


def scan(
    prepared: PreparedDetect,
    detector: Detects,
    journal: LineJournal,
    stop: StopRequest,
    progress: Progress,
    meter: Meter,
) -> Looked:
    """Go through all rows of superblocks that the journal does not hold.

    Args:
        meter: takes the figures of the run.

    Raises:
        StoppedError: a signal asked to stop; finished rows are kept.
        InputChangedError: an input was replaced while it was being read.
    """
    looked = _looked_before(journal)
    if looked.tiles:
        progress(looked.tiles, True)
    run = _Scan(prepared, detector, journal, stop, progress, meter)
    try:
        for row in range(len(journal.entries), block_counts(prepared.base.pair.plan)[0]):
            looked.add(run.row(row, looked.tiles))
    finally:
        run.close()
    return looked


class _Scan:
    """The rows of superblocks, one after the other."""

    def __init__(
        self,
        prepared: PreparedDetect,
        detector: Detects,
        journal: LineJournal,
        stop: StopRequest,
        progress: Progress,
        meter: Meter,
    ) -> None:
        base = prepared.base
        self._plan, self._detector, self._journal = base.pair.plan, detector, journal
        self._name = base.info.name
        self._stop, self._progress, self._meter = stop, progress, meter
        self._anyway = prepared.job.judge_anyway
        self._folder = journal.path.parent
        self._rows, self._across = block_counts(self._plan)
        self._room = Room()
        self._carry = CarryStore(self._folder)
        self._stitcher = Stitcher(self._plan, len(detector.class_names), self._carry)
        first = len(journal.entries) * self._across
        self._visits = visit_tiles(
            base.pair, batch_size=base.batch_size, min_valid=0.0, jobs=base.job.jobs, done=(first, -1)
        )
        self._blocks: Iterator[tuple[int, Iterable[Visit]]] = groupby(self._visits, key=lambda visit: visit.block)
        self._next: tuple[int, Iterable[Visit]] | None = next(self._blocks, None)

    def row(self, row: int, tiles: int) -> Looked:
        """One row of superblocks; ``tiles`` are kept from the rows above it."""
        looked = Looked()
        # What a stopped run had left for the next row was not all of it.
        self._carry.forget(row + 1)
        window = self._stitcher.row_window(row)
        with WorkRaster(row_file(self._folder, row), self._plan.grid, 2, window) as file:
            for col in range(self._across):
                self._stitcher.begin(row, col)
                if self._next is not None and self._next[0] == row * self._across + col:
                    for visit in self._next[1]:
                        self._look(visit, looked)
                        if self._stop.name and tiles + looked.tiles < len(self._plan):
                            self._leave(row, tiles)
                    self._next = next(self._blocks, None)
                piece = self._stitcher.end()
                with stage("journal"):
                    file.write(piece.px_window, piece.score, piece.kind)
        entry = {"row": row, "looked": looked.to_json()}
        with stage("journal"):
            self._journal.commit(looked.by_status(), entry)
        self._journal.entries.append(entry)
        self._meter.committed(looked.by_status())
        self._carry.forget(row)
        return looked

    def _leave(self, row: int, tiles: int) -> None:
        raise StoppedError(
            f"stopped by {self._stop.name}; {row} of {self._rows} rows of superblocks ({tiles} of {len(self._plan)} "
            "tiles) are kept; run the same command again to go on"
        )

    def close(self) -> None:
        """Let the reader threads go."""
        self._visits.close()

    def _look(self, visit: Visit, looked: Looked) -> None:
        """Show one batch to the model and hand it to the stitcher."""
        for unlooked in visit.unlooked:
            if unlooked.status == "read_error":
                looked.failed += 1
                looked.failures.append(f"{unlooked.tile.id}: {unlooked.reason}")
            else:
                looked.nodata += 1
        found = in_parts(self._detect, [read.pair for read in visit.reads], self._room)
        for read, detection in zip(visit.reads, found, strict=True):
            self._stitcher.add(read.pair.tile, self._judged(read.pair.tile.id, detection, looked), read.pair.valid)
        self._progress(len(visit.unlooked) + len(visit.reads), False)

    def _detect(self, pairs: Sequence[TilePair]) -> list[Detection]:
        seen = asked(self._detector.detect, pairs, self._name)
        kinds = len(self._detector.class_names)
        return [checked_detection(each, pair, self._name, kinds) for each, pair in zip(seen, pairs, strict=True)]

    def _judged(self, tile: str, detection: Detection | ModelError, looked: Looked) -> Detection | None:
        if isinstance(detection, ModelError):
            looked.failed += 1
            looked.failures.append(f"{tile}: {detection}")
            return None
        if detection.reason is not None:
            # What stands in brackets are the numbers of this tile.
            looked.reasons[detection.reason.split(" (")[0]] += 1
            if not self._anyway:
                looked.not_judged += 1
                return None
        looked.judged += 1
        return detection

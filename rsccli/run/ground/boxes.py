"""Boxes of a large model for a whole pair: asked tile by tile, kept in a journal, written when all are there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from rsccli.errors import ModelError, UsageProblem
from rsccli.models.large.boxes import PROMPT, BoxRule
from rsccli.models.registry import load_captioner
from rsccli.output.located import stream_located
from rsccli.output.located_parquet import write_rows
from rsccli.run.caption import PreparedJob, Progress
from rsccli.run.ground.asker import BoxAsker
from rsccli.run.ground.found import BoxTally, PhraseFound
from rsccli.run.ground.record import GROUND_STATUSES, TileFinds, TileGround, from_json, same_finds, to_json
from rsccli.run.ground.rows import box_rows, ground_sheet
from rsccli.run.line_journal import LineJournal
from rsccli.run.loop import Room
from rsccli.run.metrics.meter import metered
from rsccli.run.metrics.observe import Watched
from rsccli.run.spec import spec_hash
from rsccli.run.tilewise import (
    TileDone,
    TilewiseJob,
    Work,
    finish_tiles,
    finished_tiles,
    open_journal,
    stream_tiles,
    tiles_before,
)
from rsccli.run.visit import Visit, in_parts
from rsccli.stages import stage
from rsccli.types import FAILED


@dataclass(frozen=True)
class PreparedBoxes:
    """Phrases for a model that writes boxes; no model is loaded yet.

    Attributes:
        rule: how it writes them.
    """

    job: TilewiseJob
    prepared: PreparedJob
    phrases: tuple[str, ...]
    rule: BoxRule

    def spec(self) -> dict[str, Any]:
        """All that decides the result, as JSON has it."""
        prompt = PROMPT.replace("{form}", self.rule.form)
        told = {"phrases": self.phrases, "scale": self.rule.scale, "prompt": prompt}
        return {**self.prepared.spec.to_dict(), "ground": told}

    @property
    def watched(self) -> Watched:
        """The run, for those who tell of it."""
        return Watched(self.job.output, spec_hash(self.spec()), self.job.pair.observe, GROUND_STATUSES)


@dataclass(frozen=True)
class Grounding:
    """What came out.

    Attributes:
        phrases: what was found of each. tiles: of the plan. failed: that could not be read or asked.
    """

    phrases: tuple[PhraseFound, ...]
    tiles: int
    failed: int


def run_boxes(ground: PreparedBoxes, progress: Progress = lambda tiles, old: None) -> Grounding:
    """Ask for boxes into the output; go on from a journal where there is one.

    Raises:
        StoppedError: a signal asked to stop; the journal is kept.
        ModelError, InputError, OutputError: see the messages.
    """
    output, prepared = ground.job.output, ground.prepared
    if output is None:
        raise UsageProblem("run_boxes writes a file: use stream_boxes for a stream")
    planned = len(prepared.pair.plan)
    with open_journal(ground.job, ground.spec(), planned) as journal:
        with metered(prepared, ground.watched, output, planned, tiles_before(journal)) as meter:
            finish_tiles(prepared, journal, _opened(ground), progress, meter)
            with stage("write"):
                result = _write(ground, journal, output)
        journal.remove()
    return result


def _write(ground: PreparedBoxes, journal: LineJournal, output: Path) -> Grounding:
    """The boxes of a whole journal."""
    tally, prepared = _Tally(ground), ground.prepared
    for value in finished_tiles(journal):
        tally.add(from_json(value))
    result = tally.result()
    records = (from_json(value) for value in finished_tiles(journal))
    rows = box_rows(records, ground.phrases, prepared.pair.plan, prepared.facts)
    write_rows(output, rows, ground_sheet(prepared.facts, told_of(ground, result)))
    return result


def stream_boxes(ground: PreparedBoxes, out: BinaryIO, progress: Progress = lambda tiles, old: None) -> Grounding:
    """Ask for boxes; rows go to a stream as GeoJSON lines, as soon as their batch is done."""
    tally, prepared = _Tally(ground), ground.prepared
    with metered(prepared, ground.watched, None, len(prepared.pair.plan)) as meter:

        def records() -> Iterator[TileGround]:
            for value in stream_tiles(prepared, _opened(ground), progress, meter):
                record = from_json(dict(value))
                tally.add(record)
                yield record

        rows = box_rows(records(), ground.phrases, prepared.pair.plan, prepared.facts, prepared.tiles_at_once)
        stream_located(out, rows, ground_sheet(prepared.facts, ()))
    return tally.result()


def told_of(ground: PreparedBoxes, result: Grounding) -> list[dict[str, Any]]:
    """What was found, as JSON values."""
    return [{**each.to_json(), "boxes": ground.rule.scale} for each in result.phrases]


class _Tally:
    """What was found while tiles stream by."""

    def __init__(self, ground: PreparedBoxes) -> None:
        self._tallies = [BoxTally(phrase, place) for place, phrase in enumerate(ground.phrases)]
        self._tiles = self._failed = 0

    def add(self, record: TileGround) -> None:
        self._tiles += 1
        self._failed += record.status in FAILED
        for tally in self._tallies:
            tally.add(record)

    def result(self) -> Grounding:
        return Grounding(tuple(tally.found() for tally in self._tallies), self._tiles, self._failed)


def _opened(ground: PreparedBoxes) -> Callable[[], Any]:
    """Loads the model; the work of one batch."""

    @contextmanager
    def opened() -> Iterator[Work]:
        crew, grid = ground.prepared.crew, ground.prepared.pair.grid
        captioner = load_captioner(crew.model, crew.options)
        try:
            asker, room = BoxAsker(captioner, ground.phrases, ground.rule, grid, crew.info.name), Room()
            number = len(ground.phrases)
            yield lambda visit: [TileDone(each.status, to_json(each)) for each in _work(visit, asker, number, room)]
        finally:
            captioner.close()

    return opened


def _work(visit: Visit, asker: BoxAsker, phrases: int, room: Room) -> list[TileGround]:
    """Boxes of the tiles of one batch, in reading order."""
    found = [same_finds(each.tile, TileFinds(each.status, reason=each.reason), phrases) for each in visit.unlooked]
    pairs = [read.pair for read in visit.reads]
    for pair, finds in zip(pairs, in_parts(asker.finds, pairs, room), strict=True):
        if isinstance(finds, ModelError):
            found.append(same_finds(pair.tile, TileFinds("model_error", reason=str(finds)), phrases))
        else:
            found.append(TileGround(pair.tile.id, pair.tile.row, pair.tile.col, finds))
    return sorted(found, key=lambda each: (each.row, each.col))

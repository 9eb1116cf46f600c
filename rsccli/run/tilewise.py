"""A run over all tiles of a pair whose results are not captions: questions, boxes. Killed, it goes on where it was.

The journal beside the output has one line for each finished batch, with JSON values of its tiles.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from rsccli.errors import OutputError, StoppedError, UsageProblem
from rsccli.output.located_parquet import check_rows_suffix
from rsccli.output.writers import check_output
from rsccli.run.caption import CaptionJob, PreparedJob, Progress, prepare_inputs
from rsccli.run.journal import journal_batch_size, journal_path, refuse_output_of_another
from rsccli.run.line_journal import LineJournal
from rsccli.run.metrics.meter import Meter
from rsccli.run.signals import StopRequest
from rsccli.run.spec import spec_hash
from rsccli.run.visit import Visit, visit_tiles
from rsccli.stages import STAGES, stage


@dataclass(frozen=True, slots=True)
class TileDone:
    """A finished tile: what became of it, and JSON values of its result."""

    status: str
    value: Mapping[str, Any]


#: The tiles of one batch.
Work = Callable[[Visit], Sequence[TileDone]]


@dataclass(frozen=True)
class TilewiseJob:
    """What all such runs are told.

    Attributes:
        pair: inputs, geometry and captioner, as a caption run has them; its output is not used.
        output: a file, or None for a stream. overwrite: replace it. resume: go on from a journal.
    """

    pair: CaptionJob
    output: Path | None
    overwrite: bool = False
    resume: bool = True

    def __post_init__(self) -> None:
        self.pair.observe.refuse_stream(self.output)


def prepare_tilewise(job: TilewiseJob, beside: Sequence[Path] = ()) -> PreparedJob:
    """Check the output, describe the captioner, prepare the pair; no model is loaded, and nothing is told yet.

    Args:
        beside: files that will be written with the output.

    Raises:
        UsageProblem: an output of unknown suffix, or several GPUs. OutputError: something is in the way.
        InputError, ModelError: as `rsccli.run.caption.prepare_inputs`.
    """
    pair = job.pair
    if job.output is not None:
        started = job.resume and journal_path(job.output).exists()
        check_rows_output(job.output, job.overwrite or started)
        for path in beside:
            _refuse_existing(path, job.overwrite or started)
        if pair.batch_size == "auto" and started:
            # What fitted when the run began decides its batches: a resumed run must not choose again.
            pair = replace(pair, batch_size=journal_batch_size(journal_path(job.output)) or "auto")
    prepared = prepare_inputs(replace(pair, output=None))
    if len(prepared.crew.devices) > 1:
        raise UsageProblem(f"--device {pair.captioner.device}: this command runs on one GPU: give one, e.g. cuda:0")
    return prepared


def check_rows_output(path: Path, overwrite: bool) -> None:
    """Find out before any work whether rows can be written to a file.

    Raises:
        UsageProblem: unknown suffix. OutputError: a file in the way, or a folder that is missing or unwritable.
    """
    check_rows_suffix(path)
    check_output(path, overwrite)


def _refuse_existing(path: Path, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists; add --overwrite to replace it, or name another file with -o")


def open_journal(job: TilewiseJob, spec: Mapping[str, Any], planned: int) -> LineJournal:
    """The journal beside the output.

    Args:
        spec: all that decides the result. planned: tiles in all.

    Raises:
        JournalMismatchError: it belongs to another run. OutputError: it cannot be written.
    """
    assert job.output is not None
    told = {"hash": spec_hash(spec), "planned": planned}
    journal = LineJournal(journal_path(job.output), spec, not job.resume, "--no-resume", told)
    if not journal.resumed:
        refuse_output_of_another(job.output, job.overwrite, journal)
    return journal


def tiles_before(journal: LineJournal) -> int:
    """Tiles that earlier processes finished."""
    return sum(len(entry["tiles"]) for entry in journal.entries)


def finish_tiles(
    prepared: PreparedJob,
    journal: LineJournal,
    opened: Callable[[], AbstractContextManager[Work]],
    progress: Progress,
    meter: Meter,
) -> None:
    """Work through all tiles that the journal does not hold.

    Args:
        opened: loads what does the work; not called where nothing is left. meter: takes the figures of the run.

    Raises:
        StoppedError: a signal asked to stop; the journal is kept.
    """
    plan = prepared.pair.plan
    tiles = tiles_before(journal)
    done = (journal.entries[-1]["block"], journal.entries[-1]["batch"]) if journal.entries else (-1, -1)
    # They are read again from the file when all is done: memory must not hold them all that time.
    journal.entries.clear()
    if tiles:
        progress(tiles, True)
    if tiles == len(plan):
        return
    with StopRequest() as stop, _loaded(opened, meter) as work:
        _stop_if_asked(stop, tiles, len(plan))
        visits = visit_tiles(
            prepared.pair,
            batch_size=prepared.tiles_at_once,
            min_valid=prepared.job.min_valid,
            jobs=prepared.job.jobs,
            done=done,
        )
        for visit in visits:
            found = work(visit)
            by_status = Counter(each.status for each in found)
            with stage("journal"):
                values = [each.value for each in found]
                journal.commit(by_status, {"block": visit.block, "batch": visit.batch, "tiles": values})
            meter.committed(by_status)
            tiles += len(found)
            progress(len(found), False)
            if stop.name and tiles < len(plan):
                visits.close()
                _stop_if_asked(stop, tiles, len(plan))


@contextmanager
def _loaded(opened: Callable[[], AbstractContextManager[Work]], meter: Meter) -> Iterator[Work]:
    begun = time.perf_counter()
    with opened() as work:
        seconds = time.perf_counter() - begun
        STAGES.add("load", seconds)
        meter.loaded(seconds)
        yield work


def _stop_if_asked(stop: StopRequest, tiles: int, total: int) -> None:
    if stop.name:
        raise StoppedError(
            f"stopped by {stop.name} after {tiles} of {total} tiles; run the same command again to go on"
        )


def stream_tiles(
    prepared: PreparedJob,
    opened: Callable[[], AbstractContextManager[Work]],
    progress: Progress,
    meter: Meter,
) -> Iterator[Mapping[str, Any]]:
    """The same without a journal: tiles come as soon as their batch is done.

    Raises:
        StoppedError: a signal asked to stop.
    """
    with StopRequest() as stop, _loaded(opened, meter) as work:
        for visit in visit_tiles(
            prepared.pair,
            batch_size=prepared.tiles_at_once,
            min_valid=prepared.job.min_valid,
            jobs=prepared.job.jobs,
        ):
            found = work(visit)
            meter.committed(Counter(each.status for each in found))
            progress(len(found), False)
            yield from (each.value for each in found)
            if stop.name:
                raise StoppedError(
                    f"stopped by {stop.name}; a stream cannot be resumed: write a file with -o FILE to be able to"
                )


def finished_tiles(journal: LineJournal) -> Iterator[dict[str, Any]]:
    """Every tile of the journal, in the order of the plan's superblocks; one batch is in memory."""
    with journal.path.open("rb") as file:
        file.readline()
        for line in file:
            yield from orjson.loads(line)["tiles"]

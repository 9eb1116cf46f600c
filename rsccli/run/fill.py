"""The middle of a run: what a journal lacks is captioned and committed, until it is full or a signal asks to stop."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rsccli.errors import StoppedError
from rsccli.run.captioners import captioner_of, load_crew
from rsccli.run.journal import Journal
from rsccli.run.loop import caption_tiles
from rsccli.run.metrics.meter import Meter
from rsccli.run.signals import StopRequest
from rsccli.stages import STAGES, stage

if TYPE_CHECKING:
    from rsccli.run.caption import Models, PreparedJob, Progress


def fill_journal(
    prepared: PreparedJob,
    journal: Journal,
    stop: StopRequest,
    progress: Progress,
    models: Models | None = None,
    blocks: Sequence[int] | None = None,
    meter: Meter | None = None,
) -> None:
    """Caption what the journal lacks.

    Args:
        models: where loaded models come from; they stay open. Without it they are loaded and closed here.
        blocks: superblocks of a shard, ascending; None for all. meter: takes the figures of the run.

    Raises:
        StoppedError: a signal asked to stop; the journal is kept.
    """
    job, pair = prepared.job, prepared.pair
    total = len(pair.plan) if blocks is None else sum(len(pair.plan.block(index).tiles) for index in blocks)
    if journal.tiles:
        progress(journal.tiles, True)
    if journal.tiles >= total:
        return
    begun = time.perf_counter()
    captioner = (
        load_crew(prepared.crew, pair, prepared.batch_size)
        if models is None
        else captioner_of(prepared.crew, pair, models(prepared.crew, prepared.batch_size))
    )
    seconds = time.perf_counter() - begun
    STAGES.add("load", seconds)
    try:
        if meter is not None:
            meter.loaded(seconds)
        _stop_if_asked(stop, journal.tiles, total)
        batches = caption_tiles(
            pair,
            captioner,
            batch_size=prepared.tiles_at_once,
            min_valid=job.min_valid,
            jobs=job.jobs,
            done=journal.done,
            masks=job.mask is not None,
            blocks=blocks,
        )
        for batch in batches:
            with stage("journal"):
                journal.commit(batch.block, batch.batch, batch.records)
            if meter is not None:
                meter.committed(Counter(record.status for record in batch.records))
            progress(len(batch.records), False)
            if stop.name and journal.tiles < total:
                batches.close()
                _stop_if_asked(stop, journal.tiles, total)
    finally:
        if models is None:
            captioner.close()


def _stop_if_asked(stop: StopRequest, tiles: int, total: int) -> None:
    if stop.name:
        raise StoppedError(
            f"stopped by {stop.name} after {tiles} of {total} tiles; run the same command again to go on"
        )

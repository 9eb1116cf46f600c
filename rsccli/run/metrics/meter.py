"""Takes the figures of a run while it works, and tells them where that is wanted."""

from __future__ import annotations

import logging
import os
import resource
import socket
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rsccli import __version__
from rsccli.errors import OutputError, StoppedError
from rsccli.output.text import json_bytes
from rsccli.output.writers.atomic import replacing
from rsccli.peak_memory import peak_memory_bytes
from rsccli.run.metrics.figures import Figures, State, Who
from rsccli.run.metrics.log import bind, tell
from rsccli.run.metrics.observe import Watched, metrics_path
from rsccli.run.metrics.textfile import render_textfile
from rsccli.run.signals import StoppedAtOnce
from rsccli.stages import STAGES

if TYPE_CHECKING:
    from rsccli.run.caption import PreparedJob

logger = logging.getLogger(__name__)

#: A batch may take milliseconds: no more often than this is it told.
EVERY_S = 10.0


class Meter:
    """Counts what a run finishes.

    Args:
        prepared: pair and captioner. watched: the run.
        target: what this process writes: the output, the file of a shard, or None for a stream.
        planned: tiles in all. before: of them done by earlier processes. shard: ``3/8``, or None.
    """

    def __init__(
        self,
        prepared: PreparedJob,
        watched: Watched,
        target: Path | None,
        planned: int,
        before: int = 0,
        shard: str | None = None,
    ) -> None:
        self._observe, self._target = watched.observe, target
        self._textfile_path = self._observe.textfile_of(watched.output, target)
        self._who = Who(
            output=str(watched.output or "-"),
            shard=shard,
            run=watched.run,
            model=prepared.info.name,
            revision=prepared.info.revision,
            devices=prepared.crew.devices,
            batch_size=prepared.batch_size,
            host=socket.gethostname(),
            pid=os.getpid(),
            version=__version__,
            statuses=watched.statuses,
        )
        self._prepare_s = prepared.prepare_s
        self._planned, self._before = planned, before
        self._counts: Counter[str] = Counter()
        self._stages = STAGES.read()
        self._begun = time.monotonic()
        self._began_at = time.time() - prepared.prepare_s
        self._first: float | None = None
        self._last: float | None = None
        self._told = self._wrote = -EVERY_S
        self._told_tiles = 0
        self._warned = False
        self._ended = False
        bind(run=self._who.run, output=self._who.output, **({} if shard is None else {"shard": shard}))
        self._textfile("running")

    def loaded(self, seconds: float) -> None:
        """The models are in memory; captioning begins."""
        self._first = time.monotonic()
        tell("loaded", model=self._who.model, devices=list(self._who.devices), seconds=round(seconds, 3))

    def committed(self, by_status: Mapping[str, int]) -> None:
        """A batch is safe in the journal: so many tiles of each status."""
        self._counts.update(by_status)
        now = self._last = time.monotonic()
        if now - self._told >= EVERY_S:
            self._told = now
            self._tell_committed()
        if self._textfile_path is not None and now - self._wrote >= EVERY_S:
            self._textfile("running")

    def end(self, state: State, error: str | None = None) -> None:
        """Tell the last figures, once."""
        if self._ended:
            return
        self._ended = True
        if self.counted > self._told_tiles:
            self._tell_committed()
        figures = self.figures(state, error)
        if state == "finished":
            tell("written", tiles=self._before + figures.tiles, by_status=dict(self._counts), path=str(self._target))
        self._textfile(state, error)
        if self._observe.metrics and self._target is not None:
            self._write(metrics_path(self._target), json_bytes(figures.to_json(), indent=True))

    @property
    def counted(self) -> int:
        """Tiles of this process."""
        return self._counts.total()

    def figures(self, state: State, error: str | None = None) -> Figures:
        """As they are now."""
        now = time.monotonic()
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return Figures(
            who=self._who,
            state=state,
            error=error,
            started=self._began_at,
            updated=time.time(),
            planned=self._planned,
            before=self._before,
            by_status={status: self._counts[status] for status in sorted(self._counts)},
            wall_s=now - self._begun + self._prepare_s,
            captioning_s=0.0 if self._first is None or self._last is None else self._last - self._first,
            cpu_s=usage.ru_utime + usage.ru_stime,
            peak_memory_bytes=peak_memory_bytes(),
            prepare_s=self._prepare_s,
            stages=STAGES.since(self._stages),
        )

    def _tell_committed(self) -> None:
        self._told_tiles = self.counted
        figures = self.figures("running")
        tell(
            "committed",
            tiles=self._before + figures.tiles,
            of=self._planned,
            by_status=dict(figures.by_status),
            tiles_per_s=round(figures.tiles_per_s, 3),
        )

    def _textfile(self, state: State, error: str | None = None) -> None:
        if self._textfile_path is not None:
            self._wrote = time.monotonic()
            self._write(self._textfile_path, render_textfile(self.figures(state, error)))

    def _write(self, path: Path, content: bytes) -> None:
        """Whole or not at all; a run is not lost for want of its figures."""
        try:
            with replacing(path) as part:
                part.write_bytes(content)
        except OutputError as error:
            if not self._warned:
                self._warned = True
                logger.warning("%s: cannot be written, the run goes on: %s", path, error.__cause__ or error)


@contextmanager
def metered(
    prepared: PreparedJob,
    watched: Watched,
    target: Path | None,
    planned: int,
    before: int = 0,
    shard: str | None = None,
) -> Iterator[Meter]:
    """A meter whose end is told however the run ends; see `Meter`."""
    meter = Meter(prepared, watched, target, planned, before, shard)
    try:
        yield meter
    except (StoppedError, StoppedAtOnce, KeyboardInterrupt) as error:
        meter.end("stopped", str(error) or "interrupted")
        raise
    except BaseException as error:
        meter.end("failed", str(error) or type(error).__name__)
        raise
    meter.end("finished")

"""What a worker does: one task at a time, with the model that it loaded once.

Only paths, options and numbers come in and go out. A worker that dies leaves its journal: the next one goes on there.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeAlias

from distributed import get_worker

from rsccli.errors import InputError, StoppedError
from rsccli.geo.identity import identify
from rsccli.output.scenes import SceneResult
from rsccli.run.caption import CaptionJob, PreparedJob, Progress, prepare_job
from rsccli.run.captioners import Crew, LoadedModels, load_models
from rsccli.run.manifest.run import SceneTask, run_scene
from rsccli.run.shard.name import Shard
from rsccli.run.shard.run import ShardResult, ShardTask, prepare_shard, run_shard
from rsccli.run.shard.work import block_tiles

#: Least time between two messages of how far a task is.
_TELL_EVERY_S = 0.5


@dataclass(frozen=True)
class PlanTask:
    """Prepare a run, to learn how large it is."""

    job: CaptionJob


@dataclass(frozen=True)
class Planned:
    """What a run is.

    Attributes:
        tiles: in the plan. blocks: superblocks with tiles. warnings: for a person.
    """

    tiles: int
    blocks: int
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Errand:
    """A task on its way to a worker.

    Attributes:
        task: what to do. folder: where its paths start from. number: of the task. topic: where progress is told.
    """

    task: PlanTask | ShardTask | SceneTask
    folder: str
    number: int
    topic: str


@dataclass(frozen=True)
class Told:
    """How far a task is: tiles that are done, of those in the task."""

    number: int
    tiles: int
    of: int


Outcome: TypeAlias = Planned | ShardResult | SceneResult

#: A worker has one model and may have more threads than that: one task after another.
_alone = threading.Lock()


def run_errand(errand: Errand) -> Outcome:
    """Run a task in this worker.

    Raises:
        StoppedError: nobody wants the result any longer. The rest is as for the task.
    """
    with _alone:
        try:
            # Paths mean what they mean to who gave them.
            os.chdir(errand.folder)
        except OSError as error:
            raise InputError(
                f"{errand.folder}: a worker on {os.uname().nodename} does not see this folder ({error.strerror}): run "
                "in a folder that all machines share"
            ) from error
        task = errand.task
        if isinstance(task, PlanTask):
            prepared = _mind.prepared(task.job)
            tiles = block_tiles(prepared.pair.plan)
            return Planned(len(prepared.pair.plan), int((tiles > 0).sum()), prepared.facts.warnings)
        if isinstance(task, ShardTask):
            prepared = _mind.prepared(task.job, task.shard)
            return run_shard(prepared, task.shard, _Teller(errand, 0), _mind.models)

        @contextmanager
        def progress(prepared: PreparedJob) -> Iterator[Progress]:
            yield _Teller(errand, len(prepared.pair.plan))

        return run_scene(task, progress, _mind.models)


class Mind:
    """What a worker keeps from one task to the next."""

    def __init__(self) -> None:
        self._prepared: PreparedJob | None = None
        self._loaded: LoadedModels | None = None
        self._crew: tuple[object, ...] | None = None

    def prepared(self, job: CaptionJob, shard: Shard | None = None) -> PreparedJob:
        """The run, measured anew only where it is another one, or where its files were replaced."""
        kept = self._prepared
        if kept is not None and kept.job == job:
            sides = (kept.pair.pre, kept.pair.post)
            if all(identify(info.path) == info.identity for info in sides):
                return kept
        self._prepared = prepare_job(job) if shard is None else prepare_shard(job, shard)
        return self._prepared

    def models(self, crew: Crew, batch_size: int) -> LoadedModels:
        """The models of a crew, loaded once; see `rsccli.run.caption.Models`."""
        wanted = (crew.model, crew.info, crew.options, crew.devices, crew.screen, batch_size)
        if self._loaded is None or self._crew != wanted:
            if self._loaded is not None:
                self._loaded.close()
            self._loaded = load_models(crew, batch_size)
            self._crew = wanted
        return self._loaded


_mind = Mind()


class _Teller:
    """Progress of a task: tells who waits for it, and stops when nobody does."""

    def __init__(self, errand: Errand, of: int) -> None:
        self._errand, self._of = errand, of
        self._tiles, self._last = 0, 0.0
        self._worker = get_worker()
        self._key = self._worker.get_current_task()

    def __call__(self, tiles: int, old: bool) -> None:
        """Count finished tiles."""
        self._tiles += tiles
        now = time.monotonic()
        if now - self._last < _TELL_EVERY_S:
            return
        self._last = now
        told = Told(self._errand.number, self._tiles, self._of)
        self._worker.log_event(self._errand.topic, [told.number, told.tiles, told.of])
        task = self._worker.state.tasks.get(self._key)
        if task is None or task.state == "cancelled":
            # The one who asked has stopped, or is dead: the journal keeps what is done.
            raise StoppedError("nobody waits for this task any longer; its journal is kept")


def for_workers(job: CaptionJob) -> CaptionJob:
    """The part of a job that workers do: what belongs to the report is the merge's."""
    return replace(job, summary_model=None, basemap=None)

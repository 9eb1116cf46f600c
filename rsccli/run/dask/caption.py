"""A pair, or a list of them, on workers: planned by one of them, handed out, and put together here."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from rsccli.errors import UsageProblem
from rsccli.output.scenes import SceneResult, ScenesSummary
from rsccli.output.writers import check_output
from rsccli.run.caption import CaptionJob, Progress
from rsccli.run.dask.cluster import Workers, deal_devices, open_workers
from rsccli.run.dask.hand_out import hand_out
from rsccli.run.dask.scheduler import Scheduler
from rsccli.run.dask.task import Planned, PlanTask, Told, for_workers
from rsccli.run.manifest.prepare import PreparedManifest
from rsccli.run.manifest.record import SceneEntry, scene_journal
from rsccli.run.manifest.run import SceneTask, write_summary
from rsccli.run.shard.merge import Merged, MergeJob, merge
from rsccli.run.shard.name import MOST_SHARDS, Shard, shard_folder
from rsccli.run.shard.run import ShardTask
from rsccli.run.signals import StopRequest

#: Shards for each worker: so many that who is quick takes more of them, so few that preparing one does not count.
SHARDS_PER_WORKER = 4


@dataclass(frozen=True)
class Shown:
    """What a person sees of a run.

    Attributes:
        tell: a line. warn: a warning of the run. progress: opens a bar of so many tiles, or scenes.
    """

    tell: Callable[[str], None]
    warn: Callable[[str], None]
    progress: Callable[[int], AbstractContextManager[Progress]]


def caption_on_workers(job: CaptionJob, scheduler: Scheduler, shown: Shown) -> Merged:
    """Caption a pair into ``job.output``, in shards that workers take one by one.

    Raises:
        StoppedError: a signal asked to stop; shards and journals are kept.
        UsageProblem: an option that needs one process. WorkerError: workers that cannot be had. The rest is as for a
            pair.
    """
    if job.output is None:
        raise UsageProblem("--scheduler: shards are put together in a file: name it with -o FILE, not -o -")
    if job.batch_size == "auto":
        raise UsageProblem("--batch-size auto would differ from worker to worker: give a number with --scheduler")
    output = job.output
    check_output(output, job.overwrite)
    folder = shard_folder(output)
    devices = deal_devices(scheduler, job.captioner.device)
    job = _on_one_worker(job, scheduler, devices.device)
    with StopRequest() as stop, open_workers(scheduler, devices, _jobs_folder(output)) as workers:
        _tell_workers(workers, shown)
        (done,) = hand_out(workers, [PlanTask(for_workers(job))], stop, attempts=1)
        planned = done.outcome
        assert isinstance(planned, Planned)
        for warning in planned.warnings:
            shown.warn(warning)
        count = _shards_there(folder) or max(1, min(planned.blocks, SHARDS_PER_WORKER * workers.wanted, MOST_SHARDS))
        shown.tell(f"{planned.tiles} tiles in {count} shards")
        tasks = [ShardTask(for_workers(job), Shard(count, index + 1)) for index in range(count)]
        with shown.progress(planned.tiles) as progress:
            counted = _Counted(progress)
            for done in hand_out(workers, tasks, stop, counted.told, shown.tell):
                assert not isinstance(done.outcome, Planned | SceneResult)
                counted.whole(done.number, done.outcome.tiles)
    merged = merge(
        MergeJob((folder,), output, job.mask, job.report, job.basemap, job.summary_model, overwrite=job.overwrite)
    )
    # They have done their work, as a journal has.
    shutil.rmtree(folder, ignore_errors=True)
    return merged


def caption_scenes_on_workers(manifest: PreparedManifest, scheduler: Scheduler, shown: Shown) -> ScenesSummary:
    """Caption the scenes of a list that are not done, each by one worker, and write the summary of all.

    Raises:
        StoppedError: a signal asked to stop; what is done is kept. The rest is as for `run_manifest`.
    """
    job = manifest.job
    devices = deal_devices(scheduler, job.template.captioner.device)
    tasks = [
        SceneTask(scene, _on_one_worker(manifest.scene_job(scene), scheduler, devices.device))
        for scene in manifest.mine
    ]
    with (
        StopRequest() as stop,
        scene_journal(job.summary_base, job.shard, fresh=not job.template.resume) as journal,
    ):
        try:
            if tasks:
                with open_workers(scheduler, devices, _jobs_folder(job.summary_base)) as workers:
                    _tell_workers(workers, shown)
                    with shown.progress(len(tasks)) as progress:
                        for done in hand_out(workers, tasks, stop, tell=shown.tell):
                            result, scene = done.outcome, manifest.mine[done.number]
                            assert isinstance(result, SceneResult)
                            size = scene.output.stat().st_size if result.state == "done" else 0
                            journal.append(SceneEntry(manifest.specs(scene) or {}, size, result).to_json())
                            progress(1, False)
        finally:
            summary = write_summary(manifest)
    return summary


def _on_one_worker(job: CaptionJob, scheduler: Scheduler, device: str) -> CaptionJob:
    """The job as one of several workers of a machine runs it."""
    return replace(job, captioner=replace(job.captioner, device=device))


def _jobs_folder(output: Path) -> Path:
    """Logs and keys of jobs."""
    return output.absolute().with_name(f"{output.name}.jobs")


def _shards_there(folder: Path) -> int | None:
    """Into how many shards a run that was cut was divided: it goes on with these."""
    try:
        counts = {shard.count for path in folder.iterdir() if (shard := Shard.of_file(path)) is not None}
    except OSError:
        return None
    return counts.pop() if len(counts) == 1 else None


def _tell_workers(workers: Workers, shown: Shown) -> None:
    if workers.dashboard:
        shown.tell(f"dashboard: {workers.dashboard}")
    if not workers.client.scheduler_info(-1)["workers"]:
        shown.tell("waiting for the first worker")


class _Counted:
    """Tiles of all tasks together, each counted once, also where a task was begun twice."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tiles: dict[int, int] = {}

    def told(self, told: Told) -> None:
        """A task is so far."""
        self.whole(told.number, told.tiles)

    def whole(self, number: int, tiles: int) -> None:
        """A task has so many tiles done."""
        more = tiles - self._tiles.get(number, 0)
        if more > 0:
            self._tiles[number] = tiles
            self._progress(more, False)

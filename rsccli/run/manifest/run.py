"""Scene after scene with models that are loaded once; a scene that fails does not stop the others."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path

from rsccli import __version__
from rsccli.errors import OutputError, RsccliError, StoppedError
from rsccli.output.scenes import SceneResult, ScenesSummary, scenes_csv, scenes_json, scenes_markdown
from rsccli.output.summary import Summary
from rsccli.output.writers.atomic import replacing
from rsccli.run.caption import CaptionJob, Models, PreparedJob, Progress, prepare_job, run_caption
from rsccli.run.kept import KeptModels
from rsccli.run.lock import OutputLock
from rsccli.run.manifest.prepare import PreparedManifest
from rsccli.run.manifest.record import SceneEntry, journal_folder, read_entries, scene_journal
from rsccli.run.manifest.scenes import Scene
from rsccli.run.metrics.log import tell
from rsccli.run.signals import StopRequest
from rsccli.types import RunFacts

logger = logging.getLogger(__name__)

#: Progress of one scene: given its place among those of this process, the scene, and what is prepared.
SceneProgress = Callable[[int, Scene, PreparedJob], AbstractContextManager[Progress]]
#: How long a process waits until another one has written the summary.
_PATIENCE_S = 120.0


@dataclass(frozen=True)
class SceneTask:
    """A scene as plain values, for a worker: paths and options travel, pixels and models do not.

    Attributes:
        job: see `PreparedManifest.scene_job`.
    """

    scene: Scene
    job: CaptionJob


def run_manifest(manifest: PreparedManifest, progress: SceneProgress) -> ScenesSummary:
    """Caption the scenes of this process that are not done, and write the summary of all.

    Raises:
        StoppedError: a signal asked to stop; what is done is kept, the summary tells it.
        OutputError: journal or summary cannot be written.
    """
    job = manifest.job
    base, template = job.summary_base, job.template
    with (
        StopRequest() as stop,
        scene_journal(base, job.shard, fresh=not template.resume) as journal,
        closing(KeptModels()) as models,
    ):
        for index, scene in enumerate(manifest.mine):
            if stop.name:
                write_summary(manifest)
                raise StoppedError(
                    f"stopped by {stop.name} after {index} of {len(manifest.mine)} scenes; run the same command again "
                    "to go on"
                )
            spec = manifest.specs(scene) or {}
            # Killed between its output and the line that says so, a scene must not stand in its own way.
            journal.append(SceneEntry(spec, 0, SceneResult(scene.id, *scene.listed, "not done")).to_json())

            def shown(
                prepared: PreparedJob, index: int = index, scene: Scene = scene
            ) -> AbstractContextManager[Progress]:
                return progress(index, scene, prepared)

            try:
                result = run_scene(SceneTask(scene, manifest.scene_job(scene)), shown, models)
            except StoppedError as error:
                write_summary(manifest)
                raise StoppedError(f"{scene.id}: {error}") from error
            size = scene.output.stat().st_size if result.state == "done" else 0
            journal.append(SceneEntry(spec, size, result).to_json())
        return write_summary(manifest)


def run_scene(
    task: SceneTask,
    progress: Callable[[PreparedJob], AbstractContextManager[Progress]] | None = None,
    models: Models | None = None,
) -> SceneResult:
    """Caption one scene, in whatever process this is; what fails is in the result.

    Raises:
        StoppedError: a signal asked to stop; the scene's own journal is kept.
    """
    scene = task.scene
    try:
        _make_folders(scene)
        prepared = prepare_job(task.job)
        if progress is None:
            summary = run_caption(prepared, models=models)
        else:
            with progress(prepared) as count:
                summary = run_caption(prepared, count, models)
    except StoppedError:
        raise
    except (RsccliError, MemoryError) as error:
        tell("failed", "error", scene=scene.id, message=str(error), kind=type(error).__name__)
        return _failed(scene, str(error) or "not enough memory")
    except Exception as error:
        # A bug costs its scene, not those after it; its traceback is told in full.
        logger.exception("%s: a bug in rsccli", scene.id)
        return _failed(scene, f"a bug in rsccli: {type(error).__name__}: {error}")
    return _done(scene, summary, prepared.facts)


def write_summary(manifest: PreparedManifest) -> ScenesSummary:
    """Write the summary of all scenes as far as any process has come: the last one's holds them all.

    Raises:
        OutputError: it cannot be written.
    """
    base = manifest.job.summary_base
    with _alone(base):
        found = gather(manifest)
        for suffix, content in ((".json", scenes_json), (".md", scenes_markdown), (".csv", scenes_csv)):
            with replacing(base.with_name(base.name + suffix)) as part:
                part.write_bytes(content(found))
    return found


def gather(manifest: PreparedManifest) -> ScenesSummary:
    """What all processes have done so far, in the order of the list."""
    entries = read_entries(journal_folder(manifest.job.summary_base))
    results = []
    for scene in manifest.scenes:
        entry = entries.get(scene.id)
        if entry is None or entry.result.output != scene.listed[2]:
            results.append(SceneResult(scene.id, *scene.listed, "not done"))
        else:
            results.append(entry.result)
    return ScenesSummary(manifest.job.manifest.name, __version__, tuple(results))


def _alone(base: Path) -> OutputLock:
    """The summary for one process at a time; the others wait: writing it takes moments."""
    last = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return OutputLock(base, "start this one again: its scenes are kept")
        except OutputError:
            if time.monotonic() >= last:
                raise
            time.sleep(0.1)


def _make_folders(scene: Scene) -> None:
    for path in filter(None, (scene.output, scene.mask)):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{path.parent}: cannot be made: {error.strerror or error}") from error


def _failed(scene: Scene, reason: str) -> SceneResult:
    return SceneResult(scene.id, *scene.listed, "failed", reason)


def _done(scene: Scene, summary: Summary, facts: RunFacts) -> SceneResult:
    return SceneResult(
        scene.id,
        *scene.listed,
        "done",
        tiles=tuple(count for _, count in summary.by_status),
        changed_area_m2=summary.changed_area_m2,
        compared_area_m2=summary.compared_area_m2,
        model=facts.model,
        model_revision=facts.model_revision,
        spec_hash=facts.spec_hash,
    )

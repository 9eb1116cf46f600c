"""One shard of a run: what the command, an element of a job array and a task of a scheduler all call."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from rsccli.errors import InputError, JournalMismatchError, OutputError, UsageProblem
from rsccli.run.caption import CaptionJob, Models, PreparedJob, Progress, prepare_job
from rsccli.run.fill import fill_journal
from rsccli.run.finish import newest_date
from rsccli.run.journal import Journal, journal_path
from rsccli.run.metrics.meter import metered
from rsccli.run.shard.deal import deal
from rsccli.run.shard.file import ShardEnd, ShardHead, check_shard, read_head, write_shard
from rsccli.run.shard.name import SUFFIX, Shard, shard_folder, shard_path
from rsccli.run.shard.work import block_tiles, block_work
from rsccli.run.signals import StopRequest
from rsccli.run.spec import RunSpec, differences
from rsccli.stages import stage

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ShardTask:
    """A shard as plain values: paths and options travel to a worker, pixels and models do not.

    Attributes:
        job: of the whole run; its ``output`` is that of the merge. shard: which part of it.
    """

    job: CaptionJob
    shard: Shard


@dataclass(frozen=True)
class ShardResult:
    """A shard that is done.

    Attributes:
        path: of its file. tiles: in it. failed: of them, tiles that could not be read or captioned.
        found: it had been done before, and nothing was left to do.
    """

    shard: Shard
    path: Path
    tiles: int
    failed: int
    found: bool = False


@dataclass(frozen=True)
class ShardPart:
    """The superblocks of a shard.

    Attributes:
        blocks: ascending. tiles: in them. work: estimated, of this shard. total_work: of all shards together.
    """

    blocks: tuple[int, ...]
    tiles: int
    work: int
    total_work: int


@dataclass(frozen=True)
class _ShardSpec:
    """What decides the records of a shard: the run, and which part of it."""

    run: RunSpec
    shard: Shard
    blocks: tuple[int, ...] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        digest = hashlib.sha256(orjson.dumps(list(self.blocks))).hexdigest()[:16]
        return {**self.run.to_dict(), "shard": {"name": str(self.shard), "superblocks": digest}}

    @property
    def hash(self) -> str:
        text = orjson.dumps(self.to_dict(), option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(text).hexdigest()[:16]


def prepare_shard(job: CaptionJob, shard: Shard) -> PreparedJob:
    """Prepare a run of which one shard is wanted; refuse early what shards cannot do.

    Raises:
        UsageProblem: an option that belongs to the merge, or needs one process. The rest is as for `prepare_job`.
    """
    if job.output is None:
        raise UsageProblem("--shard keeps its part in a file beside the output: name that with -o FILE, not -o -")
    if job.batch_size == "auto":
        raise UsageProblem(
            "--shard: each shard would choose a --batch-size for its own machine, and shards of different sizes are no "
            "one run: give a number (rsccli caption --dry-run -v tells the model's own)"
        )
    for flag, value in (("--summary-model", job.summary_model), ("--basemap", job.basemap)):
        if value is not None:
            raise UsageProblem(f"{flag} is of the report, which rsccli merge writes: give it there")
    _refuse_other_counts(shard_folder(job.output), shard)
    return prepare_job(job)


def _refuse_other_counts(folder: Path, shard: Shard) -> None:
    """One folder holds the shards of one division: an array of the missing ones alone would pass for a whole one."""
    shards = (Shard.of_file(path) for path in _files(folder) if path.name.endswith((SUFFIX, f"{SUFFIX}.journal")))
    found = {other.count for other in shards if other is not None}
    if found - {shard.count}:
        raise OutputError(
            f"{folder} holds shards of {', '.join(map(str, sorted(found)))}, this one is {shard}. To go on with those, "
            f'name the shard as before (in an array of some elements: --shard "$SLURM_ARRAY_TASK_ID/{min(found)}"). '
            f"To divide the run anew, remove the folder: rm -r {folder}"
        )


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise OutputError(f"{folder}: cannot be read: {error.strerror or error}") from error


def shard_part(prepared: PreparedJob, shard: Shard) -> ShardPart:
    """The superblocks of a shard. Looks at a few hundred places of the inputs; the same for the same inputs."""
    work = block_work(prepared.pair).tolist()
    blocks = deal(work, shard.count)[shard.index - 1]
    tiles = block_tiles(prepared.pair.plan)
    return ShardPart(blocks, int(tiles[list(blocks)].sum()), sum(work[block] for block in blocks), sum(work))


def run_shard(
    prepared: PreparedJob,
    shard: Shard,
    progress: Progress = lambda tiles, old: None,
    models: Models | None = None,
    part: ShardPart | None = None,
) -> ShardResult:
    """Caption one shard into its file beside ``job.output``; go on from its journal where there is one.

    Args:
        prepared: see `prepare_shard`. models: where loaded models come from; they stay open.
        part: see `shard_part`; found here unless given.

    Raises:
        StoppedError: a signal asked to stop; the journal is kept.
        JournalMismatchError: what lies there belongs to another run. OutputError: it cannot be written.
        InputError, ModelError: see the messages; the journal is kept where there is one.
    """
    job = prepared.job
    if job.output is None:
        raise UsageProblem("a shard keeps its part in a file beside the output: name that")
    part = part or shard_part(prepared, shard)
    path = shard_path(job.output, shard)
    head = _head(prepared, shard, part.blocks)
    if job.resume and (end := _finished(path, head)) is not None:
        progress(end.tiles, True)
        return ShardResult(shard, path, end.tiles, end.failed, found=True)
    try:
        path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path.parent}: cannot be made: {error.strerror or error}; choose another -o") from error
    spec = _ShardSpec(prepared.spec, shard, part.blocks)
    with StopRequest() as stop, Journal(journal_path(path), spec, not job.resume, part.tiles) as journal:
        with metered(prepared, prepared.watched, path, part.tiles, journal.tiles, str(shard)) as meter:
            fill_journal(prepared, journal, stop, progress, models, part.blocks, meter)
            with stage("write"):
                end = write_shard(path, head, journal.records())
        journal.remove()
    return ShardResult(shard, path, end.tiles, end.failed)


def run_shard_task(
    task: ShardTask, progress: Progress = lambda tiles, old: None, models: Models | None = None
) -> ShardResult:
    """Prepare and run a shard, in whatever process this is."""
    return run_shard(prepare_shard(task.job, task.shard), task.shard, progress, models)


def _head(prepared: PreparedJob, shard: Shard, blocks: tuple[int, ...]) -> ShardHead:
    pair, geometry = prepared.pair, prepared.job.geometry
    return ShardHead(
        shard=shard,
        spec=prepared.spec.to_dict(),
        hash=prepared.spec.hash,
        blocks=blocks,
        wanted=pair.plan.wanted,
        facts=prepared.facts,
        classes=prepared.info.classes,
        masks=prepared.job.mask is not None,
        reading=(geometry.pre, geometry.post),
        date=newest_date(pair.pre.path, pair.post.path),
    )


def _finished(path: Path, head: ShardHead) -> ShardEnd | None:
    """What a whole shard of this run holds, or None where it has to be made."""
    if not path.exists():
        return None
    try:
        there, end = read_head(path), check_shard(path)
    except InputError as error:
        logger.warning("%s; it is made again", error)
        return None
    if there.hash != head.hash or there.blocks != head.blocks:
        lines = differences(there.spec, head.spec) or ["how the superblocks are dealt out"]
        raise JournalMismatchError(
            f"{path}: it belongs to another run. What differs:\n  "
            + "\n  ".join(lines)
            + "\nRepeat the old command to go on with it, choose another -o, or start afresh with --no-resume"
        )
    return end

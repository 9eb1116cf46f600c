"""Many shards become what a single run writes: checked to be one run and whole, then streamed in the order of tiles."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rsccli.errors import InputError
from rsccli.geo.tiles import TilePlan
from rsccli.output.report.basemap import Basemap
from rsccli.output.summary import Summary
from rsccli.output.writers import check_output
from rsccli.run.detect.codes import CHANGE, Legend
from rsccli.run.detect.rasters import check_raster
from rsccli.run.finish import Finished, Wanted, write_outputs
from rsccli.run.lock import OutputLock, claim_beside
from rsccli.run.metrics.log import tell
from rsccli.run.phrase import SummaryModel
from rsccli.run.shard.file import ShardHead, check_shard, read_head, shard_records
from rsccli.run.shard.find import find_shards
from rsccli.run.shard.name import Shard
from rsccli.run.shard.pictures import shard_pictures
from rsccli.run.shard.work import block_tiles
from rsccli.run.spec import differences
from rsccli.types import Bool, RunFacts, TileRecord

#: Bytes of all shards together that are in memory at once.
_AT_ONCE_BYTES = 32 * 2**20


@dataclass(frozen=True)
class MergeJob:
    """One ``rsccli merge``.

    Attributes:
        shards: files, or folders of them. allow_missing: mark the tiles of shards that are not there.
        overwrite: replace an output. The rest is as in ``CaptionJob``.
    """

    shards: tuple[Path, ...]
    output: Path
    mask: Path | None = None
    report: bool = True
    basemap: Basemap | None = None
    summary_model: SummaryModel | None = None
    allow_missing: bool = False
    overwrite: bool = False


@dataclass(frozen=True, eq=False)
class CheckedShards:
    """Shards of one run, whole.

    Attributes:
        paths, heads: in the order of the shards. plan: all tiles of the run. facts: of it, with a warning where shards
            are missing. missing: those. missing_tiles: bool (rows, cols), their tiles; None where none are missing.
    """

    paths: tuple[Path, ...]
    heads: tuple[ShardHead, ...]
    plan: TilePlan
    facts: RunFacts
    missing: tuple[Shard, ...] = ()
    missing_tiles: Bool | None = None

    @property
    def masks(self) -> bool:
        """Whether the tiles have masks."""
        return self.heads[0].masks

    def records(self) -> Iterator[TileRecord]:
        """Every tile of the plan by row and column; holds a piece of each shard in memory."""
        at_once = max(4096, _AT_ONCE_BYTES // len(self.paths))
        streams = [shard_records(path, self.plan, at_once) for path in self.paths]
        if self.missing_tiles is not None:
            streams.append(_marked(self.plan, self.missing_tiles))
        return heapq.merge(*streams, key=lambda record: (record.row, record.col))


@dataclass(frozen=True)
class Merged:
    """What a merge wrote.

    Attributes:
        summary: of all tiles. facts: of the run. shards: merged. missing: shards that were not there.
        missing_tiles: their tiles. masks: the shards have masks.
    """

    summary: Summary
    facts: RunFacts
    shards: int
    missing: tuple[Shard, ...]
    missing_tiles: int
    masks: bool


def merge(job: MergeJob) -> Merged:
    """Check the shards and write the output, its mask and its report.

    Raises:
        InputError: shards that are missing, cut, doubled or of different runs; the message names them.
        OutputError: an output that is in the way or cannot be written. ModelError: the summary's model is gone.
    """
    check_output(job.output, job.overwrite)
    if job.mask is not None:
        check_raster(job.mask, "--mask", job.overwrite)
    if job.summary_model is not None:
        job.summary_model.describe()
    shards = check_shards(job.shards, job.allow_missing)
    if job.mask is not None and not shards.masks:
        raise InputError(
            f"--mask {job.mask}: the shards hold no masks. Make them with rsccli caption --shard i/n --mask FILE.tif, "
            "or leave --mask out"
        )
    head = shards.heads[0]
    finished = Finished(
        plan=shards.plan,
        facts=shards.facts,
        legend=Legend(head.classes or (CHANGE,)),
        records=shards.records,
        pictures=shard_pictures(head, shards.plan, job.mask),
        date=head.date,
    )
    with OutputLock(job.output), claim_beside(job.output, job.mask, job.report):
        summary = write_outputs(Wanted(job.output, job.mask, job.report, job.basemap, job.summary_model), finished)
    by_status = {status: count for status, count in summary.by_status if count}
    tell("written", path=str(job.output), run=shards.facts.spec_hash, tiles=summary.tiles, by_status=by_status)
    lost = 0 if shards.missing_tiles is None else int(shards.missing_tiles.sum())
    return Merged(summary, shards.facts, len(shards.paths), shards.missing, lost, shards.masks)


def check_shards(given: Sequence[Path], allow_missing: bool = False) -> CheckedShards:
    """Read the heads of shards and every byte once; what does not belong together is refused.

    Raises:
        InputError: see `merge`.
    """
    found = find_shards(given)
    heads = [read_head(path) for path in found.paths]
    _refuse_mixed(found.paths, heads)
    order = sorted(range(len(heads)), key=lambda index: heads[index].shard)
    paths, heads = [found.paths[index] for index in order], [heads[index] for index in order]
    plan = heads[0].plan()
    _check_area(paths[0], heads[0])
    tiles = block_tiles(plan)
    for path, head in zip(paths, heads, strict=True):
        end = check_shard(path)
        expected = int(tiles[list(head.blocks)].sum())
        if end.tiles != expected:
            raise InputError(f"{path}: it holds {end.tiles} tiles, its superblocks have {expected}. Run it again")
    count = heads[0].shard.count
    there = {head.shard for head in heads}
    missing = tuple(shard for shard in (Shard(count, i) for i in range(1, count + 1)) if shard not in there)
    if missing and not allow_missing:
        raise InputError(found.missing_message(missing))
    lost = _lost_blocks(heads, plan, missing)
    facts = heads[0].facts
    if not missing:
        return CheckedShards(tuple(paths), tuple(heads), plan, facts)
    marked = _tiles_of(plan, lost)
    told = (
        f"{int(marked.sum())} of the {len(plan)} tiles are missing: {found.names(missing)} of {count} shards "
        f"{'was' if len(missing) == 1 else 'were'} not there when the shards were merged."
    )
    return CheckedShards(
        tuple(paths), tuple(heads), plan, replace(facts, warnings=(*facts.warnings, told)), missing, marked
    )


def _refuse_mixed(paths: Sequence[Path], heads: Sequence[ShardHead]) -> None:
    """Shards of different runs or divisions, and the same shard twice."""
    seen: dict[Shard, Path] = {}
    for path, head in zip(paths, heads, strict=True):
        if head.spec != heads[0].spec:
            lines = "\n  ".join(differences(heads[0].spec, head.spec))
            raise InputError(
                f"{path} and {paths[0]} are of different runs. What differs:\n  {lines}\nMerge the shards of one run, "
                "and run the others again with the same inputs, model and options"
            )
        if head.shard.count != heads[0].shard.count:
            raise InputError(
                f"{path} is shard {head.shard}, {paths[0]} is {heads[0].shard}: these are parts of two divisions of "
                "the run. Name the files of one of them"
            )
        if head.shard in seen:
            raise InputError(f"{path} and {seen[head.shard]} are both shard {head.shard}. Name one of them")
        seen[head.shard] = path


def _check_area(path: Path, head: ShardHead) -> None:
    wanted = head.spec["plan"]["area_of_interest"]
    found = None if head.wanted is None else hashlib.sha256(head.wanted.tobytes()).hexdigest()[:16]
    if wanted != found:
        raise InputError(f"{path}: its tiles are not those of its area of interest. Run this shard again")


def _lost_blocks(heads: Sequence[ShardHead], plan: TilePlan, missing: Sequence[Shard]) -> list[int]:
    """Superblocks with tiles that no shard has."""
    taken = np.zeros(plan.block_count, np.int64)
    for head in heads:
        taken[list(head.blocks)] += 1
    lost = np.flatnonzero((taken == 0) & (block_tiles(plan) > 0))
    if (taken > 1).any() or (len(lost) and not missing):
        raise InputError(
            "the shards do not agree on how the work was dealt out: some superblocks are there twice or not at all. "
            "Were the inputs, or libraries, different on some machines? Run all shards again in one environment"
        )
    return lost.tolist()


def _tiles_of(plan: TilePlan, blocks: Sequence[int]) -> Bool:
    """Which tiles lie in some superblocks, (rows, cols)."""
    found = np.zeros((plan.rows, plan.cols), bool)
    across = -(-plan.cols // plan.block_cols)
    for block in blocks:
        row, col = (block // across) * plan.block_rows, (block % across) * plan.block_cols
        found[row : row + plan.block_rows, col : col + plan.block_cols] = True
    return found if plan.wanted is None else found & plan.wanted


def _marked(plan: TilePlan, missing: Bool) -> Iterator[TileRecord]:
    reason = "missing: the shard with this tile was not there when the shards were merged"
    for row in range(plan.rows):
        for col in np.flatnonzero(missing[row]).tolist():
            yield TileRecord(f"r{row:05d}c{col:05d}", row, col, "read_error", 0.0, reason=reason)

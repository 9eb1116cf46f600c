"""What bench_scale.py measures in processes and threads of their own: sleeping workers, remote reads, a large merge."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from common import CACHE, ROOT, own_cpu_s
from pair import chips

from rsccli.geo.tiles import plan_tiles
from rsccli.run.caption import CaptionJob, prepare_job
from rsccli.run.journal import Journal, journal_path
from rsccli.run.shard.deal import deal
from rsccli.run.shard.file import ShardHead, write_shard
from rsccli.run.shard.name import Shard, shard_path
from rsccli.types import Grid, TileRecord

TILE = 256
BATCH = 16
TEXT = "New houses have been built along a street, and trees have been cleared in the upper left."
EXAMPLES = tuple(ROOT / "examples" / name for name in ("prairie_2012-07-31.tif", "prairie_2014-07-20.tif"))


def write_pair(side: int) -> tuple[Path, Path]:
    """Pre and post of ``side`` pixels: NAIP chips in a row of their own making, every fourth band from elsewhere."""
    import rasterio
    from rasterio.windows import Window

    paths = CACHE / f"scale_pre_{side}.tif", CACHE / f"scale_post_{side}.tif"
    CACHE.mkdir(parents=True, exist_ok=True)
    texture = chips()
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "crs": "EPSG:32637", "width": side, "height": side}
    profile |= {"transform": Affine(0.5, 0, 412_000.0, 0, -0.5, 6_180_000.0), "photometric": "RGB"}
    profile |= {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "DEFLATE"}
    for k, path in enumerate(paths):
        if path.exists():
            continue
        across = side // TILE
        with rasterio.open(path, "w", **profile) as dst:
            for row in range(across):
                shift = 31 if k and row % 4 == 0 else 0
                for col in range(across):
                    chip = texture[(row * across + col + shift) % len(texture)]
                    window = Window(col * TILE, row * TILE, TILE, TILE)
                    dst.write(
                        np.clip(chip.astype(int) + 4 * k, 0, 255).astype(np.uint8).transpose(2, 0, 1), window=window
                    )
    return paths


def record(row: int, col: int) -> TileRecord:
    """A tile as the bundled captioner finds them."""
    status = ("changed", "unchanged", "unsure")[(row + col) % 3]
    return TileRecord(
        f"r{row:05d}c{col:05d}", row, col, status, 1.0, TEXT, 0.8651, -4.1234, ("building", "tree"), 2487.5, 0.0379
    )  # type: ignore[arg-type]


def large_head(tiles_across: int, shard: Shard, blocks: tuple[int, ...]) -> ShardHead:
    """The head of a shard of a made-up run of ``tiles_across`` squared tiles."""
    prepared = prepare_job(CaptionJob(*map(str, EXAMPLES), output=None))
    grid = prepared.pair.grid
    side = tiles_across * TILE
    facts = replace(prepared.facts, grid=Grid(grid.crs, grid.transform, side, side), tiles=tiles_across**2)
    spec: dict[str, Any] = prepared.spec.to_dict()
    spec["plan"]["size_px"] = [side, side]
    geometry = prepared.job.geometry
    return ShardHead(
        shard=shard,
        spec=spec,
        hash=prepared.spec.hash,
        blocks=blocks,
        wanted=None,
        facts=facts,
        classes=prepared.info.classes,
        masks=False,
        reading=(geometry.pre, geometry.post),
        date="2020-01-01T00:00:00.000Z",
    )


def write_shards(output: Path, tiles_across: int, count: int) -> None:
    """All shards of a made-up run beside ``output``."""
    head = large_head(tiles_across, Shard(count, 1), ())
    plan = head.plan()
    across = -(-plan.cols // plan.block_cols)
    shares = deal([1] * plan.block_count, count)
    shard_path(output, Shard(count, 1)).parent.mkdir(parents=True, exist_ok=True)
    for index, blocks in enumerate(shares):
        shard = Shard(count, index + 1)
        mine = np.zeros(plan.block_count, bool)
        mine[list(blocks)] = True

        def records(mine: np.ndarray = mine) -> Iterator[TileRecord]:
            for row in range(plan.rows):
                for col in range(plan.cols):
                    if mine[row // plan.block_rows * across + col // plan.block_cols]:
                        yield record(row, col)

        write_shard(shard_path(output, shard), replace(head, shard=shard, blocks=blocks), records())


@dataclass(frozen=True)
class Simulated:
    """What sleeping workers took.

    Attributes:
        workers, tiles: how many. wall_s: from the first start to the last end. slept_s: of all workers.
        cpu_s: of all of rsccli's own work. longest_s: sleep of the worker with the most.
    """

    workers: int
    tiles: int
    wall_s: float
    slept_s: float
    longest_s: float
    cpu_s: float


class _Spec:
    """Of a journal."""

    def __init__(self, index: int) -> None:
        self.hash = f"{index:016x}"

    def to_dict(self) -> dict[str, Any]:
        return {"shard": self.hash}


def simulate(folder: Path, workers: int, blocks_each: int, tile_s: float) -> Simulated:
    """Workers that sleep where a model would work; the rest (dealing, journals, locks, shard files) is the real thing.

    Superblocks have 16 to 64 tiles that cost time, at random: the dealing has something to balance.
    """
    rng = np.random.default_rng(workers)
    work = rng.integers(16, 65, workers * blocks_each).tolist()
    heads = large_head(8, Shard(workers, 1), ())
    slept = [0.0] * workers
    gate = threading.Barrier(workers + 1)

    def worker(index: int) -> None:
        gate.wait()
        # Each worker deals for itself, as shards do.
        mine = deal(work, workers)[index]
        path = folder / Shard(workers, index + 1).file_name
        kept: list[TileRecord] = []
        with Journal(journal_path(path), _Spec(index)) as journal:
            for block in mine:
                for batch, first in enumerate(range(0, work[block], BATCH)):
                    tiles = min(BATCH, work[block] - first)
                    time.sleep(tiles * tile_s)
                    slept[index] += tiles * tile_s
                    records = [record(block, first + i) for i in range(tiles)]
                    journal.commit(block, batch, records)
                    kept += records
            write_shard(path, replace(heads, shard=Shard(workers, index + 1), blocks=mine), kept)
            journal.remove()

    threads = [threading.Thread(target=worker, args=(index,)) for index in range(workers)]
    for thread in threads:
        thread.start()
    cpu, start = own_cpu_s(), time.perf_counter()
    gate.wait()
    for thread in threads:
        thread.join()
    wall = time.perf_counter() - start
    return Simulated(workers, sum(work), wall, sum(slept), max(slept), own_cpu_s() - cpu)


def journal_cost(folder: Path, tiles: int) -> tuple[float, float]:
    """Microseconds a tile that committing takes (wall, processor), syncs to the disk with it."""
    batches = [[record(number, col) for col in range(BATCH)] for number in range(tiles // BATCH)]
    with Journal(folder / "journal", _Spec(0)) as journal:
        cpu, start = own_cpu_s(), time.perf_counter()
        for number, batch in enumerate(batches):
            journal.commit(number, 0, batch)
        wall = time.perf_counter() - start
        used = own_cpu_s() - cpu
        journal.remove()
    return wall / tiles * 1e6, used / tiles * 1e6


def read_twice(pre: str, post: str, server: Any | None) -> list[tuple[float, int, int]]:
    """Seconds, requests and bytes of opening a pair and reading all of its tiles: first, and again in one process."""
    from rsccli.geo.pair import prepare_pair

    found = []
    for _ in range(2):
        before = server.stats() if server else {}
        start = time.perf_counter()
        pair = prepare_pair(pre, post)
        with pair.env(), pair.aligner() as aligner:
            for block in pair.plan.blocks():
                aligner.read(block)
        wall = time.perf_counter() - start
        after = server.stats() if server else {}
        found.append(
            (
                wall,
                after.get("requests", 0) - before.get("requests", 0),
                after.get("bytes_sent", 0) - before.get("bytes_sent", 0),
            )
        )
    return found


def plan_blocks(tiles_across: int) -> int:
    """Superblocks of a square run."""
    side = tiles_across * TILE
    grid = Grid("EPSG:32637", Affine(0.5, 0, 412_000.0, 0, -0.5, 6_180_000.0), side, side)
    return plan_tiles(grid, TILE).block_count


sys.path.insert(0, str(ROOT / "tests"))

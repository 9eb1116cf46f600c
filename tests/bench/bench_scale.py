"""From one worker to many: rate, memory, what handing out and journals cost, a large merge, reads over a network.

Pairs are synthetic (NAIP chips where ../shared/data has them, side by side). Workers 1 and 2 are real processes, one
core each. More workers are simulated: threads that sleep for the time of the model; all else of them is real. The merge
is of made-up records in real shard files.

Usage: python tests/bench/bench_scale.py [--side 4096] [--features 1000000] [--workers 1,4,16,64,256] [--only PART]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import common
import scale_parts

LATENCY_MS = 40.0
PARTS = ("workers", "simulated", "journal", "merge", "remote")
SHARDS = 8


def caption(pair: tuple[Path, Path], output: Path, count: int) -> tuple[float, list[dict[str, Any]]]:
    """Seconds of ``count`` shards at once (1: no shards), one core each, and the metrics of each."""
    command = [sys.executable, "-m", "rsccli", "caption", *map(str, pair), "-o", str(output), "--metrics", "--quiet"]
    command += ["--threads", "1", "--jobs", "1", "--no-report", "--overwrite", "--no-resume"]
    start = time.perf_counter()
    running = []
    for index in range(count):
        core = {sorted(os.sched_getaffinity(0))[index]}
        shard = [] if count == 1 else ["--shard", f"{index + 1}/{count}"]
        running.append(subprocess.Popen([*command, *shard], preexec_fn=lambda core=core: os.sched_setaffinity(0, core)))
    if any([process.wait() for process in running]):
        raise SystemExit("a measured run failed")
    wall = time.perf_counter() - start
    files = [output] if count == 1 else sorted(output.with_name(f"{output.name}.shards").glob("*.rsccli-shard"))
    return wall, [json.loads(path.with_name(f"{path.name}.metrics.json").read_bytes()) for path in files]


@dataclass(frozen=True)
class Measured:
    """One run of some workers: wall clock and merge in seconds, and the metrics of each worker."""

    wall_s: float
    merge_s: float
    told: list[dict[str, Any]]

    @property
    def tiles(self) -> int:
        """Of all workers."""
        return sum(each["tiles"]["done_now"] for each in self.told)

    @property
    def rate(self) -> float:
        """Tiles a second of all workers, in the loop."""
        return float(sum(each["tiles_per_s"] for each in self.told))

    @property
    def cpu_ms(self) -> float:
        """Processor time of a tile, start and model loading with it."""
        return 1000 * float(sum(each["cpu_s"] for each in self.told)) / self.tiles


def measure_workers(pair: tuple[Path, Path], count: int, folder: Path) -> Measured:
    """One run; the merged map of several workers must be that of one."""
    output = folder / f"out{count}.geojson"
    wall, told = caption(pair, output, count)
    merge_s = 0.0
    if count > 1:
        command = [sys.executable, "-m", "rsccli", "merge", f"{output}.shards", "-o", str(output), "--quiet"]
        merge_s = common.run_child([*command, "--no-report", "--overwrite"]).wall_s
        shutil.rmtree(f"{output}.shards")
        if output.read_bytes() != (folder / "out1.geojson").read_bytes():
            raise SystemExit("the merged map is not that of one worker")
    common.note(f"{count} workers: {wall:.1f} s")
    return Measured(wall, merge_s, told)


def workers(side: int, repeat: int, folder: Path) -> float:
    """Print rate and memory against workers; returns milliseconds of a tile in the loop."""
    pair = scale_parts.write_pair(side)
    counts = [count for count in (1, 2) if count <= len(os.sched_getaffinity(0))]
    found: dict[int, list[Measured]] = {count: [] for count in counts}
    for _ in range(repeat):
        for count in counts:
            found[count].append(measure_workers(pair, count, folder))
    alone = statistics.median(each.rate for each in found[1])
    rows = [
        [
            str(count),
            str(runs[0].tiles),
            common.spread([each.rate for each in runs], 1),
            f"{statistics.median(each.rate for each in runs) / alone / count:.0%}",
            common.spread([each.tiles / (each.wall_s + each.merge_s) for each in runs], 1),
            common.spread([each.wall_s for each in runs], 1),
            common.spread([each.merge_s for each in runs], 1) if count > 1 else "-",
            common.spread([each.cpu_ms for each in runs], 0),
            " + ".join(f"{each['peak_memory_bytes'] / 2**20:.0f}" for each in runs[0].told),
        ]
        for count, runs in found.items()
    ]
    common.say(
        f"\n**Workers as processes, one core each** (bundled captioner, pair of {side} px a side, tiles of 256)\n"
    )
    head = ["workers", "tiles", "tiles/s while captioning", "efficiency", "tiles/s of the whole", "run, s", "merge, s"]
    common.say(common.table([*head, "CPU ms a tile", "peak memory, MB each"], rows))
    common.say(
        "\nThe whole, and CPU time, have start, measuring the pair, loading the model and merging in them: these do "
        "not grow with the number of tiles."
    )
    shares = ", ".join(f"{name} {each['share']:.1%}" for name, each in found[1][0].told[0]["stages"].items())
    common.say(f"\nWhere the time of one worker goes (`--metrics`): {shares}.")
    return 1000 / alone


def simulated(counts: list[int], tile_ms: float, folder: Path) -> None:
    """Print overhead and efficiency of sleeping workers."""
    rows = []
    for count in counts:
        place = folder / f"sim{count}"
        place.mkdir()
        found = scale_parts.simulate(place, count, blocks_each=6, tile_s=tile_ms / 1000)
        shutil.rmtree(place)
        rows.append(
            [
                str(count),
                f"{found.tiles}",
                f"{found.wall_s:.2f}",
                f"{found.slept_s / count:.2f}",
                f"{found.longest_s / (found.slept_s / count):.3f}",
                f"{found.cpu_s / found.tiles * 1e6:.0f}",
                f"{found.slept_s / count / found.wall_s:.1%}",
            ]
        )
        common.note(f"{count} simulated workers: {found.wall_s:.1f} s")
    common.say(f"\n**Simulated workers**: each sleeps {tile_ms:.0f} ms a tile; 6 superblocks for each\n")
    head = ["workers", "tiles", "wall, s", "mean sleep, s", "longest over mean", "rsccli's own work, us CPU a tile"]
    common.say(common.table([*head, "efficiency"], rows))
    common.say(
        "\nSimulated: no pixels are read and no model works, all workers are threads of one process on this machine's "
        "cores and disk, with one journal and one shard file each. Workers do not talk to each other, so nothing of "
        "this grows with their number but the dealing, which each does for itself; efficiency is mean sleep over wall, "
        "the unevenness of whole superblocks with it."
    )
    start = time.perf_counter()
    blocks = scale_parts.plan_blocks(1000)
    scale_parts.deal(list(range(1, blocks + 1)), 256)
    common.say(
        f"\nDealing {blocks} superblocks (a million tiles) to 256: {time.perf_counter() - start:.2f} s a worker."
    )


def journal(tiles: int, tile_ms: float, folder: Path) -> None:
    """Print what committing costs."""
    wall, cpu = scale_parts.journal_cost(folder, tiles)
    common.say("\n**Journal**\n")
    common.say(
        common.table(
            ["tiles", "batch", "us a tile", "us CPU a tile", f"share of a tile's {tile_ms:.0f} ms"],
            [[str(tiles), str(scale_parts.BATCH), f"{wall:.0f}", f"{cpu:.0f}", f"{wall / tile_ms / 10:.2f} %"]],
        )
    )
    common.say(
        "\nWith the sync to the disk once a second. Milliseconds of a tile: of one worker, from the table above."
    )


def merge(features: int, kinds: list[str], folder: Path) -> None:
    """Print time and memory of a large merge."""
    across = round(features**0.5)
    output = folder / "large.geojson"
    start = time.perf_counter()
    scale_parts.write_shards(output, across, SHARDS)
    common.note(f"{SHARDS} shards of {across**2} tiles written in {time.perf_counter() - start:.0f} s")
    shards = output.with_name(f"{output.name}.shards")
    size = sum(path.stat().st_size for path in shards.iterdir()) / 2**20
    rows = []
    for to in kinds:
        suffix, more = to.split("+")[0], [] if to.endswith("+report") else ["--no-report"]
        target = folder / f"merged{suffix}"
        target.unlink(missing_ok=True)
        command = [sys.executable, "-m", "rsccli", "merge", str(shards), "-o", str(target), "--quiet", *more]
        cost = common.run_child(command)
        if cost.returncode not in (0, 5):
            raise SystemExit(f"merge left with {cost.returncode}: {cost.stderr[-2000:]}")
        rows.append(
            [
                suffix + ("" if more else " and report"),
                f"{cost.wall_s:.0f}",
                f"{across**2 / cost.wall_s:.0f}",
                f"{cost.peak_mb:.0f}",
                f"{target.stat().st_size / 2**20:.0f}",
            ]
        )
        common.note(f"merge {suffix}: {cost.wall_s:.0f} s")
        target.unlink()
    common.say(f"\n**Merge of {across**2} features** ({SHARDS} shards, {size:.0f} MB, synthetic records)\n")
    common.say(common.table(["output", "s", "features/s", "peak memory, MB", "size, MB"], rows))
    shutil.rmtree(shards)


def remote(side: int) -> None:
    """Print local, cold and warm reads of the same pair."""
    from range_server import RangeServer

    pre, post = scale_parts.write_pair(side)
    code = (
        "import json,sys; sys.path[:0]=[{here!r}, {tests!r}]; import scale_parts; "
        "print(json.dumps(scale_parts.read_twice({pre!r}, {post!r}, None)))"
    )
    here, tests = str(Path(__file__).parent), str(Path(__file__).parents[1])
    cost = common.run_child([sys.executable, "-c", code.format(here=here, tests=tests, pre=str(pre), post=str(post))])
    if cost.returncode:
        raise SystemExit(cost.stderr[-2000:])
    local = json.loads(cost.stdout.splitlines()[-1])
    with RangeServer(pre.parent, latency_ms=LATENCY_MS) as server:
        told = scale_parts.read_twice(server.url(pre.name), server.url(post.name), server)
    tiles = (side // scale_parts.TILE) ** 2
    rows = [
        [
            name,
            f"{wall:.1f}",
            f"{tiles / wall:.0f}",
            str(requests) if requests else "-",
            f"{sent / 2**20:.0f}" if sent else "-",
        ]
        for name, (wall, requests, sent) in (("local", local[0]), ("remote, cold", told[0]), ("remote, warm", told[1]))
    ]
    common.say(
        f"\n**Remote reads** (HTTP server in another process, {LATENCY_MS:.0f} ms added to each request; one reader, "
        f"{side} px a side)\n"
    )
    common.say(common.table(["files", "s", "tile pairs/s", "requests", "MB sent"], rows))
    common.say("\nOpening and measuring the pair with it. Warm: again in the same process.")


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=4096, help="pixels of the pair, a multiple of 256")
    parser.add_argument("--repeat", type=int, default=3, help="of the workers")
    parser.add_argument("--features", type=int, default=1_000_000)
    parser.add_argument("--merge-to", default=".geojson,.fgb,.geojson+report", help="outputs of the merge")
    parser.add_argument("--workers", default="1,4,16,64,256", help="simulated")
    parser.add_argument("--journal-tiles", type=int, default=100_000)
    parser.add_argument("--tile-ms", type=float, default=42.0, help="of a sleeping model, where it is not measured")
    parser.add_argument("--only", choices=PARTS, action="append")
    arguments = parser.parse_args()
    parts = arguments.only or PARTS
    common.say("## Scale: from one worker to many\n")
    common.say(f"{common.machine()}.")
    tile_ms = arguments.tile_ms
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "workers" in parts:
            tile_ms = workers(arguments.side, arguments.repeat, folder)
        if "simulated" in parts:
            simulated([int(count) for count in arguments.workers.split(",")], tile_ms, folder)
        if "journal" in parts:
            journal(arguments.journal_tiles, tile_ms, folder)
        if "merge" in parts:
            merge(arguments.features, arguments.merge_to.split(","), folder)
    if "remote" in parts:
        remote(arguments.side)


if __name__ == "__main__":
    main()

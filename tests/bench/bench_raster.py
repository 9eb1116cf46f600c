"""How many aligned tile pairs a second each way reads, and how that compares with the limit of the hardware.

One run measures everything: ways are interleaved over the repetitions, each in a child process of its own, bound to
one core where it has one thread. The limit is decoding each block of pre and post once plus OpenCV's linear kernel,
measured in the same run on the same core. The pair is synthetic (see pair.py).

Usage: python tests/bench/bench_raster.py [--repeat 3] [--block-rows 2] [--only tiled|striped|remote] [--ways a,b]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import common
import cv2
import numpy as np
import pair

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

STRIPED_CACHE_MB = 64
LATENCY_MS = 40.0
# Way to read, block rows: slow ones get less to do in the harder settings.
STRIPED_WAYS = ("open+warp", "open+warp-post", "one-vrt", "one-vrt-post", "engine", "engine-2")
REMOTE_WAYS = STRIPED_WAYS


def child(arguments: argparse.Namespace) -> None:
    """Measure one way in this process and print one JSON object."""
    import raster_ways
    import rasterio

    cv2.setNumThreads(1)
    environment: dict[str, object] = {"GDAL_NUM_THREADS": "1"}
    if arguments.cache_mb:
        environment["GDAL_CACHEMAX"] = arguments.cache_mb * 2**20  # rasterio takes bytes
    if arguments.remote:
        # What a tutorial says for remote files; without it the rivals are slower still.
        environment |= {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES"}
    with rasterio.Env(**environment):
        cache_bytes = rasterio.env.get_gdal_config("GDAL_CACHEMAX")
        if arguments.child == "limit":
            job = raster_ways.Job(arguments.pre, arguments.post, arguments.tile_size, arguments.block_rows)
            print(json.dumps(raster_ways.limit(job)))
            return
        _, way, _ = raster_ways.WAYS[arguments.child]
        options = {"cache_mb": arguments.cache_mb} if arguments.cache_mb and "engine" in arguments.child else {}
        cpu, start = common.own_cpu_s(), time.perf_counter()
        job = raster_ways.Job(arguments.pre, arguments.post, arguments.tile_size, arguments.block_rows)
        if arguments.max_tiles:
            job.tiles = job.tiles[: arguments.max_tiles]
        pairs = valid = 0
        kept: list[np.ndarray] = []
        # rasterio keeps a cache size that another Env once set: give the rivals GDAL's own default back.
        rasterio.env.set_gdal_config("GDAL_CACHEMAX", cache_bytes)
        # The engine reads whole superblocks: compare tiles of the first row, which come first in both orders.
        for _, post, mask in way(job, **options):
            pairs += 1
            valid += int(mask.sum())
            if arguments.save and len(kept) < 4:
                kept.append(np.where(mask, post, 0))
        told = {
            "pairs": pairs,
            "valid": valid / (pairs * arguments.tile_size**2),
            "wall_s": time.perf_counter() - start,
            "cpu_s": common.own_cpu_s() - cpu,
            "peak_mb": common.own_peak_mb(),
        }
    if arguments.save:
        np.save(arguments.save, np.stack(kept))
    print(json.dumps(told))


def measure(
    title: str, pre: str, post: str, ways: tuple[str, ...], arguments: argparse.Namespace, **settings: object
) -> None:
    """Run every way ``repeat`` times, interleaved, and print the table."""
    import raster_ways

    flags = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items() if value]
    base = [sys.executable, __file__, "--pre", pre, "--post", post, "--tile-size", str(arguments.tile_size)]
    told: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    with_limit = not settings.get("remote")
    limits: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(arguments.repeat):
            for way in (*ways, *(["limit"] if with_limit else [])):
                rows = str(settings.get("block_rows") or arguments.block_rows)
                command = [*base, "--child", way, "--block-rows", rows, *(f for f in flags if "block-rows" not in f)]
                if turn == 0 and way != "limit":
                    command += ["--save", f"{folder}/{way}.npy"]
                cores = 1 if way == "limit" else raster_ways.WAYS[way][2]
                cost = common.run_child(command, cores=cores, env={"OMP_NUM_THREADS": "1"})
                (limits if way == "limit" else told[way]).append(common.last_json(cost))
                common.note(f"{title}: {way} {turn + 1}/{arguments.repeat} {cost.wall_s:.1f} s")
        images = {way: np.load(f"{folder}/{way}.npy").astype(int) for way in ways}
    rate = {way: [t["pairs"] / t["wall_s"] for t in runs] for way, runs in told.items()}
    per_cpu = {way: [t["pairs"] / t["cpu_s"] for t in runs] for way, runs in told.items()}
    reference = statistics.median(rate["open+warp"])
    best = statistics.median([item["limit"] for item in limits]) if limits else None
    rows_out = []
    for way in ways:
        middle = statistics.median(rate[way])
        different = np.abs(images[way] - images["open+warp"])[..., 8:-8, 8:-8].mean()
        rows_out.append(
            [
                raster_ways.WAYS[way][0],
                common.spread(rate[way]),
                f"x{middle / reference:.2f}",
                *([f"{100 * middle / best:.0f} %"] if best else []),
                f"{statistics.median(per_cpu[way]):.0f}",
                f"{statistics.median([t['peak_mb'] for t in told[way]]):.0f}",
                f"{told[way][0]['pairs']:.0f}",
                f"{different:.2f}",
            ]
        )
    if limits:
        parts = {part: statistics.median([item[part] for item in limits]) for part in limits[0]}
        rows_out.append(
            [
                f"limit of one core: decode pre {parts['decode_pre']:.0f}/s, decode post {parts['decode_post']:.0f}/s, "
                f"OpenCV kernel {parts['kernel']:.0f}/s",
                common.spread([item["limit"] for item in limits]),
                f"x{parts['limit'] / reference:.2f}",
                "100 %",
                "",
                "",
                "",
                "",
            ]
        )
    common.say(f"\n**{title}**\n")
    head = ["way", "pairs/s", "ratio", *(["share of limit"] if best else [])]
    head += ["pairs per CPU second", "peak MB", "pairs", "mean difference, DN"]
    common.say(common.table(head, rows_out))


def main() -> None:
    """Measure what was asked for."""
    import raster_ways

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--tile-size", type=int, default=512)
    parser.add_argument("--block-rows", type=int, default=2, help="rows of superblocks to read")
    parser.add_argument("--only", choices=["tiled", "striped", "remote"])
    parser.add_argument("--ways", default=",".join(raster_ways.WAYS))
    for name in ("child", "pre", "post", "save"):
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)
    parser.add_argument("--cache-mb", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--max-tiles", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--remote", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        return child(arguments)
    common.say("## Raster engine: aligned tile pairs a second\n")
    common.say(
        f"{common.machine()}. Synthetic pair: {pair.__doc__.splitlines()[2]} shifted extent. Tiles of "
        f"{arguments.tile_size} px, bilinear, masks and padding on, files in the page cache; median of the "
        "repetitions (range)."
    )
    asked = tuple(arguments.ways.split(","))
    if arguments.only in (None, "tiled"):
        made = pair.make()
        measure("Tiled files", str(made.pre), str(made.post), asked, arguments)
    if arguments.only in (None, "striped"):
        made = pair.make(striped=True)
        ways = tuple(w for w in STRIPED_WAYS if w in asked)
        title = f"Striped files (one row a strip), block cache {STRIPED_CACHE_MB} MB"
        measure(
            title, str(made.pre), str(made.post), ways, arguments, cache_mb=STRIPED_CACHE_MB, max_tiles=78, block_rows=4
        )
    if arguments.only in (None, "remote"):
        from range_server import RangeServer

        made = pair.make()
        ways = tuple(w for w in REMOTE_WAYS if w in asked)
        with RangeServer(made.pre.parent, latency_ms=LATENCY_MS) as server:
            urls = server.url(made.pre.name), server.url(made.post.name)
            title = f"Remote files (HTTP server in another process, {LATENCY_MS:.0f} ms added latency)"
            measure(title, *urls, ways, arguments, remote=1, max_tiles=78, block_rows=1)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()

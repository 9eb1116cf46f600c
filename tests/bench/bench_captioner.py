"""A captioner alone: time of a tile, peak memory, and time to the first caption, by batch size and threads.

Each row is a fresh process; pixels are generated noise, the costliest case for nothing but the decoder's length.

Usage: python tests/bench/bench_captioner.py [-m NAME_OR_FOLDER] [--tiles 64] [--side 256]
"""

from __future__ import annotations

import argparse
import json
import sys
import time

from common import last_json, machine, note, own_cpu_s, own_peak_mb, run_child, say, table

BATCHES = (1, 8, 16, 64)
THREADS = (1, 2)


def measure(model: str, batch: int, threads: int, tiles: int, side: int) -> dict[str, float]:
    """Caption ``tiles`` tiles in batches, in this process."""
    start = time.perf_counter()
    import numpy as np

    from rsccli.models.captioner import CaptionerOptions
    from rsccli.models.registry import load_captioner
    from rsccli.types import MapBounds, PxWindow, Tile, TilePair

    captioner = load_captioner(model, CaptionerOptions(threads=threads))
    rng = np.random.default_rng(0)
    valid = np.ones((side, side), bool)
    tile = Tile("r00000c00000", 0, 0, PxWindow(0, 0, side, side), MapBounds(0.0, 0.0, 1.0, 1.0))
    pairs = [
        TilePair(tile, *rng.integers(0, 256, (2, 3, side, side)).astype(np.uint8), valid, 1.0) for _ in range(batch)
    ]
    captioner.caption(pairs[:1])
    first = time.perf_counter() - start
    wall, cpu = time.perf_counter(), own_cpu_s()
    rounds = max(1, tiles // batch)
    for _ in range(rounds):
        captioner.caption(pairs)
    count = rounds * batch
    return {
        "first_s": first,
        "wall_ms": (time.perf_counter() - wall) / count * 1e3,
        "cpu_ms": (own_cpu_s() - cpu) / count * 1e3,
        "peak_mb": own_peak_mb(),
    }


def main() -> None:
    """Measure every combination and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-m", "--model", default="rsccli-small")
    parser.add_argument("--tiles", type=int, default=64)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--one", nargs=2, type=int, metavar=("BATCH", "THREADS"))
    given = parser.parse_args()
    if given.one:
        say(json.dumps(measure(given.model, *given.one, given.tiles, given.side)))
        return
    say("## The captioner alone\n")
    say(f"{given.model}, {given.tiles} tiles of {given.side} px. {machine()}\n")
    rows = []
    for threads in THREADS:
        for batch in BATCHES:
            note(f"{threads} threads, batches of {batch}")
            child = [
                sys.executable,
                __file__,
                "-m",
                given.model,
                "--tiles",
                str(given.tiles),
                "--side",
                str(given.side),
            ]
            told = last_json(run_child([*child, "--one", str(batch), str(threads)]))
            rows.append(
                (
                    str(threads),
                    str(batch),
                    f"{told['wall_ms']:.1f}",
                    f"{told['cpu_ms']:.1f}",
                    f"{told['peak_mb']:.0f}",
                    f"{told['first_s']:.2f}",
                )
            )
    say(table(("threads", "batch", "ms a tile", "processor ms a tile", "peak MB", "first caption, s"), rows))


if __name__ == "__main__":
    main()

"""`rsccli detect` against the script that a user would write today: pixels a second and peak memory at two sizes.

Both run as processes of their own, interleaved over the repetitions. The pair is synthetic: real NAIP chips laid side
by side, a third of which show another place in post. Both images lie on one grid, since the script can read no other.

Usage: python tests/bench/bench_detect.py [--repeat 2] [--sides 2048 6144]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

import common
import numpy as np
import pair
import rasterio
from affine import Affine
from rasterio.windows import Window


def make(side: int) -> tuple[Path, Path]:
    """Pre and post of one size."""
    paths = common.CACHE / f"detect_pre_{side}.tif", common.CACHE / f"detect_post_{side}.tif"
    if all(path.exists() for path in paths):
        return paths
    common.CACHE.mkdir(parents=True, exist_ok=True)
    texture, rng = pair.chips(), np.random.default_rng(side)
    profile = pair.layout(striped=False) | {
        "width": side,
        "height": side,
        "crs": "EPSG:26911",
        "transform": Affine(0.6, 0, 400_000, 0, -0.6, 3_700_000),
    }
    with rasterio.open(paths[0], "w", **profile) as pre, rasterio.open(paths[1], "w", **profile) as post:
        for row in range(0, side, pair.CHIP):
            for col in range(0, side, pair.CHIP):
                chip = texture[rng.integers(len(texture))]
                later = texture[rng.integers(len(texture))] if rng.random() < 1 / 3 else chip
                window = Window(col, row, min(pair.CHIP, side - col), min(pair.CHIP, side - row))
                for file, image in ((pre, chip), (post, later)):
                    file.write(image[: window.height, : window.width].transpose(2, 0, 1), window=window)
    return paths


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--sides", type=int, nargs="+", default=[2048, 6144])
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / "out.geojson"
        for side in arguments.sides:
            pre, post = map(str, make(side))
            here = Path(__file__).with_name("naive_detect.py")
            extras = ["--mask", f"{name}/m.tif", "--score", f"{name}/s.tif"]
            ways: dict[str, list[str]] = {
                "rsccli detect": [*common.rsccli(), "detect", pre, post, "-o", str(out), "--overwrite", "-q"],
                "the same with --mask and --score": [
                    *(*common.rsccli(), "detect", pre, post, "-o", str(out), "--overwrite", "-q", *extras)
                ],
                "plain script": [sys.executable, str(here), pre, post, str(out)],
            }
            costs: dict[str, list[common.Cost]] = {way: [] for way in ways}
            polygons: dict[str, int] = {}
            for _ in range(arguments.repeat):
                for way, command in ways.items():
                    cost = common.run_child(command)
                    if cost.returncode:
                        raise SystemExit(f"{way} left with {cost.returncode}:\n{cost.stderr[-3000:]}")
                    costs[way].append(cost)
                    polygons[way] = len(json.loads(out.read_text(encoding="utf-8"))["features"])
                    common.note(f"{side} {way}: {cost.wall_s:.0f} s, {cost.peak_mb:.0f} MB")
            for way, found in costs.items():
                cpu = statistics.median(cost.cpu_s for cost in found)
                rows.append(
                    [
                        f"{side} x {side}",
                        way,
                        common.spread([cost.wall_s for cost in found]),
                        f"{cpu:.0f}",
                        f"{side * side / cpu / 1000:.0f}",
                        f"{max(cost.peak_mb for cost in found):.0f}",
                        str(polygons[way]),
                    ]
                )
    common.say("## Whole `rsccli detect`\n")
    common.say(f"{common.machine()}. Bundled captioner on the CPU, tiles of 256 with 64 px overlap. Synthetic pair.\n")
    head = ["image", "way", "seconds", "CPU seconds", "thousand pixels a CPU second", "peak MB", "polygons"]
    common.say(common.table(head, rows))


if __name__ == "__main__":
    main()

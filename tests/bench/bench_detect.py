"""`rsccli detect` against the script that a user would write today: CPU seconds and peak memory, by size.

Both run as processes of their own, interleaved over the repetitions. The pairs are synthetic: real NAIP chips laid side
by side, a third of which show another place in post. Both images lie on one grid, since the script can read no other.
Of the sparse pair few chips were ever written, so that a large grid can be measured in minutes; the script would need
the whole of it in memory and is not run.

Usage: python tests/bench/bench_detect.py [--repeat 1] [--sides 2048 6144] [--sparse 61440]
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

SPARSE_CHIPS = 250


def make(side: int, chips: int | None = None) -> tuple[Path, Path]:
    """Pre and post of one size; of ``chips`` places alone, or everywhere."""
    kind = f"{side}" if chips is None else f"{side}_{chips}"
    paths = common.CACHE / f"detect_pre_{kind}.tif", common.CACHE / f"detect_post_{kind}.tif"
    if all(path.exists() for path in paths):
        return paths
    common.CACHE.mkdir(parents=True, exist_ok=True)
    texture, rng = pair.chips(), np.random.default_rng(side)
    profile = pair.layout(striped=False) | {
        "width": side,
        "height": side,
        "crs": "EPSG:26911",
        "transform": Affine(0.6, 0, 400_000, 0, -0.6, 3_700_000),
        "sparse_ok": True,
        "nodata": None if chips is None else 0,
    }
    places = [(row, col) for row in range(0, side, pair.CHIP) for col in range(0, side, pair.CHIP)]
    if chips is not None:
        places = [places[at] for at in sorted(rng.choice(len(places), chips, replace=False))]
    with rasterio.open(paths[0], "w", **profile) as pre, rasterio.open(paths[1], "w", **profile) as post:
        for row, col in places:
            chip = texture[rng.integers(len(texture))]
            later = texture[rng.integers(len(texture))] if rng.random() < 1 / 3 else chip
            window = Window(col, row, min(pair.CHIP, side - col), min(pair.CHIP, side - row))
            for file, image in ((pre, chip), (post, later)):
                file.write(image[: window.height, : window.width].transpose(2, 0, 1), window=window)
    return paths


def measure(side: int, pre: Path, post: Path, repeat: int, script: bool) -> list[list[str]]:
    """Rows of the table of one pair."""
    sparse = "" if script else f", sparse: {SPARSE_CHIPS} chips of 256 px"
    costs: dict[str, list[common.Cost]] = {}
    polygons: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / "out.geojson"
        rasters = ["--mask", f"{name}/m.tif", "--score", f"{name}/s.tif"]
        ways = {
            "**rsccli detect**, polygons, mask and score": [
                *(*common.rsccli(), "detect", str(pre), str(post), "-o", str(out), "--overwrite", "-q", *rasters)
            ]
        }
        if script:
            here = Path(__file__).with_name("naive_detect.py")
            ways["plain script, polygons"] = [sys.executable, str(here), str(pre), str(post), str(out)]
        for _ in range(repeat):
            for way, command in ways.items():
                cost = common.run_child(command)
                if cost.returncode:
                    raise SystemExit(f"{way} left with {cost.returncode}:\n{cost.stderr[-3000:]}")
                costs.setdefault(way, []).append(cost)
                polygons[way] = len(json.loads(out.read_text(encoding="utf-8"))["features"])
                common.note(f"{side} {way}: {cost.wall_s:.0f} s, {cost.peak_mb:.0f} MB")
    return [
        [
            f"{side} x {side}{sparse}",
            way,
            common.spread([cost.wall_s for cost in found]),
            f"{statistics.median(cost.cpu_s for cost in found):.0f}",
            f"{max(cost.peak_mb for cost in found):.0f}",
            str(polygons[way]),
        ]
        for way, found in costs.items()
    ]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--sides", type=int, nargs="+", default=[2048, 6144])
    parser.add_argument("--sparse", type=int, default=61_440)
    arguments = parser.parse_args()
    told = common.machine()
    rows = []
    for side in arguments.sides:
        rows += measure(side, *make(side), arguments.repeat, True)
    rows += measure(arguments.sparse, *make(arguments.sparse, SPARSE_CHIPS), arguments.repeat, False)
    common.say("## Whole `rsccli detect` against a plain script\n")
    common.say(
        f"{told}. Bundled captioner on the CPU, tiles of 256 px with 64 px overlap; from the start of the process to "
        "the written files. Synthetic pairs. The script holds both images and the sums of every class in memory.\n"
    )
    head = ["image", "way", "seconds", "CPU seconds", "peak MB", "polygons"]
    common.say(common.table(head, rows))


if __name__ == "__main__":
    main()

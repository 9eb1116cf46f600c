"""Peak memory of a whole ``rsccli caption`` from 2k to 100k pixels a side: it must not grow with the image.

The kernel's own figure for the child (getrusage, largest resident set). Pairs: crops of the raster benchmark's
synthetic pair (2k, 8k); Long Beach 2016 and 2020 from ../shared/data/mosaic (25k, real NAIP chips, sparse); and a
synthetic sparse pair of 100k a side of which only a diagonal of blocks was ever written.

Usage: python tests/bench/bench_memory.py [--skip 100k]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import common
import numpy as np
import pair
import rasterio
from affine import Affine
from rasterio.windows import Window

LIMIT_MB = 700


def make_crop(side: int) -> tuple[Path, Path]:
    """Pre and post on one grid: pre and a brighter copy whose squares are partly from elsewhere."""
    source = pair.make()
    paths = common.CACHE / f"memory_pre_{side}.tif", common.CACHE / f"memory_post_{side}.tif"
    with rasterio.open(source.pre) as src:
        for k, path in enumerate(paths):
            if path.exists():
                continue
            profile = src.profile | {
                "width": side,
                "height": side,
                "transform": src.window_transform(Window(2048, 2048, side, side)),
            }
            with rasterio.open(path, "w", **profile) as dst:
                for top in range(0, side, 512):
                    rows = min(512, side - top)
                    # Every fourth band of post shows another place.
                    shift = 3072 if k and (top // 512) % 4 == 0 else 0
                    window = Window(2048 + shift, 2048 + top, side, rows)
                    dst.write(src.read(window=window), window=Window(0, top, side, rows))
    return paths


def make_sparse(side: int) -> tuple[Path, Path]:
    """Blocks of 512 px, written on the diagonal only; the rest of the file was never written."""
    paths = common.CACHE / f"sparse_pre_{side}.tif", common.CACHE / f"sparse_post_{side}.tif"
    texture = pair.chips()
    for k, path in enumerate(paths):
        if path.exists():
            continue
        rng = np.random.default_rng(k)
        profile = pair.layout(striped=False) | {
            "width": side,
            "height": side,
            "crs": pair.PRE_CRS,
            "transform": Affine(0.3, 0, 400_000, 0, -0.3, 6_200_000),
            "nodata": 0,
            "SPARSE_OK": "TRUE",
        }
        with rasterio.open(path, "w", **profile) as dst:
            for start in range(0, side - 512, 512):
                chips = texture[(start // 512 + np.arange(4) + (k and rng.integers(0, 2) * 7)) % len(texture)]
                block = np.concatenate([np.concatenate(chips[:2], 1), np.concatenate(chips[2:], 1)], 0)
                dst.write(np.maximum(block, 1).transpose(2, 0, 1), window=Window(start, start, 512, 512))
    return paths


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--skip", action="append", default=[], help="a size to leave out, e.g. 100k")
    arguments = parser.parse_args()
    mosaic = common.SHARED / "mosaic"
    pairs = {
        "2k": (lambda: make_crop(2048), "synthetic, 2048 px", []),
        "8k": (lambda: make_crop(8192), "synthetic, 8192 px", []),
        "25k": (
            lambda: (mosaic / "long_beach_2016.tif", mosaic / "long_beach_2020.tif"),
            "Long Beach, 24576 x 25344 px, sparse",
            ["--bands", "1,2,3"],
        ),
        "100k": (lambda: make_sparse(100_000), "synthetic, 100000 px, sparse", []),
    }
    rows = []
    peaks: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for size, (make, what, options) in pairs.items():
            if size in arguments.skip or (size == "25k" and not mosaic.is_dir()):
                common.note(f"{size} left out")
                continue
            pre, post = make()
            out = Path(folder) / f"{size}.geojsonl"
            command = [*common.rsccli(), "caption", str(pre), str(post), "-o", str(out), *options]
            cost = common.run_child(command)
            if cost.returncode:
                raise SystemExit(f"{size} left with {cost.returncode}:\n{cost.stderr[-3000:]}")
            statuses: dict[str, int] = {}
            with out.open(encoding="utf-8") as lines:
                for line in lines:
                    status = json.loads(line)["properties"]["status"]
                    statuses[status] = statuses.get(status, 0) + 1
            peaks[size] = cost.peak_mb
            tiles = sum(statuses.values())
            empty = statuses.get("nodata", 0)
            rows.append([what, f"{tiles}", f"{tiles - empty}", f"{cost.wall_s:.0f}", f"{cost.peak_mb:.0f}"])
            common.note(f"{size}: {cost.peak_mb:.0f} MB, {cost.wall_s:.0f} s, {statuses}")
    common.say("## Peak memory of a whole `rsccli caption`\n")
    common.say(f"{common.machine()}. Bundled captioner on the CPU, defaults, GeoJSONSeq with report.\n")
    common.say(common.table(["pair", "tiles", "with imagery", "seconds", "peak MB"], rows))
    late = [peak for size, peak in peaks.items() if size != "2k"]
    if late:
        common.say(
            f"\nFrom 8k on the peak is within {100 * (max(late) / min(late) - 1):.0f} % "
            f"(asked for: 10 %), the highest is {max(peaks.values()):.0f} MB (asked for: under {LIMIT_MB} MB)."
        )


if __name__ == "__main__":
    main()

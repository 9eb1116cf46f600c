"""A whole ``rsccli caption`` against the script that a user would write today through the same graphs.

Both run as processes of their own, from start to the written file, interleaved over the repetitions. The pair is
synthetic: a crop of the raster benchmark's pair (pre in UTM, post in degrees) in which half of the tiles of post show
another place, so that half of the work is captions and half is saying that nothing changed.

Usage: python tests/bench/bench_caption.py [--repeat 3] [--side 4096]
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
from rasterio.warp import transform_bounds
from rasterio.windows import Window, from_bounds

BUNDLE = common.ROOT / "rsccli" / "models" / "bundled" / "rsccli-small"
TILE = 256


def make_crop(side: int) -> tuple[Path, Path]:
    """A square of pre, and of post what covers it, with another place in every second square of 256 px."""
    source = pair.make()
    pre, post = common.CACHE / f"crop_pre_{side}.tif", common.CACHE / f"crop_post_{side}.tif"
    if pre.exists() and post.exists():
        return pre, post
    with rasterio.open(source.pre) as src:
        window = Window(6144, 6144, side, side)
        profile = src.profile | {
            "width": side,
            "height": side,
            "transform": src.window_transform(window),
            "blockxsize": 256,
            "blockysize": 256,
        }
        bounds = rasterio.windows.bounds(window, src.transform)
        with rasterio.open(pre, "w", **profile) as dst:
            dst.write(src.read(window=window))
        lonlat = transform_bounds(src.crs, pair.POST_CRS, *bounds)
    with rasterio.open(source.post) as src:
        window = from_bounds(*lonlat, src.transform).round_offsets().round_lengths()
        pixels = src.read(window=window)
        elsewhere = src.read(window=Window(window.col_off, window.row_off - 2000, window.width, window.height))
        rows, cols = np.mgrid[: pixels.shape[1], : pixels.shape[2]]
        cell = pixels.shape[1] * 256 / side
        swap = ((rows // cell + cols // cell) % 2).astype(bool)
        profile = src.profile | {
            "width": pixels.shape[2],
            "height": pixels.shape[1],
            "transform": src.window_transform(window),
            "blockxsize": 256,
            "blockysize": 256,
        }
        with rasterio.open(post, "w", **profile) as dst:
            dst.write(np.where(swap, elsewhere, pixels))
    return pre, post


def captions(path: Path) -> dict[tuple[int, int], tuple[str, float]]:
    """Caption and score by place."""
    found = json.loads(path.read_text())["features"]
    return {
        (f["properties"]["tile_row"], f["properties"]["tile_col"]): (
            f["properties"]["caption"],
            f["properties"]["change_score"],
        )
        for f in found
        if f["properties"]["change_score"] is not None
    }


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--side", type=int, default=4096)
    arguments = parser.parse_args()
    pre, post = make_crop(arguments.side)
    naive = [sys.executable, str(Path(__file__).with_name("naive_caption.py"))]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        ways = {
            "plain script, one tile at a time": [*naive, str(pre), str(post), str(out / "a.geojson"), str(BUNDLE)],
            "the same, decoding only where the score says so": [
                *naive,
                str(pre),
                str(post),
                str(out / "b.geojson"),
                str(BUNDLE),
                "--skip-unchanged",
            ],
            "**rsccli caption**": [*common.rsccli(), "caption", str(pre), str(post), "-o", str(out / "c.geojson")],
        }
        ways["**rsccli caption**"].append("--overwrite")
        told: dict[str, list[common.Cost]] = {way: [] for way in ways}
        for turn in range(arguments.repeat):
            for way, command in ways.items():
                cost = common.run_child(command)
                if cost.returncode:
                    raise SystemExit(f"{way} left with {cost.returncode}:\n{cost.stderr[-3000:]}")
                told[way].append(cost)
                common.note(f"{way} {turn + 1}/{arguments.repeat}: {cost.wall_s:.1f} s")
        ours, theirs = captions(out / "c.geojson"), captions(out / "b.geojson")
    tiles = len(ours)
    reference = statistics.median([cost.wall_s for cost in told["plain script, one tile at a time"]])
    rows = [
        [
            way,
            common.spread([cost.wall_s for cost in costs], 1),
            f"{tiles / statistics.median([cost.wall_s for cost in costs]):.1f}",
            f"x{reference / statistics.median([cost.wall_s for cost in costs]):.2f}",
            f"{statistics.median([cost.cpu_s for cost in costs]):.1f}",
            f"{statistics.median([cost.peak_mb for cost in costs]):.0f}",
        ]
        for way, costs in told.items()
    ]
    common.say("## A whole run: `rsccli caption` against a plain script\n")
    common.say(
        f"{common.machine()}. Synthetic pair of {arguments.side} px a side, {tiles} tiles of 256 px, half of them "
        "changed; bundled captioner on the CPU; from the start of the process to the written file.\n"
    )
    common.say(common.table(["way", "seconds", "tiles/s", "ratio", "CPU seconds", "peak MB"], rows))
    common_tiles = ours.keys() & theirs.keys()
    near = np.mean([abs(ours[t][1] - theirs[t][1]) < 0.05 for t in common_tiles])
    same = np.mean([ours[t][0].strip() == theirs[t][0].strip() for t in common_tiles])
    common.say(
        f"\nOf {len(common_tiles)} tiles that both captioned, {100 * near:.0f} % have the same change score to 0.05 "
        f"and {100 * same:.0f} % the same words (pixels differ by rounding and at the mask's edge)."
    )


if __name__ == "__main__":
    main()

"""Child of ``test_odd_tiffs``: compares each odd file with a good image of its own place, under a memory limit.

Arguments: folder for generated images, limit in MB, files. One JSON line per file on stdout: before ("start") and
after ("works" or "refused", with what was said). Anything else that is raised is a traceback, and a failure.

A file that is refused for having no place at all is tried again with a place beside it (``.aux.xml``), so that what
else is odd about it is met as well.
"""

from __future__ import annotations

import json
import resource
import shutil
import sys
import time
from pathlib import Path

import numpy as np
from rasters import make_raster

from rsccli.errors import InputError
from rsccli.geo.engine import TileFailure
from rsccli.geo.geometry import outline_px
from rsccli.geo.pair import PairOptions, prepare_pair
from rsccli.geo.raster import describe_raster

#: Enough to read small files whole; of a claimed giant only the first superblocks.
MAX_BLOCKS = 3


def good_pre(folder: Path, post: Path) -> Path:
    """An image of where ``post`` lies, or, where nobody knows, of somewhere."""
    try:
        info = describe_raster(post)
    except InputError:
        return make_raster(folder / "somewhere.tif")
    xs, ys = info.geometry.to_map(*outline_px(info.width, info.height))
    bounds = (float(xs.min()), float(ys.min()), float(xs.max()), float(ys.max()))
    size = (min(info.width, 300), min(info.height, 300))
    rng = np.random.default_rng(0)
    values = rng.integers(0, 255, (3, size[1], size[0])).astype(np.uint8)
    return make_raster(folder / f"pre_of_{post.name}", crs=info.crs, bounds=bounds, size=size, values=values)


def attempt(folder: Path, post: Path) -> dict[str, object]:
    """What becomes of one file."""
    try:
        pair = prepare_pair(good_pre(folder, post), post, PairOptions(allow_upsampling=True))
        failures, valid, tiles = [], 0, 0
        with pair.env(), pair.aligner() as aligner:
            for _, block in zip(range(MAX_BLOCKS), pair.plan.blocks(), strict=False):
                for tile in aligner.read(block):
                    tiles += 1
                    if isinstance(tile, TileFailure):
                        failures.append(tile.reason)
                    else:
                        valid += int(tile.pair.valid.sum())
    except InputError as error:
        return {"outcome": "refused", "said": str(error), "exit": error.exit_code}
    said = failures[0] if failures else "; ".join(pair.warnings)
    return {"outcome": "works", "said": said, "tiles": tiles, "read_errors": len(failures), "valid": valid}


SIDECAR = """<PAMDataset><SRS>EPSG:32633</SRS>
<GeoTransform>412000.0, 1.0, 0.0, 5411000.0, 0.0, -1.0</GeoTransform></PAMDataset>
"""


def placed(folder: Path, post: Path) -> Path:
    """A copy with a place on the Earth beside it."""
    copy = Path(shutil.copy(post, folder / f"placed_{post.name}"))
    Path(f"{copy}.aux.xml").write_text(SIDECAR)
    return copy


def main() -> None:
    """Run over the files named on the command line."""
    folder, limit_mb, files = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    resource.setrlimit(resource.RLIMIT_AS, (limit_mb * 2**20, limit_mb * 2**20))
    for name in files:
        print(json.dumps({"file": Path(name).name, "outcome": "start"}), flush=True)
        start = time.perf_counter()
        result = attempt(folder, Path(name))
        if "no geotransform" in str(result["said"]):
            result["placed"] = attempt(folder, placed(folder, Path(name)))
        print(json.dumps({"file": Path(name).name, "seconds": time.perf_counter() - start, **result}), flush=True)


if __name__ == "__main__":
    main()

"""How often a caption of `rsccli caption --mask` names a class of which its own mask has no pixel, on real pairs.

Usage: python tests/bench/detect_captions.py
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import common
import orjson
from card_sets import Imagery, harvey, read_imagery
from detect_pairs import SIDE, keep_captioner, labelled, pair_job, write_pair

from rsccli.geo.pair import PairOptions
from rsccli.geo.raster import RasterOptions
from rsccli.run.caption import prepare_job, run_caption
from rsccli.run.detect.caption_mask import INCONSISTENT

Jobs = Iterator[tuple[Path, Path, PairOptions]]
HEAD = (
    *("pairs", "tiles", "not judged", "unchanged", "with a keyword", "marked inconsistent"),
    "of these: names a class its mask has not",
    "of these: no changed pixel at all",
)


def _naip(imagery: Imagery) -> Jobs:
    for place, _, _, _, years in labelled(imagery.test.places, imagery.test):
        pre, post = (imagery.folder / "naip" / f"{place.city}_{year}_{place.number}.tif" for year in years)
        yield pre, post, PairOptions(tile_size=SIDE)


def _harvey(folder: Path, imagery: Imagery) -> Jobs:
    for item in harvey(imagery.folder):
        yield *write_pair(folder, item), PairOptions(tile_size=item.pre.shape[1])


def _series(files: list[Path], bands: tuple[int, ...]) -> Jobs:
    raster = RasterOptions(bands=bands)
    for pre, post in itertools.pairwise(files):
        yield pre, post, PairOptions(pre=raster, post=raster)


def _row(folder: Path, name: str, jobs: Jobs) -> list[str]:
    pairs = tiles = dark = unchanged = worded = named = empty = 0
    for pre, post, geometry in jobs:
        pairs += 1
        job = pair_job(
            pre, post, geometry, output=folder / "out.geojson", overwrite=True, report=False, mask=folder / "mask.tif"
        )
        run_caption(prepare_job(job))
        for feature in orjson.loads((folder / "out.geojson").read_bytes())["features"]:
            told = feature["properties"]
            reason = told.get("reason") or ""
            tiles += 1
            dark += told["status"] in ("unsure", "nodata") and "change score" not in reason
            unchanged += told["status"] == "unchanged"
            worded += bool(told.get("keywords"))
            named += reason.startswith(f"{INCONSISTENT}: the caption names")
            empty += reason.startswith(f"{INCONSISTENT}: the caption tells a change")
    common.note(f"{name}: {pairs} pairs")
    share = f" ({100 * (named + empty) / worded:.0f} %)" if worded else ""
    counts = (f"{pairs}", f"{tiles}", f"{dark}", f"{unchanged}", f"{worded}")
    return [name, *counts[1:], f"{named + empty}{share}", str(named), str(empty)]


def main() -> None:
    """Measure and print."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    keep_captioner()
    data = common.SHARED
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        imagery = read_imagery(data)
        prairie = [common.ROOT / "examples" / f"prairie_{day}.tif" for day in ("2012-07-31", "2014-07-20")]
        sets = {
            "NAIP test places, 0.6 m": _naip(imagery),
            "Harvey, 128 px": _harvey(folder, imagery),
            "prairie 2012-2014, 5 m": _series(prairie, (1, 2, 3)),
            "Pucallpa 1985-2000, Landsat": _series(sorted((data / "pucallpa").glob("*.tif")), (1, 2, 3)),
        }
        common.say(f"{common.machine()}.\n")
        common.say(common.table(HEAD, [_row(folder, name, jobs) for name, jobs in sets.items()]))


if __name__ == "__main__":
    main()

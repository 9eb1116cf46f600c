"""Steps at tile borders of `rsccli detect`, and what another grid of tiles changes, by overlap.

Usage: python tests/bench/detect_seams.py
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import common
import numpy as np
import rasterio
from affine import Affine
from card_sets import read_bands
from detect_pairs import SIDE, detected, keep_captioner

from rsccli.geo.pair import PairOptions

HEAD = (
    "pair",
    "overlap",
    "step at tile borders / beside them",
    "mean difference, grid moved {skip} px",
    "mask differs",
)

# Of a border, columns: as far from the middle of a cell of 4 px as the border is, since steps depend on that.
BESIDE = (-12, -8, -4, 4, 8, 12)
# Chips are moved by so much in their mosaic that no border between two of them is one of tiles, whatever the overlap.
OFF_PX = 100


def seams(folder: Path, data: Path, skip: int = 96) -> str:
    """The table.

    Args:
        skip: pixels by which the second grid of tiles is moved.
    """
    days = ("2012-07-31", "2014-07-20")
    pairs = {"prairie, 5 m": tuple(common.ROOT / "examples" / f"prairie_{day}.tif" for day in days)}
    chips = _mosaic_of_chips(folder, data)
    if chips is not None:
        pairs["Riverside chips side by side, 0.6 m"] = chips
    rows = []
    for name, (pre, post) in pairs.items():
        moved = tuple(_crop(path, folder / f"moved_{path.name}", skip) for path in (pre, post))
        for overlap in (0, 32, 64, 128):
            geometry = PairOptions(stride=SIDE - overlap)
            whole, mask, _ = detected(folder, pre, post, geometry, judge_anyway=True)
            other, mask_other, _ = detected(folder, *moved, geometry, judge_anyway=True)
            cut = np.s_[skip:, skip:]
            step = np.abs(np.diff(whole, axis=1))
            borders = np.arange(SIDE, whole.shape[1] - max(BESIDE) - 1, SIDE - overlap) - 1
            beside = np.concatenate([borders + off for off in BESIDE])
            # Away from the edge of the image, which the two grids do not share.
            inner = np.s_[64:-64, 64:-64]
            difference = np.abs(whole[cut] - other)[inner]
            flipped = ((mask[cut] > 0) != (mask_other > 0))[inner]
            rows.append(
                [
                    name,
                    f"{overlap} px",
                    f"{np.nanmean(step[:, borders]) / np.nanmean(step[:, beside]):.2f}",
                    f"{np.nanmean(difference):.4f}",
                    f"{100 * flipped.mean():.2f} %",
                ]
            )
    return common.table([title.format(skip=skip) for title in HEAD], rows)


def _crop(source: Path, target: Path, skip: int) -> Path:
    """A file without its first rows and columns: the same ground under another grid of tiles."""
    with rasterio.open(source) as file:
        window = rasterio.windows.Window(skip, skip, file.width - skip, file.height - skip)
        with rasterio.open(
            target,
            "w",
            driver="GTiff",
            count=3,
            dtype="uint8",
            compress="deflate",
            width=window.width,
            height=window.height,
            crs=file.crs,
            transform=file.window_transform(window),
            nodata=file.nodata,
        ) as out:
            out.write(file.read((1, 2, 3), window=window))
    return target


def _mosaic_of_chips(folder: Path, data: Path, across: int = 4) -> tuple[Path, Path] | None:
    """Test chips of two years laid side by side as one image."""
    numbers = [n for n in range(1, 200, 2) if (data / "naip" / f"riverside_2016_{n}.tif").exists()]
    numbers = [n for n in numbers if (data / "naip" / f"riverside_2020_{n}.tif").exists()][: across**2]
    if len(numbers) < across**2:
        return None
    paths = []
    for year in (2016, 2020):
        rows = []
        for row in range(across):
            line = [read_bands(data / "naip" / f"riverside_{year}_{n}.tif", (1, 2, 3)) for n in numbers[row * 4 :][:4]]
            rows.append(np.concatenate([image[:, :SIDE, :SIDE] for image in line], 2))
        image = np.roll(np.concatenate(rows, 1), (OFF_PX, OFF_PX), (1, 2))
        path = folder / f"chips_{year}.tif"
        profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "width": image.shape[2], "height": image.shape[1]}
        with rasterio.open(
            path, "w", crs="EPSG:26911", transform=Affine(0.6, 0, 460_000, 0, -0.6, 3_760_000), **profile
        ) as out:
            out.write(image)
        paths.append(path)
    return paths[0], paths[1]


def main() -> None:
    """Measure and print."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    keep_captioner()
    with tempfile.TemporaryDirectory() as name:
        common.say(f"{common.machine()}.\n")
        common.say(seams(Path(name), common.SHARED))


if __name__ == "__main__":
    main()

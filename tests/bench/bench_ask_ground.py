"""What `rsccli ask` and `rsccli ground` say of real pairs whose changes somebody drew: the table of docs/ground.md.

The pairs are pictures without a place: each gets the same made-up place and 0.5 m pixels, so that areas can be told.

Usage: python tests/bench/bench_ask_ground.py ../shared/data
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pyproj
import rasterio
import rasterio.features
import shapely
from card_stats import vector_map
from rasterio.transform import from_origin

GSD_M, EAST, NORTH, CRS = 0.5, 500_000.0, 3_300_000.0, "EPSG:32614"
QUESTIONS = (
    "Did anything change?",
    "Are there new buildings?",
    "Are there new roads?",
    "Were trees lost?",
    "Is there flooding?",
    "Is there any damage?",
)


def place(source: Path, target: Path) -> Path:
    """A picture as a GeoTIFF."""
    image = cv2.imread(str(source), cv2.IMREAD_COLOR)
    if image is None:
        raise SystemExit(f"{source} cannot be read")
    image = np.moveaxis(image[:, :, ::-1], -1, 0)
    _, height, width = image.shape
    profile = {"driver": "GTiff", "width": width, "height": height, "count": 3, "dtype": "uint8", "crs": CRS}
    with rasterio.open(
        target, "w", **profile, transform=from_origin(EAST, NORTH, GSD_M, GSD_M), photometric="rgb"
    ) as out:
        out.write(image)
    return target


def cli(*arguments: str | Path) -> dict[str, object]:
    """``rsccli ... --json``."""
    command = [sys.executable, "-m", "rsccli", *map(str, arguments), "--json", "--quiet", "--overwrite"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command}: {done.stderr}")
    told: dict[str, object] = json.loads(done.stdout)
    return told


def rasterised(path: Path, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Polygons of a GeoJSON file as pixels."""
    transform = pyproj.Transformer.from_crs("EPSG:4326", CRS, always_xy=True).transform
    shapes = [
        shapely.transform(shapely.from_geojson(json.dumps(each["geometry"])), transform, interleaved=False)
        for each in json.loads(path.read_text())["features"]
    ]
    if not shapes:
        return np.zeros(shape, bool)
    drawn = rasterio.features.rasterize(shapes, shape, transform=from_origin(EAST, NORTH, GSD_M, GSD_M))
    return np.asarray(drawn > 0)


def mask_rows(folder: Path, work: Path, ids: list[str]) -> None:
    """`ground` against the mask that people drew."""
    print("| pair | phrase | drawn m2 | found m2 | overlap (IoU) |\n|---|---|---:|---:|---:|")
    for name in ids:
        pre, post = (place(folder / f"{name}_{date}.png", work / f"{name}_{date}.tif") for date in ("pre", "post"))
        mask = cv2.imread(str(folder / f"{name}_mask.png"), cv2.IMREAD_COLOR)[:, :, ::-1].astype(int)
        red, green = mask[:, :, 0] > 128, mask[:, :, 1] > 128
        for phrase, drawn in (("road", red & green), ("building", red & ~green), ("change", red)):
            output = work / "places.geojson"
            cli("ground", pre, post, phrase, "-o", output)
            print_overlap(name, phrase, drawn, rasterised(output, drawn.shape))
        print_overlap(name, "rival: change vectors, told how much changed", red, change_vectors(pre, post, red))


def print_overlap(name: str, phrase: str, drawn: npt.NDArray[np.bool_], found: npt.NDArray[np.bool_]) -> None:
    """A row of the table."""
    union = int((drawn | found).sum())
    overlap = "-" if not union else f"{(drawn & found).sum() / union:.2f}"
    areas = [each.sum() * GSD_M**2 for each in (drawn, found)]
    print(f"| {name} | {phrase} | {areas[0]:.0f} | {areas[1]:.0f} | {overlap} |")


def change_vectors(pre: Path, post: Path, drawn: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """As many pixels as changed, those whose colours differ most: what needs no model, with a hint."""
    images = []
    for path in (pre, post):
        with rasterio.open(path) as file:
            images.append(file.read())
    length = cv2.resize(vector_map(*images), drawn.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(length >= np.quantile(length, 1 - drawn.mean()))


def answer_rows(folder: Path, work: Path, pairs: list[dict[str, object]]) -> None:
    """`ask` beside the first caption that was published with a pair."""
    print(f"\n| pair | {' | '.join(QUESTIONS)} | published caption |\n|---|{'---|' * len(QUESTIONS)}---|")
    for pair in pairs:
        name = str(pair["id"])
        pre, post = (place(folder / f"{name}_{date}.png", work / f"{name}_{date}.tif") for date in ("pre", "post"))
        more = [part for question in QUESTIONS for part in ("-q", question)]
        told = cli("ask", pre, post, *more, "-o", work / "a.geojson", "--tile-size", "480", "--no-report")
        features = json.loads((work / "a.geojson").read_text())["features"]
        assert isinstance(told["answers"], list)
        said = [each["properties"]["verdict"] or each["properties"]["status"] for each in features]
        caption = str(pair["captions"][0])  # type: ignore[index]
        print(f"| {name} | {' | '.join(said)} | {caption[:90]}{'...' if len(caption) > 90 else ''} |")


def main() -> None:
    """Print both tables."""
    folder = Path(sys.argv[1]) / "pairs"
    pairs = json.loads((folder / "pairs.json").read_text())
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        mask_rows(folder, work, [str(each["id"]) for each in pairs if each["mask"]])
        answer_rows(folder, work, [each for each in pairs if each["captions"]])


if __name__ == "__main__":
    main()

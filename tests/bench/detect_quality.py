"""How good `rsccli detect` is: its pixels, polygons and seams on real pairs, as docs/detect.md shows them.

Held-out NAIP places (the test half of Riverside, 0.6 m) against boxes that a person drew around changes, and Taizhou
(Landsat, 30 m, far outside of what the captioner knows) against its labelled pixels. A box holds ground beside the
change, so that precision is told too high and recall too low. Every pair goes through the whole command: files in,
rasters and polygons out.

Usage: python tests/bench/detect_quality.py [--fit]

--fit prints the scale and bias of the mask logit instead, from development places (see rsccli/models/small/detect.py).
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import common
import cv2
import numpy as np
import numpy.typing as npt
import orjson
import rasterio
import shapely
from affine import Affine
from card_sets import read_bands, read_imagery
from card_stats import F64, ratio
from pyproj import Transformer

from rsccli.datasets.backgrounds import Label, Sources
from rsccli.geo.pair import PairOptions
from rsccli.geo.raster import RasterOptions
from rsccli.models.captioner import CaptionerOptions
from rsccli.models.small.detect import KEYWORD_CLASSES
from rsccli.run.caption import CaptionJob
from rsccli.run.detect.job import DetectJob, prepare_detect
from rsccli.run.detect.run import run_detect

Bool = npt.NDArray[np.bool_]
THRESHOLDS = (0.3, 0.4, 0.5, 0.7, 0.9)
DEFAULT = 0.5
STEPS = 250
SIDE = 256


@dataclass(frozen=True)
class Judged:
    """One pair as the command saw it, and as a person did.

    Attributes:
        score: probability 0-1, NaN where it was not judged. mask: codes. truth: bool.
        known: bool, where truth is known.
        polygons: (class, shape in pixels). label: of the pair, or None.
    """

    place: str
    score: F64
    mask: npt.NDArray[np.uint8]
    truth: Bool
    known: Bool
    polygons: tuple[tuple[str, shapely.Geometry], ...]
    label: Label | None


def box_of(box: tuple[float, float, float, float]) -> tuple[slice, slice]:
    """Rows and columns of a box."""
    left, top, right, bottom = (round(value) for value in box)
    return slice(max(0, top), bottom), slice(max(0, left), right)


def truth_of(label: Label) -> tuple[Bool, Bool]:
    """Changed pixels, and those of which a person is sure: boxes around minor or doubtful changes are left out."""
    truth, doubtful = np.zeros((SIDE, SIDE), bool), np.zeros((SIDE, SIDE), bool)
    for mark in label.marks or ():
        (truth if mark.main and label.seen == "changed" else doubtful)[box_of(mark.box)] = True
    return truth, ~doubtful | truth


def detected(folder: Path, pre: Path, post: Path, **options: object) -> tuple[F64, npt.NDArray[np.uint8], list[object]]:
    """Score, mask and features of the command."""
    job = DetectJob(
        CaptionJob(
            str(pre),
            str(post),
            geometry=options.pop("geometry", PairOptions(stride=192)),  # type: ignore[arg-type]
            captioner=CaptionerOptions(device="cpu", threads=1),
            min_valid=0.0,
            jobs=1,
        ),
        folder / "out.geojson",
        folder / "mask.tif",
        folder / "score.tif",
        overwrite=True,
        **options,  # type: ignore[arg-type]
    )
    run_detect(prepare_detect(job))
    with rasterio.open(folder / "score.tif") as file:
        stored = file.read(1)
    with rasterio.open(folder / "mask.tif") as file:
        mask = file.read(1)
    score = np.where(stored <= STEPS, stored / STEPS, np.nan)
    return score, mask, orjson.loads((folder / "out.geojson").read_bytes())["features"]


def in_pixels(feature: dict, path: Path) -> tuple[str, shapely.Geometry]:
    """Class and shape of a polygon, in pixels of a file."""
    with rasterio.open(path) as file:
        to_map = Transformer.from_crs("EPSG:4326", file.crs, always_xy=True)
        inverse: Affine = ~file.transform
    shape = shapely.geometry.shape(feature["geometry"])
    placed = shapely.transform(
        shape, lambda xy: np.stack(inverse * np.array(to_map.transform(xy[:, 0], xy[:, 1])), 1), include_z=False
    )
    return feature["properties"]["class"], placed


def naip(folder: Path, sources: Sources, data: Path) -> Iterator[Judged]:
    """Every labelled pair of the test places."""
    for name, label in sorted(sources.labels.items()):
        if label.seen == "unclear":
            continue
        place, years = name.split(":")
        city, number = place.rsplit("_", 1)
        pre, post = (data / "naip" / f"{city}_{year}_{number}.tif" for year in years.split("-"))
        if not (pre.exists() and post.exists()):
            continue
        score, mask, features = detected(folder, pre, post)
        if score.shape != (SIDE, SIDE):
            continue
        truth, known = truth_of(label)
        polygons = tuple(in_pixels(feature, pre) for feature in features)  # type: ignore[arg-type]
        yield Judged(place, score, mask, truth, known, polygons, label)


def pixels(found: list[Judged]) -> str:
    """Precision, recall, F1 and overlap at each threshold."""
    rows = []
    for threshold in THRESHOLDS:
        hits = [(each.score >= threshold) & each.known for each in found]
        both = np.array([float((hit & each.truth).sum()) for hit, each in zip(hits, found, strict=True)])
        told = np.array([float(hit.sum()) for hit in hits])
        true = np.array([float((each.truth & each.known).sum()) for each in found])
        places = [each.place for each in found]
        rows.append(
            [
                f"{threshold:g}{' (default)' if threshold == DEFAULT else ''}",
                *(ratio(above, below, places).text() for above, below in ((both, told), (both, true))),
                ratio(2 * both, told + true, places).text(),
                ratio(both, told + true - both, places).text(),
                f"{100 * told.sum() / sum(each.known.sum() for each in found):.1f} %",
            ]
        )
    return common.table(["threshold", "precision", "recall", "F1", "IoU", "told changed"], rows)


def reliability(found: list[Judged]) -> str:
    """Told probability against the share of such pixels that are in a box."""
    score = np.concatenate([each.score[each.known] for each in found])
    truth = np.concatenate([each.truth[each.known] for each in found])
    score, truth = score[~np.isnan(score)], truth[~np.isnan(score)]
    rows = []
    for step in range(10):
        here = (score >= step / 10) & (score < (step + 1) / 10 + (step == 9))
        if here.any():
            rows.append(
                [
                    f"{step / 10:.1f}-{(step + 1) / 10:.1f}",
                    f"{100 * here.mean():.1f} %",
                    f"{score[here].mean():.2f}",
                    f"{truth[here].mean():.2f}",
                ]
            )
    return common.table(["probability", "share of pixels", "mean told", "in a box of a change"], rows)


def objects(found: list[Judged], names: tuple[str, ...]) -> str:
    """Boxes that polygons find, polygons that lie in a box, and whether the class is the box's."""
    marks = hit = right = named = polygons = touching = 0
    wrong: Counter[tuple[str, str]] = Counter()
    for each in found:
        assert each.label is not None
        boxes = [shapely.box(*mark.box) for mark in each.label.marks or ()]
        for mark, box in zip(each.label.marks or (), boxes, strict=True):
            if not (mark.main and each.label.seen == "changed"):
                continue
            marks += 1
            hit += any(shape.intersects(box) for _, shape in each.polygons)
            wanted = KEYWORD_CLASSES.get(mark.keyword)
            codes = each.mask[box_of(mark.box)]
            told = np.bincount(codes[(codes > 0) & (codes < 254)], minlength=len(names) + 1)
            if wanted is not None and told.any():
                named += 1
                answer = names[int(told.argmax()) - 1]
                right += answer == wanted
                if answer != wanted:
                    wrong[(wanted, answer)] += 1
        polygons += len(each.polygons)
        touching += sum(any(shape.intersects(box) for box in boxes) for _, shape in each.polygons)
    often = "; ".join(f"{wanted} told as {answer} {count}" for (wanted, answer), count in wrong.most_common(5))
    return (
        f"{hit} of {marks} marked changes ({100 * hit / max(1, marks):.0f} %) are touched by a polygon; {touching} of "
        f"{polygons} polygons ({100 * touching / max(1, polygons):.0f} %) touch a box, of a main or a minor change. "
        "Where a marked change has changed pixels and its keyword belongs to a class, most of them are of that class "
        f"in {right} of {named} ({100 * right / max(1, named):.0f} %); most frequent errors: {often}."
    )


def taizhou(folder: Path, data: Path) -> tuple[list[Judged], str]:
    """The Landsat pair, judged although the captioner says that it cannot."""
    pre, post = (data / "taizhou" / f"taizhou_{year}.tif" for year in (2000, 2003))
    changed, unchanged = (read_bands(data / "taizhou" / f"{name}.png", (1,))[0] > 0 for name in ("change", "unchanged"))
    bands = RasterOptions(bands=(3, 2, 1))
    geometry = PairOptions(pre=bands, post=bands, stride=192)
    score, _, _ = detected(folder, pre, post, geometry=geometry)
    refused = f"{100 * np.isnan(score).mean():.0f} % of the pixels are not judged without --judge-anyway"
    score, mask, _ = detected(folder, pre, post, geometry=geometry, judge_anyway=True)
    return [Judged("taizhou", score, mask, changed, changed | unchanged, (), None)], refused


def auc(judged: Judged) -> float:
    """Probability that a changed pixel scores above an unchanged one."""
    known = judged.known & ~np.isnan(judged.score)
    score, truth = judged.score[known], judged.truth[known]
    ranks = np.empty(len(score))
    order = np.argsort(score, kind="stable")
    values, first, counts = np.unique(score[order], return_index=True, return_counts=True)
    ranks[order] = np.repeat(first + (counts + 1) / 2, counts)
    del values
    positives = int(truth.sum())
    return float((ranks[truth].sum() - positives * (positives + 1) / 2) / (positives * (len(score) - positives)))


def crop(source: Path, target: Path, skip: int) -> Path:
    """A file without its first rows and columns: the same ground under another grid of tiles."""
    with rasterio.open(source) as file:
        window = rasterio.windows.Window(skip, skip, file.width - skip, file.height - skip)
        profile = file.profile | {
            "width": window.width,
            "height": window.height,
            "transform": file.window_transform(window),
        }
        profile.pop("photometric", None)
        profile.update(driver="GTiff", compress="deflate")
        with rasterio.open(target, "w", **profile) as out:
            out.write(file.read(window=window))
    return target


def seams(folder: Path, data: Path, skip: int = 96) -> str:
    """Steps at tile borders, and what another grid of tiles changes, by overlap."""
    pairs = {
        "prairie, 5 m": tuple(common.ROOT / "examples" / f"prairie_{day}.tif" for day in ("2012-07-31", "2014-07-20")),
    }
    chips = mosaic_of_chips(folder, data)
    if chips is not None:
        pairs["Riverside chips side by side, 0.6 m"] = chips
    rows = []
    for name, (pre, post) in pairs.items():
        moved = tuple(crop(path, folder / f"moved_{path.name}", skip) for path in (pre, post))
        for overlap in (0, 32, 64, 128):
            geometry = PairOptions(stride=SIDE - overlap)
            whole, mask, _ = detected(folder, pre, post, geometry=geometry, judge_anyway=True)
            other, mask_other, _ = detected(folder, *moved, geometry=geometry, judge_anyway=True)
            cut = np.s_[skip:, skip:]
            step = np.abs(np.diff(whole, axis=1))
            borders = np.arange(SIDE, whole.shape[1] - 1, SIDE - overlap) - 1
            elsewhere = np.setdiff1d(np.arange(step.shape[1]), borders)
            inner = np.s_[SIDE:-SIDE, SIDE:-SIDE] if min(whole.shape) > 3 * SIDE else np.s_[64:-64, 64:-64]
            difference = np.abs(whole[cut] - other)[inner]
            flipped = ((mask[cut] > 0) != (mask_other > 0))[inner]
            rows.append(
                [
                    name,
                    f"{overlap} px",
                    f"{np.nanmean(step[:, borders]) / np.nanmean(step[:, elsewhere]):.2f}",
                    f"{np.nanmean(difference):.4f}",
                    f"{100 * flipped.mean():.2f} %",
                ]
            )
    head = [
        "pair",
        "overlap",
        "step at tile borders / elsewhere",
        f"mean difference, grid moved {skip} px",
        "mask differs",
    ]
    return common.table(head, rows)


def mosaic_of_chips(folder: Path, data: Path, across: int = 4) -> tuple[Path, Path] | None:
    """Chips of two years laid side by side as one image: borders of chips are not borders of stitched tiles."""
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
        # Moved by half a chip, so that no tile border of the plain plan lies between two chips.
        image = np.roll(np.concatenate(rows, 1), (SIDE // 2, SIDE // 2), (1, 2))
        path = folder / f"chips_{year}.tif"
        profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "width": image.shape[2], "height": image.shape[1]}
        with rasterio.open(
            path, "w", crs="EPSG:26911", transform=Affine(0.6, 0, 460_000, 0, -0.6, 3_760_000), **profile
        ) as out:
            out.write(image)
        paths.append(path)
    return paths[0], paths[1]


def fit(data: Path) -> None:
    """Scale and bias of the mask logit on development places."""
    from sklearn.linear_model import LogisticRegression

    from rsccli.datasets.naip import read_places
    from rsccli.models.registry import load_captioner
    from rsccli.types import MapBounds, PxWindow, Tile, TilePair

    imagery = read_imagery(data).development
    captioner = load_captioner("rsccli-small", CaptionerOptions(device="cpu", threads=1))
    by_name = {place.name: place for place in read_places(data / "naip")}
    logits, truths = [], []
    for name, label in sorted(imagery.labels.items()):
        place, years = name.split(":")
        if label.seen == "unclear" or place not in by_name or by_name[place].split != "development":
            continue
        chips = {chip.year: chip for chip in by_name[place].chips}
        first, last = (int(year) for year in years.split("-"))
        if first not in chips or last not in chips:
            continue
        pre, post = (np.ascontiguousarray(np.moveaxis(chips[year].image, 2, 0)) for year in (first, last))
        tile = Tile(name, 0, 0, PxWindow(0, 0, SIDE, SIDE), MapBounds(0, 0, 1, 1))
        pair = TilePair(tile, pre, post, np.ones((SIDE, SIDE), bool), 0.6)
        (windows,) = captioner._see([pair])  # type: ignore[attr-defined]
        truth, known = truth_of(label)
        full = cv2.resize(windows[0].mask, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
        logits.append(full[known])
        truths.append(truth[known])
    x, y = np.concatenate(logits), np.concatenate(truths)
    some = np.random.default_rng(0).choice(len(x), 800_000, replace=False)
    model = LogisticRegression(C=1e6).fit(x[some][:, None], y[some])
    common.say(f"{len(logits)} chips, {len(x)} pixels: scale {model.coef_[0, 0]:.4f}, bias {model.intercept_[0]:.4f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fit", action="store_true", help="fit the mask logit on development places")
    arguments = parser.parse_args()
    data = common.SHARED
    if arguments.fit:
        fit(data)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = list(naip(folder, read_imagery(data).test, data))
        places = len({each.place for each in found})
        seen = Counter(each.label.seen for each in found if each.label is not None)
        unjudged = sum(bool(np.isnan(each.score).all()) for each in found)
        with rasterio.open(folder / "mask.tif") as file:
            codes = dict(part.split("=") for part in file.tags()["CODES"].split("; "))
        names = tuple(codes[str(code)] for code in range(1, len(codes) - 2))
        common.say("### NAIP test places\n")
        common.say(
            f"{len(found)} pairs of {places} places ({', '.join(f'{count} {kind}' for kind, count in seen.items())}); "
            f"{unjudged} pairs not judged count as unchanged. 95 % intervals by place.\n"
        )
        common.say(pixels(found))
        common.say(f"\n{reliability(found)}\n")
        common.say(objects(found, names))
        marked, refused = taizhou(folder, data)
        common.say("\n### Taizhou\n")
        common.say(f"{refused}. With it, on {int(marked[0].known.sum())} labelled pixels, AUC {auc(marked[0]):.3f}:\n")
        common.say(pixels(marked))
        common.say("\n### Seams\n")
        common.say(seams(folder, data))


if __name__ == "__main__":
    main()

"""How good `rsccli ask` and `rsccli ground` are on real pairs: tables of docs/ask.md and docs/ground.md.

Held-out NAIP places (the test half of Riverside, 0.6 m) against what a person saw and boxes that a person drew, and
Taizhou (Landsat, 30 m, far outside of what the captioner knows) against labelled pixels. Every pair goes through the
whole command: files in, answers and polygons out. The rival is what needs no model: change vectors (difference of 4 px
cells after matching mean and deviation of every band), with the threshold that is best on development places, and for
kinds of change the answer that is most often right.

Usage: python tests/bench/ask_ground_quality.py [--data ../shared/data] [--only N]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import common
import cv2
import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.features
import shapely
from card_sets import Imagery, read_bands, read_imagery
from card_stats import F64, vector_map
from pyproj import Transformer

from rsccli.datasets.backgrounds import Label, Sources
from rsccli.datasets.naip import Place
from rsccli.geo.pair import PairOptions
from rsccli.geo.raster import RasterOptions
from rsccli.models.captioner import Captioner, CaptionerInfo, CaptionerOptions
from rsccli.models.registry import register
from rsccli.models.small.captioner import SmallFactory
from rsccli.models.small.detect import KEYWORD_CLASSES
from rsccli.run.ask.job import prepare_ask, run_ask
from rsccli.run.caption import CaptionJob
from rsccli.run.ground.job import GroundJob, prepare_ground, run_ground
from rsccli.run.tilewise import TilewiseJob

Bool = npt.NDArray[np.bool_]
SIDE = 256
KEPT = "kept"
ANYTHING, AREA = "Did anything change?", "How many square metres changed?"
#: Questions of kinds, and the keywords of a person that mean yes.
KINDS: dict[str, tuple[str, ...]] = {
    "Are there new buildings?": ("new house", "new building"),
    "Are there new roads?": ("new road", "parking lot"),
    "Were trees lost?": ("tree loss",),
    "Is the vegetation greener?": ("greener vegetation", "new trees"),
    "Are there new swimming pools?": ("swimming pool",),
    "Are there new solar panels?": ("solar panels",),
}
#: Phrases, and the class of the mask that they stand for; None: any.
PHRASES: dict[str, str | None] = {
    "change": None,
    "buildings": "building",
    "roads": "road",
    "vegetation": "vegetation",
    "water": "water",
    "bare soil": "bare soil",
}
FEWER_TREES = 5


@dataclass(frozen=True)
class Pair:
    """One labelled pair, what it was asked, and what was found.

    Attributes:
        verdicts: ``yes``, ``no``, ``unsure`` or ``cannot_answer`` by question. area: square metres told, or None.
        found: bool (256, 256) by phrase. vectors: (64, 64) change vectors. trees: crowns after less crowns before.
    """

    label: Label
    verdicts: dict[str, str]
    area: float | None
    found: dict[str, Bool]
    vectors: F64
    trees: int


class _KeptFactory(SmallFactory):
    """Makes the bundled captioner once for all pairs."""

    _open: Captioner | None = None

    def describe(self, options: CaptionerOptions) -> CaptionerInfo:
        return replace(super().describe(options), name="rsccli-small")

    def open(self, options: CaptionerOptions) -> Captioner:
        if _KeptFactory._open is None:
            captioner = super().open(options)
            captioner.close = lambda: None  # type: ignore[method-assign]
            _KeptFactory._open = captioner
        return _KeptFactory._open


def job_of(pre: Path, post: Path, geometry: PairOptions) -> CaptionJob:
    """A pair for the kept captioner."""
    options = CaptionerOptions(device="cpu", threads=1)
    return CaptionJob(str(pre), str(post), geometry=geometry, model=KEPT, captioner=options, jobs=1, report=False)


def ask(folder: Path, pre: Path, post: Path, geometry: PairOptions) -> list[dict[str, object]]:
    """Properties of the rows of ``rsccli ask``."""
    output = folder / "answers.geojson"
    job = TilewiseJob(job_of(pre, post, geometry), output, overwrite=True)
    run_ask(prepare_ask(job, [ANYTHING, AREA, *KINDS], page=False))
    return [each["properties"] for each in json.loads(output.read_bytes())["features"]]


def ground(folder: Path, pre: Path, post: Path, geometry: PairOptions, anyway: bool = False) -> dict[str, Bool]:
    """Pixels that ``rsccli ground`` finds of each phrase, on the grid of ``pre``."""
    output = folder / "places.geojson"
    job = GroundJob(
        job_of(pre, post, replace(geometry, stride=192)), output, tuple(PHRASES), judge_anyway=anyway, overwrite=True
    )
    run_ground(prepare_ground(job))
    with rasterio.open(pre) as file:
        to_map = Transformer.from_crs("EPSG:4326", file.crs, always_xy=True).transform
        shape, transform = file.shape, file.transform
    drawn: dict[str, list[shapely.Geometry]] = {phrase: [] for phrase in PHRASES}
    for feature in json.loads(output.read_bytes())["features"]:
        outline = shapely.from_geojson(json.dumps(feature["geometry"]))
        drawn[feature["properties"]["phrase"]].append(shapely.transform(outline, to_map, interleaved=False))
    return {
        phrase: rasterio.features.rasterize(shapes, shape, transform=transform) > 0 if shapes else np.zeros(shape, bool)
        for phrase, shapes in drawn.items()
    }


def labelled(sources: Sources) -> Iterator[tuple[Place, Label, tuple[int, int], F64, int]]:
    """Pairs that a person was sure about: place, label, years, change vectors, crowns won or lost."""
    for place in sources.places:
        for at, first in enumerate(place.chips):
            for second in place.chips[at + 1 :]:
                label = sources.labels.get(f"{place.name}:{first.year}-{second.year}")
                if label is None or label.seen == "unclear" or first.image.shape[:2] != (SIDE, SIDE):
                    continue
                pre, post = (np.ascontiguousarray(np.moveaxis(chip.image, 2, 0)) for chip in (first, second))
                trees = len(second.trees) - len(first.trees)
                yield place, label, (first.year, second.year), vector_map(pre, post), trees


def naip(folder: Path, imagery: Imagery, only: int | None) -> Iterator[Pair]:
    """Every labelled pair of the test places, asked and searched."""
    for number, (place, label, years, vectors, trees) in enumerate(labelled(imagery.test)):
        if number == only:
            return
        pre, post = (imagery.folder / "naip" / f"{place.city}_{year}_{place.number}.tif" for year in years)
        rows = ask(folder, pre, post, PairOptions())
        verdicts = {str(row["question"]): str(row["verdict"] or row["status"]) for row in rows}
        (area,) = [row["value"] for row in rows if row["question"] == AREA and row["unit"] in ("m2", None)] or [None]
        found = ground(folder, pre, post, PairOptions())
        yield Pair(label, verdicts, None if area is None else float(str(area)), found, vectors, trees)


def truth_of(label: Label, class_name: str | None) -> tuple[Bool, Bool]:
    """Pixels of main changes of a class, and pixels that are known: minor and doubtful boxes are left out."""
    truth, doubtful = np.zeros((SIDE, SIDE), bool), np.zeros((SIDE, SIDE), bool)
    for mark in label.marks or ():
        left, top, right, bottom = (max(0, round(edge)) for edge in mark.box)
        sure = mark.main and label.seen == "changed"
        mine = class_name is None or KEYWORD_CLASSES.get(mark.keyword) == class_name
        if not sure or mine:
            (truth if sure else doubtful)[top:bottom, left:right] = True
    return truth, truth | ~doubtful


def best_mean(imagery: Imagery) -> float:
    """Mean change vector that tells changed chips best (balanced accuracy) on development places."""
    pairs = [(float(vectors.mean()), label.seen) for _, label, _, vectors, _ in labelled(imagery.development)]
    told = np.array([mean for mean, seen in pairs if seen in ("changed", "unchanged")])
    truth = np.array([seen == "changed" for _, seen in pairs if seen in ("changed", "unchanged")])
    return max(told, key=lambda limit: (told[truth] >= limit).mean() + (told[~truth] < limit).mean())


def best_pixels(imagery: Imagery) -> float:
    """Change vector that tells changed pixels best (F1) on development places."""
    vectors, truths = [], []
    for _, label, _, cells, _ in labelled(imagery.development):
        truth, known = truth_of(label, None)
        vectors.append(enlarged(cells)[known])
        truths.append(truth[known])
    values, truth = np.concatenate(vectors), np.concatenate(truths)
    limits = np.quantile(values, np.linspace(0.02, 0.998, 200))
    return float(max(limits, key=lambda limit: f1(values >= limit, truth)))


def f1(told: Bool, truth: Bool) -> float:
    """Of pixels."""
    return 2 * float((told & truth).sum()) / max(1.0, float(told.sum() + truth.sum()))


def enlarged(cells: F64) -> F64:
    """Change vectors of cells at every pixel."""
    side = 4 * cells.shape[1], 4 * cells.shape[0]
    return np.asarray(cv2.resize(cells, side, interpolation=cv2.INTER_LINEAR))


def shares(verdicts: Sequence[str]) -> list[str]:
    """Per cent that are told yes, unsure and no."""
    count = max(1, len(verdicts))
    return [f"{100 * sum(each == word for each in verdicts) / count:.0f}" for word in ("yes", "unsure", "no")]


def question_row(name: str, pairs: Sequence[Pair], question: str, truth: Callable[[Pair], bool | None]) -> list[str]:
    """What is told of pairs where yes is true, and where no is."""
    cells = [name]
    for wanted in (True, False):
        verdicts = [pair.verdicts[question] for pair in pairs if truth(pair) is wanted]
        cells += [str(len(verdicts)), " / ".join(shares(verdicts))]
    return cells


def kind_truth(keywords: tuple[str, ...]) -> Callable[[Pair], bool | None]:
    """Whether a person named one of these; None where only a minor or doubtful spot has it."""

    def truth(pair: Pair) -> bool | None:
        main = {mark.keyword for mark in pair.label.marks or () if mark.main} & set(keywords)
        if pair.label.seen == "changed" and (main or set(pair.label.keywords) & set(keywords)):
            return True
        any_spot = {mark.keyword for mark in pair.label.marks or ()} | set(pair.label.keywords)
        return None if any_spot & set(keywords) else False

    return truth


def ask_tables(pairs: Sequence[Pair], limit: float) -> None:
    """Print what `rsccli ask` said beside what a person saw."""

    def seen(pair: Pair) -> bool | None:
        return {"changed": True, "unchanged": False}.get(pair.label.seen)

    def felled(pair: Pair) -> bool | None:
        return True if pair.trees <= -FEWER_TREES else False if pair.trees >= 0 else None

    head = ("question", "n, yes by eye", "told yes / unsure / no, %", "n, no by eye", "told yes / unsure / no, %")
    rows = [question_row(ANYTHING, pairs, ANYTHING, seen)]
    rows += [question_row(question, pairs, question, kind_truth(words)) for question, words in KINDS.items()]
    trees = f"Were trees lost? (yes: {FEWER_TREES} or more crowns fewer in trees.csv; no: none fewer)"
    rows.append(question_row(trees, pairs, "Were trees lost?", felled))
    vectors = [
        replace(pair, verdicts={ANYTHING: "yes" if pair.vectors.mean() >= limit else "no"}) for pair in pairs
    ]  # fmt: skip
    rows.append(question_row("rival, change vectors: Did anything change?", vectors, ANYTHING, seen))
    print(common.table(head, rows))
    measured = [(pair.area, truth_of(pair.label, None)[0].sum() * 0.36) for pair in pairs if pair.area is not None]
    sure = [(told, drawn) for told, drawn in measured if drawn]
    if sure:
        told, drawn = (np.array(each, float) for each in zip(*sure, strict=True))
        print(
            f"\n{AREA} {len(measured)} of {len(pairs)} pairs get a number. Where a person drew boxes and a number was "
            f"told ({len(sure)}): {told.sum():,.0f} m2 told, {drawn.sum():,.0f} m2 inside of boxes; median of told "
            f"over drawn {np.median(told / drawn):.2f}."
        )


def pixel_row(name: str, told: Sequence[Bool], truths: Sequence[tuple[Bool, Bool]]) -> list[str]:
    """Precision, recall and IoU over all pixels that are known."""
    both = sum(int((t & truth & known).sum()) for t, (truth, known) in zip(told, truths, strict=True))
    said = sum(int((t & known).sum()) for t, (_, known) in zip(told, truths, strict=True))
    drawn = sum(int((truth & known).sum()) for truth, known in truths)
    spots = [t[truth].any() for t, (truth, _) in zip(told, truths, strict=True) if truth.any()]
    cells = (both / max(1, said), both / max(1, drawn), both / max(1, said + drawn - both))
    hit = f"{sum(spots)} of {len(spots)}"
    return [name, f"{drawn:,}", f"{said:,}", *(f"{100 * each:.1f}" for each in cells), hit]


PIXEL_HEAD = ("phrase", "px drawn", "px found", "precision, %", "recall, %", "IoU, %", "pairs where it is hit")


def ground_tables(pairs: Sequence[Pair], limit: float) -> None:
    """Print what `rsccli ground` found beside the boxes that a person drew."""
    rows = []
    rival = [enlarged(pair.vectors) >= limit for pair in pairs]
    for phrase, class_name in PHRASES.items():
        truths = [truth_of(pair.label, class_name) for pair in pairs]
        rows.append(pixel_row(phrase, [pair.found[phrase] for pair in pairs], truths))
        rows.append(pixel_row(f"{phrase}: rival, change vectors", rival, truths))
    print("\n" + common.table(PIXEL_HEAD, rows))


def taizhou(folder: Path, data: Path) -> None:
    """Print both commands on the Landsat pair."""
    pre, post = (data / "taizhou" / f"taizhou_{year}.tif" for year in (2000, 2003))
    bands = RasterOptions(bands=(3, 2, 1))
    geometry = PairOptions(pre=bands, post=bands)
    rows = [row for row in ask(folder, pre, post, geometry) if row["question"] == ANYTHING]
    print(f"\nTaizhou, {ANYTHING} " + "; ".join(f"{row['tile']}: {row['verdict'] or row['status']}" for row in rows))
    print(f"Reason: {rows[0]['reason']}")
    changed, unchanged = (read_bands(data / "taizhou" / f"{name}.png", (1,))[0] > 0 for name in ("change", "unchanged"))
    truths = [(changed, changed | unchanged)]
    rows_ = []
    for name, anyway in (("change", False), ("change, --judge-anyway", True)):
        rows_.append(pixel_row(name, [ground(folder, pre, post, geometry, anyway)["change"]], truths))
    cells = vector_map(read_bands(pre, (3, 2, 1)), read_bands(post, (3, 2, 1)))
    told = enlarged(cells)
    share = float((changed & truths[0][1]).sum() / truths[0][1].sum())
    limit = float(np.quantile(told[truths[0][1]], 1 - share))
    name = "rival, change vectors: as many pixels as changed (told the share)"
    rows_.append(pixel_row(name, [told >= limit], truths))
    print(common.table(PIXEL_HEAD, rows_))


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--only", type=int, help="this many pairs alone, to try it out")
    options = parser.parse_args()
    register(KEPT, _KeptFactory)
    imagery = read_imagery(options.data)
    with tempfile.TemporaryDirectory() as name:
        pairs = list(naip(Path(name), imagery, options.only))
        print(f"{len(pairs)} labelled pairs of {len(imagery.test.places)} test places.\n")
        ask_tables(pairs, best_mean(imagery))
        ground_tables(pairs, best_pixels(imagery))
        taizhou(Path(name), options.data)


if __name__ == "__main__":
    main()

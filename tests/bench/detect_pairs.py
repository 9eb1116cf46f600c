"""Real pairs as `rsccli detect` sees them, beside what a person saw there and beside change vectors.

Every pair goes through the whole command: files in, rasters and polygons out. Only test places are here; thresholds of
rivals come from development places.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import orjson
import rasterio
import shapely
from affine import Affine
from card_sets import Imagery, Item, read_bands
from card_stats import F64, vector_map
from pyproj import Transformer

from rsccli.datasets.backgrounds import Label, Sources
from rsccli.datasets.naip import Place
from rsccli.geo.pair import PairOptions
from rsccli.geo.raster import RasterOptions
from rsccli.models.captioner import Captioner, CaptionerInfo, CaptionerOptions
from rsccli.models.registry import register
from rsccli.models.small.captioner import SmallFactory
from rsccli.run.caption import CaptionJob
from rsccli.run.detect.job import DetectJob, prepare_detect
from rsccli.run.detect.run import run_detect

Bool = npt.NDArray[np.bool_]
U8 = npt.NDArray[np.uint8]
STEPS = 250
SIDE = 256
#: The bundled captioner, loaded once for all pairs of a process.
KEPT = "kept"
# The set that the LEVIR-MCI pair is from is sampled at half a metre; the place is made up.
LEVIR_GSD_M = 0.5


@dataclass(frozen=True)
class Judged:
    """One pair as the command saw it, as change vectors see it, and as a person did.

    Attributes:
        score: probability 0-1, 0 where it was not judged. vectors: length of the change vectors of 4 px cells.
        mask: codes. truth: bool. known: bool, where truth is known. judged: share of pixels, 0-1.
        polygons: (class, shape in pixels). label: of the pair, or None.
    """

    place: str
    score: F64
    vectors: F64
    mask: U8
    truth: Bool
    known: Bool
    judged: float
    polygons: tuple[tuple[str, shapely.Geometry], ...] = ()
    label: Label | None = None


class _KeptFactory(SmallFactory):
    """Makes the bundled captioner once."""

    _open: Captioner | None = None

    def describe(self, options: CaptionerOptions) -> CaptionerInfo:
        return replace(super().describe(options), name="rsccli-small")

    def open(self, options: CaptionerOptions) -> Captioner:
        if _KeptFactory._open is None:
            captioner = super().open(options)
            captioner.close = lambda: None  # type: ignore[method-assign]
            _KeptFactory._open = captioner
        return _KeptFactory._open


def keep_captioner() -> None:
    """Make the name `KEPT` known."""
    register(KEPT, _KeptFactory)


def pair_job(pre: Path, post: Path, geometry: PairOptions | None = None, **options: Any) -> CaptionJob:
    """Two files for the kept captioner."""
    captioner = CaptionerOptions(device="cpu", threads=1)
    geometry = geometry or PairOptions(stride=192)
    return CaptionJob(str(pre), str(post), geometry=geometry, model=KEPT, captioner=captioner, jobs=1, **options)


def detected(
    folder: Path, pre: Path, post: Path, geometry: PairOptions | None = None, **options: Any
) -> tuple[F64, U8, list[Any]]:
    """Score (NaN where nothing was judged), mask and features of the command."""
    job = DetectJob(
        pair_job(pre, post, geometry, min_valid=0.0),
        folder / "out.geojson",
        folder / "mask.tif",
        folder / "score.tif",
        overwrite=True,
        **options,
    )
    run_detect(prepare_detect(job))
    stored, mask = (read_bands(folder / f"{name}.tif", (1,))[0] for name in ("score", "mask"))
    score = np.where(stored <= STEPS, stored / STEPS, np.nan)
    return score, mask, orjson.loads((folder / "out.geojson").read_bytes())["features"]


def vectors_of(pre: U8, post: U8) -> F64:
    """Length of change vectors at every pixel, what a plain script would take: (h, w) of (3 or 6, h, w)."""
    height, width = pre.shape[1:]
    cells = np.stack([vector_map(pre[at : at + 3], post[at : at + 3]) for at in range(0, len(pre), 3)])
    return np.asarray(cv2.resize(np.sqrt((cells**2).mean(0)), (width, height), interpolation=cv2.INTER_LINEAR))


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


def _in_pixels(feature: dict[str, Any], path: Path) -> tuple[str, shapely.Geometry]:
    """Class and shape of a polygon, in pixels of a file."""
    with rasterio.open(path) as file:
        to_map = Transformer.from_crs("EPSG:4326", file.crs, always_xy=True)
        inverse: Affine = ~file.transform
    shape = shapely.geometry.shape(feature["geometry"])
    placed = shapely.transform(
        shape, lambda xy: np.stack(inverse * np.array(to_map.transform(xy[:, 0], xy[:, 1])), 1), include_z=False
    )
    return feature["properties"]["class"], placed


def labelled(places: tuple[Place, ...], sources: Sources) -> Iterator[tuple[Place, Label, U8, U8, tuple[int, int]]]:
    """Pairs of these places that a person was sure about: place, label, both images (3, H, W), both years."""
    for place in places:
        for at, first in enumerate(place.chips):
            for second in place.chips[at + 1 :]:
                label = sources.labels.get(f"{place.name}:{first.year}-{second.year}")
                whole = first.image.shape[:2] == (SIDE, SIDE)
                if label is not None and label.seen != "unclear" and whole:
                    pre, post = (np.moveaxis(chip.image, 2, 0) for chip in (first, second))
                    yield place, label, pre, post, (first.year, second.year)


def naip(folder: Path, imagery: Imagery) -> Iterator[Judged]:
    """Every labelled pair of the test places."""
    for place, label, before, after, years in labelled(imagery.test.places, imagery.test):
        pre, post = (imagery.folder / "naip" / f"{place.city}_{year}_{place.number}.tif" for year in years)
        score, mask, features = detected(folder, pre, post)
        truth, known = truth_of(label)
        judged = float(np.isfinite(score).mean())
        shapes = tuple(_in_pixels(feature, pre) for feature in features)
        vectors = vectors_of(before, after)
        yield Judged(place.name, np.nan_to_num(score), vectors, mask, truth, known, judged, shapes, label)


def development_threshold(imagery: Imagery) -> float:
    """Length of change vectors that tells changed pixels best (F1), on labelled pairs of development places."""
    vectors, truths = [], []
    for _, label, before, after, _ in labelled(imagery.development.places, imagery.development):
        truth, known = truth_of(label)
        vectors.append(vectors_of(before, after)[known])
        truths.append(truth[known])
    return best_threshold(np.concatenate(vectors), np.concatenate(truths))


def best_threshold(values: F64, truth: Bool) -> float:
    """The one with the highest F1 of 200."""
    limits = np.quantile(values, np.linspace(0.02, 0.998, 200))
    told = len(values) - np.searchsorted(np.sort(values), limits)
    both = truth.sum() - np.searchsorted(np.sort(values[truth]), limits)
    return float(limits[int(np.argmax(2 * both / (told + truth.sum())))])


def taizhou(folder: Path, data: Path) -> tuple[Judged, F64, float]:
    """The Landsat pair, judged although it should not be; vectors of six bands; the share that is judged otherwise."""
    pre, post = (data / "taizhou" / f"taizhou_{year}.tif" for year in (2000, 2003))
    changed, unchanged = (read_bands(data / "taizhou" / f"{name}.png", (1,))[0] > 0 for name in ("change", "unchanged"))
    bands = RasterOptions(bands=(3, 2, 1))
    geometry = PairOptions(pre=bands, post=bands, stride=192)
    score, _, _ = detected(folder, pre, post, geometry)
    before = float(np.isfinite(score).mean())
    score, mask, _ = detected(folder, pre, post, geometry, judge_anyway=True)
    some, every = (vectors_of(read_bands(pre, which), read_bands(post, which)) for which in ((3, 2, 1), range(1, 7)))
    known = changed | unchanged
    judged = Judged("taizhou", np.nan_to_num(score), some, mask, changed, known, float(np.isfinite(score).mean()))
    return judged, every, before


def levir(folder: Path, data: Path) -> tuple[Judged, U8]:
    """The pair of `pairs/` with a mask; that mask as codes: 1 building, 2 road."""
    name = "levirmci_train_005218"
    before, after, drawn = (
        read_bands(data / "pairs" / f"{name}_{part}.png", (1, 2, 3)) for part in ("pre", "post", "mask")
    )
    red, green, blue = (band > 127 for band in drawn)
    kinds = np.where(red & green, 2, np.where(red, 1, 0)).astype(np.uint8)
    paths = write_pair(folder, Item(name, name, before, after, LEVIR_GSD_M))
    score, mask, _ = detected(folder, *paths)
    judged = float(np.isfinite(score).mean())
    vectors = vectors_of(before, after)
    # White is the page that the picture was cut from.
    return Judged(name, np.nan_to_num(score), vectors, mask, kinds > 0, ~blue, judged), kinds


def write_pair(folder: Path, item: Item) -> tuple[Path, Path]:
    """A pair without a place as two files; the place is made up."""
    paths = folder / "item_pre.tif", folder / "item_post.tif"
    for path, image in zip(paths, (item.pre, item.post), strict=True):
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            count=3,
            dtype="uint8",
            width=image.shape[2],
            height=image.shape[1],
            crs="EPSG:32615",
            transform=Affine(item.gsd_m, 0, 250_000, 0, -item.gsd_m, 3_300_000),
        ) as file:
            file.write(image)
    return paths

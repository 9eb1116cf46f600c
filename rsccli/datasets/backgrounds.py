"""Real pairs that changes are drawn over: crops of two dates of one place, with what is known of them.

Most pairs of dates are unchanged but for light, season, cars and lean. Where a person has marked real change
in a training pair, that is known here too: it is a positive example, or ground of which nothing is asked.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import cv2
import numpy as np

from rsccli.datasets.canvas import F32, Rng, Textures, gather_textures, uniform
from rsccli.datasets.naip import GSD_M as NAIP_GSD_M
from rsccli.datasets.naip import Chip, Place, Split, read_places
from rsccli.datasets.prairie import GSD_M as PRAIRIE_GSD_M
from rsccli.datasets.prairie import PrairieDate, labelled_change, read_prairie
from rsccli.models.small.facts import KEYWORDS
from rsccli.types import U8, Bool

PRAIRIE_SHARE = 0.12
SAME_DATE_SHARE = 0.12
REAL_CHANGE_SHARE = 0.08
MIRRORED_SHARE = 0.15


@dataclass(frozen=True)
class Label:
    """What a person saw in a pair of dates.

    Attributes:
        seen: ``changed``, ``minor``, ``unchanged`` or ``unclear``. keywords: what changed.
        boxes: (left, top, right, bottom) of each changed spot, pixels of the chip. caption: in a person's words.
    """

    seen: str
    keywords: tuple[str, ...] = ()
    boxes: tuple[tuple[float, float, float, float], ...] = ()
    caption: str = ""


@dataclass(frozen=True)
class Background:
    """Two dates of the same ground as drawn from the sources, before any drawing.

    Attributes:
        pre, post: float32 (S, S, 3). gsd_m: of both. name: place and dates.
        trees: (n, 2) crowns in ``post`` pixels. water: bool (S, S) ponds in both dates, or None.
        real: masks of real change by keyword. same_date: both are one image.
        doubtful: bool (S, S), ground that a person marked as changed, its outline only roughly known.
        changed: whether a marked change lies within. keywords: of that change, where they are certain; else None.
    """

    pre: F32
    post: F32
    gsd_m: float
    name: str
    trees: F32
    water: Bool | None
    real: dict[str, Bool]
    same_date: bool
    doubtful: Bool | None = None
    changed: bool = False
    keywords: tuple[str, ...] | None = ()


@dataclass(frozen=True)
class Sources:
    """Real imagery of one split, in memory.

    Attributes:
        places: NAIP places with their dates. prairie: two dates with labels; empty outside of training.
        textures: patches of training places, whatever the split.
        labels: by pair name, of these places. marked: pairs of dates that a person called changed.
        real_share: share of the pairs that are cut around a marked change, 0-1.
    """

    places: tuple[Place, ...]
    prairie: tuple[PrairieDate, ...]
    textures: Textures
    labels: dict[str, Label]
    marked: tuple[tuple[Place, Chip, Chip], ...]
    real_share: float = REAL_CHANGE_SHARE


def read_labels() -> dict[str, Label]:
    """Every label of a NAIP pair that the package holds, by pair name (``city_number:year-year``)."""
    source = resources.files("rsccli.datasets") / "assets" / "naip_labels.csv"
    with source.open("r", encoding="utf-8") as lines:
        return {row["pair"]: _label(row) for row in csv.DictReader(lines)}


def _label(row: dict[str, str]) -> Label:
    boxes = []
    for box in filter(None, row["boxes"].split("|")):
        left, top, right, bottom = (float(value) for value in box.split())
        boxes.append((left, top, right, bottom))
    return Label(row["seen"], tuple(filter(None, row["keywords"].split(";"))), tuple(boxes), row["caption"])


def read_sources(data: Path, split: Split, real_share: float = REAL_CHANGE_SHARE) -> Sources:
    """Read ``naip/`` and ``prairie/`` of a data folder for one split.

    Raises:
        InputError: one of the two is missing.
    """
    every = read_places(data / "naip")
    training = [place for place in every if place.split == "train"]
    chips = [(chip.image, chip.trees) for place in training for chip in place.chips]
    prairie = tuple(read_prairie(data / "prairie")) if split == "train" else ()
    places = tuple(place for place in every if place.split == split)
    labels = read_labels()
    marked = []
    for place in places:
        for first in place.chips:
            for second in place.chips:
                label = labels.get(f"{place.name}:{first.year}-{second.year}")
                if label is not None and label.seen == "changed" and label.boxes:
                    marked.append((place, first, second))
    return Sources(places, prairie, gather_textures(chips), labels, tuple(marked), real_share)


def background(sources: Sources, rng: Rng, side: int) -> Background:
    """One crop of two dates, turned and flipped by chance; ``side`` pixels."""
    if sources.prairie and rng.random() < PRAIRIE_SHARE:
        return _prairie_background(sources.prairie, rng, side)
    if sources.marked and sources.prairie and rng.random() < sources.real_share:
        place, first, second = sources.marked[int(rng.integers(len(sources.marked)))]
        label = sources.labels[f"{place.name}:{first.year}-{second.year}"]
        box = label.boxes[int(rng.integers(len(label.boxes)))]
        return _naip_background(sources, place, first, second, rng, side, box)
    place = sources.places[int(rng.integers(len(sources.places)))]
    first = place.chips[int(rng.integers(len(place.chips)))]
    others = [chip for chip in place.chips if chip.year != first.year]
    same_date = not others or rng.random() < SAME_DATE_SHARE
    second = first if same_date else others[int(rng.integers(len(others)))]
    return _naip_background(sources, place, first, second, rng, side, None)


def _naip_background(
    sources: Sources,
    place: Place,
    first: Chip,
    second: Chip,
    rng: Rng,
    side: int,
    box: tuple[float, float, float, float] | None,
) -> Background:
    # A chip is small: mirrored at its borders it gives coarser views, and enlarged up to twice finer ones.
    mirrored = 0 if box is not None or rng.random() > MIRRORED_SHARE else first.image.shape[0] // 2
    available = min(first.image.shape[:2]) + 2 * mirrored
    widest = available * NAIP_GSD_M / side
    gsd_m = float(np.exp(uniform(rng, np.log(max(0.3, 0.3 * widest)), np.log(widest))))
    crop = min(available, round(side * gsd_m / NAIP_GSD_M))
    top, left = (int(rng.integers(available - crop + 1)) for _ in range(2))
    if box is not None:
        # Somewhere that holds the middle of the marked change.
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        left = int(np.clip(x - uniform(rng, 0.15, 0.85) * crop, 0, available - crop))
        top = int(np.clip(y - uniform(rng, 0.15, 0.85) * crop, 0, available - crop))
    turn, flip = int(rng.integers(4)), bool(rng.random() < 0.5)

    def turned(image: U8) -> U8:
        if mirrored:
            image = cv2.copyMakeBorder(image, mirrored, mirrored, mirrored, mirrored, cv2.BORDER_REFLECT_101)
        part = np.rot90(image[top : top + crop, left : left + crop], turn)
        return np.ascontiguousarray(part[:, ::-1] if flip else part)

    def cut(image: U8) -> F32:
        method = cv2.INTER_AREA if crop > side else cv2.INTER_CUBIC
        part = turned(image).astype(np.float32)
        resized: F32 = np.clip(cv2.resize(part, (side, side), interpolation=method), 0, 255)
        return resized

    points = (second.trees + mirrored - np.array([left, top])) * (side / crop)
    for _ in range(turn):
        points = np.stack([points[:, 1], side - points[:, 0]], 1)
    if flip:
        points = np.stack([side - points[:, 0], points[:, 1]], 1)
    same_date = first is second
    marks, changed, keywords = np.zeros(first.image.shape[:2], np.uint8), False, None
    if not same_date:
        label = sources.labels.get(f"{place.name}:{first.year}-{second.year}", Label(""))
        # Boxes are in pixels of the chip itself, not of the mirrored one.
        changed, keywords = _marked_change(label, (left - mirrored, top - mirrored, crop))
        for other in _labels_of(sources.labels, place):
            for x0, y0, x1, y1 in other.boxes:
                marks[max(0, round(y0) - 3) : round(y1) + 3, max(0, round(x0) - 3) : round(x1) + 3] = 1
    doubtful = cv2.resize(turned(marks), (side, side), interpolation=cv2.INTER_NEAREST) > 0
    return Background(
        pre=cut(first.image),
        post=cut(second.image),
        gsd_m=NAIP_GSD_M * crop / side,
        name=f"{place.name}:{first.year}-{second.year}",
        trees=points.astype(np.float32),
        water=None,
        real={},
        same_date=same_date,
        doubtful=doubtful if doubtful.any() else None,
        changed=changed,
        keywords=keywords if changed else (),
    )


def _labels_of(labels: dict[str, Label], place: Place) -> list[Label]:
    years = [chip.year for chip in place.chips]
    names = (f"{place.name}:{a}-{b}" for a in years for b in years if a != b)
    return [labels[name] for name in names if name in labels]


def _marked_change(label: Label, crop: tuple[int, int, int]) -> tuple[bool, tuple[str, ...] | None]:
    """Whether a crop (left, top, side) shows a change that a person called one, and its keywords where certain."""
    if label.seen != "changed":
        return False, ()
    left, top, side = crop
    whole = 0
    for x0, y0, x1, y1 in label.boxes:
        width = min(x1, left + side) - max(x0, left)
        height = min(y1, top + side) - max(y0, top)
        area = max(0.0, width) * max(0.0, height)
        whole += area > 0.6 * (x1 - x0) * (y1 - y0) and area > 0.002 * side * side
    if not whole:
        return False, ()
    known = tuple(name for name in label.keywords if name in KEYWORDS)
    # With several kinds and several boxes nobody knows which box is which.
    certain = len(known) == 1 or (whole == len(label.boxes) and len(known) == len(label.keywords))
    return True, known if certain and known else None


def _prairie_background(dates: tuple[PrairieDate, ...], rng: Rng, side: int) -> Background:
    first = int(rng.integers(len(dates)))
    second = first if rng.random() < 0.6 else int(rng.integers(len(dates)))
    crop = min(round(side * uniform(rng, 0.6, 2.0)), *dates[0].image.shape[:2])
    rows, cols = dates[0].image.shape[:2]
    top, left = int(rng.integers(rows - crop + 1)), int(rng.integers(cols - crop + 1))
    turn = int(rng.integers(4))
    window = (slice(top, top + crop), slice(left, left + crop))
    shrink = cv2.INTER_AREA if crop > side else cv2.INTER_CUBIC

    def cut(image: U8) -> F32:
        part = np.ascontiguousarray(np.rot90(image[window], turn)).astype(np.float32)
        resized: F32 = np.clip(cv2.resize(part, (side, side), interpolation=shrink), 0, 255)
        return resized

    def cut_mask(mask: Bool) -> Bool:
        part = np.ascontiguousarray(np.rot90(mask[window], turn)).astype(np.float32)
        resized: Bool = cv2.resize(part, (side, side), interpolation=cv2.INTER_AREA) > 0.5
        return resized

    pre, post = dates[first], dates[second]
    real = {} if first == second else labelled_change(pre, post)
    return Background(
        pre=cut(pre.image),
        post=cut(post.image),
        gsd_m=PRAIRIE_GSD_M * crop / side,
        name=f"prairie:{first}-{second}",
        trees=np.zeros((0, 2), np.float32),
        water=cut_mask(pre.water & post.water),
        real={name: cut_mask(mask) for name, mask in real.items()},
        same_date=first == second,
    )

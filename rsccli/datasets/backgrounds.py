"""Real pairs that changes are drawn over: crops of two dates of one place, with what is known of them.

Most pairs of dates are unchanged but for light, season, cars and lean. Every training pair was looked through
by eye: what was marked as a lasting change is a real example with a mask, what was marked as minor or doubtful
is ground of which nothing is asked, and the rest is known to be unchanged.
"""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from rsccli.datasets.canvas import F32, Rng, Textures, gather_textures, uniform
from rsccli.datasets.naip import GSD_M as NAIP_GSD_M
from rsccli.datasets.naip import Chip, Place, Split, read_places, split_of
from rsccli.datasets.prairie import GSD_M as PRAIRIE_GSD_M
from rsccli.datasets.prairie import PrairieDate, labelled_change, read_prairie
from rsccli.models.small.facts import KEYWORDS
from rsccli.types import U8, Bool

PRAIRIE_SHARE = 0.12
SAME_DATE_SHARE = 0.12
REAL_CHANGE_SHARE = 0.4
MIRRORED_SHARE = 0.15
# Tiles mostly come as the sensor wrote them, so this share of the crops is not resampled.
NATIVE_SHARE = 0.35
# Marks are drawn by hand: nothing is asked of this many pixels around them.
MARK_MARGIN_PX = 3
# A crop that holds less of a mark than this share, and of itself than that one, shows a sliver nobody would name.
SLIVER_OF_MARK, SLIVER_OF_CROP = 0.35, 0.02

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Mark:
    """One spot that was marked by eye.

    Attributes:
        keyword: what it became; "" where no keyword names it. box: as in `Label`.
        main: a change that anybody would name; else it is minor or doubtful.
    """

    keyword: str
    box: Box
    main: bool


@dataclass(frozen=True)
class Label:
    """What was seen by eye in a pair of dates.

    Attributes:
        seen: ``changed``, ``minor``, ``unchanged`` or ``unclear``. keywords: what changed.
        boxes: (left, top, right, bottom) of each changed spot, pixels of the chip. caption: of what was seen.
        marks: every spot with a keyword of its own; None where boxes and keywords are known apart only.
    """

    seen: str
    keywords: tuple[str, ...] = ()
    boxes: tuple[Box, ...] = ()
    caption: str = ""
    marks: tuple[Mark, ...] | None = None


@dataclass(frozen=True)
class Background:
    """Two dates of the same ground as drawn from the sources, before any drawing.

    Attributes:
        pre, post: float32 (S, S, 3). gsd_m: of both. name: place and dates.
        trees: (n, 2) crowns in ``post`` pixels. water: bool (S, S) ponds in both dates, or None.
        real: masks of real change by keyword. counts: how many marks each of these masks is made of.
        same_date: both are one image.
        doubtful: bool (S, S), ground of which nobody knows whether it changed, or None.
        doubts: keywords that doubtful ground may have; None: any.
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
    doubts: tuple[str, ...] | None = ()
    counts: dict[str, int] = field(default_factory=dict)


class Marked(NamedTuple):
    """One main mark to cut a crop around; ``weight``: how often, against others."""

    place: Place
    first: Chip
    second: Chip
    box: Box
    weight: float


@dataclass(frozen=True)
class Sources:
    """Real imagery of one split, in memory.

    Attributes:
        places: NAIP places with their dates. prairie: two dates with labels; empty outside of training.
        textures: patches of training places, whatever the split.
        labels: by pair name, of these places. marked: main marks in them.
        real_share: share of the pairs that are cut around a marked change, 0-1.
    """

    places: tuple[Place, ...]
    prairie: tuple[PrairieDate, ...]
    textures: Textures
    labels: dict[str, Label]
    marked: tuple[Marked, ...]
    real_share: float = REAL_CHANGE_SHARE


def read_labels() -> dict[str, Label]:
    """Every label of a NAIP pair that the package holds, by pair name (``city_number:year-year``).

    Two looks at the imagery are put together, made apart from each other and without any answer of a captioner: one
    of whole pairs, and one of spots. Training pairs follow the second; held-out ones are what both agree on.
    """
    pairs, spots = read_looks()
    labels = dict(pairs)
    for name, marks in spots.items():
        city, number = name.split(":")[0].rsplit("_", 1)
        join = _marked_label if split_of(city, int(number)) == "train" else _agreed_label
        labels[name] = join(marks, pairs.get(name))
    return labels


def read_looks() -> tuple[dict[str, Label], dict[str, list[Mark]]]:
    """Both looks by pair name: labels of whole pairs, marks of spots."""
    assets = resources.files("rsccli.datasets") / "assets"
    with (assets / "naip_labels.csv").open("r", encoding="utf-8") as lines:
        pairs = {row["pair"]: _label(row) for row in csv.DictReader(lines)}
    with (assets / "naip_marks.csv").open("r", encoding="utf-8") as lines:
        return pairs, _marks_of_pairs(csv.DictReader(lines))


def _marks_of_pairs(rows: Iterable[dict[str, str]]) -> dict[str, list[Mark]]:
    """Marks by pair name; the pair of the first and the last date has what lasted of both steps."""
    pairs: dict[str, list[Mark]] = {}
    ends: dict[str, set[int]] = defaultdict(set)
    lasting: dict[str, list[tuple[int, Mark]]] = defaultdict(list)
    for row in rows:
        ends[row["place"]] |= {int(row["from"]), int(row["to"])}
        step = pairs.setdefault(f"{row['place']}:{row['from']}-{row['to']}", [])
        if row["grade"] == "none":
            continue
        left, top, right, bottom = (float(row[side]) for side in ("left", "top", "right", "bottom"))
        keyword = row["keyword"] if row["keyword"] in KEYWORDS else ""
        mark = Mark(keyword, (left, top, right, bottom), row["grade"] == "main" and bool(keyword))
        step.append(mark)
        # What was undone later may still have left something behind.
        lasts = mark if row["lasts"] == "y" else replace(mark, main=False)
        lasting[row["place"]].append((int(row["from"]), lasts))
    for place, years in ends.items():
        pairs.setdefault(f"{place}:{min(years)}-{max(years)}", _over_both_steps(lasting[place]))
    return pairs


def _over_both_steps(marks: list[tuple[int, Mark]]) -> list[Mark]:
    """Marks of two steps (its first year, mark) as one: what became something else in the second is main no more."""
    kept = []
    for year, mark in marks:
        later = [other for step, other in marks if step > year and other.main and other.keyword != mark.keyword]
        covered = any(_shared(mark.box, other.box) > 0.5 * _shared(mark.box, mark.box) for other in later)
        kept.append(replace(mark, main=mark.main and not covered))
    return kept


def _shared(first: Box, second: Box) -> float:
    """Pixels that two boxes share."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    return max(0.0, width) * max(0.0, height)


def _marked_label(marks: list[Mark], other: Label | None) -> Label:
    """Marks of a pair as a label; ``other``: of the same pair by the other look, whose boxes become doubtful ground."""
    main = [mark for mark in marks if mark.main]
    seen = "changed" if main else "minor" if marks else "unchanged"
    named = tuple(dict.fromkeys(mark.keyword for mark in main))
    caption = other.caption if other else ""
    return Label(seen, named, tuple(mark.box for mark in main), caption, (*marks, *_doubted(other)))


def _agreed_label(marks: list[Mark], other: Label | None) -> Label:
    """What two looks at a pair agree on; minor where they do not.

    Changed: both say so. Unchanged: the first says so, and the second found no main change; minor spots it found nearly
    everywhere. Unclear: the first cannot tell.
    """
    label = _marked_label(marks, other)
    if other is None or other.seen == "unclear":
        return replace(label, seen="unclear")
    main = label.seen == "changed"
    agreed = other.seen if main == (other.seen == "changed") else "minor"
    # What either found worth naming was there to be seen.
    named = () if agreed == "unchanged" else tuple(dict.fromkeys((*label.keywords, *other.keywords)))
    return replace(label, seen=agreed, keywords=named)


def _doubted(label: Label | None) -> tuple[Mark, ...]:
    """Boxes of a label without marks: which of its keywords belongs to which is not known, so each may be any."""
    if label is None:
        return ()
    return tuple(Mark(name, box, False) for box in label.boxes for name in label.keywords or ("",))


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
    return Sources(places, prairie, gather_textures(chips), labels, main_marks(places, labels), real_share)


def main_marks(places: tuple[Place, ...], labels: dict[str, Label]) -> tuple[Marked, ...]:
    """Every main mark of these places; rare keywords weigh more, by the root of how rare they are."""
    found = []
    for place in places:
        for first in place.chips:
            for second in place.chips:
                label = labels.get(f"{place.name}:{first.year}-{second.year}")
                marks = label.marks if label is not None else None
                found += [(place, first, second, mark) for mark in marks or () if mark.main]
    often = Counter(mark.keyword for _, _, _, mark in found)
    return tuple(Marked(place, a, b, mark.box, often[mark.keyword] ** -0.5) for place, a, b, mark in found)


def background(sources: Sources, rng: Rng, side: int) -> Background:
    """One crop of two dates, turned and flipped by chance; ``side`` pixels."""
    if sources.prairie and rng.random() < PRAIRIE_SHARE:
        return _prairie_background(sources.prairie, rng, side)
    if sources.marked and sources.prairie and rng.random() < sources.real_share:
        weights = np.array([marked.weight for marked in sources.marked])
        chosen = sources.marked[int(rng.choice(len(weights), p=weights / weights.sum()))]
        return _naip_background(sources, chosen.place, chosen.first, chosen.second, rng, side, chosen.box)
    place = sources.places[int(rng.integers(len(sources.places)))]
    first = place.chips[int(rng.integers(len(place.chips)))]
    others = [chip for chip in place.chips if chip.year != first.year]
    same_date = not others or rng.random() < SAME_DATE_SHARE
    second = first if same_date else others[int(rng.integers(len(others)))]
    if f"{place.name}:{second.year}-{first.year}" in sources.labels:
        # Marks say what became of the earlier date; what they would be backwards in time is not always known.
        first, second = second, first
    return _naip_background(sources, place, first, second, rng, side, None)


def _naip_background(
    sources: Sources, place: Place, first: Chip, second: Chip, rng: Rng, side: int, box: Box | None
) -> Background:
    # A chip is small: mirrored at its borders it gives coarser views, and enlarged up to twice finer ones.
    mirrored = 0 if box is not None or rng.random() > MIRRORED_SHARE else first.image.shape[0] // 2
    available = min(first.image.shape[:2]) + 2 * mirrored
    widest = available * NAIP_GSD_M / side
    gsd_m = float(np.exp(uniform(rng, np.log(max(0.3, 0.3 * widest)), np.log(widest))))
    if rng.random() < NATIVE_SHARE:
        gsd_m = NAIP_GSD_M
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

    def cut_boxes(boxes: Iterable[Box], margin: int) -> Bool:
        inside = np.zeros(first.image.shape[:2], np.uint8)
        for x0, y0, x1, y1 in boxes:
            rows = slice(max(0, round(y0) - margin), round(y1) + margin)
            inside[rows, max(0, round(x0) - margin) : round(x1) + margin] = 1
        resized: Bool = cv2.resize(turned(inside), (side, side), interpolation=cv2.INTER_NEAREST_EXACT) > 0
        return resized

    points = (second.trees + mirrored - np.array([left, top])) * (side / crop)
    for _ in range(turn):
        points = np.stack([points[:, 1], side - points[:, 0]], 1)
    if flip:
        points = np.stack([side - points[:, 0], points[:, 1]], 1)
    same_date = first is second
    real: dict[str, Bool] = {}
    counts: dict[str, int] = {}
    doubtful: Bool = np.zeros((side, side), bool)
    doubts: tuple[str, ...] | None = ()
    if not same_date:
        label = sources.labels.get(f"{place.name}:{first.year}-{second.year}", Label(""))
        if label.marks is None:
            every = [box for other in _labels_of(sources.labels, place) for box in other.boxes]
            doubtful, doubts = cut_boxes(every, MARK_MARGIN_PX), None
        else:
            # Boxes are in pixels of the chip itself, not of the mirrored one.
            main = _named_in(label.marks, (left - mirrored, top - mirrored, crop))
            rest = [mark for mark in label.marks if mark not in main and cut_boxes([mark.box], 0).any()]
            for name in dict.fromkeys(mark.keyword for mark in main):
                boxes = [mark.box for mark in main if mark.keyword == name]
                real[name], counts[name] = cut_boxes(boxes, 0), len(boxes)
            doubtful = cut_boxes([mark.box for mark in label.marks], MARK_MARGIN_PX)
            doubts = tuple(dict.fromkeys(mark.keyword for mark in rest if mark.keyword))
    return Background(
        pre=cut(first.image),
        post=cut(second.image),
        gsd_m=NAIP_GSD_M * crop / side,
        name=f"{place.name}:{first.year}-{second.year}",
        trees=points.astype(np.float32),
        water=None,
        real=real,
        same_date=same_date,
        doubtful=doubtful if doubtful.any() else None,
        doubts=doubts if doubtful.any() else (),
        counts=counts,
    )


def _labels_of(labels: dict[str, Label], place: Place) -> list[Label]:
    years = [chip.year for chip in place.chips]
    names = (f"{place.name}:{a}-{b}" for a in years for b in years if a != b)
    return [labels[name] for name in names if name in labels]


def _named_in(marks: Sequence[Mark], crop: tuple[int, int, int]) -> list[Mark]:
    """Main marks that a crop (left, top, side) shows well enough to name."""
    left, top, side = crop
    named: list[Mark] = []
    for mark in marks:
        x0, y0, x1, y1 = mark.box
        width = min(x1, left + side) - max(x0, left)
        height = min(y1, top + side) - max(y0, top)
        if width <= 0 or height <= 0:
            continue
        area = width * height
        if mark.main and (area > SLIVER_OF_MARK * (x1 - x0) * (y1 - y0) or area > SLIVER_OF_CROP * side * side):
            named.append(mark)
    return named


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

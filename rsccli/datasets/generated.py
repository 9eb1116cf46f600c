"""Generated changes over real pairs: one pair with mask, keywords and caption for every (seed, index).

The background is a real pair of two dates of the same ground (or one date twice, under different light), so
that season, shift and sensor differ with and without change alike. Changes are drawn into the later date;
drawn into the earlier one, they are the reverse change. Things drawn into both dates alike are no change, so
the edges of what is drawn say nothing by themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from rsccli.datasets import nuisance, objects, surfaces
from rsccli.datasets.canvas import (
    F32,
    Rendered,
    Rng,
    Stage,
    Textures,
    blend,
    gather_textures,
    soften,
    texture_fill,
    uniform,
)
from rsccli.datasets.grammar import CHANGED, UNCHANGED, sentence
from rsccli.datasets.naip import GSD_M as NAIP_GSD_M
from rsccli.datasets.naip import Chip, Place, Split, read_places
from rsccli.datasets.prairie import GSD_M as PRAIRIE_GSD_M
from rsccli.datasets.prairie import PrairieDate, labelled_change, read_prairie
from rsccli.models.small.facts import KEYWORDS, MAX_KEYWORDS, Facts, mask_facts
from rsccli.types import U8, Bool

Renderer = Callable[[F32, Rng, Stage], Rendered]
FINE: dict[str, Renderer] = {
    "new house": objects.houses,
    "new building": objects.large_buildings,
    "new road": objects.road,
    "parking lot": objects.parking_lot,
    "bare soil": surfaces.bare_soil,
    "greener vegetation": surfaces.greener,
    "drier vegetation": surfaces.drier,
    "new trees": surfaces.trees,
    "water gain": surfaces.open_water,
    "flood": surfaces.flood,
    "burn scar": surfaces.burn_scar,
    "debris": objects.debris,
}
# Drawn more often: kinds that come out in several ways, or small.
OFTEN = {"flood": 2.0, "water gain": 1.8, "new house": 1.6, "new trees": 1.6, "new road": 1.3}
DAMAGE = "building damage"
# What an image decides by its own content cannot be drawn alike into two dates.
TWINS = tuple(kind for kind in FINE if kind != "flood")
COARSE = (
    "new building",
    "new road",
    "bare soil",
    "greener vegetation",
    "drier vegetation",
    "water gain",
    "flood",
    "burn scar",
)
REVERSED = {
    "new house": "building removed",
    "new building": "building removed",
    "new road": "road removed",
    "greener vegetation": "drier vegetation",
    "drier vegetation": "greener vegetation",
    "new trees": "tree loss",
    "tree loss": "new trees",
    "water gain": "water loss",
    "flood": "water loss",
}
SMALLEST_FRACTION = 0.0025
PRAIRIE_SHARE = 0.14
MASK_STRIDE = 4


@dataclass(frozen=True)
class GeneratedPair:
    """One training pair.

    Attributes:
        pre, post: uint8 (3, S, S). mask: bool (S, S), changed ground.
        layers: uint8 (S, S), 0 or one more than the index of the keyword that changed there.
        facts: what the caption says. caption: one sentence.
        background: where it comes from, e.g. ``riverside_12:2016-2020``.
    """

    pre: U8
    post: U8
    mask: Bool
    layers: U8
    facts: Facts
    caption: str
    background: str


@dataclass(frozen=True)
class Background:
    """Two dates of the same ground as drawn from the sources, before any drawing.

    Attributes:
        pre, post: float32 (S, S, 3). gsd_m: of both. trees: (n, 2) crowns in ``post`` pixels.
        water: bool (S, S) ponds in both dates, or None. real: masks of real change by keyword.
        same_date: both are one image.
    """

    pre: F32
    post: F32
    gsd_m: float
    name: str
    trees: F32
    water: Bool | None
    real: dict[str, Bool]
    same_date: bool


@dataclass(frozen=True)
class Sources:
    """Real imagery of one split, in memory.

    Attributes:
        places: NAIP places with their dates. prairie: two dates with labels; empty outside of training.
        textures: patches of training places, whatever the split.
    """

    places: tuple[Place, ...]
    prairie: tuple[PrairieDate, ...]
    textures: Textures


def read_sources(data: Path, split: Split) -> Sources:
    """Read ``naip/`` and ``prairie/`` of a data folder for one split.

    Raises:
        InputError: one of the two is missing.
    """
    places = read_places(data / "naip")
    training = [place for place in places if place.split == "train"]
    chips = [(chip.image, chip.trees) for place in training for chip in place.chips]
    prairie = tuple(read_prairie(data / "prairie")) if split == "train" else ()
    return Sources(tuple(p for p in places if p.split == split), prairie, gather_textures(chips))


def generate(sources: Sources, seed: int, index: int, side: int = 128) -> GeneratedPair:
    """Pair number ``index`` of a seed; the same call gives the same pair.

    Args:
        side: pixels, a multiple of 32.
    """
    rng = np.random.default_rng([seed, index, side])
    back = _background(sources, rng, side)
    angle = uniform(rng, 0.0, 2 * np.pi)
    gain = np.clip(back.post.mean((0, 1)) / 108.0, 0.6, 1.5).astype(np.float32)
    gain = gain * np.float32(0.5) + gain.mean() * np.float32(0.5)
    stage = Stage(back.gsd_m, (float(np.cos(angle)), float(np.sin(angle))), gain, sources.textures)
    pre, post = back.pre.copy(), back.post.copy()
    masks = dict(back.real)
    counts: dict[str, int] = {}
    if rng.random() < 0.3:
        pre, post = _same_on_both(pre, post, rng, stage)
    if rng.random() < 0.56:
        number = int(rng.choice([1, 2, 3], p=[0.7, 0.25, 0.05]))
        for _ in range(number):
            pre, post = _change(pre, post, rng, stage, back, masks, counts)
    if rng.random() < 0.4 and back.gsd_m < 1.5:
        pre, post = objects.cars(pre, rng, stage), objects.cars(post, rng, stage)
    strength = 1.0 if back.same_date else uniform(rng, 0.1, 0.8)
    most_px = 0.0 if rng.random() < 0.25 else float(rng.choice([1.0, 2.0, 3.5]))
    pre_counts = nuisance.one_date(pre, rng, strength=strength, most_px=0.0)
    post_counts = nuisance.one_date(post, rng, strength=strength, most_px=most_px)
    return _labelled(pre_counts, post_counts, masks, counts, rng, back.name)


def _labelled(pre: U8, post: U8, masks: dict[str, Bool], counts: dict[str, int], rng: Rng, name: str) -> GeneratedPair:
    side = pre.shape[0]
    kept = {key: mask for key, mask in masks.items() if mask.mean() >= SMALLEST_FRACTION}
    largest = sorted(kept, key=lambda key: -int(kept[key].sum()))[:MAX_KEYWORDS]
    mask = np.zeros((side, side), bool)
    layers = np.zeros((side, side), np.uint8)
    for key, changed in kept.items():
        mask |= changed
        layers[changed] = KEYWORDS.index(key) + 1
    if kept:
        cells = mask.reshape(side // MASK_STRIDE, MASK_STRIDE, -1, MASK_STRIDE).mean((1, 3)) >= 0.5
        extent, place = mask_facts(cells, np.ones_like(cells))
        facts = Facts(CHANGED, tuple(sorted(KEYWORDS.index(key) for key in largest)), extent, place)
    else:
        facts = Facts(UNCHANGED)
    return GeneratedPair(
        pre=np.ascontiguousarray(np.moveaxis(pre, 2, 0)),
        post=np.ascontiguousarray(np.moveaxis(post, 2, 0)),
        mask=mask,
        layers=layers,
        facts=facts,
        caption=sentence(rng, facts, counts),
        background=name,
    )


def _change(
    pre: F32, post: F32, rng: Rng, stage: Stage, back: Background, masks: dict[str, Bool], counts: dict[str, int]
) -> tuple[F32, F32]:
    """Draw one change and add its mask; overlap with an earlier one is that one's no more."""
    kinds = COARSE if stage.gsd_m > 2.0 else (*FINE, DAMAGE)
    weights = np.array([OFTEN.get(kind, 1.0) for kind in kinds])
    kind = str(rng.choice(kinds, p=weights / weights.sum()))
    backwards = rng.random() < 0.45
    before, after = (post, pre) if backwards else (pre, post)
    if kind == DAMAGE:
        before, after, drawn = _damage(pre, post, rng, stage)
        backwards = False
    else:
        drawn = _draw(kind, after, rng, stage, back)
        if backwards and drawn.keyword not in REVERSED:
            backwards, before, after = False, pre, post
            drawn = _draw(kind, after, rng, stage, back)
        after = drawn.image
    keyword = REVERSED[drawn.keyword] if backwards else drawn.keyword
    if keyword == "building removed" and rng.random() < 0.6:
        # What stood there leaves an open lot more often than a street scene that was always there.
        lot = cv2.dilate(drawn.mask.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(np.float32)
        ground = texture_fill(rng, stage.textures.soil, lot.shape[0], lot.shape[1], stage)
        before = blend(before, ground, soften(lot, 0.8))
    if keyword in masks:
        masks[keyword] = masks[keyword] | drawn.mask
        counts[keyword] = counts.get(keyword, 0) + drawn.count
    else:
        masks[keyword] = drawn.mask
        counts[keyword] = drawn.count
    for other in masks:
        if other != keyword:
            masks[other] = masks[other] & ~drawn.mask
    return (after, before) if backwards else (before, after)


def _draw(kind: str, image: F32, rng: Rng, stage: Stage, back: Background) -> Rendered:
    if kind == "new trees" and rng.random() < 0.35:
        cut = surfaces.without_trees(image, rng, stage, back.trees)
        if cut is not None:
            return cut
    if kind == "water gain" and back.water is not None:
        land = np.ones_like(back.water)
        grown = surfaces.grown_water(image, rng, stage, back.water, land) if rng.random() < 0.75 else None
        if grown is not None:
            return grown
    return FINE[kind](image, rng, stage)


def _damage(pre: F32, post: F32, rng: Rng, stage: Stage) -> tuple[F32, F32, Rendered]:
    """Houses or a hall on both dates, damaged on the later one."""
    renderer = objects.houses if rng.random() < 0.7 else objects.large_buildings
    before, after = _twin(renderer, pre, post, rng, stage)
    damaged = objects.damage_roofs(after.image, rng, stage, after.mask)
    return before.image, damaged.image, damaged


def _twin(renderer: Renderer, pre: F32, post: F32, rng: Rng, stage: Stage) -> tuple[Rendered, Rendered]:
    """The same thing drawn into both dates: both draws start from one seed."""
    seed = int(rng.integers(2**32))
    first = renderer(pre, np.random.default_rng(seed), stage)
    return first, renderer(post, np.random.default_rng(seed), stage)


def _same_on_both(pre: F32, post: F32, rng: Rng, stage: Stage) -> tuple[F32, F32]:
    kinds = [kind for kind in TWINS if stage.gsd_m < 2.0 or kind in COARSE]
    for _ in range(int(rng.integers(1, 3))):
        first, second = _twin(FINE[str(rng.choice(kinds))], pre, post, rng, stage)
        pre, post = first.image, second.image
    return pre, post


def _background(sources: Sources, rng: Rng, side: int) -> Background:
    if sources.prairie and rng.random() < PRAIRIE_SHARE:
        return _prairie_background(sources.prairie, rng, side)
    place = sources.places[int(rng.integers(len(sources.places)))]
    first = place.chips[int(rng.integers(len(place.chips)))]
    others = [chip for chip in place.chips if chip.year != first.year]
    same_date = not others or rng.random() < 0.12
    second = first if same_date else others[int(rng.integers(len(others)))]
    return _naip_background(place, first, second, rng, side)


def _naip_background(place: Place, first: Chip, second: Chip, rng: Rng, side: int) -> Background:
    available = min(first.image.shape[:2])
    widest = available * NAIP_GSD_M / side
    gsd_m = float(np.exp(uniform(rng, np.log(0.5 * widest), np.log(widest))))
    crop = min(available, round(side * gsd_m / NAIP_GSD_M))
    top, left = (int(rng.integers(available - crop + 1)) for _ in range(2))
    turn, flip = int(rng.integers(4)), bool(rng.random() < 0.5)

    def cut(image: U8) -> F32:
        part = np.rot90(image[top : top + crop, left : left + crop], turn)
        part = np.ascontiguousarray(part[:, ::-1] if flip else part)
        method = cv2.INTER_AREA if crop > side else cv2.INTER_CUBIC
        resized: F32 = np.clip(cv2.resize(part.astype(np.float32), (side, side), interpolation=method), 0, 255)
        return resized

    points = (second.trees - np.array([left, top])) * (side / crop)
    for _ in range(turn):
        points = np.stack([points[:, 1], side - points[:, 0]], 1)
    if flip:
        points = np.stack([side - points[:, 0], points[:, 1]], 1)
    return Background(
        pre=cut(first.image),
        post=cut(second.image),
        gsd_m=NAIP_GSD_M * crop / side,
        name=f"{place.name}:{first.year}-{second.year}",
        trees=points.astype(np.float32),
        water=None,
        real={},
        same_date=first is second,
    )


def _prairie_background(dates: tuple[PrairieDate, ...], rng: Rng, side: int) -> Background:
    first = int(rng.integers(len(dates)))
    second = first if rng.random() < 0.6 else int(rng.integers(len(dates)))
    crop = min(round(side * uniform(rng, 0.8, 2.0)), *dates[0].image.shape[:2])
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

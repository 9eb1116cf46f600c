"""Generated changes over real pairs: one pair with mask, keywords and caption for every (seed, index).

The background is a real pair of two dates of the same ground (or one date twice, under different light), so
that season, shift and sensor differ with and without change alike. Changes are drawn into the later date;
drawn into the earlier one, they are the reverse change. Things drawn into both dates alike are no change, so
the edges of what is drawn say nothing by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from rsccli.datasets import buildings, facilities, flood, ground, nuisance, plants, water
from rsccli.datasets.backgrounds import Background, Sources, background
from rsccli.datasets.canvas import F32, Kind, Rendered, Rng, Stage, blend, soften, texture_fill, uniform
from rsccli.models.small.facts import (
    CHANGED,
    COUNTED,
    KEYWORDS,
    MAX_KEYWORDS,
    REGISTERS,
    REVERSED,
    UNCHANGED,
    Facts,
    Finding,
    count_index,
    mask_facts,
)
from rsccli.models.small.grammar import sentence
from rsccli.types import U8, Bool

KINDS: dict[str, Kind] = {
    **buildings.KINDS,
    **facilities.KINDS,
    **ground.KINDS,
    **plants.KINDS,
    **water.KINDS,
}
SMALLEST_FRACTION = 0.0025
CHANGED_SHARE, OVER_REAL_SHARE = 0.56, 0.2
MASK_STRIDE = 4
COARSE_FROM_M = 2.0


@dataclass(frozen=True)
class GeneratedPair:
    """One training pair.

    Attributes:
        pre, post: uint8 (3, S, S). gsd_m: metres per pixel.
        valid: bool (S, S), both dates have data. cloud: bool (2, S, S), hidden by cloud in pre, in post.
        mask: bool (S, S), changed ground that both dates show. known: bool (S, S), where ``mask`` is certain.
        layers: uint8 (S, S), 0 or one more than the index of the keyword that changed there.
        changed: None where nobody knows. keywords: indices, or None where nobody knows which.
        unasked: indices of keywords that doubtful ground may have, so that nobody knows whether the pair has them.
        facts: what the caption says (``mask`` and ``keywords`` alone where those are known).
        caption: one sentence. background: where it comes from, e.g. ``riverside_12:2016-2020``.
    """

    pre: U8
    post: U8
    gsd_m: float
    valid: Bool
    cloud: Bool
    mask: Bool
    known: Bool
    layers: U8
    changed: bool | None
    keywords: tuple[int, ...] | None
    facts: Facts
    caption: str
    background: str
    unasked: tuple[int, ...] = ()


@dataclass
class _Drawn:
    """What has been drawn so far: both dates, masks and counts by keyword."""

    pre: F32
    post: F32
    masks: dict[str, Bool]
    counts: dict[str, int]


def generate(sources: Sources, seed: int, index: int, side: int = 128) -> GeneratedPair:
    """Pair number ``index`` of a seed; the same call gives the same pair.

    Args:
        side: pixels, a multiple of 64.
    """
    rng = np.random.default_rng([seed, index, side])
    back = background(sources, rng, side)
    stages = _stages(back, rng, sources)
    drawn = _Drawn(back.pre.copy(), back.post.copy(), dict(back.real), dict(back.counts))
    if rng.random() < 0.22 and not back.real:
        # Over real change it could hide what stays marked.
        _same_on_both(drawn, rng, stages)
    # Where there is real change, that is mostly enough.
    if rng.random() < (OVER_REAL_SHARE if back.real else CHANGED_SHARE):
        for _ in range(int(rng.choice([1, 2, 3], p=[0.7, 0.25, 0.05]))):
            _change(drawn, rng, stages, back)
    hasty = "flood" in drawn.masks
    if rng.random() < 0.12:
        # The sky that floods come with must not come to mean flood.
        drawn.post, hasty = flood.dull(drawn.post, rng), True
    if rng.random() < 0.35 and back.gsd_m < 1.5:
        drawn.pre = facilities.cars(drawn.pre, rng, stages[0])
        drawn.post = facilities.cars(drawn.post, rng, stages[1])
    # Two real dates differ by themselves already, one date twice does not.
    strength = uniform(rng, 0.6, 1.0) if back.same_date else uniform(rng, 0.0, 0.6)
    most_px = 0.0 if rng.random() < 0.25 else float(rng.choice([1.0, 2.0, 4.0]))
    lean = nuisance.LEAN_SHARE
    if hasty and rng.random() < 0.6:
        # Right after a storm satellites look from the side, through what is left of it.
        most_px, lean = float(rng.choice([2.0, 4.0, 6.0])), 0.7
    clouds = 0.06
    pre = nuisance.one_date(drawn.pre, rng, strength=strength, most_px=0.0, clouds=clouds, gsd_m=back.gsd_m)
    post = nuisance.one_date(
        drawn.post, rng, strength=strength, most_px=most_px, clouds=clouds, gsd_m=back.gsd_m, lean=lean
    )
    valid = nuisance.missing(rng, side) if rng.random() < 0.08 else np.ones((side, side), bool)
    return _labelled(drawn, (pre, post), valid, back, rng)


def _stages(back: Background, rng: Rng, sources: Sources) -> tuple[Stage, Stage]:
    """How things are drawn into each date: under its own light, and often its own sun."""
    angle = uniform(rng, 0.0, 2 * np.pi)
    second = angle if rng.random() < 0.5 else uniform(rng, 0.0, 2 * np.pi)
    stages = []
    for image, turn in ((back.pre, angle), (back.post, second)):
        gain = np.clip(image.mean((0, 1)) / 108.0, 0.6, 1.5).astype(np.float32)
        gain = gain * np.float32(0.5) + gain.mean() * np.float32(0.5)
        stages.append(Stage(back.gsd_m, (float(np.cos(turn)), float(np.sin(turn))), gain, sources.textures))
    return stages[0], stages[1]


def _labelled(
    drawn: _Drawn, dates: tuple[nuisance.Recorded, nuisance.Recorded], valid: Bool, back: Background, rng: Rng
) -> GeneratedPair:
    side = valid.shape[0]
    cloud = np.stack([date.cloud for date in dates])
    seen = valid & ~cloud.any(0)
    visible = {key: mask & seen for key, mask in drawn.masks.items()}
    kept = {key: mask for key, mask in visible.items() if mask.mean() >= SMALLEST_FRACTION}
    largest = sorted(kept, key=lambda key: -int(kept[key].sum()))
    mask = np.zeros((side, side), bool)
    layers = np.zeros((side, side), np.uint8)
    for key, changed in kept.items():
        mask |= changed
        layers[changed] = KEYWORDS.index(key) + 1
    known = np.ones((side, side), bool) if back.doubtful is None else ~back.doubtful | mask
    findings = tuple(_finding(key, kept[key], valid, drawn.counts.get(key, 0)) for key in largest[:MAX_KEYWORDS])
    facts = Facts(CHANGED, findings) if findings else Facts(UNCHANGED)
    keywords: tuple[int, ...] | None = tuple(sorted(KEYWORDS.index(key) for key in kept))
    # A change that cloud, border or its own size has all but hidden.
    unasked = {key for key, drawn_mask in drawn.masks.items() if drawn_mask.any() and key not in kept}
    # Real marks have a doubtful margin of their own; what doubtful ground is left may be another change.
    elsewhere = back.doubtful is not None and (back.doubts is None or bool(back.doubts) or not back.real)
    if elsewhere and back.doubts is None:
        keywords = None
    elif elsewhere and back.doubts is not None:
        unasked |= set(back.doubts) - set(kept)
    is_changed: bool | None = bool(kept) or (None if elsewhere or unasked else False)
    pre, post = (np.ascontiguousarray(np.moveaxis(date.counts, 2, 0)) * valid for date in dates)
    register = REGISTERS[int(rng.integers(len(REGISTERS)))]
    return GeneratedPair(
        pre=pre,
        post=post,
        gsd_m=back.gsd_m,
        valid=valid,
        cloud=cloud,
        mask=mask,
        known=known,
        layers=layers,
        changed=is_changed,
        keywords=keywords,
        facts=facts,
        caption=sentence(facts, register, rng),
        background=back.name,
        unasked=tuple(sorted(KEYWORDS.index(key) for key in unasked)),
    )


def turned(pair: GeneratedPair, turns: int, flip: bool) -> GeneratedPair:
    """The pair turned by quarters and mirrored; its sentence, which names places, is left as it was."""

    def turn(array: np.ndarray) -> np.ndarray:
        moved = np.rot90(array, turns, (-2, -1))
        return np.ascontiguousarray(moved[..., ::-1] if flip else moved)

    return replace(
        pair,
        pre=turn(pair.pre),
        post=turn(pair.post),
        valid=turn(pair.valid),
        cloud=turn(pair.cloud),
        mask=turn(pair.mask),
        known=turn(pair.known),
        layers=turn(pair.layers),
    )


def reversed_in_time(pair: GeneratedPair) -> GeneratedPair | None:
    """The pair with its dates swapped and its keywords reversed; None where a kind cannot be reversed.

    The sentence is left as it was.
    """
    present = {KEYWORDS[int(layer) - 1] for layer in np.unique(pair.layers[pair.layers > 0])}
    named = {KEYWORDS[index] for index in pair.keywords or ()}
    if not (present | named) <= set(REVERSED) or (pair.keywords is None and pair.changed):
        return None
    table = np.arange(len(KEYWORDS) + 1, dtype=np.uint8)
    for name in present:
        table[KEYWORDS.index(name) + 1] = KEYWORDS.index(REVERSED[name]) + 1
    keywords = None
    if pair.keywords is not None:
        keywords = tuple(sorted({KEYWORDS.index(REVERSED[KEYWORDS[index]]) for index in pair.keywords}))
    doubted = {REVERSED[KEYWORDS[index]] for index in pair.unasked if KEYWORDS[index] in REVERSED}
    return replace(
        pair,
        pre=pair.post,
        post=pair.pre,
        cloud=np.ascontiguousarray(pair.cloud[::-1]),
        layers=table[pair.layers],
        keywords=keywords,
        unasked=tuple(sorted(set(map(KEYWORDS.index, doubted)) - set(keywords or ()))),
    )


def _finding(key: str, mask: Bool, valid: Bool, number: int) -> Finding:
    extent, place = mask_facts(_cells(mask), _cells(valid))
    return Finding(KEYWORDS.index(key), count_index(number) if key in COUNTED else 0, place, extent)


def _cells(mask: Bool) -> Bool:
    rows, cols = (length // MASK_STRIDE for length in mask.shape)
    shares = mask.reshape(rows, MASK_STRIDE, cols, MASK_STRIDE).mean((1, 3))
    # What is thinner than a cell is still somewhere.
    return np.asarray(shares >= (0.5 if (shares >= 0.5).any() else 1e-6), bool)


def usable(gsd_m: float) -> dict[str, Kind]:
    """The kinds that can be drawn at a ground sampling distance."""
    return {name: kind for name, kind in KINDS.items() if (kind.coarse if gsd_m > COARSE_FROM_M else kind.fine)}


def _change(drawn: _Drawn, rng: Rng, stages: tuple[Stage, Stage], back: Background) -> None:
    """Draw one change and add its mask; overlap with an earlier one is that one's no more."""
    kinds = usable(back.gsd_m)
    weights = np.array([kind.weight for kind in kinds.values()])
    name = list(kinds)[int(rng.choice(len(kinds), p=weights / weights.sum()))]
    backwards = rng.random() < 0.42
    before, after, made = _draw(name, drawn, rng, stages, back, backwards)
    if backwards and made.keyword not in REVERSED:
        backwards = False
        before, after, made = _draw(name, drawn, rng, stages, back, backwards)
    keyword = REVERSED[made.keyword] if backwards else made.keyword
    if keyword == "building removed" and backwards and rng.random() < 0.6:
        # What stood there leaves an open lot more often than a street scene that was always there.
        lot = cv2.dilate(made.mask.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(np.float32)
        soil = texture_fill(rng, stages[1].textures.soil, lot.shape[0], lot.shape[1], stages[1])
        before = blend(before, soil, soften(lot, 0.8))
    drawn.pre, drawn.post = (after, before) if backwards else (before, after)
    for other in drawn.masks:
        drawn.masks[other] = drawn.masks[other] & ~made.mask
    drawn.masks[keyword] = drawn.masks.get(keyword, np.zeros_like(made.mask)) | made.mask
    drawn.counts[keyword] = drawn.counts.get(keyword, 0) + made.count


def _draw(
    name: str, drawn: _Drawn, rng: Rng, stages: tuple[Stage, Stage], back: Background, backwards: bool
) -> tuple[F32, F32, Rendered]:
    """Before, after, and what was drawn; backwards: the later date is what was before."""
    before, after = (drawn.post, drawn.pre) if backwards else (drawn.pre, drawn.post)
    stage = stages[0] if backwards else stages[1]
    kind = KINDS[name]
    if kind.render_pair is not None:
        return kind.render_pair(before, after, rng, stage)
    made = None
    if name == "new trees" and rng.random() < 0.4:
        made = plants.without_trees(after, rng, stage, back.trees)
    if name == "water gain" and back.water is not None and rng.random() < 0.75:
        made = water.grown_water(after, rng, stage, back.water, np.ones_like(back.water))
    if made is None:
        assert kind.render is not None
        made = kind.render(after, rng, stage)
    return before, made.image, made


def _same_on_both(drawn: _Drawn, rng: Rng, stages: tuple[Stage, Stage]) -> None:
    """Draw one or two things into both dates, each under its own sun: no change."""
    gsd_m = stages[0].gsd_m
    if gsd_m < COARSE_FROM_M and rng.random() < 0.25:
        names = list(buildings.NEGATIVES)
        lean = buildings.NEGATIVES[names[int(rng.integers(len(names)))]]
        drawn.pre, drawn.post, _ = lean(drawn.pre, drawn.post, rng, stages[1])
        return
    kinds = [kind for kind in usable(gsd_m).values() if kind.twin and kind.render is not None]
    for _ in range(int(rng.choice([1, 2], p=[0.75, 0.25]))):
        kind = kinds[int(rng.integers(len(kinds)))]
        assert kind.render is not None
        twin = int(rng.integers(2**32))
        gain = replace(stages[1], sun=stages[0].sun) if rng.random() < 0.5 else stages[1]
        drawn.pre = kind.render(drawn.pre, np.random.default_rng(twin), stages[0]).image
        drawn.post = kind.render(drawn.post, np.random.default_rng(twin), gain).image

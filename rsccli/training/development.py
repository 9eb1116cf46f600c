"""How good a network is on development pairs: what checkpoints are chosen by and thresholds come from.

Real pairs are two dates of held-out places that a person has labelled with boxes around each change: whole
chips, and their quarters, which are changed where they hold a marked change and unchanged where no mark
touches them. Generated changes over the same places are beside them (synthetic, said so wherever they count).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from rsccli.datasets.backgrounds import Label, Sources, read_sources
from rsccli.datasets.generated import GeneratedPair, generate
from rsccli.datasets.naip import GSD_M, Split
from rsccli.errors import InputError
from rsccli.models.small.facts import KEYWORDS
from rsccli.models.small.network import MASK_STRIDE, SmallCaptioner
from rsccli.models.small.reading import keyword_spots, mask_spot, octaves
from rsccli.training.batches import normalise
from rsccli.types import U8, Bool

F64 = npt.NDArray[np.float64]
F32 = npt.NDArray[np.float32]
SEED = 977
SIDE = 128
GENERATED_PAIRS = 240
# Pairs that are drawn for each that can be used.
MOST_TRIES = 60
# A quarter holds a marked change where it has this share of the mark, and the mark this share of the quarter.
BOX_SHARE, QUARTER_SHARE = 0.6, 0.006
MARGIN_PX = 4


@dataclass(frozen=True)
class ScoredPairs:
    """Raw scores of a list of pairs, on the CPU.

    Attributes:
        change: logits (n,). vectors: (n,). keywords: logits (n, K). keyword_spots: log-odds (n, K), see
            `rsccli.models.small.reading.keyword_spots`. domain: (n, 2).
        mask: logits, a list of (h, w). looks: (n, 2, D). pixels: with data in both dates (n,).
    """

    change: F64
    vectors: F64
    keywords: F64
    keyword_spots: F64
    domain: F64
    mask: list[F32]
    looks: F32
    pixels: F64

    @property
    def octaves(self) -> F64:
        """(n,): doublings of the side of each pair over 128 px."""
        return np.array([octaves(number) for number in self.pixels], np.float64)

    @property
    def spots(self) -> F64:
        """(n,): log-odds of the strongest spot of each mask."""
        return np.array([mask_spot(mask) for mask in self.mask], np.float64)

    def some(self, kept: Bool) -> ScoredPairs:
        """Those of a mask (n,)."""
        mask = [each for each, keep in zip(self.mask, kept, strict=True) if keep]
        return ScoredPairs(
            change=self.change[kept],
            vectors=self.vectors[kept],
            keywords=self.keywords[kept],
            keyword_spots=self.keyword_spots[kept],
            domain=self.domain[kept],
            mask=mask,
            looks=self.looks[kept],
            pixels=self.pixels[kept],
        )


@dataclass(frozen=True)
class RealPair:
    """A labelled pair, or a part of one.

    Attributes:
        name: ``city_number:year-year``, with ``/row,col`` for a quarter. pre, post: uint8 (3, H, W). gsd_m: of both.
        changed: as seen by eye. keywords: of the label; None where they are of the whole chip and this is a part.
        boxes: bool (H, W), inside of a mark. caption: in a person's words.
        possible: every keyword that anybody saw in the whole pair, minor ones too.
    """

    name: str
    pre: U8
    post: U8
    gsd_m: float
    changed: bool
    keywords: tuple[str, ...] | None
    boxes: Bool
    caption: str = ""
    possible: tuple[str, ...] = ()


@dataclass(frozen=True)
class HeldOut:
    """Pairs of held-out places: whole chips, their quarters, and generated changes (changed ones only)."""

    whole: tuple[RealPair, ...]
    quarters: tuple[RealPair, ...]
    generated: tuple[GeneratedPair, ...]

    @property
    def real(self) -> tuple[RealPair, ...]:
        """Whole chips, then quarters."""
        return self.whole + self.quarters


@dataclass(frozen=True)
class Figures:
    """What is measured on held-out pairs; all 0-1, higher is better.

    Attributes:
        auc_whole, auc_quarters: labelled changed against unchanged real pairs, by change logit and strongest spot
            together. auc_vectors: the same quarters by change vectors alone, the trivial rival.
        auc_generated: changed generated pairs against unchanged real quarters.
        keywords_real: mean average precision of keywords that at least 4 real chips have.
        keywords_generated: the same on generated pairs. mask_iou: of all generated pairs, threshold 0.5.
    """

    auc_whole: float
    auc_quarters: float
    auc_vectors: float
    auc_generated: float
    keywords_real: float
    keywords_generated: float
    mask_iou: float

    @property
    def choice(self) -> float:
        """The one figure that a checkpoint is chosen by: real pairs weigh most."""
        score = 0.5 * self.auc_whole + self.auc_quarters + 0.3 * self.auc_generated
        return score + 0.4 * self.keywords_real + 0.3 * self.keywords_generated + 0.2 * self.mask_iou

    def as_dict(self) -> dict[str, float]:
        """Plain values, rounded."""
        return {name: round(value, 4) for name, value in asdict(self).items()}


def box_mask(label: Label, side: int) -> Bool:
    """Inside of a label's boxes, bool (side, side)."""
    mask = np.zeros((side, side), bool)
    for left, top, right, bottom in label.boxes:
        mask[max(0, round(top)) : round(bottom), max(0, round(left)) : round(right)] = True
    return mask


def _quarter(label: Label, row: int, col: int, half: int) -> bool | None:
    """Whether a quarter is changed; None where nobody can say."""
    top, left = row * half, col * half
    touched = False
    doubtful = [mark.box for mark in label.marks or () if not mark.main]
    for x0, y0, x1, y1 in (*label.boxes, *doubtful):
        width = min(x1, left + half) - max(x0, left)
        height = min(y1, top + half) - max(y0, top)
        if width > 0 and height > 0:
            inside = width * height
            if (
                label.seen == "changed"
                and (x0, y0, x1, y1) in label.boxes
                and inside >= BOX_SHARE * (x1 - x0) * (y1 - y0)
                and (inside >= QUARTER_SHARE * half * half)
            ):
                return True
        touched |= width > -MARGIN_PX and height > -MARGIN_PX
    if touched or (label.seen != "unchanged" and not (label.boxes or doubtful)):
        return None
    return False


def labelled_pairs(sources: Sources) -> tuple[list[RealPair], list[RealPair]]:
    """Every labelled pair of a split, in the order of dates that was labelled: whole chips, and quarters.

    Minor and unclear pairs are in neither list as a whole; their unmarked quarters count as unchanged.
    """
    whole, quarters = [], []
    for place in sources.places:
        for first in place.chips:
            for second in place.chips:
                label = sources.labels.get(f"{place.name}:{first.year}-{second.year}")
                if label is None:
                    continue
                dates = [np.ascontiguousarray(np.moveaxis(chip.image, 2, 0)) for chip in (first, second)]
                name, side = f"{place.name}:{first.year}-{second.year}", first.image.shape[0]
                boxes = box_mask(label, side)
                possible = tuple({*label.keywords, *(mark.keyword for mark in label.marks or ())})
                if label.seen in ("changed", "unchanged"):
                    changed = label.seen == "changed"
                    whole.append(
                        RealPair(
                            name, dates[0], dates[1], GSD_M, changed, label.keywords, boxes, label.caption, possible
                        )
                    )
                if label.seen == "unclear":
                    continue
                half = side // 2
                for row in (0, 1):
                    for col in (0, 1):
                        verdict = _quarter(label, row, col, half)
                        if verdict is None:
                            continue
                        part = (slice(row * half, row * half + half), slice(col * half, col * half + half))
                        pre, post = (np.ascontiguousarray(date[:, part[0], part[1]]) for date in dates)
                        quarters.append(
                            RealPair(
                                name=f"{name}/{row},{col}",
                                pre=pre,
                                post=post,
                                gsd_m=GSD_M,
                                changed=verdict,
                                keywords=None,
                                boxes=boxes[part],
                                caption=label.caption,
                                possible=possible,
                            )
                        )
    return whole, quarters


def read_held_out(data: Path, split: Split, generated: int = GENERATED_PAIRS, side: int = SIDE) -> HeldOut:
    """Labelled pairs of a split, and changes generated over its places.

    Args:
        data: folder with the imagery. generated: how many, all of them changed. side: pixels of those.

    Raises:
        InputError: the imagery is missing, or hardly any change can be drawn over it.
    """
    sources = read_sources(data, split)
    whole, quarters = labelled_pairs(sources)
    drawn: list[GeneratedPair] = []
    index = 0
    while len(drawn) < generated:
        if index == MOST_TRIES * generated:
            raise InputError(
                f"hardly any change can be drawn over the {split} places of {data} (marks cover them): "
                "check the imagery, or ask for fewer --development-pairs"
            )
        pair = generate(sources, SEED, index, side)
        index += 1
        # Where a person marked something, real change may be what is seen.
        if pair.changed and pair.keywords and pair.known.all():
            drawn.append(pair)
    return HeldOut(tuple(whole), tuple(quarters), tuple(drawn))


def score(
    model: SmallCaptioner, pairs: Sequence[tuple[U8, U8, float]], at_once: int = 8, valid: Sequence[Bool] | None = None
) -> ScoredPairs:
    """Run the encoder on pairs (pre, post, metres per pixel) of any sizes, in eval mode and float32."""
    model.eval()
    device = next(model.parameters()).device
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, pair in enumerate(pairs):
        groups.setdefault(pair[0].shape, []).append(index)
    rows: list[tuple[float, float, F32, F32, F32, F32, F64] | None] = [None] * len(pairs)
    with torch.inference_mode():
        for indices in groups.values():
            for start in range(0, len(indices), at_once):
                some = indices[start : start + at_once]
                pre, post = (normalise(np.stack([pairs[i][date] for i in some])).to(device) for date in (0, 1))
                gsd = torch.tensor([pairs[i][2] for i in some], dtype=torch.float32, device=device)
                seen = torch.ones(len(some), 1, *pre.shape[2:], device=device)
                if valid is not None:
                    seen = torch.from_numpy(np.stack([valid[i] for i in some])).float().unsqueeze(1).to(device)
                scores = model.encoder(pre * seen, post * seen, seen, gsd)
                parts = (scores.change, scores.vectors, scores.keywords, scores.domain, scores.mask[:, 0], scores.looks)
                arrays = [part.float().cpu().numpy() for part in parts]
                classes = scores.classes.float().cpu().numpy()
                for row, index in enumerate(some):
                    spots = keyword_spots(arrays[4][row], classes[row])
                    parts_of = (array[row] for array in arrays[2:])
                    rows[index] = (float(arrays[0][row]), float(arrays[1][row]), *parts_of, spots)
    done = [row for row in rows if row is not None]
    return ScoredPairs(
        change=np.array([row[0] for row in done], np.float64),
        vectors=np.array([row[1] for row in done], np.float64),
        keywords=np.array([row[2] for row in done], np.float64),
        keyword_spots=np.array([row[6] for row in done], np.float64),
        domain=np.array([row[3] for row in done], np.float64),
        mask=[row[4] for row in done],
        looks=np.array([row[5] for row in done], np.float32),
        pixels=np.array(
            [pairs[i][0][0].size if valid is None else max(1, valid[i].sum()) for i in range(len(pairs))], np.float64
        ),
    )


def score_real(model: SmallCaptioner, pairs: Sequence[RealPair]) -> ScoredPairs:
    """Scores of real pairs."""
    return score(model, [(pair.pre, pair.post, pair.gsd_m) for pair in pairs])


def score_generated(model: SmallCaptioner, pairs: Sequence[GeneratedPair]) -> ScoredPairs:
    """Scores of generated pairs."""
    pixels = [(pair.pre, pair.post, pair.gsd_m) for pair in pairs]
    return score(model, pixels, valid=[pair.valid for pair in pairs])


def auc(positive: F64, negative: F64) -> float:
    """Probability that a positive scores above a negative; nan where one of them is missing."""
    if len(positive) == 0 or len(negative) == 0:
        return float("nan")
    gaps = positive[:, None] - negative[None, :]
    return float((gaps > 0).mean() + 0.5 * (gaps == 0).mean())


def average_precision(scores: F64, wanted: npt.NDArray[np.bool_]) -> float:
    """Area under precision over recall; nan where nothing is wanted."""
    if not wanted.any():
        return float("nan")
    hits = wanted[np.argsort(-scores, kind="stable")]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float(precision[hits].mean())


def wanted_keywords(pairs: Sequence[GeneratedPair | RealPair]) -> npt.NDArray[np.bool_]:
    """(n, K): which keywords each pair has; all False where nobody knows."""
    wanted = np.zeros((len(pairs), len(KEYWORDS)), bool)
    for row, pair in enumerate(pairs):
        for keyword in pair.keywords or ():
            wanted[row, KEYWORDS.index(keyword) if isinstance(keyword, str) else keyword] = True
    return wanted


def mean_precision(scored: ScoredPairs, wanted: npt.NDArray[np.bool_], fewest: int) -> float:
    """Mean average precision by logit and spot over keywords that at least ``fewest`` pairs have; nan for none."""
    each = [
        average_precision(scored.keywords[:, k] + scored.keyword_spots[:, k], wanted[:, k])
        for k in range(wanted.shape[1])
        if wanted[:, k].sum() >= fewest
    ]
    return float(np.mean(each)) if each else float("nan")


def intersection_over_union(masks: Sequence[Bool], truths: Sequence[Bool]) -> float:
    """Of all pairs together."""
    both = sum(int((m & t).sum()) for m, t in zip(masks, truths, strict=True))
    return both / max(1, sum(int((m | t).sum()) for m, t in zip(masks, truths, strict=True)))


def cells(mask: Bool) -> Bool:
    """A mask at the resolution of the mask logits."""
    rows, cols = (length // MASK_STRIDE for length in mask.shape)
    shares: Bool = mask.reshape(rows, MASK_STRIDE, cols, MASK_STRIDE).mean((1, 3)) >= 0.5
    return shares


@dataclass(frozen=True)
class Measured:
    """Figures with the scores that they come from; ``swapped``: of the whole chips with their dates exchanged."""

    figures: Figures
    whole: ScoredPairs
    quarters: ScoredPairs
    generated: ScoredPairs
    swapped: ScoredPairs


def measure(model: SmallCaptioner, held_out: HeldOut) -> Measured:
    """Score every development pair."""
    whole, quarters = score_real(model, held_out.whole), score_real(model, held_out.quarters)
    swapped = score(model, [(pair.post, pair.pre, pair.gsd_m) for pair in held_out.whole])
    generated = score_generated(model, held_out.generated)
    is_whole = np.array([pair.changed for pair in held_out.whole], bool)
    is_quarter = np.array([pair.changed for pair in held_out.quarters], bool)
    ranked, parts, drawn = (scored.change + scored.spots for scored in (whole, quarters, generated))
    figures = Figures(
        auc_whole=auc(ranked[is_whole], ranked[~is_whole]),
        auc_quarters=auc(parts[is_quarter], parts[~is_quarter]),
        auc_vectors=auc(quarters.vectors[is_quarter], quarters.vectors[~is_quarter]),
        auc_generated=auc(drawn, parts[~is_quarter]),
        keywords_real=mean_precision(whole, wanted_keywords(held_out.whole), 4),
        keywords_generated=mean_precision(generated, wanted_keywords(held_out.generated), 1),
        mask_iou=intersection_over_union(
            [mask > 0 for mask in generated.mask], [cells(pair.mask) for pair in held_out.generated]
        ),
    )
    return Measured(figures, whole, quarters, generated, swapped)

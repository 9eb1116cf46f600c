"""How good a network is on real development pairs: what checkpoints are chosen by and thresholds come from.

Unchanged pairs are real: two dates of held-out places, without those whose chips show a change, or perhaps
one, to the eye. Changed pairs are those with a clear change, and generated changes over the same places
(synthetic, said so wherever they count).
"""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from rsccli.datasets.generated import GeneratedPair, generate, read_sources
from rsccli.datasets.naip import Split, cross_date_pairs
from rsccli.models.small.facts import KEYWORDS
from rsccli.models.small.network import SmallCaptioner
from rsccli.training.batches import normalise
from rsccli.types import U8

F64 = npt.NDArray[np.float64]
SEED = 977
SIDE = 256
GENERATED_PAIRS = 260


@dataclass(frozen=True)
class ScoredPairs:
    """Raw scores of a list of pairs, on the CPU.

    Attributes:
        change: logits (n,). keywords: logits (n, K). mask: logits, a list of (h, w).
    """

    change: F64
    keywords: F64
    mask: list[npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Label:
    """What was seen in a pair: a clear change with its keywords, or (not changed) nothing certain."""

    changed: bool
    keywords: tuple[str, ...]


@dataclass(frozen=True)
class RealPair:
    """A pair of dates of one place: pre and post uint8 (3, H, W); changed as seen by eye."""

    name: str
    pre: U8
    post: U8
    changed: bool
    keywords: tuple[str, ...] = ()


@dataclass(frozen=True)
class HeldOut:
    """Pairs of held-out places.

    Attributes:
        real: cross-date pairs, without unclear ones. generated: changes drawn over them (changed ones only).
    """

    real: tuple[RealPair, ...]
    generated: tuple[GeneratedPair, ...]


@dataclass(frozen=True)
class Figures:
    """What is measured on held-out pairs; all 0-1, higher is better.

    Attributes:
        auc_generated: changed generated pairs against real unchanged pairs.
        auc_real: real changed against real unchanged pairs; nan where no changed pair is known.
        found_at_tenth: share of generated changes found where 10 % of real unchanged pairs are called changed.
        keyword_precision: mean over keywords of the average precision on generated pairs.
        mask_iou: intersection over union of all generated pairs together, threshold 0.5.
    """

    auc_generated: float
    auc_real: float
    found_at_tenth: float
    keyword_precision: float
    mask_iou: float

    @property
    def choice(self) -> float:
        """The one figure that a checkpoint is chosen by: real pairs count as much as generated ones."""
        real = self.auc_generated if np.isnan(self.auc_real) else self.auc_real
        return (self.auc_generated + real) / 2 + 0.2 * self.keyword_precision + 0.1 * self.mask_iou

    def as_dict(self) -> dict[str, float]:
        """Plain values, rounded."""
        return {name: round(value, 4) for name, value in asdict(self).items()}


def read_labels() -> dict[str, Label]:
    """What was seen by eye in held-out NAIP pairs, by pair name; pairs that are not there look unchanged."""
    source = resources.files("rsccli.datasets") / "assets" / "naip_changes.csv"
    with source.open("r", encoding="utf-8") as lines:
        return {
            row["pair"]: Label(row["seen"] == "changed", tuple(filter(None, row["keywords"].split(";"))))
            for row in csv.DictReader(lines)
        }


def read_held_out(data: Path, split: Split, generated: int = GENERATED_PAIRS) -> HeldOut:
    """Real pairs of a split with labels, and generated changes over its places, at 256 px."""
    sources = read_sources(data, split)
    labels = read_labels()
    real = []
    for name, pre, post in cross_date_pairs(list(sources.places), split):
        label = labels.get(name)
        if label is not None and not label.changed:
            continue
        first, second = (np.ascontiguousarray(np.moveaxis(image, 2, 0)) for image in (pre, post))
        real.append(RealPair(name, first, second, label is not None, label.keywords if label else ()))
    drawn: list[GeneratedPair] = []
    index = 0
    while len(drawn) < generated:
        pair = generate(sources, SEED, index, SIDE)
        index += 1
        if pair.facts.keywords:
            drawn.append(pair)
    return HeldOut(tuple(real), tuple(drawn))


def score(model: SmallCaptioner, pairs: list[tuple[U8, U8]], at_once: int = 8) -> ScoredPairs:
    """Run the encoder on pairs of one size, in eval mode and float32."""
    model.eval()
    change, keywords, masks = [], [], []
    with torch.inference_mode():
        for start in range(0, len(pairs), at_once):
            some = pairs[start : start + at_once]
            pre, post = (normalise(np.stack([pair[date] for pair in some])) for date in (0, 1))
            scores = model.encoder(pre, post, torch.ones(len(some), 1, *pre.shape[2:]))
            change.append(scores.change.numpy())
            keywords.append(scores.keywords.numpy())
            masks += list(scores.mask[:, 0].numpy())
    return ScoredPairs(np.concatenate(change).astype(np.float64), np.concatenate(keywords).astype(np.float64), masks)


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


def wanted_keywords(pairs: tuple[GeneratedPair, ...]) -> npt.NDArray[np.bool_]:
    """(n, K): which keywords each pair has."""
    wanted = np.zeros((len(pairs), len(KEYWORDS)), bool)
    for row, pair in enumerate(pairs):
        wanted[row, list(pair.facts.keywords)] = True
    return wanted


def measure(model: SmallCaptioner, held_out: HeldOut) -> tuple[Figures, ScoredPairs, ScoredPairs]:
    """Figures, and the scores of the real and of the generated pairs."""
    real = score(model, [(pair.pre, pair.post) for pair in held_out.real])
    generated = score(model, [(pair.pre, pair.post) for pair in held_out.generated])
    changed = np.array([pair.changed for pair in held_out.real])
    unchanged_scores = real.change[~changed]
    wanted = wanted_keywords(held_out.generated)
    precisions = [average_precision(generated.keywords[:, k], wanted[:, k]) for k in range(len(KEYWORDS))]
    overlap = union = 0
    for pair, mask in zip(held_out.generated, generated.mask, strict=True):
        cells = pair.mask.reshape(mask.shape[0], -1, mask.shape[1], pair.mask.shape[1] // mask.shape[1])
        truth, seen = cells.mean((1, 3)) >= 0.5, mask > 0
        overlap += int((truth & seen).sum())
        union += int((truth | seen).sum())
    figures = Figures(
        auc_generated=auc(generated.change, unchanged_scores),
        auc_real=auc(real.change[changed], unchanged_scores),
        found_at_tenth=float((generated.change > np.quantile(unchanged_scores, 0.9)).mean()),
        keyword_precision=float(np.nanmean(precisions)),
        mask_iou=overlap / max(union, 1),
    )
    return figures, real, generated

"""A user's labelled pairs as what the network learns from: labels from what was said, views, batches.

A view is a square part of a pair with labels that hold for this part. Where polygons tell what changed, views
are cut out at the pair's own resolution; where only the whole pair has a label, a view is the whole pair, made
smaller if need be. Unchanged pairs are seen either way as often as changed ones, or the resolution would give
the answer away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch

from rsccli.datasets import nuisance
from rsccli.datasets.canvas import Rng
from rsccli.datasets.generated import SMALLEST_FRACTION, GeneratedPair, reversed_in_time, turned
from rsccli.models.small.facts import KEYWORDS, UNCHANGED, Facts
from rsccli.models.small.network import MULTIPLE
from rsccli.training.batches import Batch, collate
from rsccli.training.images import read_images
from rsccli.training.records import PairRecord
from rsccli.training.user_words import caption_facts, keyword_of
from rsccli.types import U8, Bool

LARGEST_VIEW = 256
# What is left at the end of a pair is a tile of its own from this width on.
SMALLEST_STRIP = 32
NUISANCE = 0.25
MOST_SHIFT_PX = 1.0
ON_A_CHANGE = 0.7


@dataclass(frozen=True, eq=False)
class UserPair:
    """One labelled pair with its pixels.

    Attributes:
        record: what the user said. pre, post: uint8 (3, H, W). valid: bool (H, W). gsd_m: metres per pixel.
        changed: None where nobody said. keywords: indices; None where nobody said.
        complete: whether ``keywords`` are all of them (a caption may leave some out).
        mask: bool (H, W), changed ground; None where nobody drew it.
    """

    record: PairRecord
    pre: U8
    post: U8
    valid: Bool
    gsd_m: float
    changed: bool | None
    keywords: tuple[int, ...] | None
    complete: bool
    mask: Bool | None

    @property
    def useful(self) -> bool:
        """Whether there is anything to learn from."""
        return self.changed is not None or self.keywords is not None or self.mask is not None


def read_user_pair(record: PairRecord, gsd_m: float) -> UserPair:
    """Read images and labels of a record.

    Args:
        gsd_m: metres per pixel of images that do not say theirs.

    Raises:
        InputError: an image cannot be used.
    """
    images = read_images(record)
    changed, keywords, complete = record_labels(record)
    mask: Bool | None = None
    if record.polygons is not None and not (record.polygons.geometry.is_empty and changed):
        height, width = images.valid.shape
        mask = record.polygons.mask(height, width, images.grid) & images.valid
    if changed is False:
        mask = np.zeros(images.valid.shape, bool)
    own = gsd_m if images.gsd_m is None else images.gsd_m
    return UserPair(record, images.pre, images.post, images.valid, own, changed, keywords, complete, mask)


def record_labels(record: PairRecord) -> tuple[bool | None, tuple[int, ...] | None, bool]:
    """Whether a record says changed, which keywords, and whether these are all of them."""
    told, named = caption_facts(record.captions)
    changed = {"changed": True, "unchanged": False}.get(record.status or "")
    drawn = record.polygons is not None and not record.polygons.geometry.is_empty
    keywords: tuple[int, ...] | None = None
    complete = True
    if record.keywords is not None:
        known = {index for word in record.keywords if (index := keyword_of(word)) is not None}
        # Words that the network has not got say nothing of the ones that it has.
        keywords = tuple(sorted(known)) if known or not record.keywords else None
        changed = True if changed is None and record.keywords else changed
    elif named and changed is not False:
        keywords, complete = named, False
    if changed is None and record.status is None:
        changed = True if drawn else told
        if changed is None and record.polygons is not None:
            changed = False
    if changed is False:
        keywords, complete = (), True
    return changed, keywords, complete


def native_share(pairs: Sequence[UserPair]) -> float:
    """Share of the changed pairs whose changes are drawn: how often unchanged ones are cut out as well."""
    drawn = [pair.mask is not None for pair in pairs if pair.changed]
    return sum(drawn) / len(drawn) if drawn else 0.0


def training_view(pair: UserPair, rng: Rng, share: float) -> GeneratedPair:
    """One view by chance: another part, turned, mildly disturbed, its dates swapped where labels allow that.

    Args:
        share: of unchanged pairs that are cut out at their own resolution, see ``native_share``.
    """
    height, width = pair.valid.shape
    if max(height, width) <= LARGEST_VIEW or pair.mask is None or (pair.changed is False and rng.random() >= share):
        view = _whole(pair)
    else:
        side = int(rng.choice([128, 192, LARGEST_VIEW]))
        top, left = (int(rng.integers(0, max(1, length - side + 1))) for length in (height, width))
        if pair.mask.any() and rng.random() < ON_A_CHANGE:
            rows, cols = np.nonzero(pair.mask)
            spot = int(rng.integers(len(rows)))
            top = int(np.clip(rows[spot] - rng.integers(side), 0, max(0, height - side)))
            left = int(np.clip(cols[spot] - rng.integers(side), 0, max(0, width - side)))
        view = _part(pair, top, left, side)
    if rng.random() < 0.5:
        view = reversed_in_time(view) or view
    view = turned(view, int(rng.integers(4)), bool(rng.random() < 0.5))
    return replace(view, pre=_disturbed(view.pre, rng, 0.0, view), post=_disturbed(view.post, rng, MOST_SHIFT_PX, view))


def fixed_views(pair: UserPair, share: float) -> list[GeneratedPair]:
    """The views that a pair is measured by: the whole, or, where its changes are drawn, tiles of it side by side."""
    height, width = pair.valid.shape
    native = pair.mask is not None and (pair.changed is not False or share >= 0.5)
    if max(height, width) <= LARGEST_VIEW or not native:
        return [_whole(pair)]
    tops, lefts = (range(0, max(1, length - SMALLEST_STRIP), LARGEST_VIEW) for length in (height, width))
    views = [_part(pair, top, left, LARGEST_VIEW) for top in tops for left in lefts]
    return [view for view in views if view.valid.any()]


def batch_of(views: Sequence[GeneratedPair], complete: Sequence[bool]) -> Batch:
    """One batch of views of any sizes, padded to the largest.

    Args:
        complete: for each view, whether keywords that it has not got are absent, not merely unsaid.
    """
    side = max(view.valid.shape[0] for view in views)
    batch = collate([_padded(view, side) for view in views])
    partial = ~torch.tensor(list(complete)).unsqueeze(1) & (batch.keywords == 0)
    return batch._replace(keywords=batch.keywords.masked_fill(partial, float("nan")))


def _whole(pair: UserPair) -> GeneratedPair:
    scale = min(1.0, LARGEST_VIEW / max(pair.valid.shape))
    if scale < 1.0:
        height, width = (max(1, round(length * scale)) for length in pair.valid.shape)
        pre, post = (
            np.moveaxis(cv2.resize(np.moveaxis(date, 0, 2), (width, height), interpolation=cv2.INTER_AREA), 2, 0)
            for date in (pair.pre, pair.post)
        )
        valid = _resized(pair.valid, height, width)
        mask = None if pair.mask is None else _resized(pair.mask, height, width)
        pair = replace(pair, pre=pre, post=post, valid=valid, mask=mask, gsd_m=pair.gsd_m / scale)
    return _part(pair, 0, 0, max(pair.valid.shape))


def _resized(mask: Bool, height: int, width: int) -> Bool:
    return np.asarray(cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0)


def _part(pair: UserPair, top: int, left: int, side: int) -> GeneratedPair:
    """A square part; padded where the pair ends. Its labels are those of the pair where these hold for the part."""
    rows, cols = slice(top, top + side), slice(left, left + side)
    valid = pair.valid[rows, cols]
    whole = valid.shape == pair.valid.shape
    mask = None if pair.mask is None else pair.mask[rows, cols]
    changed, keywords = pair.changed, pair.keywords
    if mask is not None and not whole and pair.changed is not False:
        share = float(mask.mean())
        changed = True if share >= SMALLEST_FRACTION else (None if share > 0 else False)
        every = pair.mask is not None and mask.sum() == pair.mask.sum()
        if changed is False:
            keywords = ()
        elif not every and (keywords is None or len(keywords) != 1):
            # Nobody knows which of several kinds this part holds.
            keywords = None
    layers = np.zeros(valid.shape, np.uint8)
    if mask is not None and keywords and len(keywords) == 1:
        layers[mask] = keywords[0] + 1
    view = GeneratedPair(
        pre=pair.pre[:, rows, cols],
        post=pair.post[:, rows, cols],
        gsd_m=pair.gsd_m,
        valid=valid,
        cloud=np.zeros((2, *valid.shape), bool),
        mask=np.zeros(valid.shape, bool) if mask is None else mask,
        known=np.full(valid.shape, mask is not None),
        layers=layers,
        changed=changed,
        keywords=keywords,
        facts=Facts(UNCHANGED),
        caption="",
        background=pair.record.where,
    )
    return _padded(view, -(-max(valid.shape) // MULTIPLE) * MULTIPLE)


def _padded(view: GeneratedPair, side: int) -> GeneratedPair:
    below, right = side - view.valid.shape[0], side - view.valid.shape[1]
    if below == right == 0:
        return view

    def pad(array: np.ndarray) -> np.ndarray:
        return np.pad(array, [(0, 0)] * (array.ndim - 2) + [(0, below), (0, right)])

    return replace(
        view,
        pre=pad(view.pre),
        post=pad(view.post),
        valid=pad(view.valid),
        cloud=pad(view.cloud),
        mask=pad(view.mask),
        known=pad(view.known),
        layers=pad(view.layers),
    )


def _disturbed(image: U8, rng: Rng, most_px: float, view: GeneratedPair) -> U8:
    strength = NUISANCE * float(rng.random())
    pixels = np.ascontiguousarray(np.moveaxis(image, 0, 2)).astype(np.float32)
    made = nuisance.one_date(pixels, rng, strength=strength, most_px=most_px, gsd_m=view.gsd_m)
    return np.ascontiguousarray(np.moveaxis(made.counts, 2, 0)) * view.valid


def wanted(views: Sequence[GeneratedPair]) -> Bool:
    """Which keywords each view has, bool (n, K)."""
    rows = np.zeros((len(views), len(KEYWORDS)), bool)
    for row, view in enumerate(views):
        rows[row, list(view.keywords or ())] = True
    return rows

"""What the encoder's raw scores of one tile mean: answer, keywords, facts and mask, by the bundle's thresholds.

A tile that is longer than a window is seen in windows; their scores are put together here. The words, the
keywords, the mask and the answer all come from one `Reading`, so that none of them can deny another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rsccli.models.manifest import Calibration, Manifest
from rsccli.models.small.domain import cloud_reason, look_reason
from rsccli.models.small.facts import (
    BUILT,
    CHANGED,
    CONTRARY,
    COUNTED,
    KEYWORDS,
    MAX_KEYWORDS,
    UNCHANGED,
    UNSURE,
    Facts,
    Finding,
    count_index,
    count_parts,
    mask_facts,
)
from rsccli.types import Bool, CaptionStatus

F32 = npt.NDArray[np.float32]
# A cell is about 4 px; fewer than this many together are not counted as an object.
SMALLEST_PART = 3
# A spot of this many cells: a car's size at 0.6 m, a house's at 2 m.
SPOT_CELLS = 8
KEYWORD_CELLS = 16
# Of a window; where there is less the network's means and peaks stand on next to nothing.
LEAST_DATA = 0.05
LEAST_OCTAVES = -1.0
# In log-odds: what is less probable than the strongest keyword by more is not said beside it. On development pairs 78
# instead of 72 % of the words were right with it, for 1.3 instead of 1.8 words a tile.
BESIDE = 1.0
# A cell counts for a keyword whose logit is lower than the largest one by no more.
NEAR_BEST = 1.0
OWN_SHARE = 0.25
SPOT_FLOOR = 1e-5


@dataclass(frozen=True)
class Window:
    """Raw scores of one window of a tile.

    Attributes:
        tokens: (T, D). change, vectors: logits. keywords: logits (K,). domain: (2,).
        mask: logits (h, w). classes: logits (K, h, w). cloud: logits (2, h/4, w/4).
        valid: bool (h, w), cells with data. row, col: of its first pixel in the tile.
        height, width: of it in the tile, pixels.
    """

    tokens: F32
    change: float
    vectors: float
    keywords: F32
    domain: tuple[float, float]
    mask: F32
    classes: F32
    cloud: F32
    valid: Bool
    row: int
    col: int
    height: int
    width: int


@dataclass(frozen=True)
class Reading:
    """What a tile's scores mean.

    Attributes:
        tokens: image tokens (T, D) of the strongest window. score: calibrated, 0-1. status: the answer.
        facts: for the sentence. keywords: names, strongest first. mask: bool (H, W), pixels of the tile, or None
            where the tile cannot be judged. reason: why it is unsure.
    """

    tokens: F32
    score: float
    status: CaptionStatus
    facts: Facts
    keywords: tuple[str, ...]
    mask: Bool | None
    reason: str | None


def log_odds(probability: float) -> float:
    """Inverse of the logistic function, kept finite."""
    kept = min(max(probability, 1e-6), 1.0 - 1e-6)
    return float(np.log(kept / (1.0 - kept)))


def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x)) without overflow."""
    return float(0.5 * (1.0 + np.tanh(0.5 * x)))


def mask_spot(mask: F32) -> float:
    """Log-odds of change where it is strongest: of the mean of some cells of a mask (logits, any shape)."""
    cells = np.partition(mask.ravel(), -SPOT_CELLS)[-SPOT_CELLS:].astype(np.float64)
    return log_odds(float((0.5 * (1.0 + np.tanh(0.5 * cells))).mean()))


def keyword_spots(mask: F32, classes: F32) -> npt.NDArray[np.float64]:
    """Log-odds of each keyword where it is strongest: of the mean over some cells of "changed, and to this" (K,).

    Args:
        mask: logits (h, w). classes: logits (K, h, w), softmax over K.
    """
    logits = classes.reshape(len(classes), -1)
    became = np.exp(logits - logits.max(0))
    joint = became * (0.5 * (1.0 + np.tanh(0.5 * mask.ravel())) / became.sum(0))
    strongest = np.partition(joint, -KEYWORD_CELLS, axis=1)[:, -KEYWORD_CELLS:].mean(1, dtype=np.float64)
    kept = np.clip(strongest, SPOT_FLOOR, 1.0 - SPOT_FLOOR)
    return np.asarray(np.log(kept / (1.0 - kept)), np.float64)


def octaves(pixels: float) -> float:
    """How many times larger than 128 px the side of a square of so many pixels is, in doublings; at least -1."""
    return max(LEAST_OCTAVES, 0.5 * float(np.log2(max(pixels, 1.0) / 128.0**2)))


def tile_logit(windows: Sequence[Window], manifest: Manifest) -> tuple[int, float]:
    """Which window is the strongest, and the calibrated log-odds of change: its own, less the log of their number.

    Many windows have many chances of a false alarm; without the correction (Bonferroni's) the share of false
    alarms would grow with the tile.
    """
    fit = manifest.calibration
    each = [
        fit.scale * window.change
        + fit.vectors * window.vectors
        + fit.spot * mask_spot(window.mask)
        + fit.size * octaves(_pixels_seen(window))
        + fit.bias
        for window in windows
    ]
    strongest = int(np.argmax(each))
    return strongest, each[strongest] - float(np.log(len(windows)))


def _pixels_seen(window: Window) -> float:
    """Pixels with data; a cell is 4 of them long."""
    return 16.0 * float(window.valid.sum())


def read_windows(windows: Sequence[Window], valid: Bool, manifest: Manifest, foreign: str | None) -> Reading:
    """Put the windows of one tile together.

    Args:
        windows: at least one. valid: bool (H, W) of the tile. manifest: with the thresholds.
        foreign: why the pixels alone say that the tile cannot be judged, or None.
    """
    limits = manifest.thresholds
    windows = with_data(windows)
    index, logit = tile_logit(windows, manifest)
    strongest, score = windows[index], sigmoid(logit)
    reason = foreign or scene_reason(windows, manifest)
    if reason is not None:
        return Reading(strongest.tokens, score, "unsure", Facts(UNSURE), (), None, reason)
    if score <= limits.unchanged:
        # Keywords and mask would contradict the answer: what is left of them is noise under a low score.
        nothing = np.zeros(valid.shape, bool)
        return Reading(strongest.tokens, score, "unchanged", Facts(UNCHANGED), (), nothing, None)
    sure = score >= limits.changed
    if not sure:
        reason = f"change score {score:.2f} lies between {limits.unchanged:.2f} and {limits.changed:.2f}"
    changed, became, seen = _cells(windows, valid.shape, limits.mask)
    names = _keywords(windows, manifest)
    findings = _findings(names, changed, became, seen)
    facts = Facts(CHANGED if sure else UNSURE, findings)
    keywords = tuple(KEYWORDS[index] for index in facts.keywords)
    return Reading(
        strongest.tokens,
        score,
        "changed" if sure else "unsure",
        facts,
        keywords,
        _pixels(windows, valid, limits.mask),
        reason,
    )


def with_data(windows: Sequence[Window]) -> list[Window]:
    """Windows with enough data to say anything; the one with most of it where none has."""
    kept = [window for window in windows if window.valid.mean() >= LEAST_DATA]
    return kept or [max(windows, key=lambda window: float(window.valid.mean()))]


def scene_reason(windows: Sequence[Window], manifest: Manifest) -> str | None:
    """Why a tile cannot be judged, from clouds and from what its dates look like; None where nothing speaks against."""
    shares = [window.valid.mean() + 1e-9 for window in windows]
    cloud = np.average([_cloud_share(window) for window in windows], axis=0, weights=shares)
    hidden = cloud_reason((float(cloud[0]), float(cloud[1])))
    if hidden is not None or manifest.thresholds.domain is None:
        return hidden
    domain = np.average([window.domain for window in windows], axis=0, weights=shares)
    return look_reason((float(domain[0]), float(domain[1])), manifest.thresholds.domain)


def _cloud_share(window: Window) -> npt.NDArray[np.float64]:
    import cv2  # describing a captioner must not load it

    rows, cols = window.cloud.shape[1:]
    seen = cv2.resize(window.valid.astype(np.float32), (cols, rows), interpolation=cv2.INTER_AREA) > 0.5
    if not seen.any():
        return np.zeros(2)
    return np.asarray((window.cloud > 0)[:, seen].mean(1), np.float64)


def _cells(windows: Sequence[Window], shape: tuple[int, ...], threshold: float) -> tuple[Bool, F32, Bool]:
    """Changed cells, what they became, and cells with data, of the whole tile at a quarter of its pixels.

    What they became is (K, h, w): the logit of each keyword less the largest one of its cell.
    """
    rows, cols = (-(-length // 4) for length in shape)
    changed, seen = np.zeros((rows, cols), bool), np.zeros((rows, cols), bool)
    became = np.zeros((len(windows[0].classes), rows, cols), np.float32)
    for window in windows:
        height, width = -(-window.height // 4), -(-window.width // 4)
        top, left = window.row // 4, window.col // 4
        height, width = min(height, rows - top), min(width, cols - left)
        part = (slice(top, top + height), slice(left, left + width))
        seen[part] = window.valid[:height, :width]
        changed[part] = (window.mask[:height, :width] >= log_odds(threshold)) & seen[part]
        classes = window.classes[:, :height, :width]
        became[:, *part] = classes - classes.max(0)
    return changed, became, seen


def _pixels(windows: Sequence[Window], valid: Bool, threshold: float) -> Bool:
    """Changed pixels of the tile, interpolated as logits: the edge lies where the probability crosses."""
    import cv2  # describing a captioner must not load it

    mask = np.zeros(valid.shape, bool)
    for window in windows:
        rows, cols = window.mask.shape
        full = cv2.resize(window.mask, (cols * 4, rows * 4), interpolation=cv2.INTER_LINEAR)
        part = (slice(window.row, window.row + window.height), slice(window.col, window.col + window.width))
        mask[part] = full[: window.height, : window.width] >= log_odds(threshold)
    return mask & valid


def _keyword_odds(window: Window, fit: Calibration) -> npt.NDArray[np.float64]:
    """Calibrated log-odds of every keyword, (K,)."""
    odds = np.array(fit.keyword_scale or (1.0,)) * window.keywords.astype(np.float64)
    if fit.keyword_spot:
        odds = odds + np.array(fit.keyword_spot) * keyword_spots(window.mask, window.classes)
    if fit.keyword_size:
        odds = odds + np.array(fit.keyword_size) * octaves(_pixels_seen(window))
    return np.asarray(odds + np.array(fit.keyword_bias or (0.0,)), np.float64)


def _keywords(windows: Sequence[Window], manifest: Manifest) -> list[int]:
    """Keywords that reach their thresholds, the most probable first, and only what is hardly less probable beside it.

    What is built is told beside anything. Of two that deny each other the first is kept.
    """
    limits = manifest.thresholds
    odds = np.max([_keyword_odds(window, manifest.calibration) for window in windows], axis=0) - np.log(len(windows))
    reached = odds >= np.array([log_odds(limit) for limit in limits.keywords])
    order = np.argsort(-odds, kind="stable")
    kept: list[int] = []
    for index in order[reached[order]]:
        denied = any(frozenset((KEYWORDS[index], KEYWORDS[other])) in CONTRARY for other in kept)
        near = not kept or odds[index] >= odds[kept[0]] - BESIDE or KEYWORDS[index] in BUILT
        if near and not denied:
            kept.append(int(index))
    return kept[:MAX_KEYWORDS]


def _findings(names: list[int], changed: Bool, became: F32, seen: Bool) -> tuple[Finding, ...]:
    """Where each keyword is, and how many; a keyword without cells of its own has the place of the whole change.

    A cell may be of several keywords: of all that are hardly less likely there than the likeliest. One that is said
    alone while most of the change is of no kind in particular has the place of the whole, too.
    """
    findings = []
    asked: list[int | None] = [*names] or [None]
    for name in asked:
        own = changed & (became[name] >= -NEAR_BEST) if name is not None else changed
        if own.sum() < SMALLEST_PART:
            own = changed
        counted = name is not None and KEYWORDS[name] in COUNTED
        number = count_index(count_parts(own, SMALLEST_PART)) if counted else 0
        if len(asked) == 1 and own.sum() < OWN_SHARE * changed.sum():
            own = changed
        extent, place = mask_facts(own, seen)
        findings.append(Finding(name, number, place, extent))
    return tuple(findings)

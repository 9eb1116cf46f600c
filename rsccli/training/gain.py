"""What fine-tuning gained: figures on held-out places, and thresholds from the inner validation places."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from rsccli.models.small.export import Calibration
from rsccli.models.small.network import SmallCaptioner
from rsccli.training.calibrate import (
    DOMAIN_MARGIN,
    DOMAIN_QUANTILE,
    FEWEST_POSITIVES,
    KEYWORD_FALSE_ALARMS,
    MASK_THRESHOLDS,
    MISSED_AS_UNCHANGED,
    answer_scores,
    fit_score,
    keyword_odds,
    keyword_threshold,
    logistic,
    platt,
)
from rsccli.training.development import (
    F64,
    ScoredPairs,
    auc,
    cells,
    intersection_over_union,
    score_generated,
)
from rsccli.training.user_pairs import UserPair, fixed_views, wanted
from rsccli.types import Bool

KEYWORD_PARTS = ("keyword_scale", "keyword_spot", "keyword_size", "keyword_bias")


@dataclass(frozen=True, eq=False)
class Scored:
    """Views of some pairs with the scores that a network gives them.

    Attributes:
        scores: raw. changed: (n,) 1, 0, or nan where nobody knows. keywords: bool (n, K). named: bool (n,), whether
            somebody said which; complete: bool (n,), whether all were said. masks: truth by cell, None: not drawn.
    """

    scores: ScoredPairs
    changed: F64
    keywords: Bool
    named: Bool
    complete: Bool
    masks: tuple[tuple[Bool, Bool] | None, ...]


@dataclass(frozen=True)
class Figures:
    """What is measured on pairs of held-out places; 0-1, None where the labels do not allow it.

    Attributes:
        auc: changed against unchanged. auc_vectors: the same by change vectors alone, which learn nothing.
        accuracy: of changed or not at the calibrated threshold; balanced: mean of both classes'.
        keyword_precision, keyword_recall: over all pairs and keywords. mask_iou: where changes are drawn.
        foreign: share of the pairs that look unlike the training data, so that a caption run would be unsure.
    """

    auc: float | None
    auc_vectors: float | None
    accuracy: float | None
    balanced: float | None
    keyword_precision: float | None
    keyword_recall: float | None
    mask_iou: float | None
    foreign: float | None

    def as_dict(self) -> dict[str, float | None]:
        """Plain values, rounded."""
        return {name: None if value is None else round(value, 4) for name, value in asdict(self).items()}


def score_pairs(model: SmallCaptioner, pairs: Sequence[UserPair], share: float) -> Scored:
    """Score the fixed views of pairs.

    Args:
        share: see ``native_share``.
    """
    views = [(pair, view) for pair in pairs for view in fixed_views(pair, share)]
    only = [view for _, view in views]
    drawn = [(cells(v.mask), cells(v.known & v.valid)) if v.known.any() else None for v in only]
    return Scored(
        scores=score_generated(model, only),
        changed=np.array([math.nan if view.changed is None else float(view.changed) for view in only]),
        keywords=wanted(only),
        named=np.array([view.keywords is not None for view in only], bool),
        complete=np.array([view.keywords is not None and pair.complete for pair, view in views], bool),
        masks=tuple(drawn),
    )


def shipped_calibration(weights: Path) -> Calibration | None:
    """Thresholds of the bundle that weights lie in; None where they lie in none."""
    manifest = weights.parent / "rsccli.json"
    if not manifest.is_file():
        return None
    content = json.loads(manifest.read_text(encoding="utf-8"))
    scores, limits = content["calibration"], content["thresholds"]
    return Calibration(
        scale=scores["scale"],
        bias=scores["bias"],
        vectors=scores.get("vectors", 0.0),
        size=scores.get("size", 0.0),
        spot=scores.get("spot", 0.0),
        **{name: tuple(scores[name]) for name in KEYWORD_PARTS if scores.get(name)},
        changed=limits["changed"],
        unchanged=limits["unchanged"],
        keywords=tuple(limits["keywords"]),
        mask=limits["mask"],
        domain=limits.get("domain"),
    )


def recalibrated(start: Calibration, validation: Scored) -> Calibration:
    """Thresholds from inner validation pairs; each stays as it was where there is too little to fit it."""
    known = ~np.isnan(validation.changed)
    changed = validation.changed[known] > 0.5
    new = start
    if changed.any() and not changed.all():
        part = validation.scores.some(known)
        new = replace(new, **asdict(fit_score(part, changed, new.size)))
        answers = answer_scores(part, new)
        high = _best_cut(answers, changed)
        low = min(float(np.quantile(answers[changed], MISSED_AS_UNCHANGED)), 0.9 * high)
        new = replace(new, changed=round(high, 4), unchanged=round(min(low, high), 4))
    new = _with_keywords(new, validation)
    if any(drawn is not None and drawn[0].any() for drawn in validation.masks):
        best = max(MASK_THRESHOLDS, key=lambda threshold: _iou(validation, threshold) or 0.0)
        new = replace(new, mask=round(best, 3))
    return new


def _with_keywords(start: Calibration, validation: Scored) -> Calibration:
    """Weights and threshold of each keyword that enough validation pairs have; the others stay as they were."""
    told = validation.scores
    fits = [list(part) for part in (start.keyword_scale, start.keyword_spot, start.keyword_bias, start.keywords)]
    for k in range(len(start.keywords)):
        has = validation.keywords[:, k]
        asked = has | validation.complete
        if has.sum() < FEWEST_POSITIVES or not (asked & ~has).any():
            continue
        sized = start.keyword_size[k] * told.octaves[asked]
        logits, spots = told.keywords[asked, k], told.keyword_spots[asked, k]
        scale, spot, bias = platt(logits, spots, has[asked], sized)
        odds = scale * logits + spot * spots + sized + bias
        floor = float(np.quantile(odds[~has[asked]], 1.0 - KEYWORD_FALSE_ALARMS))
        limit = float(logistic(np.array([keyword_threshold(odds, has[asked], floor)]))[0])
        for part, value in zip(fits, (scale, spot, bias, limit), strict=True):
            part[k] = round(value, 5)
    scales, spots_, biases, limits = map(tuple, fits)
    return replace(start, keyword_scale=scales, keyword_spot=spots_, keyword_bias=biases, keywords=limits)


def with_domain(calibration: Calibration, validation: Scored) -> Calibration:
    """The limit above which a date is foreign, from validation pairs."""
    limit = DOMAIN_MARGIN * float(np.quantile(validation.scores.domain, DOMAIN_QUANTILE))
    return replace(calibration, domain=round(limit, 3))


def figures(scored: Scored, calibration: Calibration) -> Figures:
    """What a network is worth on pairs, with thresholds that come from others."""
    known = ~np.isnan(scored.changed)
    changed = scored.changed[known] > 0.5
    part = scored.scores.some(known)
    vectors, answers = part.vectors, answer_scores(part, calibration)
    right = (answers >= calibration.changed) == changed
    both = bool(changed.any() and not changed.all())
    said = logistic(keyword_odds(scored.scores, calibration)) >= np.array(calibration.keywords)
    hits = said & scored.keywords
    named, complete = scored.named, scored.complete
    domain = scored.scores.domain.max(1)
    return Figures(
        auc=_value(auc(answers[changed], answers[~changed])),
        auc_vectors=_value(auc(vectors[changed], vectors[~changed])),
        accuracy=float(right.mean()) if len(right) else None,
        balanced=float((right[changed].mean() + right[~changed].mean()) / 2) if both else None,
        keyword_precision=_share(hits[complete].sum(), said[complete].sum()),
        keyword_recall=_share(hits[named].sum(), scored.keywords[named].sum()),
        mask_iou=_iou(scored, calibration.mask),
        foreign=None if calibration.domain is None else float((domain > calibration.domain).mean()),
    )


def _best_cut(answers: F64, changed: Bool) -> float:
    """Where both classes together are told apart best: midway between two answers."""
    order = np.unique(answers)
    cuts = np.concatenate([order[:1], (order[1:] + order[:-1]) / 2])
    worth = [(answers[changed] >= cut).mean() + (answers[~changed] < cut).mean() for cut in cuts]
    return float(cuts[int(np.argmax(worth))])


def _iou(scored: Scored, threshold: float) -> float | None:
    cut = math.log(threshold / (1.0 - threshold))
    pairs = [
        ((logits >= cut) & drawn[1], drawn[0] & drawn[1])
        for logits, drawn in zip(scored.scores.mask, scored.masks, strict=True)
        if drawn is not None
    ]
    if not any(truth.any() for _, truth in pairs):
        return None
    return intersection_over_union([mask for mask, _ in pairs], [truth for _, truth in pairs])


def _share(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None


def _value(number: float) -> float | None:
    return None if math.isnan(number) else number

"""Tables of docs/detect.md: pixels, polygons and classes against what a person marked, beside change vectors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import common
import cv2
import numpy as np
import shapely
from card_stats import F64, Measured, measured, place_weights, ratio
from detect_pairs import Bool, Judged, best_threshold, box_of

from rsccli.models.small.detect import KEYWORD_CLASSES

THRESHOLDS = (0.3, 0.5, 0.7, 0.9)
DEFAULT = 0.5
LEAST_PX = 16
_BINS = 500
HEAD = ("way", "precision", "recall", "F1", "IoU", "told changed")


def _counts(values: Sequence[F64], found: Sequence[Judged]) -> tuple[F64, F64]:
    """Pixels of each pair by value, (pairs, bins): changed ones, and unchanged ones."""
    every = np.concatenate([value[each.known] for value, each in zip(values, found, strict=True)])
    edges = np.unique(np.quantile(every, np.linspace(0, 1, _BINS)))
    counts = np.zeros((2, len(found), len(edges)))
    for at, (value, each) in enumerate(zip(values, found, strict=True)):
        bins = np.searchsorted(edges, value[each.known], side="right") - 1
        for which, part in enumerate((each.truth[each.known], ~each.truth[each.known])):
            counts[which, at] = np.bincount(bins[part], minlength=len(edges))
    return counts[0], counts[1]


def _areas(changed: F64, unchanged: F64) -> tuple[F64, F64]:
    """Area under the ROC curve and average precision of counts, (draws, bins)."""
    below = np.cumsum(unchanged, 1) - unchanged / 2
    under = (changed * below).sum(1) / (changed.sum(1) * unchanged.sum(1))
    hits = np.cumsum(changed[:, ::-1], 1)
    told = hits + np.cumsum(unchanged[:, ::-1], 1)
    precision = (changed[:, ::-1] * hits / np.maximum(told, 1)).sum(1) / changed.sum(1)
    return under, precision


def curves(found: list[Judged], ways: dict[str, list[F64]]) -> str:
    """Area under the curve and average precision of each way, and of the first less the second."""
    places = [each.place for each in found]
    (weights,) = place_weights(places)
    weights = np.concatenate([np.ones((1, len(found))), weights])
    areas = []
    for values in ways.values():
        changed, unchanged = _counts(values, found)
        areas.append(_areas(weights @ changed, weights @ unchanged))
    base = sum(int((each.truth & each.known).sum()) for each in found) / sum(int(each.known.sum()) for each in found)

    def told(drawn: F64) -> str:
        if len(set(places)) == 1:
            return f"{drawn[0]:.3f}"
        return measured(float(drawn[0]), drawn[1:], places).text()

    rows = [[name, told(under), told(precision)] for name, (under, precision) in zip(ways, areas, strict=True)]
    rows.append(["the first less the second", *(told(a - b) for a, b in zip(areas[0], areas[1], strict=True))])
    rows.append(["floor: a constant", "0.500", f"{base:.3f}"])
    return common.table(["way", "AUC of a pixel", "average precision"], rows)


def _row(name: str, found: list[Judged], hits: list[Bool]) -> list[str]:
    places = [each.place for each in found]
    hits = [hit & each.known for hit, each in zip(hits, found, strict=True)]
    both = np.array([float((hit & each.truth).sum()) for hit, each in zip(hits, found, strict=True)])
    told = np.array([float(hit.sum()) for hit in hits])
    true = np.array([float((each.truth & each.known).sum()) for each in found])
    known = sum(float(each.known.sum()) for each in found)

    def text(one: Measured) -> str:
        if np.isnan(one.value):
            return "-"
        return one.text() if one.places > 1 else f"{one.value:.3f}"

    return [
        name,
        *(text(ratio(above, below, places)) for above, below in ((both, told), (both, true))),
        text(ratio(2 * both, told + true, places)),
        text(ratio(both, told + true - both, places)),
        f"{100 * told.sum() / known:.1f} %",
    ]


def pixels(found: list[Judged], vectors: dict[str, list[F64]], fixed: float | None) -> str:
    """Precision, recall, F1 and overlap, beside change vectors.

    Args:
        vectors: lengths of change vectors by name. fixed: their threshold from development places, or None.
    """
    rows = [
        _row(
            f"`rsccli detect`, {threshold:g}{' (default)' if threshold == DEFAULT else ''}",
            found,
            [each.score >= threshold for each in found],
        )
        for threshold in THRESHOLDS
    ]
    for name, values in vectors.items():
        if fixed is not None:
            rows.append(_row(f"{name}, threshold of development places", found, [value >= fixed for value in values]))
        otsus = [value >= otsu(value) for value in values]
        rows.append(_row(f"{name}, Otsu's threshold of each pair", found, otsus))
        known = [each.known for each in found]
        best = best_threshold(
            np.concatenate([value[part] for value, part in zip(values, known, strict=True)]),
            np.concatenate([each.truth[each.known] for each in found]),
        )
        rows.append(_row(f"{name}, best threshold in hindsight", found, [value >= best for value in values]))
    rows.append(_row("floor: everything changed", found, [np.ones_like(each.known) for each in found]))
    return common.table(HEAD, rows)


def otsu(values: F64) -> float:
    """Otsu's threshold."""
    top = float(np.quantile(values, 0.999)) or 1.0
    scaled = np.clip(values / top * 255, 0, 255).astype(np.uint8)
    return (float(cv2.threshold(scaled, 0, 255, cv2.THRESH_OTSU)[0]) + 1) / 255 * top


def reliability(found: list[Judged]) -> str:
    """Told probability against the share of such pixels that are in a box."""
    score = np.concatenate([each.score[each.known] for each in found])
    truth = np.concatenate([each.truth[each.known] for each in found])
    rows = []
    for low, high in ((0, 0.05), (0.05, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 1.001)):
        here = (score >= low) & (score < high)
        if here.any():
            rows.append(
                [
                    f"{low:g}-{min(high, 1):g}",
                    f"{100 * here.mean():.1f} %",
                    f"{score[here].mean():.2f}",
                    f"{truth[here].mean():.2f}",
                ]
            )
    return common.table(["probability", "share of pixels", "mean told", "in a box of a change"], rows)


def objects(found: list[Judged], fixed: float) -> str:
    """Marked changes that polygons find, and polygons that lie in a box of a main or a minor change."""
    ours: Counter[str] = Counter()
    theirs: Counter[str] = Counter()
    for each in found:
        assert each.label is not None
        boxes = [mark.box for mark in each.label.marks or ()]
        main = [mark.box for mark in each.label.marks or () if mark.main and each.label.seen == "changed"]
        count, labels, stats, _ = cv2.connectedComponentsWithStats((each.vectors >= fixed).astype(np.uint8), None, 4)
        kept = [at for at in range(1, count) if stats[at, cv2.CC_STAT_AREA] >= LEAST_PX]
        touched = [set(np.unique(labels[box_of(box)]).tolist()) for box in boxes]
        shapes = [shape for _, shape in each.polygons]
        ours.update(
            marks=len(main),
            hit=sum(any(shape.intersects(shapely.box(*box)) for shape in shapes) for box in main),
            polygons=len(shapes),
            right=sum(any(shape.intersects(shapely.box(*box)) for box in boxes) for shape in shapes),
        )
        theirs.update(
            marks=len(main),
            hit=sum(bool(set(np.unique(labels[box_of(box)]).tolist()) & set(kept)) for box in main),
            polygons=len(kept),
            right=sum(any(at in found_in for found_in in touched) for at in kept),
        )
    rows = [
        [
            name,
            f"{told['hit']} of {told['marks']} ({100 * told['hit'] / told['marks']:.0f} %)",
            f"{told['right']} of {told['polygons']} ({100 * told['right'] / told['polygons']:.0f} %)",
        ]
        for name, told in (
            ("`rsccli detect`, as it comes", ours),
            ("change vectors, threshold of development places, regions of 16 pixels", theirs),
        )
    ]
    return common.table(["way", "marked changes that a polygon touches", "polygons that touch a box"], rows)


def kinds(found: list[Judged], names: tuple[str, ...]) -> str:
    """Of marked changes with changed pixels: whether most of these are of the class of the mark."""
    wanted: Counter[str] = Counter()
    right: Counter[str] = Counter()
    told: Counter[str] = Counter()
    wrong: dict[str, Counter[str]] = {name: Counter() for name in names}
    for each in found:
        assert each.label is not None
        for mark in each.label.marks or ():
            kind = KEYWORD_CLASSES.get(mark.keyword)
            codes = each.mask[box_of(mark.box)]
            counts = np.bincount(codes[(codes > 0) & (codes < 254)], minlength=len(names) + 1)
            if kind is None or not mark.main or each.label.seen != "changed" or not counts.any():
                continue
            answer = names[int(counts.argmax()) - 1]
            wanted[kind] += 1
            told[answer] += 1
            right[kind] += answer == kind
            if answer != kind:
                wrong[kind][answer] += 1
    rows = [
        [
            name,
            str(wanted[name]),
            str(right[name]),
            str(told[name]),
            ", ".join(f"{other} {count}" for other, count in wrong[name].most_common(3)) or "-",
        ]
        for name in names
        if wanted[name] or told[name]
    ]
    often = wanted.most_common(1)[0]
    rows.append(["all", str(wanted.total()), str(right.total()), str(told.total()), ""])
    rows.append([f"floor: always {often[0]}", str(wanted.total()), str(often[1]), "", ""])
    return common.table(["class of the mark", "marks", "told right", "told at all", "told as another"], rows)

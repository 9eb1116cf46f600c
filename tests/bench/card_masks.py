"""How well change masks cover what changed: intersection over union, beside change vectors and "everything"."""

from __future__ import annotations

import numpy as np
from card_bench import Bench, Section, Seen, look
from card_sets import Item, read_bands, tiles
from card_stats import CELL_PX, F64, Measured, ratio, vector_map
from common import table

HEAD = ("pairs", "n", "mask", "change vectors, best threshold in hindsight", "everything changed", "changed share")
STEPS = np.linspace(0.02, 0.99, 60)


def _cells(mask: np.ndarray) -> np.ndarray:
    rows, cols = mask.shape[0] // CELL_PX, mask.shape[1] // CELL_PX
    cut = mask[: rows * CELL_PX, : cols * CELL_PX].reshape(rows, CELL_PX, cols, CELL_PX)
    return np.asarray(cut.mean((1, 3)) >= 0.5)


def overlap(masks: list[np.ndarray], truths: list[np.ndarray], places: list[str]) -> Measured:
    """Of all pairs together."""
    both = np.array([float((a & b).sum()) for a, b in zip(masks, truths, strict=True)])
    either = np.array([float((a | b).sum()) for a, b in zip(masks, truths, strict=True)])
    return ratio(both, either, places)


def vector_overlap(seen: Seen, truths: list[np.ndarray], known: list[np.ndarray]) -> Measured:
    """The best that one threshold on change vectors does; the threshold is chosen on the same pairs."""
    maps = [vector_map(item.pre, item.post) for item in seen.items]
    small, where = [_cells(t) for t in truths], [_cells(k) for k in known]
    found: list[Measured] = []
    limits: F64 = np.quantile(np.concatenate([m.ravel() for m in maps]), STEPS)
    best, most = float(limits[0]), -1.0
    for limit in limits:
        both = sum(int(((m > limit) & t & k).sum()) for m, t, k in zip(maps, small, where, strict=True))
        either = sum(int((((m > limit) | t) & k).sum()) for m, t, k in zip(maps, small, where, strict=True))
        if either and both / either > most:
            best, most = float(limit), both / either
    found.append(
        overlap(
            [(m > best) & k for m, k in zip(maps, where, strict=True)],
            [t & k for t, k in zip(small, where, strict=True)],
            seen.places,
        )
    )
    return found[0]


def _row(name: str, seen: Seen, known: list[np.ndarray] | None = None) -> list[str]:
    truths = [item.truth if item.truth is not None else np.zeros(item.pre.shape[1:], bool) for item in seen.items]
    known = known or [np.ones_like(truth) for truth in truths]
    inside = [truth & k for truth, k in zip(truths, known, strict=True)]
    given = [
        np.zeros_like(truth) if caption.mask is None else caption.mask & k
        for truth, caption, k in zip(truths, seen.captions, known, strict=True)
    ]
    none = sum(caption.mask is None for caption in seen.captions)
    mask = "no mask is given" if none == len(given) else overlap(given, inside, seen.places).text()
    if 0 < none < len(given):
        mask += f"; {none} without a mask count as empty"
    changed = sum(int(t.sum()) for t in inside) / max(1, sum(int(k.sum()) for k in known))
    return [
        name,
        str(len(given)),
        mask,
        vector_overlap(seen, truths, known).text(),
        overlap(known, inside, seen.places).text(),
        f"{100 * changed:.1f} %",
    ]


def taizhou(bench: Bench, gsd_m: float = 30.0) -> tuple[Seen, list[np.ndarray]]:
    """Four tiles of the Landsat pair in true colour, its counts stretched as a person would; where labels are known."""
    folder = bench.imagery.folder / "taizhou"
    dates = [read_bands(folder / f"taizhou_{year}.tif", (3, 2, 1)) for year in (2000, 2003)]
    marks = [read_bands(folder / f"{name}.png", (1,))[0] > 0 for name in ("change", "unchanged")]
    stretched = []
    for image in dates:
        low, high = np.percentile(image, (2, 98), axis=(1, 2), keepdims=True)
        stretched.append(np.clip((image - low) / (high - low) * 255, 0, 255).astype(np.uint8))
    found: list[Item] = []
    known = []
    for item in tiles(stretched[0], stretched[1], 200, gsd_m, "taizhou"):
        top, left = (int(value) for value in item.name.split("/")[1].split(","))
        part = (slice(top, top + 200), slice(left, left + 200))
        found.append(Item(item.name, item.place, item.pre, item.post, gsd_m, truth=marks[0][part]))
        known.append(marks[0][part] | marks[1][part])
    return look(bench.captioner(), found), known


def masks(bench: Bench) -> Section:
    """The table of overlaps."""
    boxed = bench.seen("chips").labelled("changed").where(lambda item, _: item.truth is not None)
    foreign, known = taizhou(bench)
    real = [
        _row("NAIP test chips labelled changed, rough boxes", boxed),
        _row("Taizhou, Landsat, labelled pixels", foreign, known),
    ]
    generated = [_row("changes drawn over test places", bench.seen("drawn"))]
    body = f"""Intersection over union, all pixels of a set together; 95 % intervals by place. Real pairs: boxes were
drawn by eye around each spot that changed, so they hold unchanged ground too, and even a perfect outline does not
reach 1. Taizhou has 30 m pixels, outside of the captioner's range, where the answer is "unsure"; its four tiles are
single places, and only labelled pixels count.

{table(HEAD, real)}

Generated changes (synthetic), whose masks are exact:

{table(HEAD, generated)}"""
    return Section("Masks", body)

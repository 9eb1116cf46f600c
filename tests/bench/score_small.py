"""Scores of a small captioner's bundle, for its model card: ``python tests/bench/score_small.py DATA [BUNDLE]``.

Everything goes through the captioner as a user runs it. Prints one JSON object. What is synthetic says so.
"""

from __future__ import annotations

import argparse
import io
import json
import time
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import rasterio

from rsccli.datasets.grammar import named_keywords
from rsccli.models.captioner import CaptionerOptions
from rsccli.models.registry import load_captioner
from rsccli.training.development import auc, read_held_out
from rsccli.types import U8, Bool, Caption, MapBounds, PxWindow, Tile, TilePair

GENERATED = 240
HARVEY = 300
WATER = {"flood", "water gain"}


def tile_pair(pre: U8, post: U8, gsd_m: float = 0.6) -> TilePair:
    """Two (3, H, W) images as one tile."""
    height, width = pre.shape[1:]
    tile = Tile("r00000c00000", 0, 0, PxWindow(0, 0, width, height), MapBounds(0, 0, width, height))
    return TilePair(tile, pre, post, np.ones((height, width), bool), gsd_m)


def change_vectors(pre: U8, post: U8) -> float:
    """The trivial score: mean change vector of 4 px cells after matching mean and deviation of every band."""
    cells = []
    for image in (pre, post):
        x = image.astype(np.float64)
        x = (x - x.mean((1, 2), keepdims=True)) / (x.std((1, 2), keepdims=True) + 2.0)
        cells.append(x.reshape(3, x.shape[1] // 4, 4, x.shape[2] // 4, 4).mean((2, 4)))
    return float(np.sqrt(((cells[0] - cells[1]) ** 2).mean(0)).mean())


def answers(captions: list[Caption]) -> dict[str, float]:
    """Shares of the three answers."""
    count = Counter(caption.status for caption in captions)
    return {name: round(count[name] / len(captions), 3) for name in ("changed", "unsure", "unchanged")}


def scores(captions: list[Caption]) -> npt.NDArray[np.float64]:
    """Change scores."""
    return np.array([caption.change_score for caption in captions], np.float64)


def agreement(captions: list[Caption]) -> float:
    """Share of sentences that name no keyword that is not reported, and at least one where one is."""
    fine = 0
    for caption in captions:
        said = named_keywords(caption.text)
        fine += said <= set(caption.keywords) and bool(said) == bool(caption.keywords)
    return round(fine / len(captions), 3)


def iou(captions: list[Caption], masks: list[Bool]) -> float:
    """Intersection over union, all pixels together."""
    found = [
        caption.mask if caption.mask is not None else np.zeros_like(m)
        for caption, m in zip(captions, masks, strict=True)
    ]
    both = sum(int((f & m).sum()) for f, m in zip(found, masks, strict=True))
    return round(both / max(1, sum(int((f | m).sum()) for f, m in zip(found, masks, strict=True))), 3)


def harvey_pairs(folder: Path) -> list[TilePair]:
    """Every so manieth pair of the Harvey set; evaluation only."""
    pairs = []
    with zipfile.ZipFile(folder / "harvey.zip") as archive:
        names = sorted(name[4:] for name in archive.namelist() if name.startswith("pre/"))
        for name in names[:: max(1, len(names) // HARVEY)][:HARVEY]:
            dates = []
            for date in ("pre", "post"):
                raw = np.frombuffer(io.BytesIO(archive.read(f"{date}/{name}")).read(), np.uint8)
                image = cv2.imdecode(raw, cv2.IMREAD_COLOR)
                dates.append(np.ascontiguousarray(np.moveaxis(image[..., ::-1], 2, 0)))
            pairs.append(tile_pair(dates[0], dates[1], 1.0))
    return pairs


def prairie_tiles(folder: Path, first: str, second: str, side: int = 256) -> list[TilePair]:
    """Whole tiles of two prairie dates, cut on pixels (their origins are 0.6-3 m apart)."""
    images = []
    for date in (first, second):
        with rasterio.open(next(folder.glob(f"*_{date}.tif"))) as source:
            images.append(source.read((1, 2, 3)))
    rows, cols = (min(image.shape[axis] for image in images) for axis in (1, 2))
    return [
        tile_pair(images[0][:, y : y + side, x : x + side], images[1][:, y : y + side, x : x + side], 5.0)
        for y in range(0, rows - side + 1, side)
        for x in range(0, cols - side + 1, side)
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("bundle", nargs="?", default="rsccli-small")
    parser.add_argument("--split", choices=("development", "test"), default="test")
    arguments = parser.parse_args()
    captioner = load_captioner(arguments.bundle, CaptionerOptions(device="cpu", threads=1))
    held_out = read_held_out(arguments.data, arguments.split, GENERATED)
    result: dict[str, Any] = {
        "model": f"{captioner.info.name} {captioner.info.revision[:12]}",
        "split": arguments.split,
    }

    unchanged = [tile_pair(p.pre, p.post) for p in held_out.real if not p.changed]
    changed = [p for p in held_out.real if p.changed]
    started = time.perf_counter()
    quiet = captioner.caption(unchanged)
    result["ms_per_unchanged_tile_256px"] = round(1000 * (time.perf_counter() - started) / len(unchanged), 1)
    seen = captioner.caption([tile_pair(p.pre, p.post) for p in changed])
    drawn_pairs = [tile_pair(p.pre, p.post) for p in held_out.generated]
    started = time.perf_counter()
    drawn = captioner.caption(drawn_pairs)
    result["ms_per_changed_tile_256px"] = round(1000 * (time.perf_counter() - started) / len(drawn), 1)

    plain = np.array([change_vectors(p.pre, p.post) for p in unchanged])
    result["real_naip_unchanged"] = {"pairs": len(unchanged), **answers(quiet)}
    result["real_naip_changed"] = {
        "pairs": len(changed),
        **answers(seen),
        "auc": round(auc(scores(seen), scores(quiet)), 3),
        "auc_change_vectors": round(auc(np.array([change_vectors(p.pre, p.post) for p in changed]), plain), 3),
        "label_among_keywords": round(
            float(
                np.mean(
                    [bool(set(p.keywords) & set(c.keywords)) for p, c in zip(changed, seen, strict=True) if p.keywords]
                )
            ),
            3,
        ),
        "captions": {p.name: [";".join(p.keywords), c.status, c.text] for p, c in zip(changed, seen, strict=True)},
    }
    wanted = [{captioner.info.keywords[k] for k in p.facts.keywords} for p in held_out.generated]
    hits = sum(len(w & set(c.keywords)) for w, c in zip(wanted, drawn, strict=True))
    per_keyword = {}
    for name in captioner.info.keywords:
        total = sum(name in w for w in wanted)
        if total:
            per_keyword[name] = [
                total,
                sum(name in w and name in c.keywords for w, c in zip(wanted, drawn, strict=True)),
            ]
    result["synthetic_changed"] = {
        "pairs": len(drawn),
        **answers(drawn),
        "auc_against_real_unchanged": round(auc(scores(drawn), scores(quiet)), 3),
        "auc_change_vectors": round(auc(np.array([change_vectors(p.pre, p.post) for p in drawn_pairs]), plain), 3),
        "keyword_precision": round(hits / max(1, sum(len(c.keywords) for c in drawn)), 3),
        "keyword_recall": round(hits / sum(map(len, wanted)), 3),
        "keyword_there_and_found": per_keyword,
        "mask_iou": iou(drawn, [p.mask for p in held_out.generated]),
        "captions": [[p.caption, c.text] for p, c in list(zip(held_out.generated, drawn, strict=True))[:12]],
    }
    result["sentence_agrees_with_keywords"] = agreement([*quiet, *seen, *drawn])

    harvey = harvey_pairs(arguments.data / "harvey")
    said = captioner.caption(harvey)
    small_unchanged = [tile_pair(p.pre[:, 64:192, 64:192], p.post[:, 64:192, 64:192]) for p in unchanged]
    small_quiet = captioner.caption(small_unchanged)
    result["harvey_evaluation_only"] = {
        "pairs": len(harvey),
        **answers(said),
        "auc_against_unchanged_naip_128px": round(auc(scores(said), scores(small_quiet)), 3),
        "auc_change_vectors": round(
            auc(
                np.array([change_vectors(p.pre, p.post) for p in harvey]),
                np.array([change_vectors(p.pre, p.post) for p in small_unchanged]),
            ),
            3,
        ),
        "names_water": round(float(np.mean([bool(WATER & set(c.keywords)) for c in said])), 3),
        "unchanged_naip_128px": {**answers(small_quiet)},
        "keywords": dict(Counter(k for c in said for k in c.keywords).most_common()),
        "captions": [c.text for c in said[:8]],
    }
    prairie = captioner.caption(prairie_tiles(arguments.data / "prairie", "20120731", "20140720"))
    result["prairie_2012_2014"] = [
        [c.status, round(c.change_score or 0.0, 2), ";".join(c.keywords), c.text] for c in prairie
    ]
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()

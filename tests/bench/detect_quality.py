"""How good `rsccli detect` is: its pixels, polygons and classes on real pairs, as docs/detect.md shows them.

Held-out NAIP places (the test half of Riverside, 0.6 m) against boxes that were drawn around changes, Harvey (aerial, a
flood) against copies of itself, one pair of LEVIR-MCI against its mask, Taizhou (Landsat, 30 m, far outside of what the
captioner knows) against its labelled pixels. Beside it stand change vectors: what a plain script would take.

Usage: python tests/bench/detect_quality.py
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import common
import numpy as np
from card_copies import other_light
from card_sets import Imagery, Item, copied, harvey, light_changed, read_imagery
from detect_pairs import (
    Judged,
    detected,
    development_threshold,
    keep_captioner,
    levir,
    naip,
    taizhou,
    vectors_of,
    write_pair,
)
from detect_tables import curves, kinds, objects, pixels, reliability

from rsccli.geo.pair import PairOptions
from rsccli.models.small.detect import CLASSES

VECTORS = "change vectors"


def _of_test_places(folder: Path, imagery: Imagery, fixed: float) -> None:
    found = list(naip(folder, imagery))
    places = len({each.place for each in found})
    seen = Counter(each.label.seen for each in found if each.label is not None)
    dark = sum(each.judged == 0 for each in found)
    vectors = [each.vectors for each in found]
    common.say("### NAIP test places, 0.6 m\n")
    common.say(
        f"{len(found)} pairs of {places} places ({', '.join(f'{count} {kind}' for kind, count in seen.items())}); "
        f"{dark} pairs that were not judged count as unchanged. 95 % intervals by place.\n"
    )
    common.say(curves(found, {"`rsccli detect`": [each.score for each in found], VECTORS: vectors}))
    common.say(f"\n{pixels(found, {VECTORS: vectors}, fixed)}\n")
    common.say(objects(found, fixed))
    common.say(f"\n{kinds(found, CLASSES)}\n")
    common.say(reliability(found))


def _flood(folder: Path, imagery: Imagery, fixed: float) -> None:
    pairs = harvey(imagery.folder)
    sets: dict[str, Sequence[Item]] = {
        "Harvey, before and after": pairs,
        "Harvey, flood water seen by eye": [item for item in pairs if item.seen == "changed"],
        "Harvey, one image under other light (made here)": copied(pairs, other_light, 1),
        "NAIP test places, one image under other light (made here)": light_changed(imagery.test),
    }
    rows = []
    for name, items in sets.items():
        dark = polygons = known = vectors = 0
        kinds_px = np.zeros(256, np.int64)
        for item in items:
            geometry = PairOptions(tile_size=item.pre.shape[1])
            score, mask, features = detected(folder, *write_pair(folder, item), geometry)
            dark += bool(np.isnan(score).all())
            polygons += bool(features)
            kinds_px += np.bincount(mask.ravel(), minlength=256)
            known += mask.size
            vectors += int((vectors_of(item.pre, item.post) >= fixed).sum())
        told = kinds_px[1 : 1 + len(CLASSES)]
        most = [f"{CLASSES[at]} {100 * told[at] / told.sum():.0f} %" for at in np.argsort(-told)[:3] if told[at]]
        rows.append(
            [
                name,
                str(len(items)),
                f"{100 * dark / len(items):.0f} %",
                f"{100 * polygons / len(items):.0f} %",
                f"{100 * told.sum() / known:.2f} %",
                ", ".join(most) or "-",
                f"{100 * vectors / known:.2f} %",
            ]
        )
        common.note(f"{name}: done")
    head = (
        *("pairs", "n", "not judged", "with a polygon", "pixels told changed", "of these"),
        "pixels told changed by change vectors, threshold of development places",
    )
    common.say("\n### A flood, and pairs without any change\n")
    common.say(common.table(head, rows))


def _single(name: str, judged: Judged, vectors: dict[str, list[np.ndarray]]) -> None:
    common.say(f"{name}\n")
    common.say(curves([judged], {"`rsccli detect`": [judged.score], **vectors}))
    common.say(f"\n{pixels([judged], vectors, None)}")


def main() -> None:
    """Measure and print."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    keep_captioner()
    common.say(f"{common.machine()}.\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        imagery = read_imagery(common.SHARED)
        fixed = development_threshold(imagery)
        _of_test_places(folder, imagery, fixed)
        _flood(folder, imagery, fixed)
        judged, drawn = levir(folder, common.SHARED)
        common.say("\n### One pair of LEVIR-MCI\n")
        _single("A single pair of two new roads: an anecdote.", judged, {VECTORS: [judged.vectors]})
        road = CLASSES.index("road") + 1
        hit = (judged.mask > 0) & (judged.mask < 254) & (drawn == 2)
        common.say(
            f"\nOf the road's pixels that are told changed {100 * (judged.mask[hit] == road).mean():.0f} % are road."
        )
        judged, six, before = taizhou(folder, common.SHARED)
        common.say("\n### Taizhou, Landsat, 30 m\n")
        told = f"Without `--judge-anyway` {100 * before:.0f} % of the pixels are judged. With it:"
        _single(told, judged, {f"{VECTORS}, 3 bands": [judged.vectors], f"{VECTORS}, 6 bands": [six]})


if __name__ == "__main__":
    main()

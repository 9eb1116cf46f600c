"""Pairs for the probes' tests: drawn ones whose truth is known, and real ones of the shared imagery."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from probe_captioners import ROOF

from rsccli.evaluation.probes.pairs import Pair, PairLabel, PairSet
from rsccli.types import U8, MapBounds, PxWindow, Tile, TilePair


@dataclass(frozen=True)
class Drawn:
    """A pair in memory."""

    pair: TilePair

    def read(self) -> TilePair:
        return self.pair


def ground(seed: int, side: int = 96) -> U8:
    """Smooth brown noise without a roof."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(90, 140, (side // 8, side // 8, 1)).astype(np.uint8)
    grey = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(np.stack([grey, grey - 10, grey - 30]).astype(np.uint8))


def with_roof(image: U8, row: int = 40, col: int = 40, side: int = 12) -> U8:
    """The image with one red roof."""
    drawn = image.copy()
    drawn[:, row : row + side, col : col + side] = np.array(ROOF, np.uint8)[:, None, None]
    return drawn


def tile_pair(pre: U8, post: U8, index: int = 0, gsd_m: float = 1.0) -> TilePair:
    """Two images as a pair that is valid all over."""
    height, width = pre.shape[1:]
    tile = Tile(
        f"p{index:06d}", 0, index, PxWindow(0, 0, width, height), MapBounds(0.0, 0.0, width * gsd_m, height * gsd_m)
    )
    return TilePair(tile, pre, post, np.ones((height, width), bool), gsd_m)


def drawn_set(kinds: Sequence[str], captions: Sequence[tuple[str, ...]] | None = None, region: str = "town") -> PairSet:
    """One pair for each kind: ``built``, ``gone`` or ``same``; labels are right, every pair is a place of its own."""
    pairs = []
    for index, kind in enumerate(kinds):
        plain = ground(index)
        pre = with_roof(plain) if kind == "gone" else plain
        post = with_roof(plain) if kind == "built" else plain
        label = PairLabel(
            f"pair {index}", f"place {index}", region, kind != "same", captions[index] if captions else (), "test"
        )
        pairs.append(Pair(label, Drawn(tile_pair(pre, post, index))))
    return PairSet(tuple(pairs), len(pairs), ("drawn",))


def write_naip(folder: Path, shared: Path, numbers: Sequence[int] = (1, 3, 5)) -> Path:
    """A file of real NAIP pairs, 2016 and 2020, of places in Riverside that were never trained on."""
    rows = []
    for number in numbers:
        dates = [shared / "naip" / f"riverside_{year}_{number}.tif" for year in (2016, 2020)]
        rows.append({"id": f"riverside_{number}", "pre": str(dates[0]), "post": str(dates[1]), "region": "riverside"})
    path = folder / "naip.csv"
    with path.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path

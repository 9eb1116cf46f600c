"""A small map of coloured ground with its images, for tests of search: what turned red, what stayed green."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

from rsccli.geo.pair import PairOptions, prepare_pair
from rsccli.output.features import Feature, build_features
from rsccli.output.writers import write_features
from rsccli.types import RunFacts, TileRecord

SIDE, COLS, ROWS = 64, 4, 3
COLOURS = {"red": (220, 40, 40), "green": (40, 220, 40), "blue": (40, 40, 220), "grey": (120, 120, 120)}
#: Colour of each tile before and after, row by row; the last tile has no data after.
PRE = ("grey", "grey", "grey", "red", "green", "blue", "red", "green", "blue", "grey", "grey", "grey")
POST = ("red", "green", "blue", "red", "green", "blue", "grey", "grey", "grey", "grey", "grey", None)
SAME = "The scene is the same as before."


@dataclass(frozen=True)
class Coloured:
    """A map, the images that it was made from, and what it says."""

    path: Path
    facts: RunFacts
    features: tuple[Feature, ...]


def paint(path: Path, colours: Sequence[str | None]) -> Path:
    """A GeoTIFF of one colour a tile, with noise; 0 is no data."""
    random = np.random.default_rng(1)
    pixels = np.zeros((3, ROWS * SIDE, COLS * SIDE), np.uint8)
    for place, name in enumerate(colours):
        row, col = divmod(place, COLS)
        if name is not None:
            noise = random.integers(-8, 9, (3, SIDE, SIDE))
            block = np.array(COLOURS[name])[:, None, None] + noise
            pixels[:, row * SIDE : (row + 1) * SIDE, col * SIDE : (col + 1) * SIDE] = block
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "height": pixels.shape[1], "width": pixels.shape[2]}
    place_of = Affine(0.6, 0, 390000.0, 0, -0.6, 3740000.0)
    blocks = {"tiled": True, "blockxsize": SIDE, "blockysize": SIDE, "photometric": "RGB"}
    with rasterio.open(path, "w", **profile, **blocks, crs="EPSG:32611", transform=place_of, nodata=0) as out:
        out.write(pixels)
    return path


def sentence(before: str, after: str | None) -> str | None:
    """What a tile says."""
    if after is None:
        return None
    return SAME if before == after else f"A {before} field turned {after} along the road."


def make_map(folder: Path, pre: Sequence[str] = PRE, post: Sequence[str | None] = POST, name: str = "out") -> Coloured:
    """Images in the folder and a map of them, as ``rsccli caption`` writes it."""
    images = paint(folder / f"{name}_pre.tif", pre), paint(folder / f"{name}_post.tif", post)
    pair = prepare_pair(*images, PairOptions(tile_size=SIDE))
    before, after = pair.facts()
    facts = RunFacts(
        version="0.1.0",
        pre=before,
        post=after,
        grid=pair.grid,
        gsd_m=0.6,
        tile_size=SIDE,
        stride=SIDE,
        edge="pad",
        tiles=ROWS * COLS,
        registration=pair.registration,
        radiometry="none",
        model="painted",
        model_revision="1",
        spec_hash="0",
    )
    records = []
    for place, (first, second) in enumerate(zip(pre, post, strict=True)):
        row, col = divmod(place, COLS)
        tile = pair.plan.tile(row, col)
        changed = second is not None and first != second
        status = "nodata" if second is None else "changed" if changed else "unchanged"
        score = None if second is None else 0.9 - place / 100 if changed else 0.1
        valid = 0.0 if second is None else 1.0
        records.append((TileRecord(tile.id, row, col, status, valid, sentence(first, second), score), tile))
    features = tuple(build_features(records, facts))
    path = folder / f"{name}.geojson"
    write_features(path, features, facts)
    return Coloured(path, facts, features)

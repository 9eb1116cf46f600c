"""Vectors of a map's tiles: both dates, their difference, and the captions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from rsccli.geo.engine import TileFailure
from rsccli.models.large.pictures import pair_pictures
from rsccli.output.facts import facts_to_json
from rsccli.output.text import json_bytes
from rsccli.search.parts import PART_TILES, Parts
from rsccli.search.vectors import rows_path, vector_path
from rsccli.types import RunFacts, TilePair

F16 = npt.NDArray[np.float16]
F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]

Progress = Callable[[int], None]


class Embeds(Protocol):
    """What makes vectors; `rsccli.models.dual.encoder.DualEncoder` is one."""

    @property
    def width(self) -> int:
        """Numbers in a vector."""
        ...

    def pictures(self, pictures: Sequence[U8]) -> F32:
        """Vectors (N, width) of length 1, of uint8 (H, W, 3)."""
        ...

    def texts(self, texts: Sequence[str]) -> F32:
        """Vectors (N, width) of length 1."""
        ...


def pixels_key(facts: RunFacts, encoder: str) -> str:
    """What decides the vector of a tile, as a digest: both images, the grid, the tiles, and the encoder.

    Args:
        encoder: digest of its bundle.
    """
    told = facts_to_json(facts)
    dates = [[told[date][name] for name in ("identity", "bands", "crs", "lut")] for date in ("pre", "post")]
    shift = told["registration"]
    moved = [shift["dx_px"], shift["dy_px"]] if shift["applied"] else [0.0, 0.0]
    tiles = [told[name] for name in ("grid", "tile_size", "stride", "edge")]
    return hashlib.sha256(json_bytes(["vectors 1", encoder, dates, tiles, moved])).hexdigest()


def embed_pairs(encoder: Embeds, pairs: Iterable[TilePair | TileFailure], parts: Parts, progress: Progress) -> int:
    """Vectors of tiles go to their parts; returns how many tiles could not be read.

    Args:
        pairs: pixels of tiles; the part that both dates cover is looked at. progress: is told of tiles that are done.
    """
    failed = 0
    source = iter(pairs)
    while some := list(islice(source, PART_TILES)):
        seen = [pair for pair in some if not isinstance(pair, TileFailure) and pair.valid.any()]
        failed += sum(isinstance(pair, TileFailure) for pair in some)
        if seen:
            dates = zip(*(pair_pictures(pair) for pair in seen), strict=True)
            pre, post = (encoder.pictures(date).astype(np.float16) for date in dates)
            parts.write([pair.tile.id for pair in seen], pre, post)
        progress(len(some))
    return failed


def write_pictures(folder: Path, parts: Parts, rows: dict[str, int], width: int) -> int:
    """Gather the parts as vectors of pre, post and their difference; returns of how many tiles.

    The difference is post minus pre as they are, not brought to length 1: its product with a question says how much
    more post is like the question than pre, and tiles where little changed stay near 0.

    Args:
        rows: row of each tile in the index; others are left out.
    """
    places: dict[int, tuple[int, int]] = {}
    for number, (ids, _, _) in enumerate(parts.read()):
        for place, tile in enumerate(ids.tolist()):
            if tile in rows:
                places[rows[tile]] = (number, place)
    order = sorted(places)
    target = {row: place for place, row in enumerate(order)}
    files = {
        name: np.lib.format.open_memmap(
            vector_path(folder, name), mode="w+", dtype=np.float16, shape=(len(order), width)
        )
        for name in ("pre", "post", "change")
    }
    for number, (ids, pre, post) in enumerate(parts.read()):
        here = [
            (place, target[rows[tile]])
            for place, tile in enumerate(ids.tolist())
            if tile in rows and places[rows[tile]] == (number, place)
        ]
        if not here:
            continue
        source, to = np.array(here).T
        files["pre"][to], files["post"][to] = pre[source], post[source]
        files["change"][to] = (post[source].astype(np.float32) - pre[source].astype(np.float32)).astype(np.float16)
    for name, file in files.items():
        file.flush()
        np.save(rows_path(folder, name), np.array(order, np.int32))
    return len(order)


def write_captions(folder: Path, name: str, encoder: Embeds, captions: Sequence[str], progress: Progress) -> int:
    """Vectors of different captions; returns of how many (a caption without a letter has none)."""
    rows = [row for row, text in enumerate(captions) if any(character.isalnum() for character in text)]
    file = np.lib.format.open_memmap(
        vector_path(folder, name), mode="w+", dtype=np.float16, shape=(len(rows), encoder.width)
    )
    for start, some in _batches(rows):
        file[start : start + len(some)] = encoder.texts([captions[row] for row in some]).astype(np.float16)
        progress(len(some))
    file.flush()
    np.save(rows_path(folder, name), np.array(rows, np.int32))
    return len(rows)


def _batches(rows: Sequence[int], size: int = 256) -> Iterator[tuple[int, Sequence[int]]]:
    for start in range(0, len(rows), size):
        yield start, rows[start : start + size]

"""Vectors of pictures that are already there: of an index that is made again, and of a run that was stopped."""

from __future__ import annotations

import os
import sqlite3
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rsccli.errors import InputError
from rsccli.search.features import TileTable
from rsccli.search.layout import IndexFacts
from rsccli.search.vectors import VectorIndex

F16 = npt.NDArray[np.float16]

#: Tiles whose vectors are written at a time: what a kill may cost.
PART_TILES = 256


class Parts:
    """Vectors by tile, a file for each few hundred of them.

    Args:
        folder: of the parts; made if it is missing. key: what decides the vectors; parts of another key are removed.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        mark = folder / "key"
        if not mark.is_file() or mark.read_text(encoding="utf-8") != key:
            for path in folder.iterdir():
                path.unlink()
            mark.write_text(key, encoding="utf-8")
        self._paths = sorted(folder.glob("*.npz"))
        self._next = len(self._paths)

    def ids(self) -> set[str]:
        """Tiles that have vectors."""
        return {str(each) for ids, _, _ in self.read() for each in ids}

    def read(self) -> Iterator[tuple[npt.NDArray[np.str_], F16, F16]]:
        """Ids (n,), vectors of pre and of post (n, width), part by part."""
        for path in self._paths:
            try:
                with np.load(path, allow_pickle=False) as found:
                    yield found["ids"], found["pre"], found["post"]
            except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error):
                # A power cut may leave a torn file: its tiles are looked at again.
                continue

    def write(self, ids: Sequence[str], pre: F16, post: F16) -> None:
        """Add a part; it is there whole or not at all."""
        path = self._folder / f"{self._next:07d}.npz"
        unfinished = path.with_suffix(".tmp")
        with unfinished.open("wb") as out:
            np.savez(out, ids=np.array(ids), pre=pre, post=post)
        os.replace(unfinished, path)
        self._paths.append(path)
        self._next += 1


def keep_old(parts: Parts, wanted: set[str], index: Path, facts: IndexFacts, key: str) -> int:
    """Take vectors of wanted tiles from an index that was made under the same key.

    Args:
        index, facts: the old one. key: what decides the vectors.

    Returns:
        How many tiles were taken.
    """
    if facts.pixels != key:
        return 0
    try:
        pre, post, table = VectorIndex(index, "pre"), VectorIndex(index, "post"), TileTable(index)
        ids = table.ids()
        table.close()
    except (InputError, sqlite3.DatabaseError):
        return 0
    missing = wanted - parts.ids()
    kept = [(place, ids[row]) for place, row in enumerate(pre.rows.tolist()) if ids[row] in missing]
    for start in range(0, len(kept), 16 * PART_TILES):
        some = kept[start : start + 16 * PART_TILES]
        places = np.array([place for place, _ in some])
        parts.write([tile for _, tile in some], pre.at(places), post.at(places))
    return len(kept)

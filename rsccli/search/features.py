"""The features of a map in the index: as they were, by number, with their captions."""

from __future__ import annotations

import math
import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from rsccli.errors import InputError
from rsccli.output.facts import facts_from_json, facts_to_bytes
from rsccli.output.features import Feature, as_json_dict
from rsccli.search.layout import TILES
from rsccli.search.places import Places, make_places
from rsccli.search.words import fill_words, make_words
from rsccli.types import STATUSES, RunFacts

_BATCH = 2000


@dataclass(frozen=True)
class Written:
    """What went into the tables.

    Attributes:
        ids: of all tiles, in the map's order. readable: rows of tiles that have pixels. captions: different ones.
    """

    ids: tuple[str, ...]
    readable: tuple[int, ...]
    captions: tuple[str, ...]
    places: Places


def write_tiles(folder: Path, facts: RunFacts | None, features: Iterable[Feature]) -> Written:
    """Write features and captions into the index's database.

    Args:
        folder: of the index; it has no database yet. facts, features: of the map.

    Raises:
        InputError: a tile is there twice, or the map is damaged.
    """
    database = sqlite3.connect(folder / TILES)
    try:
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("PRAGMA synchronous = OFF")
        database.execute(
            "CREATE TABLE tiles (tile INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, feature BLOB NOT NULL)"
        )
        database.execute("CREATE TABLE facts (facts BLOB)")
        if facts is not None:
            database.execute("INSERT INTO facts VALUES (?)", (facts_to_bytes(facts),))
        make_words(database)
        told = _Columns()
        database.executemany("INSERT INTO tiles VALUES (?, ?, ?)", told.take(features))
        fill_words(database, enumerate(told.captions))
        database.commit()
    except sqlite3.IntegrityError as error:
        raise InputError(f"tile {told.ids[-1]} is in the map twice: make the map again with rsccli caption") from error
    finally:
        database.close()
    places = make_places(
        np.array(told.bounds, np.float64).reshape(-1, 4),
        np.array(told.status, np.uint8),
        np.array(told.caption, np.int32),
        np.array(told.score, np.float64),
        len(told.captions),
    )
    return Written(tuple(told.ids), tuple(told.readable), tuple(told.captions), places)


class _Columns:
    """Gathers the columns of the arrays while features go by."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.readable: list[int] = []
        self.captions: dict[str, int] = {}
        # A million tiles are common on a cluster: plain numbers, not objects.
        self.bounds, self.score = array("d"), array("d")
        self.status, self.caption = array("B"), array("i")

    def take(self, features: Iterable[Feature]) -> Iterator[tuple[int, str, bytes]]:
        for row, feature in enumerate(features):
            self.ids.append(feature.id)
            self.bounds.extend(feature.bbox)
            self.status.append(STATUSES.index(feature.status))
            text = " ".join((feature.caption or "").split())
            self.caption.append(self.captions.setdefault(text, len(self.captions)) if text else -1)
            self.score.append(math.nan if feature.change_score is None else feature.change_score)
            if feature.status not in ("nodata", "read_error"):
                self.readable.append(row)
            yield row, feature.id, orjson.dumps(as_json_dict(feature))


class TileTable:
    """The features of an index, open for reading.

    Raises:
        InputError: the database is missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / TILES
        if not self._path.is_file():
            raise InputError(f"{self._path} is missing: make the index again with rsccli index")
        # Percent signs and question marks of a path would mean something in a URI.
        self.database = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        try:
            # Tables that are views could compute without end, and call functions.
            self.database.execute("PRAGMA trusted_schema = OFF")
            kinds = dict(self.database.execute("SELECT name, type FROM sqlite_master"))
            wrong = [name for name in ("tiles", "facts", "captions") if kinds.get(name) != "table"]
        except sqlite3.Error as error:
            raise InputError(f"{self._path} cannot be read ({error}): make the index again") from error
        if wrong:
            raise InputError(f"{self._path} has no table {wrong[0]}: make the index again with rsccli index")

    def features(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """GeoJSON features of tiles by their rows, in that order."""
        found: dict[int, dict[str, Any]] = {}
        for start in range(0, len(rows), _BATCH):
            part = [int(row) for row in rows[start : start + _BATCH]]
            marks = ",".join("?" * len(part))
            for row, feature in self.database.execute(f"SELECT tile, feature FROM tiles WHERE tile IN ({marks})", part):
                found[row] = orjson.loads(feature)
        return [found[int(row)] for row in rows]

    def ids(self) -> list[str]:
        """Ids of all tiles by their rows."""
        return [str(each) for (each,) in self.database.execute("SELECT id FROM tiles ORDER BY tile")]

    def row_of(self, tile_id: str) -> int | None:
        """Row of a tile, or None where there is no such tile."""
        found = self.database.execute("SELECT tile FROM tiles WHERE id = ?", (tile_id,)).fetchone()
        return None if found is None else int(found[0])

    def captions(self) -> list[str]:
        """Different captions by their numbers."""
        return [str(each) for (each,) in self.database.execute("SELECT text FROM captions ORDER BY caption")]

    def facts(self) -> RunFacts | None:
        """Facts of the run, if the map had them."""
        found = self.database.execute("SELECT facts FROM facts").fetchone()
        return None if found is None else facts_from_json(orjson.loads(found[0]), str(self._path))

    def close(self) -> None:
        """Close the file."""
        self.database.close()

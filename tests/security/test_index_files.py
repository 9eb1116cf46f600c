"""An index of ``rsccli index`` that somebody else made: checked before numpy, SQLite or faiss trust it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from rsccli.errors import InputError
from rsccli.search.codes import codes_fit
from rsccli.search.features import TileTable
from rsccli.search.layout import PLACES, TILES
from rsccli.search.places import load_places
from rsccli.search.vectors import VectorIndex, codes_path, rows_path, vector_path, write_codes


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    np.save(vector_path(tmp_path, "x"), rng.normal(size=(700, 8)).astype(np.float16))
    np.save(rows_path(tmp_path, "x"), np.arange(700, dtype=np.int32))
    assert write_codes(tmp_path, "x", many=1)
    return tmp_path


def test_codes_of_ours_are_read(vectors: Path) -> None:
    assert codes_fit(codes_path(vectors, "x"), 8, 700)
    assert VectorIndex(vectors, "x")._codes is not None


@pytest.mark.parametrize("place", [*range(0, 12), 32, 33, 37, 45, 53, 61, -1])
def test_other_codes_never_reach_faiss(vectors: Path, place: int, caplog: pytest.LogCaptureFixture) -> None:
    path = codes_path(vectors, "x")
    content = bytearray(path.read_bytes())
    if place < 0:
        content += b"\0"
    else:
        content[place] ^= 0x41
    path.write_bytes(content)
    index = VectorIndex(vectors, "x")
    assert index._codes is None and "no codes of these vectors" in caplog.text
    # Nothing is lost but speed.
    assert len(index.nearest(np.ones(8, np.float32), 5)[0]) == 5


class _Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("ran",)


def test_arrays_are_never_unpickled(vectors: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(rows_path(vectors, "x"), np.array([_Trap()], object), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read"):
        VectorIndex(vectors, "x")
    np.savez(vectors / PLACES, bounds=np.array([_Trap()], object))
    with pytest.raises(InputError, match="cannot be read"):
        load_places(vectors)
    assert "ran" not in capsys.readouterr().out


def test_a_small_file_does_not_become_a_large_one(tmp_path: Path) -> None:
    many = np.zeros(10_000_000)
    np.savez_compressed(tmp_path / PLACES, bounds=many, status=many, caption=many, order=many, starts=many)
    with pytest.raises(InputError, match="compressed"):
        load_places(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [("order", [0, 9]), ("starts", [0, 7]), ("caption", [0, 5]), ("status", [0, 99]), ("bounds", [[0.0] * 4])],
)
def test_numbers_that_lead_nowhere_are_refused(tmp_path: Path, name: str, value: list[object]) -> None:
    arrays = {
        "bounds": np.zeros((2, 4)),
        "status": np.zeros(2, np.uint8),
        "caption": np.zeros(2, np.int32),
        "order": np.arange(2, dtype=np.int32),
        "starts": np.array([0, 2]),
    }
    np.savez(tmp_path / PLACES, **arrays)
    load_places(tmp_path)
    np.savez(tmp_path / PLACES, **{**arrays, name: np.array(value, arrays[name].dtype)})
    with pytest.raises(InputError, match="cannot be read"):
        load_places(tmp_path)


def test_tables_that_compute_are_refused(tmp_path: Path) -> None:
    base = sqlite3.connect(tmp_path / TILES)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i, i, i FROM n"
    base.execute(f"CREATE VIEW tiles (tile, id, feature) AS {endless}")
    base.execute("CREATE TABLE facts (facts BLOB)")
    base.execute("CREATE TABLE captions (caption INTEGER PRIMARY KEY, text TEXT)")
    base.commit()
    base.close()
    with pytest.raises(InputError, match="no table tiles"):
        TileTable(tmp_path)
    (tmp_path / TILES).write_bytes(b"SQLite format 3\0" + b"\xff" * 200)
    with pytest.raises(InputError, match="cannot be read"):
        TileTable(tmp_path)

"""The journal by itself: what is committed is kept, what is torn is cut."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rsccli.errors import JournalMismatchError, OutputError
from rsccli.run.journal import Journal, journal_path
from rsccli.run.spec import ModelSpec, PlanSpec, RunSpec, SourceSpec
from rsccli.types import TileRecord

SOURCE = SourceSpec("a.tif", "size=1 mtime_ns=2", (1, 2, 3), None, "none", "EPSG:32633", {"kind": "identity"})
PLAN = PlanSpec("EPSG:32633", (1, 0, 0, 0, -1, 0), (10, 10), 256, 256, "pad", (8, 8), None, (0.0, 0.0), 0.1)
MODEL = ModelSpec(
    name="m",
    revision="1",
    device="auto",
    decoder="lean",
    num_beams=1,
    temperature=0.0,
    top_p=1.0,
    seed=0,
    repetition_guard=True,
    max_new_tokens=None,
    prompt="auto",
    backend="onnx",
    words="auto",
    register="short",
    asked="",
    workers=1,
    batch_size=16,
)
SPEC = RunSpec("0.1.0", SOURCE, SOURCE, PLAN, MODEL)


def record(row: int, col: int, text: str = "a") -> TileRecord:
    return TileRecord(f"r{row:05d}c{col:05d}", row, col, "changed", 1.0, text, 0.5, -1.0, ("water",), 2.0, 0.1, None)


def test_records_come_back_in_reading_order(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with Journal(path, SPEC) as journal:
        journal.commit(0, 0, [record(0, 0), record(1, 0)])
        journal.commit(1, 0, [record(0, 1), record(1, 1)])
        assert list(journal.records()) == [record(0, 0), record(0, 1), record(1, 0), record(1, 1)]


@pytest.mark.parametrize("lost", range(1, 200, 7))
def test_any_torn_tail_is_cut_to_the_last_commit(tmp_path: Path, lost: int) -> None:
    path = tmp_path / "j"
    with Journal(path, SPEC) as journal:
        journal.commit(0, 0, [record(0, 0)])
        kept = path.stat().st_size
        journal.commit(0, 1, [record(0, 1)])
        whole = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(max(kept, whole - lost))
    with Journal(path, SPEC) as journal:
        assert (journal.done, journal.tiles) == ((0, 0), 1)
        assert path.stat().st_size == kept
        journal.commit(0, 1, [record(0, 1, "again")])
        assert [r.caption for r in journal.records()] == ["a", "again"]


def test_a_header_without_its_end_is_started_afresh(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(b'{"rsccli_jour')
    with Journal(path, SPEC) as journal:
        assert journal.tiles == 0


def test_foreign_files_are_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(b"my notes\n")
    with pytest.raises(JournalMismatchError, match="not a journal"):
        Journal(path, SPEC)
    assert path.read_bytes() == b"my notes\n"


def test_the_differing_fields_are_named(tmp_path: Path) -> None:
    path = tmp_path / "j"
    Journal(path, SPEC).close()
    other = replace(SPEC, model=replace(MODEL, num_beams=4), pre=replace(SOURCE, nodata=0.0))
    with pytest.raises(JournalMismatchError) as caught:
        Journal(path, other)
    assert "model.num_beams: 1, now 4" in str(caught.value) and "pre.nodata: None, now 0.0" in str(caught.value)
    Journal(path, other, fresh=True).close()
    Journal(path, other).close()


def test_text_that_is_no_utf8(tmp_path: Path) -> None:
    spec = replace(SPEC, pre=replace(SOURCE, name="caf\udce9.tif"))
    with Journal(tmp_path / "j", spec) as journal:
        journal.commit(0, 0, [record(0, 0, "a\udce9b")])
    with Journal(tmp_path / "j", spec) as journal:
        (only,) = journal.records()
        assert only.caption == "a\ufffdb"


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    with Journal(tmp_path / "j", SPEC), pytest.raises(OutputError, match="another process"):
        Journal(tmp_path / "j", SPEC)


def test_place() -> None:
    assert journal_path(Path("a/out.geojson")) == Path("a/out.geojson.journal")


@pytest.mark.parametrize("damage", [b"\0" * 40, b"\xff\xfe", b"{}{}", b"\n"])
def test_what_a_power_cut_damaged_is_done_again(tmp_path: Path, damage: bytes) -> None:
    """Blocks of a file reach the disk in any order: a hole in its middle costs what lies behind it, nothing else."""
    path = tmp_path / "j"
    with Journal(path, SPEC) as journal:
        journal.commit(0, 0, [record(0, 0)])
        kept = path.stat().st_size
        journal.commit(0, 1, [record(0, 1)])
        journal.commit(0, 2, [record(0, 2)])
    with path.open("r+b") as file:
        file.seek(kept + 10)
        file.write(damage)
    with Journal(path, SPEC) as journal:
        assert (journal.done, journal.tiles, journal.resumed) == ((0, 0), 1, True)
        assert path.stat().st_size == kept


def test_a_tile_that_is_there_twice_or_not_at_all_is_never_written(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with Journal(path, SPEC) as journal:
        journal.commit(0, 0, [record(0, 0)])
        journal.commit(0, 1, [record(0, 0)])
        with pytest.raises(OutputError, match="1 of them twice"):
            list(journal.records())
    with Journal(path, SPEC, fresh=True) as journal:
        journal.commit(0, 0, [record(0, 0)])
        journal.commit(0, 1, [record(0, 1)])
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:1] + lines[2:]))
        with pytest.raises(OutputError, match="1 tiles where 2 were finished"):
            list(journal.records())


def test_a_journal_that_was_deleted_takes_nothing_more(tmp_path: Path) -> None:
    with Journal(tmp_path / "j", SPEC) as journal:
        journal.commit(0, 0, [record(0, 0)])
        (tmp_path / "j").unlink()
        with pytest.raises(OutputError, match="was deleted during the run"):
            journal.commit(0, 1, [record(0, 1)])
        with pytest.raises(OutputError, match="cannot be read back"):
            list(journal.records())

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rsccli.errors import JournalMismatchError, OutputError
from rsccli.run.line_journal import LineJournal

SPEC = {"rule": "centroid", "bands": (1, 2, 3), "size": 512}


def test_what_was_appended_is_there_again(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    with LineJournal(path, SPEC) as journal:
        assert journal.entries == []
        journal.append({"unit": "a", "text": "Straße\u2028\ud800"})
        journal.append({"unit": "b"})
    with LineJournal(path, SPEC) as journal:
        assert [entry["unit"] for entry in journal.entries] == ["a", "b"]
        assert journal.entries[0]["text"].startswith("Straße\u2028")
        journal.append({"unit": "c"})
    with LineJournal(path, SPEC) as journal:
        assert len(journal.entries) == 3
        journal.remove()
    assert not path.exists()


@pytest.mark.parametrize("torn", [b'{"unit":"c"', b'{"unit":"c"}', b"\x00\x00", b'["c"]\n', b"nonsense\n{}\n"])
def test_a_torn_end_is_cut_and_written_over(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "a.journal"
    with LineJournal(path, SPEC) as journal:
        journal.append({"unit": "a"})
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    with LineJournal(path, SPEC) as journal:
        assert journal.entries == [{"unit": "a"}]
        journal.append({"unit": "b"})
    assert path.read_bytes() == whole + b'{"unit":"b"}\n'


def test_a_journal_without_a_whole_head_begins_afresh(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    path.write_bytes(b'{"rsccli_dataset_jou')
    with LineJournal(path, SPEC) as journal:
        journal.append({"unit": "a"})
    with LineJournal(path, SPEC) as journal:
        assert journal.entries == [{"unit": "a"}]
    with LineJournal(path, SPEC, fresh=True) as journal:
        assert journal.entries == []


def test_another_run_is_told_by_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    LineJournal(path, SPEC).close()
    with pytest.raises(JournalMismatchError, match="rule: centroid, now touch"):
        LineJournal(path, {**SPEC, "rule": "touch"})
    path.write_text("my diary\n")
    with pytest.raises(JournalMismatchError, match="not a journal"):
        LineJournal(path, SPEC)
    assert path.read_text() == "my diary\n"
    with pytest.raises(OutputError, match="cannot be written"):
        LineJournal(tmp_path / "none" / "a.journal", SPEC)


def test_two_processes_do_not_write_one_journal(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    code = (
        "from pathlib import Path; from rsccli.run.line_journal import LineJournal; "
        f"LineJournal(Path({str(path)!r}), {{'rule': 1}})"
    )
    with LineJournal(path, {"rule": 1}):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert "OutputError" in done.stderr and "another process" in done.stderr

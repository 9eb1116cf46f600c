"""The lock of an output: it ends with its process, and says who holds it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rsccli.errors import OutputError
from rsccli.run.lock import OutputLock, claim_beside, lock_path

HOLD = "import sys, time; from rsccli.run.lock import OutputLock; from pathlib import Path\n"
HOLD += "lock = OutputLock(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"


def held_elsewhere(output: Path) -> subprocess.Popen[str]:
    """A process that holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(output)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_output_and_journal_have_one_lock() -> None:
    assert lock_path(Path("a/out.geojson")) == lock_path(Path("a/out.geojson.journal")) == Path("a/out.geojson.lock")


def test_the_message_names_process_and_host(tmp_path: Path) -> None:
    process = held_elsewhere(tmp_path / "out.csv")
    try:
        with pytest.raises(OutputError) as caught:
            OutputLock(tmp_path / "out.csv.journal")
        assert f"out.csv: another process is writing this output (process {process.pid} on " in str(caught.value)
        assert f"{socket.gethostname()})" in str(caught.value)
    finally:
        process.kill()
        process.wait()


def test_a_crash_leaves_no_obstacle(tmp_path: Path) -> None:
    process = held_elsewhere(tmp_path / "out.csv")
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert json.loads((tmp_path / "out.csv.lock").read_text())["pid"] == process.pid
    with OutputLock(tmp_path / "out.csv"):
        assert json.loads((tmp_path / "out.csv.lock").read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_is_given_back_in_a_moment_is_waited_for(tmp_path: Path) -> None:
    first = OutputLock(tmp_path / "out.csv")
    threading.Timer(0.15, first.release).start()
    OutputLock(tmp_path / "out.csv").release()
    first.release()


def test_many_at_once_hold_it_one_after_another(tmp_path: Path) -> None:
    """Its file is removed by each; none must lock a file that has no name any more while another has the new one."""
    inside, most, done = 0, 0, 0
    guard = threading.Lock()

    def work() -> None:
        nonlocal inside, most, done
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                lock = OutputLock(tmp_path / "out.csv")
            except OutputError:
                continue
            with guard:
                inside += 1
                most = max(most, inside)
            time.sleep(0.002)
            with guard:
                inside -= 1
                done += 1
            lock.release()
            return

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, done) == (1, 8)


def test_a_file_of_an_earlier_run_elsewhere_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where a file system knows locks on one node only, this line is all that a person gets."""
    (tmp_path / "out.csv.lock").write_text('{"host": "node17", "pid": 4}\n')
    OutputLock(tmp_path / "out.csv").release()
    assert "an earlier run (process 4 on node17) did not end by itself" in caplog.text


@pytest.mark.parametrize("text", ["", "my notes", '{"host": 1}', "[]", '{"host": "a", "pid": "b"}'])
def test_a_file_that_says_nothing_is_no_obstacle(tmp_path: Path, text: str) -> None:
    (tmp_path / "out.csv.lock").write_text(text)
    OutputLock(tmp_path / "out.csv").release()


def test_mask_and_report_are_claimed_with_the_output(tmp_path: Path) -> None:
    with claim_beside(tmp_path / "a.geojson", tmp_path / "m.tif", report=True):
        with pytest.raises(OutputError, match=r"m\.tif: another process .* name another --mask"):
            claim_beside(tmp_path / "b.geojson", tmp_path / "m.tif", report=True)
        with pytest.raises(OutputError, match=r"a\.report: another process"):
            claim_beside(tmp_path / "a.gpkg", None, report=True)
        claim_beside(tmp_path / "a.gpkg", None, report=False).close()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"out\.csv\.lock: cannot be written: No such file"):
        OutputLock(tmp_path / "missing" / "out.csv")

"""Faults, a few of each kind: what is done is kept, what is written is whole, and the same command goes on.

All of them, again and again: ``make soak``. The images are synthetic.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from rig import CAPTIONER, JOURNAL, OUTPUT, Run, Scene, compare, phase
from storm import STOP, Storm

from rsccli.run.lock import OutputLock

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="the server of runs needs Linux")

SLOW = {"FAULTY_SLEEP_S": "0.02"}


def wait_for(path: Path, run: Run, size: int = 0) -> None:
    """Until a file is there, and larger than that."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and run.poll() is None:
        if path.exists() and path.stat().st_size > size:
            return
        time.sleep(0.002)
    raise AssertionError(f"{path.name} never came: exit {run.status}: {run.said()}")


def started(storm: Storm, folder: Path, **environment: str) -> Run:
    """A run that has finished some tiles and not all."""
    run = storm._forged(storm.scene, folder, SLOW | environment)
    wait_for(folder / JOURNAL, run, 8_000)
    return run


def go_on(storm: Storm, folder: Path, **environment: str) -> Run:
    """The same command again, to its end."""
    run = storm._forged(storm.scene, folder, environment)
    assert run.wait() == 0, run.said()
    return run


def test_a_short_storm(storm: Storm) -> None:
    """One episode of some kinds; each compares every byte with an undisturbed run."""
    for kind in storm.kinds():
        if kind.startswith(("kill -9", "two", "one read", "the clock")):
            storm.episode(kind)
    assert storm.problems == []
    assert sum(count.injected for count in storm.counts.values()) >= 4
    assert sum(count.lost + count.doubled + count.wrong + count.files for count in storm.counts.values()) == 0


@pytest.mark.parametrize("number", STOP)
def test_a_signal_before_the_first_tile(storm: Storm, number: signal.Signals) -> None:
    """While inputs are measured or the model is loaded there is nothing to finish: it stops at once, with code 75."""
    folder = storm._folder()
    mark = folder.with_suffix(".mark")
    run = storm._forged(storm.scene, folder, {"FAULTY_MARK": str(mark), "FAULTY_LOAD_S": "0.3"})
    if number == signal.SIGTERM:
        wait_for_handler(run, number)
    else:
        wait_for(mark, run, -1)
    run.send(number)
    assert run.wait() == 75, run.said()
    assert f"stopped by {number.name}" in run.said() and "run the same command again" in run.said()
    assert not (folder / OUTPUT).exists() and "Traceback" not in run.said()
    go_on(storm, folder)
    assert not compare(folder, storm.undisturbed)


def wait_for_handler(run: Run, number: signal.Signals) -> None:
    """Until the process catches a signal."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        caught = next(line for line in Path(f"/proc/{run.pid}/status").read_text().splitlines() if "SigCgt" in line)
        if int(caught.split()[1], 16) >> (number - 1) & 1:
            return
        time.sleep(0.001)
    raise AssertionError("no handler")


def test_a_signal_while_outputs_are_written_is_too_late_to_stop(shimmed: Storm) -> None:
    for share in (0.4,):
        folder = shimmed._folder()
        fault = shimmed._fault(folder, int(share * shimmed.operations)) | {"RSCCLI_FAULT_SIGNAL": "15"}
        run = shimmed._forged(shimmed.scene, folder, fault)
        assert run.wait() == 0, run.said()
        assert not compare(folder, shimmed.undisturbed)


@pytest.mark.parametrize("what", ["deleted", "replaced", "cut"])
def test_an_input_that_changes_under_the_run(storm: Storm, what: str) -> None:
    folder = storm._folder()
    run = started(storm, folder)
    if what == "deleted":
        storm.post.unlink()
    elif what == "replaced":
        shutil.copy(storm._other, storm.root / "new.tif")
        os.replace(storm.root / "new.tif", storm.post)
    else:
        os.truncate(storm.post, 100_000)
    try:
        assert run.wait() == 3, run.said()
        assert storm.post.name in run.said() and "Traceback" not in run.said()
        assert ("vanished" if what == "deleted" else "replaced or rewritten") in run.said()
        assert phase(folder) in ("tiles", "writing of the map")
        if what == "replaced":
            other = storm._forged(storm.scene, folder)
            assert other.wait() == 3 and "post.identity" in other.said(), other.said()
    finally:
        shutil.copy2(storm._kept[storm.post], storm.post)
    assert "were finished before" in go_on(storm, folder).said()
    assert not compare(folder, storm.undisturbed)


def test_an_input_that_changes_while_the_model_is_loaded(storm: Storm) -> None:
    """Nothing of the new file may be read by the measurements of the old one."""
    folder = storm._folder()
    mark = folder.with_suffix(".mark")
    run = storm._forged(storm.scene, folder, {"FAULTY_MARK": str(mark), "FAULTY_LOAD_S": "0.3"})
    wait_for(mark, run, -1)
    os.utime(storm.post, ns=(1, 1))
    try:
        assert run.wait() == 3 and "post_2021-01-01.tif: it was replaced or rewritten" in run.said(), run.said()
    finally:
        shutil.copy2(storm._kept[storm.post], storm.post)


def test_the_second_process_is_told_who_holds_the_output(storm: Storm) -> None:
    folder = storm._folder()
    first = started(storm, folder, FAULTY_SLEEP_S="0.1")
    second = storm._forged(storm.scene, folder)
    status = second.wait()
    said = second.log.read_text()
    assert status == 3, said
    assert f"another process is writing this output (process {first.pid} on {os.uname().nodename})" in said
    first.send(signal.SIGKILL)
    first.wait()
    assert (folder / "out.geojson.lock").exists()
    go_on(storm, folder)
    assert not compare(folder, storm.undisturbed) and not compare(folder, storm.undisturbed).left


@pytest.mark.parametrize("command", ["detect", "ask"])
def test_other_commands_hold_the_same_lock(storm: Storm, command: str) -> None:
    folder = storm._folder()
    arguments = [command, str(storm.pre), str(storm.post), "-o", str(folder / "out.geojson"), "-m", "rsccli-small-int8"]
    arguments += ["Did a building go?"] if command == "ask" else []
    with OutputLock(folder / "out.geojson"):
        run = storm.forge.start(arguments, storm.root / f"{command}.log")
        assert run.wait() == 3 and f"another process is writing this output (process {os.getpid()} on" in run.said()
    assert list(folder.iterdir()) == []


def test_two_maps_with_one_mask_do_not_mix(storm: Storm) -> None:
    """Other name, same mask and report: their files would be torn between the two."""
    folder = storm._folder()
    first = started(storm, folder, FAULTY_SLEEP_S="0.1")
    arguments = [each.replace(OUTPUT, "other.csv") for each in storm.scene.arguments(folder)]
    second = storm.forge.start(arguments, storm.root / "second.log")
    assert second.wait() == 3 and "mask.tif: another process" in second.said(), second.said()
    first.send(signal.SIGKILL)
    first.wait()


def test_an_output_that_somebody_else_finished_meanwhile_is_not_replaced(storm: Storm) -> None:
    """Looked at before the lock was had, it was not there yet."""
    folder = storm._folder()
    mark = folder.with_suffix(".mark")
    run = storm._forged(storm.scene, folder)
    wait_for_handler(run, signal.SIGTERM)
    os.kill(run.pid, signal.SIGSTOP)
    (folder / OUTPUT).write_text("mine")
    os.kill(run.pid, signal.SIGCONT)
    assert run.wait() == 3 and "exists; add --overwrite" in run.said()
    assert (folder / OUTPUT).read_text() == "mine" and not mark.exists()
    assert sorted(path.name for path in folder.iterdir()) == [OUTPUT]


def test_a_batch_that_does_not_fit_is_halved(storm: Storm) -> None:
    folder = storm._folder()
    run = storm._forged(storm.scene, folder, {"FAULTY_OOM": "1"})
    assert run.wait() == 0, run.said()
    assert "going on with 2 tiles at once" in run.said() and "going on with 1 tiles at once" in run.said()
    assert not compare(folder, storm.undisturbed)


RUBBISH = {
    "empty": ("unsure", "the model said nothing"),
    "surrogates": ("changed", None),
    "nan": ("model_error", "brightness gave the change score nan, not a number from 0 to 1"),
    "raises": ("model_error", "brightness failed: KeyError: 'no such tensor' (faulty.py, line"),
}


@pytest.mark.parametrize("kind", list(RUBBISH))
def test_rubbish_costs_the_tile_that_it_is_about(storm: Storm, kind: str) -> None:
    folder, tile = storm._folder(), "r00000c00000"
    run = storm._forged(storm.scene, folder, {"FAULTY_SAYS": kind, "FAULTY_TILE": tile})
    status, reason = RUBBISH[kind]
    assert run.wait() == (5 if status == "model_error" else 0), run.said()
    assert "Traceback" not in run.said()
    features = {f["id"]: f for f in json.loads((folder / OUTPUT).read_text())["features"]}
    theirs = {f["id"]: f for f in json.loads((storm.undisturbed / OUTPUT).read_text())["features"]}
    bad = features.pop(tile)["properties"]
    assert bad["status"] == status and (bad["reason"] or "").startswith(reason or "")
    del theirs[tile]
    assert features == theirs


def test_a_folder_that_is_deleted_during_the_run(storm: Storm) -> None:
    folder = storm._folder()
    run = started(storm, folder)
    shutil.rmtree(folder)
    assert run.wait() == 3, run.said()
    assert "was deleted during the run" in run.said() and "Traceback" not in run.said()


def test_a_failing_disk_says_so_and_loses_nothing(shimmed: Storm) -> None:
    """Two places out of some 160; ``-m slow`` goes through all of them."""
    for at, number in ((20, errno.EIO), (60, errno.ENOSPC)):
        folder = shimmed._folder()
        fault = shimmed._fault(folder, at) | {"RSCCLI_FAULT_ERRNO": str(number), "RSCCLI_FAULT_TIMES": "1000000"}
        run = shimmed._forged(shimmed.scene, folder, fault)
        assert run.wait() in (0, 3) and "Traceback" not in run.said(), run.said()
        go_on(shimmed, folder) if run.status else None
        assert not compare(folder, shimmed.undisturbed, pixels=True)


def test_no_locks_on_this_file_system(shimmed: Storm) -> None:
    folder = shimmed._folder()
    fault = shimmed._fault(folder, 1) | {
        "RSCCLI_FAULT_ERRNO": str(errno.ENOLCK),
        "RSCCLI_FAULT_KINDS": "l",
        "RSCCLI_FAULT_TIMES": "9",
    }
    run = shimmed._forged(shimmed.scene, folder, fault)
    assert run.wait() == 0 and "this file system has no locks" in run.said(), run.said()
    assert not compare(folder, shimmed.undisturbed)


def test_the_scene_is_what_it_says(storm: Storm) -> None:
    """Else all of this would compare nothing."""
    features = json.loads((storm.undisturbed / OUTPUT).read_text())["features"]
    assert storm.scene == Scene(storm.pre, storm.post, 64, CAPTIONER)
    assert len(features) == 60 and {f["properties"]["status"] for f in features} == {"changed", "unchanged", "unsure"}

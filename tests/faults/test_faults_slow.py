"""Every place where a file is touched, every kind of rubbish, real full disks: minutes (``make faults``)."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faulty import RUBBISH
from rig import HERE, OUTPUT, Run, compare, start_fresh
from storm import Storm

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="the server of runs needs Linux"),
]

MS_RDONLY, MS_REMOUNT = 1, 32


def clean(run: Run, *allowed: int) -> int:
    status = run.wait()
    assert status in allowed and "Traceback" not in run.said(), (status, run.said())
    return status


def finish(storm: Storm, folder: Path) -> None:
    if not storm._is_done(folder):
        clean(storm._forged(storm.scene, folder), 0)


def test_kill_before_every_operation_on_a_file(shimmed: Storm) -> None:
    """A machine may stop between any two: each place once, then on to the same bytes."""
    for at in range(1, shimmed.operations + 1):
        folder = shimmed._folder()
        clean(shimmed._forged(shimmed.scene, folder, shimmed._fault(folder, at)), -signal.SIGKILL)
        finish(shimmed, folder)
        assert not compare(folder, shimmed.undisturbed), at
        shutil.rmtree(folder)


@pytest.mark.parametrize("times", ["1", "1000000"])
def test_every_operation_on_a_file_fails(shimmed: Storm, times: str) -> None:
    """Once (the next one succeeds: GDAL passes over that without an error), and from there on."""
    told = 0
    for at in range(1, shimmed.operations + 1):
        folder = shimmed._folder()
        fault = shimmed._fault(folder, at) | {"RSCCLI_FAULT_ERRNO": str(errno.ENOSPC), "RSCCLI_FAULT_TIMES": times}
        told += clean(shimmed._forged(shimmed.scene, folder, fault), 0, 3) == 3
        finish(shimmed, folder)
        assert not compare(folder, shimmed.undisturbed, pixels=True), at
        shutil.rmtree(folder)
    assert told > shimmed.operations // 3


def test_every_signal_at_every_operation(shimmed: Storm) -> None:
    for at in range(1, shimmed.operations + 1, 2):
        folder = shimmed._folder()
        number = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)[at // 2 % 3]
        fault = shimmed._fault(folder, at) | {"RSCCLI_FAULT_SIGNAL": str(int(number))}
        clean(shimmed._forged(shimmed.scene, folder, fault), 0, 75)
        finish(shimmed, folder)
        assert not compare(folder, shimmed.undisturbed), at
        shutil.rmtree(folder)


def test_every_fifth_read_of_an_input_fails_once(shimmed: Storm) -> None:
    """In the pixels it heals with a fresh handle; in a header it is an error; it is never another map.

    libtiff itself ends the process at some places of a header (an assertion): that is a kill like any other.
    """
    healed = aborted = 0
    for at in range(1, shimmed.reads + 1, 5):
        folder = shimmed._folder()
        fault = shimmed._fault(shimmed.pre.parent, at) | {"RSCCLI_FAULT_ERRNO": str(errno.ESTALE)}
        run = shimmed._forged(shimmed.scene, folder, fault | {"RSCCLI_FAULT_KINDS": "r"})
        status = clean(run, 0, 3, -signal.SIGABRT)
        assert status != -signal.SIGABRT or "Assertion" in run.said()
        healed, aborted = healed + (status == 0), aborted + (status < 0)
        finish(shimmed, folder)
        assert not compare(folder, shimmed.undisturbed), at
        shutil.rmtree(folder)
    print(f"{healed} healed, {aborted} ended by libtiff, of {len(range(1, shimmed.reads + 1, 5))}")
    assert healed > shimmed.reads // 10
    assert aborted < shimmed.reads // 50


@pytest.mark.parametrize("kind", [*RUBBISH, "too few", "no list"])
def test_a_model_that_says_nothing_but_rubbish(storm: Storm, kind: str) -> None:
    """All tiles are there, each with a status that says it; nothing is made up."""
    folder = storm._folder()
    run = storm._forged(storm.scene, folder, {"FAULTY_SAYS": kind})
    status = clean(run, 0, 5)
    features = json.loads((folder / OUTPUT).read_text())["features"]
    assert len({feature["id"] for feature in features}) == 60
    found = {feature["properties"]["status"] for feature in features}
    if kind in ("surrogates", "control"):
        assert found == {"changed", "unchanged", "unsure"} and status == 0
        text = (folder / "out.report.html").read_text()
        assert "<script>alert(1)" not in text and "\x1b" not in text
    elif kind in ("empty", "blank"):
        assert found == {"unsure"} and status == 0
    else:
        assert found == {"model_error"} and status == 5
        assert all(feature["properties"]["change_score"] is None for feature in features)


def test_the_bundled_captioner_with_little_memory(storm: Storm) -> None:
    """Its own session raises ONNX Runtime's own error: batches are halved, and the map stays the same."""
    folders = []
    for tight in ("1000000", "2"):
        folder = storm._folder()
        arguments = storm.real.arguments(folder)
        arguments[arguments.index("-m") + 1] = f"{HERE}/faulty.py:TightFactory"
        run = start_fresh(arguments, storm.root / f"tight-{tight}.log", FAULTY_TIGHT=tight)
        clean(run, 0)
        assert ("tiles at once" in run.said()) == (tight == "2"), run.said()
        folders.append(folder)
    assert not compare(folders[1], folders[0])


# ---- real file systems ----

Mount = Callable[[int], Path]


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Mount]:
    """``mounted(bytes)`` is the folder of a tmpfs of that size."""
    libc = ctypes.CDLL(None, use_errno=True)
    made: list[Path] = []

    def mount(size: int) -> Path:
        folder = tmp_path / f"disk{len(made)}"
        folder.mkdir()
        if libc.mount(b"tmpfs", bytes(folder), b"tmpfs", 0, f"size={size}".encode()):
            pytest.skip(
                f"a tmpfs cannot be mounted ({os.strerror(ctypes.get_errno())}): call as root, outside a sandbox"
            )
        made.append(folder)
        return folder

    yield mount
    for folder in made:
        libc.umount2(bytes(folder), 2)


@pytest.mark.parametrize("kilobytes", [4, 12, 16, 24, 40, 60, 80, 100, 140, 200, 300, 400, 500])
def test_a_full_disk(storm: Storm, mounted: Mount, kilobytes: int) -> None:
    """From one that holds no journal to one that lacks the room for the report; then there is room again."""
    folder = mounted(kilobytes * 1024)
    run = storm._forged(storm.scene, folder)
    if clean(run, 0, 3) == 3:
        assert "No space left on device" in run.said() or "incomplete, as on a full disk" in run.said(), run.said()
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.mount(b"tmpfs", bytes(folder), b"tmpfs", MS_REMOUNT, b"size=8m") == 0
        finish(storm, folder)
    assert not compare(folder, storm.undisturbed)
    assert kilobytes > 450 or run.status == 3


def test_a_folder_that_cannot_be_written(storm: Storm, mounted: Mount) -> None:
    folder = mounted(2**23)
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.mount(b"tmpfs", bytes(folder), b"tmpfs", MS_REMOUNT | MS_RDONLY, b"") == 0
    run = storm._forged(storm.scene, folder)
    clean(run, 3)
    assert "is not writable; name another one with -o" in run.said()

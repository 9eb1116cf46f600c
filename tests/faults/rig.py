"""What every test of faults needs: a small pair, ways to start a run on it, and what an undisturbed run writes.

The images are synthetic. Runs start either as ``python -m rsccli`` or from the server in ``forge.py``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CAPTIONER = f"{HERE}/faulty.py:FaultyFactory"
OUTPUT, JOURNAL, MASK = "out.geojson", "out.geojson.journal", "mask.tif"
FILES = (
    OUTPUT,
    MASK,
    f"{MASK}.aux.xml",
    "mask.qml",
    "out.report.html",
    "out.report.md",
    "out.report.json",
    "out.qml",
)
LEFT_OVER = re.compile(r"\.lock$|^\..*\.(part|tiles)$")
SIZE = (640, 384)
TILES = 60  # of 64 pixels


def write_image(path: Path, seed: int, changes: Sequence[tuple[int, int, int]] = ()) -> None:
    """Smooth random ground; ``changes`` are (column, row, grey levels) of squares of 60 px."""
    width, height = SIZE
    ground = np.random.default_rng(7).integers(40, 180, (3, height // 16, width // 16)).astype(np.uint8)
    image = np.repeat(np.repeat(ground, 16, axis=1), 16, axis=2).astype(np.int16)
    image += np.random.default_rng(seed).integers(-3, 4, image.shape, np.int16)
    for col, row, level in changes:
        image[:, row : row + 60, col : col + 60] += level
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=width,
        height=height,
        count=3,
        dtype="uint8",
        crs="EPSG:32633",
        transform=from_origin(400000, 5200000, 0.5, 0.5),
        tiled=True,
        blockxsize=64,
        blockysize=64,
        compress="deflate",
        photometric="rgb",
    ) as file:
        file.write(np.clip(image, 0, 255).astype(np.uint8))


def make_pair(folder: Path) -> tuple[Path, Path]:
    """Two images with three changes."""
    folder.mkdir(parents=True, exist_ok=True)
    pre, post = folder / "pre_2020-01-01.tif", folder / "post_2021-01-01.tif"
    write_image(pre, 1)
    write_image(post, 2, [(0, 0, 60), (200, 100, -50), (500, 300, 70)])
    return pre, post


def build_shim(folder: Path) -> Path | None:
    """The library of faults, or None where no C compiler is."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or not sys.platform.startswith("linux"):
        return None
    library = folder / "shim.so"
    made = subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(HERE / "shim.c"), "-ldl"],
        capture_output=True,
        text=True,
    )
    return library if made.returncode == 0 else None


@dataclass(frozen=True)
class Scene:
    """A pair and how it is captioned.

    Attributes:
        tile_size: pixels. model: captioner. options: further ones.
    """

    pre: Path
    post: Path
    tile_size: int = 64
    model: str = CAPTIONER
    options: tuple[str, ...] = ("--radiometry", "none")

    def arguments(self, folder: Path, *more: str) -> list[str]:
        """The command line behind ``rsccli``."""
        return [
            "caption",
            str(self.pre),
            str(self.post),
            "-o",
            str(folder / OUTPUT),
            "--mask",
            str(folder / MASK),
            "-m",
            self.model,
            "--tile-size",
            str(self.tile_size),
            *self.options,
            *more,
        ]


class Run:
    """A process that was started, by either of the two ways; ``log`` has what it said."""

    def __init__(self, pid: int, log: Path, forge: Forge | None, process: subprocess.Popen[bytes] | None) -> None:
        self.pid, self.log = pid, log
        self._forge, self._process = forge, process
        self.status: int | None = None

    def poll(self) -> int | None:
        """The exit status, negative for a signal, or None while it runs."""
        if self.status is None:
            self.status = self._process.poll() if self._process else self._forge.poll(self.pid)  # type: ignore[union-attr]
        return self.status

    def wait(self, timeout_s: float = 120.0) -> int:
        """Until it has ended; one that does not is killed, and that is an error."""
        deadline = time.monotonic() + timeout_s
        while (status := self.poll()) is None:
            if time.monotonic() > deadline:
                self.send(signal.SIGKILL)
                raise AssertionError(f"process {self.pid} did not end in {timeout_s:.0f} s:\n{self.said()}")
            time.sleep(0.003)
        return status

    def send(self, number: signal.Signals) -> None:
        """Send a signal; one that has ended is not reaped yet, so nobody else can have its number."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def said(self) -> str:
        """Everything on stdout and stderr."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""


class Forge:
    """The server of ``forge.py``, with the library of faults in it where there is one."""

    def __init__(self, shim: Path | None = None) -> None:
        environment = base_environment(shim)
        self._server = subprocess.Popen(
            [sys.executable, str(HERE / "forge.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        threads = self._read()["ready"]
        assert threads == 1, f"{threads} threads: a fork would copy locks that they hold"

    def _read(self) -> dict[str, int | None]:
        assert self._server.stdout is not None
        line = self._server.stdout.readline()
        assert line, "the server has ended"
        return json.loads(line)

    def _ask(self, value: dict[str, object]) -> dict[str, int | None]:
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(value) + "\n")
        self._server.stdin.flush()
        return self._read()

    def start(self, arguments: Sequence[str], log: Path, **environment: str) -> Run:
        """Start a run and come back at once."""
        pid = self._ask({"start": list(arguments), "environment": environment, "log": str(log)})["pid"]
        assert pid is not None
        return Run(pid, log, self, None)

    def poll(self, pid: int) -> int | None:
        """See ``Run.poll``."""
        return self._ask({"poll": pid})["status"]

    def close(self) -> None:
        """End the server."""
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait(timeout=30)


def base_environment(shim: Path | None = None) -> dict[str, str]:
    """The environment of a run: one thread a library, our package, the library of faults."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    if shim is not None:
        environment["LD_PRELOAD"] = str(shim)
    return environment


def start_fresh(arguments: Sequence[str], log: Path, shim: Path | None = None, **environment: str) -> Run:
    """``python -m rsccli`` as a user starts it."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "rsccli", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**base_environment(shim), **environment},
        )
    return Run(process.pid, log, None, process)


@dataclass
class Difference:
    """How outputs differ from those of an undisturbed run; all zero where they do not.

    Attributes:
        lost, doubled, wrong: tiles. files: names of files that differ, are missing, or do not belong there.
        left: locks and hidden work folders that were left over: they stand in nobody's way.
    """

    lost: int = 0
    doubled: int = 0
    wrong: int = 0
    files: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.lost or self.doubled or self.wrong or self.files)


def compare(folder: Path, undisturbed: Path, pixels: bool = False) -> Difference:
    """Hold a folder of outputs against that of an undisturbed run, byte for byte.

    Args:
        pixels: of the mask compare all that a reader sees, not its bytes: where one write of GDAL's failed and was
            done again, bytes between its blocks may differ.
    """
    found = Difference()
    there = {path.name for path in folder.iterdir()}
    found.left = sorted(name for name in there if LEFT_OVER.search(name))
    there -= set(found.left)
    found.files = sorted(there ^ set(FILES))
    for name in sorted(there & set(FILES)):
        same = (folder / name).read_bytes() == (undisturbed / name).read_bytes()
        if not same and not (pixels and name == MASK and same_raster(folder / name, undisturbed / name)):
            found.files.append(name)
    if OUTPUT not in there:
        found.lost = TILES
        return found
    if OUTPUT in found.files:
        mine, theirs = _tiles(folder / OUTPUT), _tiles(undisturbed / OUTPUT)
        expected = dict(theirs)
        seen: set[str] = set()
        for name, text in mine:
            found.doubled += name in seen
            seen.add(name)
            found.wrong += expected.get(name) != text
        found.lost = len(set(expected) - seen)
    return found


def same_raster(one: Path, other: Path) -> bool:
    """Whether two masks show the same at every level and say the same."""
    with rasterio.open(one) as a, rasterio.open(other) as b:
        levels = len(a.overviews(1))
        if (a.profile, a.tags(), a.colormap(1), levels) != (b.profile, b.tags(), b.colormap(1), len(b.overviews(1))):
            return False
        if a.tags(ns="IMAGE_STRUCTURE") != b.tags(ns="IMAGE_STRUCTURE") or not (a.read() == b.read()).all():
            return False
    for level in range(levels):
        with rasterio.open(one, overview_level=level) as a, rasterio.open(other, overview_level=level) as b:
            if not (a.read() == b.read()).all():
                return False
    return True


def _tiles(path: Path) -> list[tuple[str, str]]:
    features = json.loads(path.read_text())["features"]
    return [(feature["id"], json.dumps(feature, sort_keys=True)) for feature in features]


def phase(folder: Path, tiles: int = TILES) -> str:
    """Where a run was when it was ended, by what lies in its folder."""
    journal = folder / JOURNAL
    if not journal.exists():
        return "after the journal was removed" if (folder / OUTPUT).exists() else "start, reading of headers, survey"
    done = sum(line.startswith(b'{"tile_id"') for line in journal.read_bytes().splitlines())
    if done == 0:
        return "loading of the model, first batch"
    if done < tiles:
        return "tiles"
    return "writing of the map" if not (folder / OUTPUT).exists() else "writing of mask, report and style"

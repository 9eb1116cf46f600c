"""A storm: one fault after another, drawn from a seed, and after each of them the same bytes as without.

An episode has a folder of its own. Its run is disturbed once or a few times, then the same command is run until it says
that all is done, and the outputs are held against those of an undisturbed run.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rig import (
    JOURNAL,
    OUTPUT,
    TILES,
    Difference,
    Forge,
    Run,
    Scene,
    build_shim,
    compare,
    make_pair,
    phase,
    start_fresh,
    write_image,
)

STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
DISK = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS, errno.ESTALE)
REAL_MODEL, REAL_TILES = "rsccli-small-int8", 15
#: Exit codes that a disturbed run may leave with, beside 0.
REFUSED, FAILED_TILES, STOPPED, KILLED = 3, 5, 75, -signal.SIGKILL


@dataclass
class Count:
    """One line of the table.

    Attributes:
        episodes: outputs that were brought to their end. injected: faults. lost, doubled, wrong: tiles.
        files: other files that differed. left: outputs beside which a lock or a work folder was left over.
    """

    episodes: int = 0
    injected: int = 0
    lost: int = 0
    doubled: int = 0
    wrong: int = 0
    files: int = 0
    left: int = 0

    def add(self, found: Difference) -> None:
        """One more episode."""
        self.episodes += 1
        self.lost += found.lost
        self.doubled += found.doubled
        self.wrong += found.wrong
        self.files += len(found.files)
        self.left += bool(found.left)


@dataclass
class Storm:
    """The machinery of all episodes.

    Attributes:
        root: folder for everything. rng: draws. counts: by kind of fault. phases: where kill -9 struck.
        problems: what went wrong, sentences; empty where all is well.
    """

    root: Path
    rng: random.Random
    counts: dict[str, Count] = field(default_factory=dict)
    phases: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.shim = build_shim(self.root)
        self.forge = Forge(self.shim)
        self.pre, self.post = make_pair(self.root / "in")
        self._kept = {path: path.with_suffix(".kept") for path in (self.pre, self.post)}
        for path, kept in self._kept.items():
            shutil.copy2(path, kept)
        self._other = self.root / "other.tif"
        write_image(self._other, 3, [(100, 0, 90)])
        self.scene = Scene(self.pre, self.post)
        self.real = Scene(self.pre, self.post, 128, REAL_MODEL, ())
        self.undisturbed = self._undisturbed(self.scene, "undisturbed")
        self._real_undisturbed: Path | None = None
        self._episode = 0

    def close(self) -> None:
        """End the server."""
        self.forge.close()

    def _undisturbed(self, scene: Scene, name: str) -> Path:
        folder = self.root / name
        folder.mkdir()
        counted = self.root / f"{name}.count"
        environment = {"RSCCLI_FAULT_UNDER": str(folder), "RSCCLI_FAULT_COUNT": str(counted)}
        # As a user starts it: what the server's children write is held against that.
        run = start_fresh(scene.arguments(folder), self.root / f"{name}.log", self.shim, **environment)
        assert run.wait() == 0, run.said()
        self.operations = int(counted.read_text()) if counted.exists() else 0
        again = self.root / f"{name}-reads"
        again.mkdir()
        environment = {
            "RSCCLI_FAULT_UNDER": str(self.pre.parent),
            "RSCCLI_FAULT_COUNT": str(counted),
            "RSCCLI_FAULT_KINDS": "r",
        }
        begun = time.monotonic()
        assert self._forged(scene, again, environment).wait() == 0
        self.seconds = time.monotonic() - begun
        self.reads = int(counted.read_text()) if counted.exists() else 0
        assert not compare(again, folder), "a child of the server writes something else"
        return folder

    # ---- runs ----

    def _forged(self, scene: Scene, folder: Path, environment: dict[str, str] | None = None) -> Run:
        return self.forge.start(scene.arguments(folder), self.root / f"{folder.name}.log", **(environment or {}))

    def _fresh(self, scene: Scene, folder: Path, environment: dict[str, str] | None = None) -> Run:
        log = self.root / f"{folder.name}.log"
        return start_fresh(scene.arguments(folder), log, self.shim, **(environment or {}))

    def _folder(self) -> Path:
        self._episode += 1
        folder = self.root / f"e{self._episode:05d}"
        folder.mkdir()
        return folder

    def _pace(self) -> dict[str, str]:
        """How long a tile takes: so that kills at random moments strike every phase."""
        return {"FAULTY_SLEEP_S": self.rng.choice(("0", "0.002", "0.01"))}

    def _moment(self, environment: dict[str, str]) -> float:
        return self.rng.uniform(0, self.seconds + TILES * float(environment.get("FAULTY_SLEEP_S", "0")))

    # ---- kinds of faults; each disturbs a folder and says how many faults there were ----

    def kill(self, folder: Path) -> int:
        """Kill -9 at random moments, again and again."""
        kills = 0
        for _ in range(self.rng.randint(2, 10)):
            environment = self._pace()
            run = self._forged(self.scene, folder, environment)
            kills += self._kill_at(run, folder, self._moment(environment))
            if self._is_done(folder):
                break
        return kills

    def kill_fresh(self, folder: Path) -> int:
        """The same with ``python -m rsccli`` as a user starts it."""
        environment = self._pace()
        run = self._fresh(self.scene, folder, environment)
        return self._kill_at(run, folder, 1.0 + self._moment(environment))

    def kill_real(self, folder: Path) -> int:
        """The same with the bundled captioner (int8 weights)."""
        run = self._fresh(self.real, folder)
        return self._kill_at(run, folder, self.rng.uniform(0.5, 1.5 * self.seconds + 3), REAL_TILES)

    def _kill_at(self, run: Run, folder: Path, moment_s: float, tiles: int = TILES) -> int:
        time.sleep(moment_s)
        run.send(signal.SIGKILL)
        if run.wait() != KILLED:
            self._expect(run, 0)
            return 0
        self.phases[phase(folder, tiles)] += 1
        return 1

    def kill_at_operation(self, folder: Path) -> int:
        """Kill -9 right before the n-th operation on a file of the outputs."""
        at = self.rng.randint(1, self.operations)
        run = self._forged(self.scene, folder, self._fault(folder, at))
        if run.wait() != KILLED:
            self._expect(run, 0)
            return 0
        self.phases[phase(folder)] += 1
        return 1

    def disk(self, folder: Path) -> int:
        """The n-th operation on a file of the outputs fails, once or from then on."""
        at, number = self.rng.randint(1, self.operations), self.rng.choice(DISK)
        more = {"RSCCLI_FAULT_ERRNO": str(number), "RSCCLI_FAULT_TIMES": self.rng.choice(("1", "1000000"))}
        self._expect(self._forged(self.scene, folder, self._fault(folder, at) | more), 0, REFUSED)
        return 1

    def stale_read(self, folder: Path) -> int:
        """One read of an input fails with ESTALE or EIO, as when a file server is away for a moment."""
        at, number = self.rng.randint(1, self.reads), self.rng.choice((errno.ESTALE, errno.EIO))
        more = {"RSCCLI_FAULT_ERRNO": str(number), "RSCCLI_FAULT_KINDS": "r"}
        run = self._forged(self.scene, folder, self._fault(self.pre.parent, at) | more)
        # libtiff ends the process where a read fails in the middle of some headers: a kill like any other.
        self._expect(run, 0, REFUSED, -signal.SIGABRT)
        return 1

    def stop(self, folder: Path) -> int:
        """SIGTERM, SIGINT or SIGUSR1 at a random moment."""
        environment = self._pace()
        run = self._forged(self.scene, folder, environment)
        time.sleep(self._moment(environment))
        number = self.rng.choice(STOP)
        run.send(number)
        # Before Python has begun the system's own answer to a signal is all there is.
        self._expect(run, 0, STOPPED, -number)
        return 1

    def two(self, folder: Path) -> int:
        """Two processes on one output, and the first of them is killed half of the time."""
        environment = self._pace()
        first = self._forged(self.scene, folder, environment)
        time.sleep(self.rng.uniform(0, self.seconds))
        second = self._forged(self.scene, folder, environment)
        if self.rng.random() < 0.5:
            time.sleep(self._moment(environment))
            first.send(signal.SIGKILL)
        self._expect(first, 0, REFUSED, KILLED)
        self._expect(second, 0, REFUSED)
        return 1

    def input_away(self, folder: Path) -> int:
        """An input is taken away, replaced, or cut in its middle while it is read; later it is put back."""
        environment = self._pace()
        run = self._forged(self.scene, folder, environment)
        time.sleep(self._moment(environment))
        path = self.rng.choice((self.pre, self.post))
        what = self.rng.choice(("deleted", "replaced", "cut"))
        if what == "deleted":
            path.unlink()
        elif what == "replaced":
            shutil.copy(self._other, self.root / "new.tif")
            os.replace(self.root / "new.tif", path)
        else:
            os.truncate(path, path.stat().st_size // 2)
        status, said = run.wait(), run.said()
        try:
            wrong = self._wrong_input(run, folder, path, what)
        finally:
            shutil.copy2(self._kept[path], path)
        if wrong is not None:
            self.problems.append(f"{folder.name}: {path.name} {what}: exit {status}: {wrong}: {said[-300:]}")
        if status in (0, FAILED_TILES):
            # It is done, from the old file, or from the other one because that was there first: the old one once more.
            shutil.rmtree(folder)
            folder.mkdir()
        return 1

    def _wrong_input(self, run: Run, folder: Path, path: Path, what: str) -> str | None:
        """What is wrong with a run under which an input changed, while that still lies there; None: nothing."""
        if run.status == REFUSED:
            return None if path.name in run.said() else "the file is not named"
        if run.status not in (0, FAILED_TILES):
            return "no such code was expected"
        found = compare(folder, self.undisturbed)
        if not found:
            return None
        if found.files == ["out.report.html"]:
            # Every tile was finished before: the page alone looks at the images once more.
            page = (folder / "out.report.html").read_text()
            return None if "images are not shown" in page else "the page does not say that an image is gone"
        if what == "deleted":
            return f"a map of no image: {found}"
        # It changed before the run had looked at it: then the map is that of the other file, every byte.
        other = folder.with_name(f"{folder.name}-other")
        other.mkdir()
        again = self._forged(self.scene, other)
        if again.wait() != run.status:
            return f"another run of the same says {again.status}: {again.said()[-300:]}"
        found = compare(folder, other)
        shutil.rmtree(other)
        return f"a map of two images: {found}" if found else None

    def memory(self, folder: Path) -> int:
        """Batches do not fit into memory, in ONNX Runtime's own words."""
        run = self._forged(self.scene, folder, {"FAULTY_OOM": str(self.rng.randint(1, 3))})
        self._expect(run, 0)
        return 1

    def bad_batch(self, folder: Path) -> int:
        """The model raises on every batch of more than one tile."""
        self._expect(self._forged(self.scene, folder, {"FAULTY_BATCH": "1"}), 0)
        return 1

    def clock(self, folder: Path) -> int:
        """The wall clock jumps to and fro by up to ten years, and the run is killed in the middle of it."""
        environment = self._pace() | {"RSCCLI_FAULT_CLOCK": str(self.rng.randint(3600, 315_000_000))}
        run = self._forged(self.scene, folder, environment)
        time.sleep(self._moment(environment))
        run.send(signal.SIGKILL)
        self._expect(run, 0, KILLED)
        if not self._is_done(folder):
            self._expect(self._forged(self.scene, folder, environment), 0)
        return 1

    @staticmethod
    def _is_done(folder: Path) -> bool:
        """Whether all was written, and only the process was left to end."""
        return (folder / OUTPUT).exists() and not (folder / JOURNAL).exists()

    def _fault(self, under: Path, at: int) -> dict[str, str]:
        return {"RSCCLI_FAULT_UNDER": str(under), "RSCCLI_FAULT_AT": str(at)}

    def _expect(self, run: Run, *allowed: int) -> None:
        status, said = run.wait(), run.said()
        if status not in allowed or "Traceback" in said:
            self.problems.append(f"{run.log.stem}: exit {status}: {said[-600:]}")

    # ---- episodes ----

    def kinds(self) -> dict[str, tuple[int, Callable[[Path], int]]]:
        """What may happen: words for the table, how often (weight), and what does it."""
        found: dict[str, tuple[int, Callable[[Path], int]]] = {
            "kill -9 at a random moment": (10, self.kill),
            "the same, started as a user does": (3, self.kill_fresh),
            "the same, with the bundled captioner": (1, self.kill_real),
            "SIGTERM, SIGINT, SIGUSR1 at a random moment": (6, self.stop),
            "two processes on one output": (4, self.two),
            "input deleted, replaced or cut during the run": (4, self.input_away),
            "too little memory for a batch": (1, self.memory),
            "a model that raises on batches": (1, self.bad_batch),
        }
        if self.shim is not None:
            found |= {
                "kill -9 right before a file operation": (6, self.kill_at_operation),
                "a file operation fails (disk full, I/O error, quota, read-only, stale)": (6, self.disk),
                "one read of an input fails (ESTALE, EIO)": (3, self.stale_read),
                "the clock jumps, and kill -9": (2, self.clock),
            }
        return found

    def episode(self, kind: str) -> None:
        """One output: disturb it, bring it to its end, compare."""
        before = len(self.problems)
        folder = self._folder()
        disturb = self.kinds()[kind][1]
        real = disturb == self.kill_real
        if real and self._real_undisturbed is None:
            numbers = self.operations, self.reads, self.seconds
            self._real_undisturbed = self._undisturbed(self.real, "undisturbed-real")
            self.operations, self.reads, self.seconds = numbers
        injected = disturb(folder)
        self._finish(self.real if real else self.scene, folder)
        undisturbed = self._real_undisturbed if real else self.undisturbed
        assert undisturbed is not None
        found = compare(folder, undisturbed, pixels=disturb == self.disk)
        count = self.counts.setdefault(kind, Count())
        count.injected += injected
        count.add(found)
        if found:
            self.problems.append(f"{folder.name}: {kind}: {found}")
        if len(self.problems) == before:
            shutil.rmtree(folder)
            (self.root / f"{folder.name}.log").unlink(missing_ok=True)

    def _finish(self, scene: Scene, folder: Path) -> None:
        """The same command once more, undisturbed."""
        if self._is_done(folder):
            return
        start = self._forged if scene is self.scene else self._fresh
        run = start(scene, folder)
        if run.wait() != 0 or "Traceback" in run.said():
            self.problems.append(f"{folder.name}: it does not go on: exit {run.status}: {run.said()[-600:]}")

    def table(self) -> str:
        """What happened, as a Markdown table."""
        lines = [
            "| fault | injected | outputs | tiles lost | doubled | wrong | other files that differ |",
            "|---|---|---|---|---|---|---|",
        ]
        total = Count()
        for kind in self.kinds():
            count = self.counts.get(kind)
            if count is None:
                continue
            lines.append(_line(kind, count))
            for name in vars(total):
                setattr(total, name, getattr(total, name) + getattr(count, name))
        lines.append(_line("**all**", total))
        return "\n".join(lines)


def _line(name: str, count: Count) -> str:
    numbers = (count.injected, count.episodes, count.lost, count.doubled, count.wrong, count.files)
    return f"| {name} | {' | '.join(str(number) for number in numbers)} |"

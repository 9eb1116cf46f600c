"""How runs are, told from what lies on the disk: ``rsccli status``. Nothing is written, nobody is disturbed.

A run is a lock (who writes it), a journal (what is finished) and an output (all is); shards and lists of scenes are
made of these.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rsccli.errors import InputError, OutputError
from rsccli.output.scenes import SceneResult
from rsccli.run.detect.folder import DETECT, output_of
from rsccli.run.journal import journal_path
from rsccli.run.manifest.record import journal_folder, read_entries
from rsccli.run.manifest.scenes import read_scenes
from rsccli.run.metrics.run_status import RunState, RunStatus, journal_of, run_status
from rsccli.run.shard.file import read_head
from rsccli.run.shard.name import SUFFIX, Shard

_JOURNAL, _LOCK, _SHARDS, _JOURNALS = ".journal", ".lock", ".shards", ".journals"
_LISTS = (".csv", ".jsonl", ".ndjson")


@dataclass(frozen=True)
class ShardsStatus:
    """The shards of one run.

    Attributes:
        folder: theirs. count: how many the run has. shards: all of them. tiles: finished. planned: of the run, where
            a shard tells. tiles_per_s: of those that work. left_s: seconds to go while as many work; None: unknown.
    """

    folder: str
    count: int
    shards: tuple[RunStatus, ...]
    tiles: int
    planned: int | None
    tiles_per_s: float | None
    left_s: float | None

    def in_state(self, state: RunState) -> list[RunStatus]:
        """Those in one state."""
        return [each for each in self.shards if each.state == state]


@dataclass(frozen=True)
class ScenesStatus:
    """A list of scenes.

    Attributes:
        name: of it. results: every scene that is known. at_work: runs that somebody is at, or that were cut.
    """

    name: str
    results: tuple[SceneResult, ...]
    at_work: tuple[tuple[str, RunStatus], ...]

    def in_state(self, state: str) -> list[SceneResult]:
        """Those in one state."""
        return [each for each in self.results if each.state == state]


@dataclass(frozen=True)
class Status:
    """All that a path leads to."""

    runs: tuple[RunStatus, ...] = ()
    shards: tuple[ShardsStatus, ...] = ()
    scenes: tuple[ScenesStatus, ...] = ()


def status_of(path: Path, outputs: Path | None = None) -> Status:
    """What is known of an output, a folder of shards, a list of scenes, or of all that lies in a folder.

    Args:
        path: the output (it need not be there yet), its journal, ``OUT.shards``, a list of scenes, or a folder.
        outputs: folder of the outputs of a list of scenes, where that is not the list's own.

    Raises:
        InputError: no trace of a run.
    """
    if path.is_dir():
        found = _of_folder(path)
    elif path.suffix.lower() in _LISTS and _is_list(path, outputs):
        found = Status(scenes=(_scenes(path, outputs),))
    else:
        found = _of_output(_bare(path))
    if not (found.runs or found.shards or found.scenes):
        raise InputError(
            f"{path}: no trace of a run: no output, no journal, no shards. Name the output of rsccli caption, its "
            "folder, OUT.shards, or a list of scenes"
        )
    return found


def _of_output(output: Path) -> Status:
    run, folder = run_status(output), output.with_name(output.name + _SHARDS)
    shards = _shards(folder) if folder.is_dir() else None
    if run.state == "not begun":
        return Status(shards=() if shards is None else (shards,))
    return Status((run,), () if shards is None else (shards,))


def _of_folder(folder: Path) -> Status:
    if folder.name.endswith(_SHARDS):
        found = _shards(folder)
        return Status(shards=() if found is None else (found,))
    if folder.name.endswith(_JOURNALS):
        return Status(scenes=(_entries(folder),))
    runs: dict[Path, RunStatus] = {}
    shards: list[ShardsStatus] = []
    scenes: list[ScenesStatus] = []
    for path in _listed(folder):
        if path.is_dir():
            if path.name.endswith(_SHARDS) and (some := _shards(path)) is not None:
                shards.append(some)
            elif path.name.endswith(_JOURNALS):
                scenes.append(_entries(path))
            elif path.name.endswith(DETECT) and journal_of(output_of(path)).exists():
                runs.setdefault(output_of(path), run_status(output_of(path)))
        elif path.name.endswith((_JOURNAL, _LOCK, ".metrics.json", ".report.json")):
            for output in _outputs(path):
                status = run_status(output)
                # The lock of a report, or of a mask, is no run.
                if status.state != "not begun" and (status.state == "finished" or journal_of(output).exists()):
                    runs.setdefault(output, status)
    return Status(tuple(runs.values()), tuple(shards), tuple(scenes))


def _outputs(path: Path) -> list[Path]:
    """The outputs that a file beside them speaks of."""
    if path.name.endswith(".report.json"):
        stem = path.name.removesuffix(".report.json")
        return [path.with_name(stem + ending) for ending in (".geojson", ".gpkg", ".fgb", ".parquet", ".csv")] + [
            path.with_name(stem + ending) for ending in (".geojsonl", ".geojsons")
        ]
    return [_bare(path)]


def _bare(path: Path) -> Path:
    name = path.name
    for suffix in (_JOURNAL, _LOCK, ".metrics.json"):
        name = name.removesuffix(suffix)
    return output_of(path.with_name(name))


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder}: cannot be read: {error.strerror or error}") from error


def _shards(folder: Path) -> ShardsStatus | None:
    """All shards of the division that lies in a folder; None where there is none."""
    named = {shard for path in _listed(folder) if (shard := Shard.of_file(path)) is not None}
    if not named:
        return None
    count = max(shard.count for shard in named)
    shards = tuple(run_status(folder / shard.file_name, shard) for shard in (Shard(count, i + 1) for i in range(count)))
    tiles = sum(each.tiles or 0 for each in shards)
    planned = _planned(folder, shards)
    rates = [each.tiles_per_s for each in shards if each.tiles_per_s]
    rate = sum(rates) if rates else None
    left = None if planned is None or rate is None else max(0, planned - tiles) / rate
    return ShardsStatus(str(folder), count, shards, tiles, planned, rate, left)


def _planned(folder: Path, shards: Iterable[RunStatus]) -> int | None:
    """Tiles of the whole run: from any finished shard, else from all of them together."""
    known = list(shards)
    for each in known:
        if each.state == "finished" and each.output.endswith(SUFFIX):
            try:
                return read_head(Path(each.output)).facts.tiles
            except InputError:
                continue
    planned = [each.planned for each in known]
    return None if None in planned else sum(number or 0 for number in planned)


def _is_list(path: Path, outputs: Path | None) -> bool:
    """A ``.csv`` may be a map, too."""
    if journal_path(path).exists():
        return False
    try:
        read_scenes(path, outputs)
    except (InputError, OutputError):
        return _default_journals(path).is_dir()
    return True


def _default_journals(manifest: Path) -> Path:
    return journal_folder(manifest.with_name(f"{manifest.stem}.summary"))


def _scenes(manifest: Path, outputs: Path | None) -> ScenesStatus:
    scenes, _ = read_scenes(manifest, outputs)
    entries = read_entries(_default_journals(manifest))
    results, at_work = [], []
    for scene in scenes:
        entry = entries.get(scene.id)
        results.append(SceneResult(scene.id, *scene.listed, "not done") if entry is None else entry.result)
        run = run_status(scene.output)
        if run.state in ("running", "cut"):
            at_work.append((scene.id, run))
    return ScenesStatus(str(manifest), tuple(results), tuple(at_work))


def _entries(folder: Path) -> ScenesStatus:
    """Scenes without their list: those that somebody has begun."""
    results = [entry.result for entry in read_entries(folder).values()]
    return ScenesStatus(str(folder), tuple(results), ())

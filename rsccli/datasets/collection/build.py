"""A data set that is being made: gone on with after a cut, and finished all at once."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rsccli.datasets.collection.facts import DatasetFacts, facts_of
from rsccli.datasets.collection.folder import (
    ANNOTATED,
    FACTS,
    FOOTPRINTS,
    IMAGES,
    JOURNAL,
    PAIRS,
    PROBLEMS,
    PROMPTS,
)
from rsccli.datasets.collection.pair import LabelledPair, footprint_feature, pair_from_json
from rsccli.datasets.collection.problem import Problem, first_of, problem_from_json
from rsccli.datasets.collection.prompts import prompts_of
from rsccli.errors import InputError, OutputError
from rsccli.output.text import json_bytes
from rsccli.output.writers.atomic import replacing
from rsccli.run.line_journal import LineJournal


@dataclass(frozen=True)
class Unit:
    """What is done at once: an image pair of xBD, a superblock of a large pair.

    Attributes:
        name: unique in the run. identity: changes when the files behind it do.
    """

    name: str
    identity: str


class DatasetBuild:
    """A data set that is being made; use it as a context manager.

    Args:
        folder: of the data set; made where it is missing. spec: all that decides the result.
        units: all of the run. overwrite: replace a finished data set.

    Raises:
        OutputError: something else is in the way. JournalMismatchError: a cut run had another spec.
    """

    def __init__(self, folder: Path, spec: Mapping[str, Any], units: Iterable[Unit], overwrite: bool) -> None:
        _refuse_what_is_there(folder, overwrite)
        self.folder = folder
        self._units = {unit.name: unit for unit in units}
        self._journal = LineJournal(folder / JOURNAL, spec, fresh=overwrite)
        if overwrite:
            _clear(folder)
        self._pairs: dict[str, list[LabelledPair]] = {}
        self._problems: dict[str, list[Problem]] = {}
        self._skipped: dict[str, int] = {}
        for entry in self._journal.entries:
            self._take(entry)
        for name in (IMAGES, ANNOTATED):
            (folder / name).mkdir(exist_ok=True)
            for part in (folder / name).glob(".*.part"):
                part.unlink()

    def __enter__(self) -> DatasetBuild:
        return self

    def __exit__(self, *exc: object) -> None:
        self._journal.close()

    def _take(self, entry: Mapping[str, Any]) -> None:
        """What an earlier run finished, unless its files changed since or something was wrong with them."""
        name = str(entry["unit"])
        unit = self._units.get(name)
        pairs = [pair_from_json(pair) for pair in entry["pairs"]]
        problems = [problem_from_json(problem) for problem in entry["problems"]]
        gone = unit is None or unit.identity != entry["identity"] or any(problem.left_out for problem in problems)
        # After a power cut a file may be empty whose journal line is there.
        if gone or not all(_whole(self.folder / file) for pair in pairs for file in pair.files):
            for file in {file for pair in pairs for file in pair.files}:
                (self.folder / file).unlink(missing_ok=True)
            self._pairs.pop(name, None)
            return
        self._keep(name, pairs, problems, int(entry["skipped"]))

    def _keep(self, name: str, pairs: list[LabelledPair], problems: list[Problem], skipped: int) -> None:
        self._pairs[name], self._problems[name], self._skipped[name] = pairs, problems, skipped

    @property
    def done(self) -> int:
        """Units that are finished."""
        return len(self._pairs)

    def left(self) -> list[Unit]:
        """Units that are still to do, in order."""
        return [unit for name, unit in self._units.items() if name not in self._pairs]

    def commit(
        self, unit: Unit, pairs: Sequence[LabelledPair], problems: Sequence[Problem] = (), skipped: int = 0
    ) -> None:
        """A unit is finished: its images are there."""
        self._journal.append(
            {
                "unit": unit.name,
                "identity": unit.identity,
                "pairs": [pair.to_json() for pair in pairs],
                "problems": [problem.to_json() for problem in problems],
                "skipped": skipped,
            }
        )
        self._keep(unit.name, list(pairs), list(problems), skipped)

    def finish(
        self, kind: str, source: Sequence[str], count_rule: str, problems: Sequence[Problem]
    ) -> tuple[DatasetFacts, tuple[Problem, ...]]:
        """Write the lists; the data set is whole after that.

        The journal stays where something was left out: with the files mended, the same command does those alone.

        Args:
            problems: beside those of units.

        Raises:
            InputError: there is no pair at all.
        """
        pairs = [pair for name in self._units for pair in self._pairs.get(name, ())]
        found = (*problems, *(each for name in self._units for each in self._problems.get(name, ())))
        if not pairs:
            raise InputError(f"{', '.join(source)}: no pair could be used:\n{first_of(found) or '  nothing is there'}")
        facts = facts_of(kind, source, count_rule, pairs, found, sum(self._skipped.values()))
        _write_lines(self.folder / PAIRS, (pair.to_json() for pair in pairs))
        _write_lines(self.folder / PROMPTS, (asdict(prompt) for pair in pairs for prompt in prompts_of(pair)))
        placed = [pair for pair in pairs if pair.footprint is not None]
        _write_or_remove(self.folder / FOOTPRINTS, _collection(placed) if placed else None)
        lines = b"".join(json_bytes(problem.to_json()) + b"\n" for problem in found)
        _write_or_remove(self.folder / PROBLEMS, lines or None)
        with replacing(self.folder / FACTS) as part:
            part.write_bytes(json_bytes(asdict(facts), indent=True))
        if not facts.left_out:
            self._journal.remove()
        return facts, found


def _refuse_what_is_there(folder: Path, overwrite: bool) -> None:
    """Make the folder, unless something else is in it."""
    if folder.is_file():
        raise OutputError(f"{folder} is a file; name a folder with -o")
    if not folder.parent.is_dir():
        raise OutputError(f"the folder {folder.parent} does not exist; make it with: mkdir -p {folder.parent}")
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made: {error.strerror or error}") from error
    journal, facts = (folder / JOURNAL).exists(), (folder / FACTS).exists()
    if not journal and not facts and any(folder.iterdir()):
        raise OutputError(f"{folder} holds files, but no data set of rsccli; name another folder with -o")
    if facts and not journal and not overwrite:
        raise OutputError(f"{folder} holds a finished data set; add --overwrite to replace it, or name another with -o")


def _clear(folder: Path) -> None:
    """Remove a data set, first what makes it look finished. Captions of teachers stay: they may have been paid for."""
    for name in (FACTS, PAIRS, PROMPTS, FOOTPRINTS, PROBLEMS):
        (folder / name).unlink(missing_ok=True)
    for name in (IMAGES, ANNOTATED):
        shutil.rmtree(folder / name, ignore_errors=True)


def _whole(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def _write_lines(path: Path, values: Iterable[Mapping[str, Any]]) -> None:
    with replacing(path) as part, part.open("wb") as out:
        out.writelines(json_bytes(value) + b"\n" for value in values)


def _write_or_remove(path: Path, data: bytes | None) -> None:
    if data is None:
        path.unlink(missing_ok=True)
        return
    with replacing(path) as part:
        part.write_bytes(data)


def _collection(pairs: Sequence[LabelledPair]) -> bytes:
    features = b",\n".join(json_bytes(footprint_feature(pair)) for pair in pairs)
    return b'{"type":"FeatureCollection","features":[\n' + features + b"\n]}\n"

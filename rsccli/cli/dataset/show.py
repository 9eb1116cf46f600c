"""What commands under ``rsccli dataset`` print: progress and findings on stderr, the result on stdout."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import typer

from rsccli.errors import FailedTilesError

if TYPE_CHECKING:
    from rsccli.datasets.collection.facts import DatasetFacts
    from rsccli.datasets.collection.problem import Problem

LINE_EVERY_S = 60.0
SHOWN = 10


class PairProgress:
    """A bar on a terminal, one plain line a minute otherwise; see `rsccli.datasets.collection.progress.Progress`."""

    def __init__(self, unit: str, quiet: bool) -> None:
        from tqdm import tqdm

        self._unit, self._quiet = unit, quiet
        self._done, self._last = 0, time.monotonic()
        # disable=None: tqdm draws only on a terminal.
        self._bar = tqdm(unit=unit, file=sys.stderr, disable=True if quiet else None, smoothing=0.1)

    def __enter__(self) -> PairProgress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.close()

    def __call__(self, done: int, old: bool, total: int) -> None:
        """Count what is finished."""
        self._done += done
        self._bar.total = total
        if old:
            self._bar.initial = done
            if not self._quiet:
                print(f"rsccli: {done} of {total} {self._unit}s were finished before, going on", file=sys.stderr)
        self._bar.update(done)
        now = time.monotonic()
        if self._bar.disable and not self._quiet and now - self._last >= LINE_EVERY_S:
            self._last = now
            print(f"rsccli: {self._done} of {total} {self._unit}s", file=sys.stderr, flush=True)


def show_problems(problems: Sequence[Problem], quiet: bool) -> None:
    """The first findings on stderr, those that cost a pair first."""
    if quiet:
        return
    for problem in sorted(problems, key=lambda each: not each.left_out)[:SHOWN]:
        kind = "left out" if problem.left_out else "note"
        print(f"rsccli: {kind}: {problem.file}: {problem.problem}", file=sys.stderr)
    if len(problems) > SHOWN:
        print(f"rsccli: and {len(problems) - SHOWN} more", file=sys.stderr)


def print_json(value: dict[str, Any]) -> None:
    """A result on stdout for programs."""
    typer.echo(json.dumps(value))


def show_dataset(output: Path, facts: DatasetFacts, problems: Sequence[Problem], quiet: bool, as_json: bool) -> None:
    """The result of a command that makes a data set.

    Raises:
        FailedTilesError: something was left out.
    """
    from dataclasses import asdict

    from rsccli.datasets.collection.folder import PROBLEMS

    show_problems(problems, quiet)
    if as_json:
        print_json(asdict(facts))
    elif not quiet:
        typer.echo(dataset_table(output, facts))
    if facts.left_out:
        way_out = (
            "mend them and run the same command again: it does those alone"
            if facts.kind == "xbd"
            else "mend the images and start afresh with --overwrite"
        )
        what = "input was" if facts.left_out == 1 else "inputs were"
        raise FailedTilesError(
            f"{facts.left_out} {what} left out: {output / PROBLEMS} says why. The rest is whole; {way_out}"
        )


def dataset_table(output: Path, facts: DatasetFacts) -> str:
    """Facts of a data set, for people."""
    rows = [
        ("data set", str(output)),
        ("pairs", f"{facts.pairs} ({facts.damaged_pairs} with damaged buildings)"),
        *(("split", f"{name}: {number}") for name, number in facts.by_split.items()),
        *(("disaster", f"{name}: {number}") for name, number in facts.by_disaster.items()),
        *(("buildings", f"{level}: {number}") for level, number in facts.buildings.items()),
        ("counted by", facts.count_rule),
    ]
    if facts.skipped:
        rows.append(("skipped", f"{facts.skipped} tiles with too few valid pixels"))
    rows.append(("left out", str(facts.left_out)))
    return "\n".join(f"{name:<12}{text}" for name, text in rows)

"""Runs one probe for a command and hands its result out."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rsccli.cli.pipes import reader_may_leave
from rsccli.errors import FailedTilesError, UsageProblem

if TYPE_CHECKING:
    from rsccli.cli.probe.asked import Asked
    from rsccli.evaluation.probes.job import Spec


def run(asked: Asked, spec: Spec) -> None:
    """Find the pairs, probe, write the results, print the table."""
    from rsccli.cli.progress import TileProgress
    from rsccli.evaluation.probes.job import ProbeJob, gather_pairs, run_probe
    from rsccli.evaluation.probes.result import check_results, render, write_results

    job = ProbeJob(asked.inputs, spec, asked.choice, asked.model, asked.captioner, asked.batch_size)
    if asked.folder is not None:
        check_results(asked.folder, job.name, asked.overwrite)
    pairs = gather_pairs(job)
    if not asked.quiet and pairs.found > len(pairs.pairs):
        print(
            f"rsccli: {len(pairs.pairs)} of {pairs.found} pairs, drawn (--seed {job.choice.seed}); --limit 0 takes all",
            file=sys.stderr,
        )
    with TileProgress(len(pairs.pairs), asked.quiet) as progress:
        result = run_probe(job, pairs, progress)
    if asked.folder is not None:
        for path in write_results(asked.folder, result):
            if not asked.quiet:
                print(f"rsccli: {path}", file=sys.stderr)
    with reader_may_leave():
        sys.stdout.buffer.write(render(result, "json" if asked.json_output else "md"))
        sys.stdout.buffer.flush()
    if result.failures:
        first = result.failures[0]
        raise FailedTilesError(
            f"{len(result.failures)} of {len(pairs.pairs)} pairs could not be used and are in no figure; {first.name}: "
            f"{first.reason}"
        )


def numbers(text: str, flag: str) -> tuple[float, ...]:
    """``0.5,2,10``."""
    try:
        values = tuple(float(part) for part in text.replace(" ", ",").split(",") if part)
    except ValueError:
        values = ()
    if not values:
        raise UsageProblem(f"{flag} {text!r}: give numbers, separated by commas")
    return values


def names(text: str) -> tuple[str, ...]:
    """``one,another``."""
    return tuple(part.strip() for part in text.split(",") if part.strip())

"""One benchmark from what a user asks for to its results."""

from __future__ import annotations

from collections.abc import Callable

from rsccli.errors import StoppedError
from rsccli.evaluation.benchmark.answers import collect_answers
from rsccli.evaluation.benchmark.files import check_output, claimed, write_results
from rsccli.evaluation.benchmark.gather import Answered, gather
from rsccli.evaluation.benchmark.job import BenchmarkJob, Entrant, Plan, plan_benchmark
from rsccli.evaluation.benchmark.result import Benchmark
from rsccli.evaluation.benchmark.score import SUFFIXES, check_metrics, joined_of, records_of
from rsccli.evaluation.probes.answering import Progress
from rsccli.evaluation.records import write_captions
from rsccli.run.signals import StopRequest

#: What shows how far an entrant is; called with the number of its pairs when its turn comes.
Watch = Callable[[Entrant, int], Progress]


def _unwatched(entrant: Entrant, pairs: int) -> Progress:
    return lambda done, old: None


def prepare(job: BenchmarkJob) -> Plan:
    """Check everything that can be checked before a model is loaded.

    Raises:
        OutputError: results that are there. Others: see `plan_benchmark` and `check_metrics`.
    """
    check_output(job.output, job.overwrite)
    plan = plan_benchmark(job)
    check_metrics(job)
    return plan


def run_benchmark(plan: Plan, watch: Watch = _unwatched) -> Benchmark:
    """Ask every entrant, score the captions, write captions and results.

    Captions of all entrants are there before the first is scored: models of scores take memory of their own.

    Raises:
        StoppedError: a signal asked to stop; captions are kept. ModelError: a model that cannot be loaded, or that
            failed on every pair. OutputError, JournalMismatchError: of the folder.
    """
    job, pairs = plan.job, plan.chosen.pairs
    usable = sum(pair.problem is None for pair in pairs)
    with claimed(job.output) as folder:
        done = []
        with StopRequest() as stop:
            for entrant in plan.entrants:
                if stop.name:
                    raise StoppedError(
                        f"stopped by {stop.name} before {entrant.label} ({entrant.regime}); run the same command again "
                        "to go on"
                    )
                journal = folder / f"{entrant.stem}.journal"
                answers = collect_answers(job, entrant, pairs, journal, stop, watch(entrant, usable))
                records = records_of(entrant, pairs, answers.said)
                path = folder / f"{entrant.stem}{SUFFIXES[job.predictions]}"
                write_captions(path, records, job.predictions)
                done.append(Answered(entrant, answers, path, joined_of(path, records, pairs, plan.source.path)))
        result = gather(plan, done)
        write_results(job.output, result)
    return result

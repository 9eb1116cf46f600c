"""From captions to a result: scores of every entrant, facts of the data, what a reader must know."""

from __future__ import annotations

import hashlib
import platform
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rsccli import __version__
from rsccli.evaluation.benchmark.answers import Answers
from rsccli.evaluation.benchmark.comparable import notes_on_quotes, quoted_rows
from rsccli.evaluation.benchmark.job import BenchmarkJob, Entrant, Plan
from rsccli.evaluation.benchmark.regimes import counts_from
from rsccli.evaluation.benchmark.result import Benchmark, DataFacts, Problem, Run, Speed
from rsccli.evaluation.benchmark.score import evaluate_entrant
from rsccli.evaluation.evaluate import Second
from rsccli.evaluation.join import Joined
from rsccli.evaluation.result import Evaluation
from rsccli.models.cores import usable_cores

_CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Answered:
    """An entrant whose captions are there.

    Attributes:
        predictions: their file. joined: with their references.
    """

    entrant: Entrant
    answers: Answers
    predictions: Path
    joined: Joined


def gather(plan: Plan, done: Sequence[Answered]) -> Benchmark:
    """Score everything.

    Raises:
        ModelError: a model of a score that cannot be used.
    """
    job = plan.job
    data = _data(plan)
    runs = tuple(_run(plan, each, _evaluations(job, each, done)) for each in done)
    return Benchmark(
        version=__version__,
        machine=_machine(job),
        data=data,
        protocols=tuple(dict.fromkeys(job.protocols)),
        runs=runs,
        quoted=quoted_rows(job.protocols),
        problems=tuple(_problems(plan, done)),
        options=tuple(_options(job)),
        samples=job.samples,
        seed=job.choice.seed,
        notes=tuple(dict.fromkeys([*notes_on_quotes(data, job.protocols, runs), *_notes(runs)])),
    )


def _evaluations(job: BenchmarkJob, own: Answered, done: Sequence[Answered]) -> tuple[Evaluation, ...]:
    # Compared with the first entrant of the same regime; the floors are those of the pairs, so once is enough.
    first = next(each for each in done if each.entrant.regime == own.entrant.regime)
    second = None if first is own else Second(first.entrant.label, first.joined)
    return tuple(
        evaluate_entrant(
            job, protocol, own.joined, own.entrant.label, floors=own is done[0] and protocol != "rscc", first=second
        )
        for protocol in dict.fromkeys(job.protocols)
    )


def _run(plan: Plan, own: Answered, evaluations: tuple[Evaluation, ...]) -> Run:
    entrant, answers, info = own.entrant, own.answers, own.entrant.info
    unread = sum(each.unread is not None for each in answers.said)
    return Run(
        model=entrant.label,
        revision=info.revision,
        regime=entrant.regime,
        prompt=info.prompt,
        counts_from=counts_from(plan.chosen.pairs, entrant.regime),
        predictions=str(own.predictions),
        scored=len(answers.said) - unread,
        statuses=tuple(sorted(Counter(each.status for each in answers.said if each.status is not None).items())),
        unread=unread,
        failed=sum(each.failed is not None for each in answers.said),
        cut=sum(each.cut for each in answers.said),
        taken_over=answers.taken_over,
        speed=_speed(entrant, answers),
        evaluations=evaluations,
    )


def _speed(entrant: Entrant, answers: Answers) -> Speed:
    batches = answers.batches
    return Speed(
        pairs=sum(each.unread is None for batch in batches for each in batch.said),
        seconds=sum(batch.seconds for batch in batches),
        read_seconds=sum(batch.read_seconds for batch in batches),
        peak_mb=max((batch.peak_mb for batch in batches if batch.peak_mb is not None), default=None),
        gpu_mb=max((batch.gpu_mb for batch in batches if batch.gpu_mb is not None), default=None),
        provider=next((batch.provider for batch in reversed(batches) if batch.provider), None),
        batch_size=answers.batch_size,
        size_mb=entrant.info.size_mb,
        dtype=entrant.info.dtype,
    )


def _data(plan: Plan) -> DataFacts:
    job, chosen = plan.job, plan.chosen
    return DataFacts(
        source=str(plan.source.path),
        format=plan.source.format,
        sha256=_digest(plan.source.path),
        references=None if job.references is None else str(job.references),
        references_sha256=None if job.references is None else _digest(job.references),
        found=chosen.found,
        matching=chosen.matching,
        without_references=chosen.without,
        pairs=len(chosen.pairs),
        missing=sum(pair.problem is not None for pair in chosen.pairs),
        split=job.choice.split,
        only=job.choice.only,
        limit=job.choice.limit,
        seed=job.choice.seed,
        splits=chosen.splits,
        notes=plan.notes,
    )


def _digest(path: Path) -> str | None:
    if not path.is_file():
        return None
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def _problems(plan: Plan, done: Sequence[Answered]) -> Iterator[Problem]:
    for pair in plan.chosen.pairs:
        if pair.problem is not None:
            yield Problem(pair.key, "missing", pair.problem)
    found: dict[tuple[str, str, str], list[str]] = {}
    for own in done:
        for said in own.answers.said:
            what, reason = ("unread", said.unread) if said.unread is not None else ("failed", said.failed)
            if reason is not None:
                found.setdefault((said.key, what, reason), []).append(f"{own.entrant.label}, {own.entrant.regime}")
    for (key, what, reason), who in found.items():
        yield Problem(key, what, reason, "" if len(who) == len(done) else "; ".join(who))


def _options(job: BenchmarkJob) -> Iterator[tuple[str, str]]:
    """What decides the captions, as a reader would give it again."""
    asked = job.captioner
    yield "device", asked.device
    yield "backend", asked.backend
    yield "decoder", "optimum" if asked.uses_optimum else "lean"
    yield "num_beams", str(asked.num_beams)
    if asked.temperature:
        yield "temperature", f"{asked.temperature:g}"
        yield "top_p", f"{asked.top_p:g}"
    yield "max_new_tokens", "the model's own" if asked.max_new_tokens is None else str(asked.max_new_tokens)
    yield "repetition_guard", "on" if asked.repetition_guard else "off"
    yield "prompt", asked.prompt
    yield "words", asked.words
    yield "register", asked.register
    if job.reading.gsd_m is not None:
        yield "gsd_m", f"{job.reading.gsd_m:g}"
    if job.reading.size_tolerance_px:
        yield "size_tolerance_px", str(job.reading.size_tolerance_px)


def _machine(job: BenchmarkJob) -> str:
    lines = _CPUINFO.read_text(errors="replace").splitlines() if _CPUINFO.exists() else []
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    threads = job.captioner.threads or usable_cores()
    return f"{name or platform.processor() or platform.machine()}, {threads} threads of the model"


def _notes(runs: Sequence[Run]) -> Iterator[str]:
    """What the evaluations say, each once, with its protocol where it is not of all."""
    told: dict[str, list[str]] = {}
    for run in runs:
        for each in run.evaluations:
            for note in each.notes:
                told.setdefault(note, []).append(each.protocol)
    everywhere = {each.protocol for run in runs for each in run.evaluations}
    for note, protocols in told.items():
        of = ", ".join(dict.fromkeys(protocols))
        yield note if set(protocols) == everywhere else f"{note} (protocol {of})"
    versions = dict(pair for run in runs for each in run.evaluations for pair in each.versions)
    yield ", ".join(f"{name} {version}" for name, version in versions.items())

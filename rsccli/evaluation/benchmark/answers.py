"""What a model answers to every pair: asked once, kept as it comes, gone on with after a kill."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rsccli import __version__
from rsccli.errors import DeviceError, InputError, ModelError, StoppedError
from rsccli.evaluation.benchmark.job import BenchmarkJob, Entrant
from rsccli.evaluation.benchmark.memory import PeakMemory
from rsccli.evaluation.benchmark.pairs import BenchmarkPair
from rsccli.evaluation.benchmark.regimes import context_of, shown_post
from rsccli.evaluation.probes.answering import Progress, Variant, ask
from rsccli.evaluation.probes.pairs import Pair, PairLabel
from rsccli.geo.identity import identify
from rsccli.models.captioner import Captioner, CaptionerOptions
from rsccli.models.devices import resolve_device, worker_devices
from rsccli.models.memory import available_mb
from rsccli.models.prompts import REGIMES, load_template
from rsccli.models.registry import fitting_batch_size, load_captioner
from rsccli.output.text import json_bytes
from rsccli.run.line_journal import LineJournal
from rsccli.run.pool import PooledCaptioner
from rsccli.run.signals import StopRequest
from rsccli.types import TilePair

_AS_IT_IS = Variant("as it is", lambda pair: pair)


@dataclass(frozen=True)
class Said:
    """What became of one pair.

    Attributes:
        identity: changes when its images, or what is told of it, do. text: caption, empty where there is none.
        status: ``changed``, ``unchanged`` or ``unsure``; None where there is no caption.
        unread: why its images could not be read, or None. failed: why the model failed on it, or None.
        cut: whether its images were cut to the size that they share.
    """

    key: str
    identity: str
    text: str = ""
    status: str | None = None
    unread: str | None = None
    failed: str | None = None
    cut: bool = False

    @property
    def answered(self) -> bool:
        """Whether the model has said something of it, be it nothing."""
        return self.unread is None and self.failed is None


@dataclass(frozen=True)
class Batch:
    """One batch, as a line of the journal.

    Attributes:
        said: of each pair that was asked about. seconds: of the model. read_seconds: of reading the images.
        peak_mb, gpu_mb: see `PeakMemory`, up to here. provider: that ran it.
    """

    said: tuple[Said, ...]
    seconds: float
    read_seconds: float
    peak_mb: float | None
    gpu_mb: float | None
    provider: str | None

    @classmethod
    def of_json(cls, entry: Mapping[str, Any]) -> Batch:
        """Read what ``asdict`` wrote."""
        return cls(**{**entry, "said": tuple(Said(**each) for each in entry["said"])})


@dataclass(frozen=True)
class Answers:
    """All answers of one entrant.

    Attributes:
        said: one for each pair that has images, in order. batches: of all runs, for the speed.
        batch_size: pairs at once. taken_over: pairs that an earlier run had been answered.
    """

    said: tuple[Said, ...]
    batches: tuple[Batch, ...]
    batch_size: int
    taken_over: int


@dataclass(frozen=True)
class _Held:
    """Pixels that are read already."""

    tile: TilePair

    def read(self) -> TilePair:
        return self.tile


def collect_answers(
    job: BenchmarkJob,
    entrant: Entrant,
    pairs: Sequence[BenchmarkPair],
    journal_path: Path,
    stop: StopRequest,
    progress: Progress,
) -> Answers:
    """Ask about every pair that has no answer yet.

    Pairs that could not be read or that the model failed on are tried again.

    Args:
        pairs: all of the benchmark; those with a problem are passed over.

    Raises:
        StoppedError: a signal asked to stop. ModelError: the model cannot be loaded, or failed on every pair.
        InputError: no pair could be read. OutputError, JournalMismatchError: of the journal.
    """
    usable = [pair for pair in pairs if pair.problem is None]
    size = _batch_size(job, entrant, usable)
    identities = {pair.key: _identity(pair, entrant, job) for pair in usable}
    with LineJournal(journal_path, _spec(job, entrant, size), not job.resume, "--no-resume") as journal:
        batches = [Batch.of_json(entry) for entry in journal.entries]
        said = {each.key: each for batch in batches for each in batch.said if identities.get(each.key) == each.identity}
        done = {key for key, each in said.items() if each.answered}
        if done:
            progress(len(done), True)
        chunks = [usable[start : start + size] for start in range(0, len(usable), size)]
        left = [chunk for chunk in chunks if any(pair.key not in done for pair in chunk)]
        if left:
            with PeakMemory(_gpu(entrant.options)) as memory:
                captioner = _load(entrant, size)
                try:
                    for chunk in left:
                        if stop.name:
                            raise StoppedError(
                                f"stopped by {stop.name} with {len(done)} of {len(usable)} pairs of {entrant.label} "
                                f"({entrant.regime}); run the same command again to go on"
                            )
                        open_pairs = [pair for pair in chunk if pair.key not in done]
                        batch = _ask(captioner, open_pairs, identities, entrant.regime, job, memory)
                        journal.append(asdict(batch))
                        batches.append(batch)
                        said.update({each.key: each for each in batch.said})
                        done.update(each.key for each in batch.said if each.answered)
                        progress(len(open_pairs), False)
                finally:
                    captioner.close()
    told = tuple(said[pair.key] for pair in usable)
    _refuse_failure(told, entrant)
    asked_now = sum(len(batch.said) for batch in batches[len(journal.entries) :])
    return Answers(told, tuple(batches), size, len(told) - asked_now)


def _ask(
    captioner: Captioner,
    pairs: Sequence[BenchmarkPair],
    identities: Mapping[str, str],
    regime: str,
    job: BenchmarkJob,
    memory: PeakMemory,
) -> Batch:
    said: dict[str, Said] = {}
    held: list[Pair] = []
    cut: set[str] = set()
    start = time.perf_counter()
    for pair in pairs:
        try:
            tile, was_cut = _read(pair, regime, job)
        except InputError as error:
            said[pair.key] = Said(pair.key, identities[pair.key], unread=str(error))
        else:
            if was_cut:
                cut.add(pair.key)
            label = PairLabel(pair.key, pair.key, "")
            held.append(Pair(label, _Held(replace(tile, context=context_of(pair, regime)))))
    read = time.perf_counter()
    answers = ask(captioner, held, (_AS_IT_IS,), max(len(held), 1))
    end = time.perf_counter()
    for found in answers.pairs:
        key, (answer,) = found.label.name, found.answers
        said[key] = Said(key, identities[key], " ".join(answer.text.split()), answer.status, cut=key in cut)
    for failure in answers.failures:
        reason = failure.reason.removeprefix(f"{_AS_IT_IS.key}: ")
        said[failure.name] = Said(failure.name, identities[failure.name], failed=reason)
    memory.sample()
    return Batch(
        said=tuple(said[pair.key] for pair in pairs),
        seconds=end - read if held else 0.0,
        read_seconds=read - start,
        peak_mb=memory.peak_mb,
        gpu_mb=memory.gpu_mb,
        provider=captioner.info.provider,
    )


def _read(pair: BenchmarkPair, regime: str, job: BenchmarkJob) -> tuple[TilePair, bool]:
    post = shown_post(pair, regime)
    assert pair.pre_file is not None and post is not None
    return job.reading.read(pair.pre_file, post, pair.index, pair.gsd_m)


def _load(entrant: Entrant, size: int) -> Captioner:
    devices = worker_devices(entrant.options.device)
    loaded = [load_captioner(entrant.model, replace(entrant.options, device=device)) for device in devices]
    return loaded[0] if len(loaded) == 1 else PooledCaptioner(loaded, size // len(loaded))


def _batch_size(job: BenchmarkJob, entrant: Entrant, pairs: Sequence[BenchmarkPair]) -> int:
    """Pairs at once, on all devices together."""
    workers = len(worker_devices(entrant.options.device))
    if isinstance(job.batch_size, int):
        return job.batch_size * workers
    if job.batch_size is None:
        return entrant.info.batch_size * workers
    side = 256
    for pair in pairs:
        try:
            side = max(_read(pair, entrant.regime, job)[0].pre.shape[1:])
            break
        except InputError:
            continue
    return (fitting_batch_size(entrant.model, entrant.options, side) or entrant.info.batch_size) * workers


def _gpu(options: CaptionerOptions) -> Callable[[], float | None] | None:
    try:
        device = resolve_device(worker_devices(options.device)[0])
    except DeviceError:
        return None  # loading will say so
    return (lambda: available_mb(device)) if device.memory == "cuda" else None


def _spec(job: BenchmarkJob, entrant: Entrant, batch_size: int) -> dict[str, Any]:
    """All that decides the answers, beside the pairs, which have identities of their own."""
    options = asdict(entrant.options)
    del options["threads"]
    if not entrant.options.temperature:
        del options["seed"]
    reading = asdict(job.reading)
    del reading["gsd_m"], reading["geometry"]["cache_mb"]
    prompt = entrant.options.prompt
    if entrant.in_words and prompt not in REGIMES:
        options["prompt"] = f"sha256={hashlib.sha256(load_template(prompt).text.encode()).hexdigest()[:16]}"
    return {
        "made by": f"rsccli benchmark {__version__}",
        "model": entrant.info.name,
        "revision": entrant.info.revision,
        "regime": entrant.regime,
        "options": options,
        "batch size": "auto" if job.batch_size == "auto" else batch_size,
        "reading": reading,
    }


def _identity(pair: BenchmarkPair, entrant: Entrant, job: BenchmarkJob) -> str:
    post = shown_post(pair, entrant.regime)
    files = [identify(str(file)) for file in (pair.pre_file, post) if file is not None]
    told = context_of(pair, entrant.regime)
    facts = {
        "files": files,
        "told": None if told is None else asdict(told),
        "gsd": pair.gsd_m or job.reading.gsd_m,
        # Draws of tokens depend on it.
        "index": pair.index if entrant.options.temperature else None,
    }
    return hashlib.sha256(json_bytes(facts)).hexdigest()[:16]


def _refuse_failure(said: Sequence[Said], entrant: Entrant) -> None:
    """A benchmark of failures alone would be a row of zeros."""
    if any(each.answered for each in said):
        return
    broken = next((each for each in said if each.failed is not None), None)
    if broken is not None:
        raise ModelError(f"{entrant.label} ({entrant.regime}) failed on every pair; {broken.key}: {broken.failed}")
    raise InputError(f"none of {len(said)} pairs could be read; {said[0].key}: {said[0].unread}")

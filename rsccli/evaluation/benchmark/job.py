"""What a benchmark is asked, and who answers: models in regimes, described but not loaded."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from rsccli.errors import UsageProblem
from rsccli.evaluation.benchmark.images import Reading
from rsccli.evaluation.benchmark.pairs import Choice, Chosen, PairList, choose, of_name, of_split
from rsccli.evaluation.benchmark.references import with_references
from rsccli.evaluation.benchmark.regimes import ZERO_SHOT, check_regimes, check_told, prompt_for
from rsccli.evaluation.benchmark.source import find_source
from rsccli.evaluation.protocols import MetricChoices, protocol_named
from rsccli.geo.pair import PairOptions
from rsccli.models.captioner import CaptionerInfo, CaptionerOptions
from rsccli.models.registry import DEFAULT_CAPTIONER, describe_captioner

PredictionsFormat = Literal["rscc", "csv"]


@dataclass(frozen=True)
class BenchmarkJob:
    """One ``rsccli benchmark``.

    Attributes:
        source: folder or file of pairs. output: folder of the results. models, captioner: as for ``rsccli caption``.
        regimes: see `rsccli.evaluation.benchmark.regimes`. protocols: see `rsccli.evaluation.protocols`.
        references: captions of people where the pairs have none. column: field that holds them.
        images: folder that names of images are relative to. choice: which pairs.
        batch_size: pairs at once, None for what the model likes, ``auto`` for what fits into memory.
        reading: how images are read.
        metrics: which scores, of which models. samples: of the bootstrap. predictions: format of the captions' files.
        overwrite: replace results. resume: take over what an earlier run was answered.
    """

    source: Path
    output: Path
    models: tuple[str, ...] = (DEFAULT_CAPTIONER,)
    regimes: tuple[str, ...] = (ZERO_SHOT,)
    protocols: tuple[str, ...] = ("words", "rscc")
    references: Path | None = None
    column: str | None = None
    images: Path | None = None
    choice: Choice = field(default_factory=Choice)
    captioner: CaptionerOptions = field(default_factory=CaptionerOptions)
    batch_size: int | Literal["auto"] | None = None
    reading: Reading = field(default_factory=lambda: Reading(None, PairOptions()))
    metrics: MetricChoices = field(default_factory=MetricChoices)
    samples: int = 1000
    predictions: PredictionsFormat = "rscc"
    overwrite: bool = False
    resume: bool = True

    def __post_init__(self) -> None:
        check_regimes(self.regimes, self.captioner.prompt)
        for name in self.protocols:
            protocol_named(name)
        if not self.models or not self.regimes or not self.protocols:
            raise UsageProblem("a benchmark needs a model, a regime and a protocol")
        if self.reading.gsd_m is not None and not self.reading.gsd_m > 0:
            raise UsageProblem(f"--gsd {self.reading.gsd_m:g}: give metres per pixel, above 0")
        neural = self.metrics.sentence_encoder or self.metrics.bert_score or self.metrics.roberta
        if neural and "rscc" not in self.protocols:
            raise UsageProblem("--sentence-model and --bert-model are for the columns of --protocol rscc: add it")
        if self.predictions not in ("rscc", "csv"):
            raise UsageProblem(f"predictions as {self.predictions!r}: choose rscc or csv")


@dataclass(frozen=True)
class Entrant:
    """One model in one regime.

    Attributes:
        model: as the user named it. label: its name in tables, unique with the regime. stem: of its files.
        options: with the prompt of the regime. info: described, not loaded. in_words: whether it is asked in words.
    """

    model: str
    label: str
    regime: str
    stem: str
    options: CaptionerOptions
    info: CaptionerInfo
    in_words: bool


@dataclass(frozen=True)
class Plan:
    """Everything that is known before a model is loaded.

    Attributes:
        notes: on pairs, references, and regimes that a model cannot be asked in.
    """

    job: BenchmarkJob
    source: PairList
    chosen: Chosen
    entrants: tuple[Entrant, ...]
    notes: tuple[str, ...]


def plan_benchmark(job: BenchmarkJob) -> Plan:
    """Find pairs and references, describe the models.

    Raises:
        InputError: no pairs, no references, a regime whose facts nobody told. ModelError: no such model.
        UsageProblem: what contradicts itself.
    """
    entrants, notes = _entrants(job)
    source = find_source(job.source, job.images)
    pairs = of_name(source.pairs, job.choice, source.path)
    split = job.choice.split
    of_list = any(pair.split is not None for pair in pairs)
    if of_list or job.references is None:
        pairs = of_split(pairs, job.choice, source.path)
    if job.references is not None:
        met = with_references(source, pairs, job.references, None if of_list else split, job.column)
        pairs, lines = met.pairs, met.lines
        if not of_list and split is None:
            # The references tell the splits: the same rule as where the list does.
            scored = of_split([pair for pair in pairs if pair.references], job.choice, job.references)
            assert scored
        notes = [*lines, *notes]
    chosen = choose(pairs, job.choice, len(source.pairs), source.path)
    for regime in dict.fromkeys(each.regime for each in entrants):
        check_told(chosen.pairs, regime, source.path)
    return Plan(job, source, chosen, entrants, (*source.notes, *notes))


def _entrants(job: BenchmarkJob) -> tuple[tuple[Entrant, ...], list[str]]:
    plain = replace(job.captioner, prompt="auto")
    infos = [describe_captioner(model, plain) for model in job.models]
    labels = _labels(infos)
    found: list[Entrant] = []
    notes = []
    for model, info, label in zip(job.models, infos, labels, strict=True):
        for regime in dict.fromkeys(job.regimes):
            if not info.prompt and regime != ZERO_SHOT:
                notes.append(f"not measured under {regime}: {label}, which is not asked in words")
                continue
            options = replace(plain, prompt=prompt_for(regime, job.captioner.prompt)) if info.prompt else plain
            told = describe_captioner(model, options)
            found.append(Entrant(model, label, regime, f"{_slug(label)}.{regime}", options, told, bool(info.prompt)))
    if not found:
        raise UsageProblem(
            f"{', '.join(labels)}: not asked in words, so neither counts nor outlines can be told; take --regime "
            f"{ZERO_SHOT}, or a large model (rsccli export-onnx)"
        )
    return tuple(found), notes


def _labels(infos: Sequence[CaptionerInfo]) -> list[str]:
    """Names of models; where two have one, with the revision.

    Raises:
        UsageProblem: one model is named twice.
    """
    names = [info.name for info in infos]
    labels = [f"{info.name}@{info.revision}" if names.count(info.name) > 1 else info.name for info in infos]
    twice = next((info.name for info, label in zip(infos, labels, strict=True) if labels.count(label) > 1), None)
    if twice is not None:
        raise UsageProblem(f"the model {twice} is named twice with -m: name each once")
    return labels


def _slug(name: str) -> str:
    """A model's name fit for a file name."""
    return re.sub(r"[^\w.+@-]+", "_", name).strip("._") or "model"

"""Predictions against references: scores on all and on changed pairs, flag, floors, intervals, comparison.

Every metric gives sums per pair, so the changed pairs, the samples of the bootstrap and the exchanges of the paired
test are sums of rows. The one exception is CIDEr-D on the changed pairs, which is measured anew: its document
frequencies come from the references of the pairs that are scored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np

from rsccli.evaluation.bootstrap import intervals
from rsccli.evaluation.compare import Contender, compare_files
from rsccli.evaluation.flag import count_cells, measure_flags, predicted_flags, true_flags
from rsccli.evaluation.floorscores import MeasuredFloors, measure_floors
from rsccli.evaluation.join import Joined
from rsccli.evaluation.metrics.base import Metric
from rsccli.evaluation.protocols import MetricChoices, TextProtocol, left_out, metrics_for, protocol_named
from rsccli.evaluation.result import (
    Comparison,
    Evaluation,
    FileFacts,
    FlagResult,
    Resampling,
    Scores,
    scores_of,
)
from rsccli.evaluation.scored import Scored
from rsccli.evaluation.scoring import score_pairs
from rsccli.evaluation.split import Split
from rsccli.evaluation.versions import versions

# Below so many pairs a result carries a warning.
FEW = 100


@dataclass(frozen=True)
class Second:
    """Another file of predictions to compare with: its name, and how it met the same references."""

    name: str
    joined: Joined


@dataclass(frozen=True)
class EvaluateOptions:
    """What the person chose beside the protocol.

    Attributes:
        choices: of the metrics. metrics: those that the choices gave, where they are made already.
        samples: of the bootstrap, 0 for none. seed: of all random numbers.
        floors: whether to measure them. full_floors: in the scores of Java, too.
        training: pairs to learn the keyword floor from. no_training: why there are none.
        name: of the file of predictions. second: another one to compare with.
        files: what was read, for the result. notes: what a reader must know, for the result.
    """

    choices: MetricChoices = field(default_factory=MetricChoices)
    metrics: tuple[Metric, ...] | None = None
    samples: int = 1000
    seed: int = 0
    floors: bool = True
    full_floors: bool = False
    training: Split | None = None
    no_training: str = "no training split was given"
    name: str = "predictions"
    second: Second | None = None
    files: tuple[FileFacts, ...] = ()
    notes: tuple[str, ...] = ()


def evaluate(joined: Joined, protocol: str, options: EvaluateOptions | None = None) -> Evaluation:
    """Score predictions.

    Args:
        joined: predictions with their references. protocol: ``words``, ``word-ids`` or ``rscc``.

    Raises:
        UsageProblem: choices against the protocol. ModelError: a model or Java that cannot be used.
        InputError: a file to compare with that shares no pair.
    """
    options = options or EvaluateOptions()
    rules = protocol_named(protocol)
    metrics = _metrics(protocol, options)
    true, said = true_flags(joined), predicted_flags(joined)
    split = Split(joined.references, true.changed)
    # METEOR's Java takes longest: the floors are scored while it works.
    with ThreadPoolExecutor(1) as pool:
        scoring = pool.submit(score_pairs, joined.predictions, joined.references, rules, metrics)
        if options.full_floors:
            scoring.result()  # the floors ask the same Java
        floors = _floors(split, rules, metrics, options)
        whole = scoring.result()
    changed = np.flatnonzero(true.changed)
    part = whole.restricted(changed) if len(changed) else None
    flag = measure_flags(said, true)
    # All at once: scores on equally many pairs share their samples.
    told = _with_intervals(
        [whole.scored, Scored((flag,)), *([part.scored] if part else []), *(each.scored for each in floors.measured)],
        rules,
        options,
    )
    bare = _bare(split, rules, options)
    return replace(
        bare,
        join=joined.report,
        overall=told[0],
        changed_only=told[2] if part else None,
        flag=FlagResult(told[1], *count_cells(flag), said.by_file, said.by_words, true.by_file, true.by_words),
        floors=floors.with_scores(told[3 if part else 2 :]) if options.floors else None,
        comparison=_comparison(Contender(options.name, joined, whole, said, true), rules, options),
        metrics=_implementations(metrics, whole.scored),
        versions=versions(any(metric.outside for metric in metrics)),
        notes=(
            *_notes(whole.scored, len(joined.keys), len(changed)),
            *_empty(joined),
            *left_out(protocol, options.choices),
            *bare.notes,
        ),
    )


def evaluate_floors(split: Split, protocol: str, options: EvaluateOptions | None = None) -> Evaluation:
    """The floors of a split, without any predictions.

    Raises:
        UsageProblem: choices against the protocol. ModelError: Java that cannot be used.
    """
    options = options or EvaluateOptions()
    rules = protocol_named(protocol)
    floors = _floors(split, rules, _metrics(protocol, options), options)
    told = _with_intervals([each.scored for each in floors.measured], rules, options)
    bare = _bare(split, rules, options)
    # Two or three floors can be made of any pairs: all have the same scores.
    scored = floors.measured[0].scored
    return replace(
        bare,
        floors=floors.with_scores(told),
        metrics=_implementations(floors.metrics, scored),
        versions=versions(any(metric.outside for metric in floors.metrics)),
        notes=(*_notes(scored, bare.pairs, bare.changed_pairs), *bare.notes),
    )


def _metrics(protocol: str, options: EvaluateOptions) -> Sequence[Metric]:
    return metrics_for(protocol, options.choices) if options.metrics is None else options.metrics


def _bare(split: Split, rules: TextProtocol, options: EvaluateOptions) -> Evaluation:
    """A result without any score."""
    changed = int(split.changed.sum())
    return Evaluation(
        protocol=rules.name,
        protocol_title=rules.title,
        files=options.files,
        pairs=len(split.references),
        changed_pairs=changed,
        unchanged_pairs=len(split.references) - changed,
        join=None,
        overall=None,
        changed_only=None,
        flag=None,
        floors=None,
        comparison=None,
        resampling=Resampling(options.samples, options.seed),
        metrics=(),
        versions=(),
        notes=options.notes,
    )


def _with_intervals(every: Sequence[Scored], rules: TextProtocol, options: EvaluateOptions) -> list[Scores]:
    found = intervals(every, options.samples, options.seed)
    return [scores_of(each, interval, rules.metrics) for each, interval in zip(every, found, strict=True)]


def _floors(split: Split, rules: TextProtocol, metrics: Sequence[Metric], options: EvaluateOptions) -> MeasuredFloors:
    if not options.floors:
        return MeasuredFloors((), (), ())
    chosen = [metric for metric in metrics if options.full_floors or not metric.outside]
    return measure_floors(split, rules, chosen, options.training, options.no_training, options.seed)


def _comparison(first: Contender, rules: TextProtocol, options: EvaluateOptions) -> Comparison | None:
    if options.second is None:
        return None
    joined = options.second.joined
    pairs = score_pairs(joined.predictions, joined.references, rules, first.pairs.metrics)
    second = Contender(options.second.name, joined, pairs, predicted_flags(joined), true_flags(joined))
    return compare_files(first, second, rules.metrics, options.samples, options.seed)


def _implementations(metrics: Sequence[Metric], scored: Scored) -> tuple[tuple[str, str], ...]:
    """For each key what made it: the metric's own notes, else its name."""
    told = []
    for metric, part in zip(metrics, scored.parts, strict=True):
        told += [(key, "; ".join(part.notes) or metric.name) for key in part.keys]
    if "s_m" in scored.keys:
        told.append(("s_m", "mean of bleu_4, meteor, rouge_l and cider_d"))
    return tuple(told)


def _notes(scored: Scored, pairs: int, changed: int) -> Iterator[str]:
    yield from dict.fromkeys(note for part in scored.parts for note in part.notes)
    if "cider_d" in scored.keys and changed:
        yield "CIDEr-D on changed pairs: document frequencies come from the references of the changed pairs"
    if pairs < FEW:
        yield (
            f"{pairs} pairs are few: the intervals say how little the scores are worth, and with so few pairs even "
            "they are too narrow"
        )


def _empty(joined: Joined) -> Iterator[str]:
    if joined.report.empty_predictions.count:
        yield "an empty prediction matches nothing, and counts as calling its pair changed"

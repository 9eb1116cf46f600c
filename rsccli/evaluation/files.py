"""From files of captions to an evaluation: which pairs are scored, what is learned from, what is said of the files."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from rsccli.errors import InputError, UsageProblem
from rsccli.evaluation.changeflag import changed_by_words
from rsccli.evaluation.evaluate import EvaluateOptions, Second, evaluate, evaluate_floors
from rsccli.evaluation.join import join
from rsccli.evaluation.protocols import metrics_for
from rsccli.evaluation.records import CaptionRecord, RecordFile, of_system, read_captions, systems_of
from rsccli.evaluation.result import Evaluation, FileFacts, Role
from rsccli.evaluation.split import Split

TRAIN = "train"


@dataclass(frozen=True)
class Request:
    """What ``rsccli evaluate`` was asked.

    Attributes:
        references: captions of people. predictions: of a model; None for the floors alone.
        protocol: name. split: of the references. prediction_column, reference_column: where captions are.
        model, regime: of the predictions, in a file of several systems.
        compare: predictions of another model. compare_column, compare_model, compare_regime: the same of that.
        train: captions to learn the keyword floor from; without it the train split of the references.
        options: of the evaluation.
    """

    references: Path
    predictions: Path | None = None
    protocol: str = "words"
    split: str | None = None
    prediction_column: str | None = None
    reference_column: str | None = None
    model: str | None = None
    regime: str | None = None
    compare: Path | None = None
    compare_column: str | None = None
    compare_model: str | None = None
    compare_regime: str | None = None
    train: Path | None = None
    options: EvaluateOptions = field(default_factory=EvaluateOptions)


def evaluate_files(request: Request) -> Evaluation:
    """Read, join and score.

    Raises:
        UsageProblem, InputError: a file that cannot be read or joined, a split that is not there.
        ModelError: a model or Java that cannot be used.
    """
    # First of all: wrong choices are said at once, and METEOR's Java loads while files are read.
    metrics = tuple(metrics_for(request.protocol, request.options.choices))
    everything = read_captions(request.references, column=request.reference_column, role="references")
    references = everything if request.split is None else _only_split(request)
    if request.predictions is None:
        _refuse_several_splits(references)
    training, no_training, train_file = _training(request, everything, references)
    facts = [_facts("references", references, request.split)]
    options = replace(request.options, metrics=metrics, training=training, no_training=no_training)
    if train_file is not None:
        facts.append(_facts("training", train_file, None if request.train else TRAIN))
    if request.predictions is None:
        pairs = [record for record in references.records if record.captions]
        return evaluate_floors(_split_of(pairs), request.protocol, replace(options, files=tuple(facts)))
    predictions = _predictions(request.predictions, request.prediction_column, request.model, request.regime)
    facts.insert(0, _facts("predictions", predictions))
    if request.compare is not None:
        column = request.compare_column or request.prediction_column
        other = _predictions(request.compare, column, request.compare_model, request.compare_regime)
        facts.append(_facts("compared", other))
        options = replace(options, second=Second(str(request.compare), join(other, references)))
    options = replace(options, name=str(request.predictions), files=tuple(facts))
    return evaluate(join(predictions, references), request.protocol, options)


def _predictions(path: Path, column: str | None, model: str | None, regime: str | None) -> RecordFile:
    file = read_captions(path, column=column, role="predictions")
    return file if model is None and regime is None else of_system(file, model, regime)


def _only_split(request: Request) -> RecordFile:
    return read_captions(request.references, column=request.reference_column, split=request.split, role="references")


def _refuse_several_splits(references: RecordFile) -> None:
    """Floors of a file are those of one split: document frequencies of several mean nothing."""
    there = Counter(record.split for record in references.records)
    if len(there) > 1:
        names = ", ".join(f"{name or 'none'} ({number:,})" for name, number in there.items())
        raise UsageProblem(f"{references.path} holds several splits: {names}; name one with --split")


def _training(
    request: Request, everything: RecordFile, references: RecordFile
) -> tuple[Split | None, str, RecordFile | None]:
    """Pairs to learn the keyword floor from; where there are none, why."""
    if not request.options.floors:
        return None, "", None
    if request.train is not None:
        file = read_captions(request.train, role="references")
        if any(record.split == TRAIN for record in file.records):
            file = _of_split(file, TRAIN)
    else:
        file = _of_split(everything, TRAIN)
        if not file.records:
            return None, f"{everything.path.name} has no train split to learn from (--train names one)", None
    scored = {record.key for record in references.records}
    same_file = request.train is None or request.train.resolve() == request.references.resolve()
    # Ids of another file may be the same by chance; of the same file they are the same pairs.
    kept = [record for record in file.records if record.captions and not (same_file and record.key in scored)]
    if not kept:
        return None, "the train split is what is scored here", None
    return _split_of(kept), "", replace(file, records=tuple(kept))


def _of_split(file: RecordFile, split: str) -> RecordFile:
    return replace(file, records=tuple(record for record in file.records if record.split == split))


def _split_of(records: Iterable[CaptionRecord]) -> Split:
    """Captions and flags of records; several records of one pair are put together."""
    captions: dict[str, tuple[str, ...]] = {}
    told: dict[str, set[bool]] = {}
    for record in records:
        captions[record.key] = (*captions.get(record.key, ()), *record.captions)
        told.setdefault(record.key, set()).update(() if record.changed is None else (record.changed,))
    if not captions:
        raise InputError("no pair has a reference caption: nothing can be scored against it")
    changed = [
        next(iter(told[key])) if len(told[key]) == 1 else bool(changed_by_words(texts))
        for key, texts in captions.items()
    ]
    return Split(tuple(captions.values()), np.array(changed, np.bool_))


def _facts(role: Role, file: RecordFile, split: str | None = None) -> FileFacts:
    with file.path.open("rb") as source:
        digest = hashlib.file_digest(source, "sha256").hexdigest()
    systems = systems_of(file.records)
    model, regime = systems[0] if len(systems) == 1 else (None, None)
    return FileFacts(role, str(file.path), digest, file.format, len(file.records), split, model, regime)

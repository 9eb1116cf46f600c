"""Captions of one entrant: to their file, and through `rsccli.evaluation.evaluate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rsccli.errors import ModelError
from rsccli.evaluation.benchmark.answers import Said
from rsccli.evaluation.benchmark.job import BenchmarkJob, Entrant
from rsccli.evaluation.benchmark.pairs import BenchmarkPair
from rsccli.evaluation.evaluate import EvaluateOptions, Second, evaluate
from rsccli.evaluation.join import Joined, join
from rsccli.evaluation.metrics import meteor_java
from rsccli.evaluation.metrics.wordnet import find_wordnet
from rsccli.evaluation.protocols import MetricChoices
from rsccli.evaluation.records import CaptionRecord, RecordFile
from rsccli.evaluation.result import Evaluation

SUFFIXES = {"rscc": ".jsonl", "csv": ".csv"}
_CHANGED: Mapping[str | None, bool | None] = {"changed": True, "unchanged": False}
_NO_TRAINING = "a benchmark learns from no split (rsccli evaluate floors measures it)"


def records_of(entrant: Entrant, pairs: Sequence[BenchmarkPair], said: Sequence[Said]) -> tuple[CaptionRecord, ...]:
    """Predictions, one for each pair whose images could be read; without words where the model failed."""
    by_key = {each.key: each for each in said if each.unread is None}
    return tuple(
        CaptionRecord(
            key=pair.key,
            captions=(found.text,) if found.text else (),
            pre=pair.pre,
            post=pair.post,
            changed=_CHANGED.get(found.status),
            split=pair.split,
            model=entrant.label,
            regime=entrant.regime,
        )
        for pair in pairs
        if (found := by_key.get(pair.key)) is not None
    )


def joined_of(path: Path, records: Sequence[CaptionRecord], pairs: Sequence[BenchmarkPair], source: Path) -> Joined:
    """Predictions with the references of the same pairs."""
    references = tuple(
        CaptionRecord(pair.key, pair.references, changed=pair.changed, split=pair.split) for pair in pairs
    )
    ours = tuple(replace(record, pre=None, post=None) for record in records)
    return join(RecordFile(path, "rscc", ours), RecordFile(source, "list", references))


def evaluate_entrant(
    job: BenchmarkJob, protocol: str, joined: Joined, name: str, floors: bool, first: Second | None
) -> Evaluation:
    """Score one entrant under one protocol.

    Args:
        floors: whether to measure them, too. first: the entrant that it is compared with, pair by pair.
    """
    options = EvaluateOptions(
        choices=choices_for(job.metrics, protocol),
        samples=job.samples,
        seed=job.choice.seed,
        floors=floors,
        no_training=_NO_TRAINING,
        name=name,
        second=first,
    )
    return evaluate(joined, protocol, options)


def choices_for(chosen: MetricChoices, protocol: str) -> MetricChoices:
    """The user's choices as far as a protocol's columns need them."""
    if protocol == "rscc":
        return replace(chosen, meteor="off" if chosen.meteor == "off" else "auto", spice=False)
    return replace(chosen, spice=False, sentence_encoder=None, bert_score=None, roberta=None)


def check_metrics(job: BenchmarkJob) -> None:
    """Refuse scores that this machine cannot make before a model has worked for hours.

    Raises:
        ModelError: WordNet or Java is missing, or there is no folder of a model.
    """
    for folder in (job.metrics.sentence_encoder, job.metrics.bert_score, job.metrics.roberta):
        if folder is not None and not folder.is_dir():
            raise ModelError(f"{folder}: there is no such folder; name that of a model for the scores")
    for protocol in job.protocols:
        choice = choices_for(job.metrics, protocol).meteor
        lacking = meteor_java.missing() if protocol != "rscc" else None
        if choice == "java" and lacking is not None:
            raise ModelError(f"{lacking}; or take another METEOR with --meteor nltk")
        of_nltk = protocol == "rscc" or choice == "nltk" or lacking is not None
        # Word ids have no synonyms. The metrics themselves are not made yet: they would hold memory while models work.
        if choice != "off" and of_nltk and protocol != "word-ids":
            try:
                find_wordnet(job.metrics.wordnet)
            except ModelError as error:
                raise ModelError(f"{error}; or leave METEOR out with --meteor off") from error

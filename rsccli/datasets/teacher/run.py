"""Captions for a whole data set: asked once a pair, kept as they come, written when all are there."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rsccli import __version__
from rsccli.datasets.collection.folder import Dataset, read_dataset
from rsccli.datasets.collection.pair import LabelledPair
from rsccli.datasets.collection.problem import Problem
from rsccli.datasets.collection.progress import Progress, silent
from rsccli.datasets.collection.prompts import INFERENCE_TYPES, prompt_of
from rsccli.datasets.teacher.outcome import Outcome, Teacher, outcome_from_json
from rsccli.errors import ModelError, OutputError, StoppedError
from rsccli.output.text import json_bytes
from rsccli.output.writers.atomic import replacing
from rsccli.run.line_journal import LineJournal
from rsccli.run.signals import StopRequest


@dataclass(frozen=True)
class CaptionsJob:
    """Captions of one teacher for one data set.

    Attributes:
        folder: of the data set.
        told: what else decides the result, for the journal: decoding, name and revision of the model.
        output: RSCC's JSON lines; None: beside the data set, named after teacher and regime.
        overwrite: replace the output.
    """

    folder: Path
    told: Mapping[str, Any]
    output: Path | None = None
    overwrite: bool = False


@dataclass(frozen=True)
class CaptionFacts:
    """What stands beside the captions, and what the command prints.

    Attributes:
        captions: file, RSCC's JSON lines. training: the same with images' paths, for ``rsccli train finetune``.
        model, revision, inference_type: who was asked, and how. told: see `CaptionsJob`.
        counts_from_labels: whether the prompt told counts: such captions repeat labels. count_rule: of these.
        pairs: of the data set. captioned: with a caption. failed: without one.
        malformed: answers that were no captions. requests: all tries. prompt_tokens, answer_tokens: as told by the
            endpoint. All of them over all runs.
    """

    captions: str
    training: str
    model: str
    revision: str | None
    inference_type: str
    told: Mapping[str, Any]
    counts_from_labels: bool
    count_rule: str
    pairs: int
    captioned: int
    failed: int
    malformed: int
    requests: int
    prompt_tokens: int
    answer_tokens: int
    version: str = __version__


def caption_dataset(
    job: CaptionsJob, teacher: Teacher, progress: Progress = silent
) -> tuple[CaptionFacts, tuple[Problem, ...]]:
    """Caption every pair that has no caption of this teacher yet, then write them.

    The journal beside the output keeps every caption from the moment it is there. It stays where a pair has none: the
    same command then asks for those alone.

    Returns:
        Facts, and the pairs without a caption.

    Raises:
        InputError: no finished data set. OutputError: something is in the way.
        ModelError: no caption at all, or none to come. StoppedError: a signal asked to stop; the journal is kept.
    """
    data = read_dataset(job.folder)
    output = job.output or job.folder / f"captions.{_slug(teacher.model)}.{INFERENCE_TYPES[teacher.regime]}.jsonl"
    path = output.with_name(output.name + ".journal")
    _refuse_what_is_there(output, path, job.overwrite)
    total = len(data.pairs)
    with StopRequest() as stop, LineJournal(path, _spec(job, teacher, data), fresh=job.overwrite) as journal:
        outcomes = [outcome_from_json(entry) for entry in journal.entries]
        captions = {outcome.id: outcome.text for outcome in outcomes if outcome.text is not None}
        if captions:
            progress(len(captions), True, total)
        left = [pair for pair in data.pairs if pair.id not in captions]
        for outcome in teacher.teach(left, lambda: stop.name is not None):
            journal.append(outcome.to_json())
            outcomes.append(outcome)
            if outcome.text is not None:
                captions[outcome.id] = outcome.text
            progress(1, False, total)
        asked = {outcome.id for outcome in outcomes}
        if stop.name and any(pair.id not in asked for pair in data.pairs):
            raise StoppedError(
                f"stopped by {stop.name} with {len(captions)} of {total} captions; run the same command again to go on"
            )
        problems = _failures(data.pairs, captions, outcomes)
        if not captions:
            raise ModelError(f"no pair has a caption; the first one: {problems[0].problem}")
        facts = _write(job, teacher, data, output, captions, outcomes, problems)
        if not problems:
            journal.remove()
    return facts, problems


def _refuse_what_is_there(output: Path, journal: Path, overwrite: bool) -> None:
    if output.is_dir():
        raise OutputError(f"{output} is a folder; name a file with -o")
    if not output.parent.is_dir():
        raise OutputError(f"the folder {output.parent} does not exist; make it with: mkdir -p {output.parent}")
    if output.exists() and not journal.exists() and not overwrite:
        raise OutputError(
            f"{output} holds captions for every pair; add --overwrite to ask again for all of them, or name another "
            "file with -o"
        )


def _spec(job: CaptionsJob, teacher: Teacher, data: Dataset) -> dict[str, Any]:
    asked = hashlib.sha256()
    for pair in data.pairs:
        asked.update(prompt_of(pair, teacher.regime).prompt.encode())
    return {
        "made by": "rsccli dataset caption",
        "model": teacher.model,
        "revision": teacher.revision,
        "inference type": INFERENCE_TYPES[teacher.regime],
        "told": dict(job.told),
        "data set": data.digest,
        "prompts": asked.hexdigest(),
    }


def _failures(
    pairs: Sequence[LabelledPair], captions: Mapping[str, str], outcomes: Sequence[Outcome]
) -> tuple[Problem, ...]:
    last = {outcome.id: outcome.problem for outcome in outcomes if outcome.text is None}
    return tuple(Problem(pair.id, last.get(pair.id) or "not asked") for pair in pairs if pair.id not in captions)


def _write(
    job: CaptionsJob,
    teacher: Teacher,
    data: Dataset,
    output: Path,
    captions: Mapping[str, str],
    outcomes: Sequence[Outcome],
    problems: Sequence[Problem],
) -> CaptionFacts:
    from rsccli.evaluation.records import CaptionRecord, write_captions

    regime = INFERENCE_TYPES[teacher.regime]
    told = [pair for pair in data.pairs if pair.id in captions]
    records = [
        CaptionRecord(
            key=pair.id,
            captions=(captions[pair.id],),
            pre=pair.pre,
            post=pair.post,
            split=pair.split,
            model=teacher.model,
            regime=regime,
        )
        for pair in told
    ]
    training, left, facts_path = (_beside(output, ending) for ending in (".train.jsonl", ".problems.jsonl", ".json"))
    facts = CaptionFacts(
        captions=str(output),
        training=str(training),
        model=teacher.model,
        revision=teacher.revision,
        inference_type=regime,
        told=dict(job.told),
        counts_from_labels=teacher.regime != "naive",
        count_rule=told[0].count_rule,
        pairs=len(data.pairs),
        captioned=len(told),
        failed=len(problems),
        malformed=sum(outcome.malformed for outcome in outcomes),
        requests=sum(outcome.tries for outcome in outcomes),
        prompt_tokens=sum(outcome.prompt_tokens for outcome in outcomes),
        answer_tokens=sum(outcome.answer_tokens for outcome in outcomes),
    )
    with replacing(training) as part, part.open("wb") as out:
        out.writelines(json_bytes(each) + b"\n" for each in _training(data, told, captions, training.parent))
    left.unlink(missing_ok=True)
    if problems:
        with replacing(left) as part, part.open("wb") as out:
            out.writelines(json_bytes(problem.to_json()) + b"\n" for problem in problems)
    with replacing(facts_path) as part:
        part.write_bytes(json_bytes(asdict(facts), indent=True))
    # Last: what looks finished is finished.
    write_captions(output, records, "rscc")
    return facts


def _training(
    data: Dataset, pairs: Sequence[LabelledPair], captions: Mapping[str, str], folder: Path
) -> Iterator[dict[str, Any]]:
    """Records as ``rsccli train finetune`` reads them: paths are relative to the file."""
    for pair in pairs:
        pre, post = (os.path.relpath(data.folder / name, folder) for name in (pair.pre, pair.post))
        record = {"id": pair.id, "pre": pre, "post": post, "caption": captions[pair.id], "place": pair.place}
        # Labels say that buildings were damaged; that none was does not say that nothing changed.
        if pair.damaged:
            record["status"] = "changed"
        yield record


def _beside(output: Path, ending: str) -> Path:
    return output.with_name(output.name.removesuffix(".jsonl") + ending)


def _slug(name: str) -> str:
    """A model's name fit for a file name."""
    return re.sub(r"[^\w.+-]+", "_", name).strip("._") or "model"

"""Which prediction belongs to which references: by id, or by the file names of the two images.

Several ways are tried (`rsccli.evaluation.joinkeys.WAYS`): the id; the file names of pre and post; both again without
folders and image suffixes (``test/A/7.png`` is ``7``); and line by line where neither file has ids or names and both
have the same lines. The one that joins the most pairs is taken, unless it would make one pair of two.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from rsccli.errors import InputError
from rsccli.evaluation.changeflag import changed_by_words, says_unchanged
from rsccli.evaluation.joinkeys import Attempt, Way, attempts, words_of
from rsccli.evaluation.joinreport import JoinReport, Some
from rsccli.evaluation.records import CaptionRecord, RecordFile, grouped, systems_of
from rsccli.evaluation.records.systems import systems_text

__all__ = ["JoinReport", "Joined", "Some", "join"]


@dataclass(frozen=True)
class Joined:
    """Predictions with their references: ``predictions[i]`` is scored against ``references[i]``.

    Attributes:
        keys: as the references' file names the pairs, in its order; two files of predictions get the same ones.
        predictions: one per pair; empty where the model said nothing. references: one or more per pair, none empty.
        changed: what the references' file says of each pair; None where it says nothing, or both.
        predicted_changed: the same of the predictions' file, e.g. the status of our own outputs.
        flags: whether the pair changed: ``changed``, and where that is None what the references' words say.
    """

    keys: tuple[str, ...]
    predictions: tuple[str, ...]
    references: tuple[tuple[str, ...], ...]
    changed: tuple[bool | None, ...]
    predicted_changed: tuple[bool | None, ...]
    flags: tuple[bool, ...]
    report: JoinReport


def join(predictions: RecordFile, references: RecordFile) -> Joined:
    """Join two files.

    Of several predictions for one pair the first is taken; several records of references are put together.

    Raises:
        InputError: no pair is in both, or one pair is captioned by several models or under several regimes.
    """
    tried = attempts(predictions.records, references.records)
    taken = next((each for each in tried if each.pairs and each.refused is None), None)
    if taken is None:
        raise InputError(_nothing_joins(predictions, references, tried))
    said, loose_predictions = _groups(predictions.records, taken.way)
    wanted, loose_references = _groups(references.records, taken.way)
    _refuse_several_systems(predictions, said)

    pairs = _with_own_keys([_Pair.of(said[key], wanted[key]) for key in taken.pairs], taken)
    scored = [pair for pair in pairs if pair.captions]
    if not scored:
        raise InputError(
            f"{references.path}: no reference caption for any pair of {predictions.path}; first ones: "
            f"{_first(pair.key for pair in pairs)}"
        )
    report = JoinReport(
        by=taken.way.name,
        predictions=len(predictions.records),
        references=len(references.records),
        joined=len(scored),
        duplicates=Some.of(pair.key for pair in scored for _ in range(len(pair.answers) - len(set(pair.answers)))),
        conflicts=Some.of(pair.key for pair in scored if len(set(pair.answers)) > 1),
        merged_references=sum(pair.records > 1 for pair in scored),
        unmatched_predictions=Some.of(_unmatched(said, wanted, loose_predictions)),
        unmatched_references=Some.of(_unmatched(wanted, said, loose_references)),
        empty_predictions=Some.of(pair.key for pair in scored if not pair.answers[0]),
        empty_references=Some.of(
            records[0].key for records in wanted.values() if not any(record.captions for record in records)
        ),
        fewest_references=min(len(pair.captions) for pair in scored),
        most_references=max(len(pair.captions) for pair in scored),
        ragged=len(scored) - Counter(len(pair.captions) for pair in scored).most_common(1)[0][1],
        flags_of_file=sum(pair.changed is not None for pair in scored),
        flags_of_words=sum(pair.changed is None for pair in scored),
        flag_conflicts=Some.of(pair.key for pair in scored if len(pair.told) > 1),
        disagreeing=Some.of(pair.key for pair in scored if len(set(map(says_unchanged, pair.captions))) > 1),
        prediction_problems=tuple(grouped(predictions.problems)),
        reference_problems=tuple(grouped(references.problems)),
        notes=tuple(_notes(taken, tried)),
    )
    return Joined(
        keys=tuple(pair.key for pair in scored),
        predictions=tuple(pair.answers[0] for pair in scored),
        references=tuple(pair.captions for pair in scored),
        changed=tuple(pair.changed for pair in scored),
        predicted_changed=tuple(pair.predicted_changed for pair in scored),
        flags=tuple(bool(pair.flag) for pair in scored),
        report=report,
    )


@dataclass(frozen=True)
class _Pair:
    """One pair of both files.

    Attributes:
        key: of the references. answers: all predictions, an empty text for a record without words.
        captions: all references. records: how many they come from.
        told: flags that the references' file gives, without repeats. predicted_changed: the first of the predictions'.
    """

    key: str
    answers: tuple[str, ...]
    captions: tuple[str, ...]
    records: int
    told: tuple[bool, ...]
    predicted_changed: bool | None

    @classmethod
    def of(cls, said: list[CaptionRecord], wanted: list[CaptionRecord]) -> _Pair:
        told = dict.fromkeys(record.changed for record in wanted if record.changed is not None)
        return cls(
            key=wanted[0].key,
            answers=tuple(text for record in said for text in record.captions or ("",)),
            captions=tuple(text for record in wanted for text in record.captions),
            records=len(wanted),
            told=tuple(told),
            predicted_changed=next((record.changed for record in said if record.changed is not None), None),
        )

    @property
    def changed(self) -> bool | None:
        """What the references' file says; None where it says nothing, or both."""
        return self.told[0] if len(self.told) == 1 else None

    @property
    def flag(self) -> bool | None:
        """The same, else what the words of the references say."""
        return changed_by_words(self.captions) if self.changed is None else self.changed


def _with_own_keys(pairs: list[_Pair], taken: Attempt) -> list[_Pair]:
    """Keys that tell the pairs apart: those that they were joined by, where the references' ids do not."""
    if len({pair.key for pair in pairs}) == len(pairs):
        return pairs
    return [replace(pair, key=words_of(key)) for pair, key in zip(pairs, taken.pairs, strict=True)]


def _notes(taken: Attempt, tried: Iterable[Attempt]) -> Iterator[str]:
    if taken.doubted:
        yield (
            f"{len(taken.doubted)} pairs have one id but images of other names in the two files (the first: "
            f"{taken.doubted[0]}); check that the ids mean the same"
        )
    refused = next((each for each in tried if each.refused is not None and len(each.pairs) > len(taken.pairs)), None)
    if refused is not None:
        yield f"{refused.way.name} would have joined {len(refused.pairs)} pairs, but {refused.refused}"


def _groups(
    records: Iterable[CaptionRecord], way: Way
) -> tuple[dict[Hashable, list[CaptionRecord]], list[CaptionRecord]]:
    """Records by the key of the way, and those that have none."""
    found: dict[Hashable, list[CaptionRecord]] = {}
    loose = []
    for record in records:
        key = way.key(record)
        if key is None:
            loose.append(record)
        else:
            found.setdefault(key, []).append(record)
    return found, loose


def _unmatched(
    these: dict[Hashable, list[CaptionRecord]], those: dict[Hashable, list[CaptionRecord]], loose: list[CaptionRecord]
) -> list[str]:
    return [*(records[0].key for key, records in these.items() if key not in those), *(record.key for record in loose)]


def _refuse_several_systems(file: RecordFile, groups: dict[Hashable, list[CaptionRecord]]) -> None:
    """A mixture of models or regimes has no score; files of one system each may stand in one file, pair by pair."""
    for records in groups.values():
        systems = systems_of(records)
        if len(systems) > 1:
            raise InputError(
                f"{file.path}: the pair {records[0].key} is captioned by several systems ({systems_text(systems)}); "
                "keep the lines of one model and one regime"
            )


def _nothing_joins(predictions: RecordFile, references: RecordFile, tried: Iterable[Attempt]) -> str:
    refused = [each.refused for each in tried if each.pairs and each.refused is not None]
    why = f"{refused[0]}." if refused else "no id and no pair of file names is in both."
    return (
        f"{predictions.path} and {references.path} cannot be joined: {why}\n"
        f"  first predictions: {_first(record.key for record in predictions.records)}\n"
        f"  first references:  {_first(record.key for record in references.records)}\n"
        "Give both files the same ids, or the file names of pre and post"
    )


def _first(keys: Iterable[str]) -> str:
    return ", ".join(islice(keys, 3))

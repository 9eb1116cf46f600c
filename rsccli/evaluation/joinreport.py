"""What became of the predictions and references of two files, as numbers, JSON and words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

_FIRST = 3


@dataclass(frozen=True)
class Some:
    """How many of a kind there are, and the first of them by key."""

    count: int
    first: tuple[str, ...] = ()

    @classmethod
    def of(cls, keys: Iterable[str]) -> Some:
        """All keys counted, the first three kept."""
        found = tuple(keys)
        return cls(len(found), found[:_FIRST])


@dataclass(frozen=True)
class JoinReport:
    """How predictions met references.

    Attributes:
        by: what they were joined by; see `rsccli.evaluation.joinkeys.WAYS`.
        predictions, references: records of the two files. joined: pairs that are scored.
        duplicates: predictions of one pair that say the same as another, left out.
        conflicts: pairs with several predictions that differ; the first one is scored.
        merged_references: pairs whose references come from several records.
        unmatched_predictions, unmatched_references: pairs that the other file does not have; not scored.
        empty_predictions: pairs whose prediction has no words; scored as such.
        empty_references: pairs of the references without any caption; not scored.
        fewest_references, most_references: of a pair. ragged: pairs with another number of them than most have.
        flags_of_file: pairs of which the references' file says whether they changed. flags_of_words: read from words.
        flag_conflicts: pairs for which it says both; the words decide.
        disagreeing: pairs of which some references say that nothing changed and others do not.
        prediction_problems, reference_problems: of reading, one line per kind.
        notes: what else a reader should know.
    """

    by: str
    predictions: int
    references: int
    joined: int
    duplicates: Some
    conflicts: Some
    merged_references: int
    unmatched_predictions: Some
    unmatched_references: Some
    empty_predictions: Some
    empty_references: Some
    fewest_references: int
    most_references: int
    ragged: int
    flags_of_file: int
    flags_of_words: int
    flag_conflicts: Some
    disagreeing: Some
    prediction_problems: tuple[str, ...] = ()
    reference_problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return asdict(self)

    def lines(self) -> list[str]:
        """One line on the whole, then one for each thing of which there is any."""
        few, many = self.fewest_references, self.most_references
        told = [
            f"{self.joined} pairs joined by {self.by}; records: {self.predictions} of predictions, {self.references} "
            f"of references; references of a pair: {few if few == many else f'{few} to {many}'}"
        ]
        for what, some in (
            ("predictions without references, not scored", self.unmatched_predictions),
            ("references without a prediction, not scored", self.unmatched_references),
            ("empty predictions, scored as such", self.empty_predictions),
            ("pairs without any reference caption, not scored", self.empty_references),
            ("pairs with predictions that differ, the first one scored", self.conflicts),
            ("predictions that repeat another one of their pair, left out", self.duplicates),
            ("pairs that the references' file calls changed and unchanged, the words decide", self.flag_conflicts),
            ("pairs whose references disagree on whether anything changed", self.disagreeing),
        ):
            if some.count:
                more = ", ..." if some.count > len(some.first) else ""
                told.append(f"{what}: {some.count} ({', '.join(some.first)}{more})")
        if self.ragged:
            told.append(f"pairs with another number of references than most: {self.ragged}")
        told.append(f"change flags: {self.flags_of_file} from the references' file, {self.flags_of_words} from words")
        told += [f"predictions: {line}" for line in self.prediction_problems]
        told += [f"references: {line}" for line in self.reference_problems]
        return [*told, *self.notes]

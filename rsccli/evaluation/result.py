"""What an evaluation found, as plain frozen values: tables and JSON are made from these alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rsccli.evaluation.join import JoinReport
from rsccli.evaluation.metrics.base import F64
from rsccli.evaluation.scored import Scored

Scope = Literal["overall", "changed_only"]
Role = Literal["predictions", "references", "compared", "training"]


@dataclass(frozen=True)
class Score:
    """One value with its 95 % interval.

    Attributes:
        key: e.g. ``bleu_4``. value: text scores times 100, shares of the flag from 0 to 1; None where undefined.
        low, high: bootstrap interval; None where there is none.
    """

    key: str
    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Scores:
    """Values on one set of pairs."""

    pairs: int
    scores: tuple[Score, ...]

    def get(self, key: str) -> Score | None:
        """The score of that key."""
        return next((score for score in self.scores if score.key == key), None)


@dataclass(frozen=True)
class FlagResult:
    """How well the captions say whether anything changed; changed is positive.

    Attributes:
        scores: accuracy, precision, recall, f1, from 0 to 1. tp, fp, fn, tn: pairs.
        predicted_by_file, predicted_by_words: where the predictions' flags come from, in pairs.
        true_by_file, true_by_words: the same of the references.
    """

    scores: Scores
    tp: int
    fp: int
    fn: int
    tn: int
    predicted_by_file: int
    predicted_by_words: int
    true_by_file: int
    true_by_words: int


@dataclass(frozen=True)
class FloorRow:
    """What a predictor reaches that looks at no pixel.

    Attributes:
        name: for programs, e.g. ``same_as_before``. title: for people. scope: on all pairs or on the changed ones.
        reads_labels: whether it reads the truth that is to be predicted: a ceiling, not a system.
        scores: its values. sentences: what it says, where it is a few constant sentences.
    """

    name: str
    title: str
    scope: Scope
    reads_labels: bool
    scores: Scores
    sentences: tuple[str, ...] = ()


@dataclass(frozen=True)
class LeftOut:
    """A floor that makes no sense for the data, and why."""

    name: str
    title: str
    reason: str


@dataclass(frozen=True)
class Floors:
    """The floors of the evaluated pairs; ``keys``: the scores that they are given in."""

    keys: tuple[str, ...]
    rows: tuple[FloorRow, ...]
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True)
class Difference:
    """First minus second on the pairs that both captioned.

    Attributes:
        low, high: 95 % paired bootstrap interval. p_value: two-sided, approximate randomisation.
    """

    key: str
    first: float | None
    second: float | None
    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None


@dataclass(frozen=True)
class Comparison:
    """Two files of predictions on the pairs that both and the references share."""

    second: str
    pairs: int
    changed_pairs: int
    join: JoinReport
    overall: tuple[Difference, ...]
    changed_only: tuple[Difference, ...]
    flag: tuple[Difference, ...]


@dataclass(frozen=True)
class FileFacts:
    """One file that was read.

    Attributes:
        records: that were taken from it. split: that was asked for. model, regime: who wrote the captions and how it
            was asked (``zero-shot``, ``textual_prompt``, ...), where the file names one.
    """

    role: Role
    path: str
    sha256: str
    format: str
    records: int
    split: str | None = None
    model: str | None = None
    regime: str | None = None


@dataclass(frozen=True)
class Resampling:
    """How intervals were made: ``samples`` 0 means that there are none."""

    samples: int
    seed: int
    level: float = 0.95


@dataclass(frozen=True)
class Evaluation:
    """All that ``rsccli evaluate`` found.

    Attributes:
        protocol, protocol_title: which one. files: what was read. join: how predictions met references; None for floors
            alone. overall, changed_only, flag: None where there are no predictions, or nothing to tell changed by.
        pairs: evaluated; changed_pairs, unchanged_pairs: as the references say. metrics: key and which implementation
            made it. versions: name and version. notes: what a reader must know.
    """

    protocol: str
    protocol_title: str
    files: tuple[FileFacts, ...]
    pairs: int
    changed_pairs: int
    unchanged_pairs: int
    join: JoinReport | None
    overall: Scores | None
    changed_only: Scores | None
    flag: FlagResult | None
    floors: Floors | None
    comparison: Comparison | None
    resampling: Resampling
    metrics: tuple[tuple[str, str], ...]
    versions: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def scores_of(scored: Scored, interval: F64, order: Sequence[str]) -> Scores:
    """Values with their intervals.

    Args:
        interval: (len(keys), 2), NaN where there is none. order: keys as the protocol lists them.
    """
    rows = zip(scored.keys, scored.values().tolist(), interval.tolist(), strict=True)
    told = {
        key: Score(key, number_or_none(value), number_or_none(low), number_or_none(high))
        for key, value, (low, high) in rows
    }
    return Scores(len(scored), tuple(told[key] for key in in_order(scored.keys, order)))


def in_order(keys: Sequence[str], order: Sequence[str]) -> list[str]:
    """Keys in the protocol's order; what it does not list comes last, as it came."""
    place = {key: index for index, key in enumerate(order)}
    return sorted(keys, key=lambda key: place.get(key, len(place)))


def number_or_none(value: float) -> float | None:
    """None for what is no number: a share without cases, an interval that cannot be drawn."""
    return value if math.isfinite(value) else None

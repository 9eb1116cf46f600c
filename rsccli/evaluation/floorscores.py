"""Floors of a split with their scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rsccli.evaluation.constants import candidates_of, find_constants
from rsccli.evaluation.floors import Floor, floors_of
from rsccli.evaluation.judge import Judge
from rsccli.evaluation.metrics.base import Metric
from rsccli.evaluation.oracle import oracle_sentences
from rsccli.evaluation.protocols import TextProtocol
from rsccli.evaluation.result import FloorRow, Floors, LeftOut, Scores
from rsccli.evaluation.scored import Scored
from rsccli.evaluation.split import Split

# The scores that floors are given in: of words alone.
FLOOR_KEYS = ("bleu_1", "bleu_2", "bleu_3", "bleu_4", "meteor", "rouge_l", "cider_d")


@dataclass(frozen=True, eq=False)
class ScoredFloor:
    """A floor and its sums per pair."""

    floor: Floor
    scored: Scored


@dataclass(frozen=True, eq=False)
class MeasuredFloors:
    """All floors of a split, those that make no sense for it, and the metrics that the scores are made by."""

    metrics: tuple[Metric, ...]
    measured: tuple[ScoredFloor, ...]
    left_out: tuple[LeftOut, ...]

    def with_scores(self, scores: Sequence[Scores]) -> Floors:
        """The floors as a result; ``scores``: of each of ``measured``."""
        rows = tuple(
            FloorRow(floor.name, floor.title, floor.scope, floor.reads_labels, told, floor.sentences)
            for floor, told in zip((each.floor for each in self.measured), scores, strict=True)
        )
        return Floors(self.measured[0].scored.keys if self.measured else (), rows, self.left_out)


def measure_floors(
    split: Split,
    protocol: TextProtocol,
    metrics: Sequence[Metric],
    training: Split | None,
    no_training: str,
    seed: int,
) -> MeasuredFloors:
    """Every floor that makes sense for the split, scored, and the others with the reason.

    Args:
        split: the evaluated pairs. metrics: of the run; floors take those of `FLOOR_KEYS`.
        training: pairs to learn the keyword floor from. no_training: why there are none.
        seed: of the sample that constants are searched on.
    """
    oracle = None
    if training is not None and split.changed.any():
        if training.changed.any():
            oracle = oracle_sentences(split.changed_only().references, training)
        else:
            no_training = "the training split calls no pair changed"
    candidates = candidates_of(split, seed)
    chosen = [metric for metric in metrics if set(metric.keys) <= set(FLOOR_KEYS)]
    judge = Judge(split, (*candidates.still, *candidates.told, *(oracle or ())), protocol, chosen)
    floors, left_out = floors_of(split, find_constants(split, candidates, judge), oracle, no_training)
    # Floors may say the same: the best sentence found is often one of the fixed ones.
    known: dict[tuple[str, tuple[str, ...] | None], Scored] = {}
    for floor in floors:
        if (floor.scope, floor.predictions) not in known:
            known[floor.scope, floor.predictions] = (
                judge.score_first(floor.pairs)
                if floor.predictions is None
                else judge.score(floor.predictions, floor.pairs)
            )
    measured = tuple(ScoredFloor(floor, known[floor.scope, floor.predictions]) for floor in floors)
    return MeasuredFloors(tuple(chosen), measured, tuple(left_out))

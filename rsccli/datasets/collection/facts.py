"""Facts of a whole data set: what stands in ``dataset.json``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rsccli import __version__
from rsccli.datasets.collection.pair import LabelledPair
from rsccli.datasets.collection.problem import Problem
from rsccli.models.outlines import LEVELS

FORMAT = 1


@dataclass(frozen=True)
class DatasetFacts:
    """What stands in ``dataset.json``.

    Attributes:
        kind: which command made it. source: folder or files, as the user named them.
        pairs: in the data set. buildings: of each level, over all pairs. damaged_pairs: with any damaged building.
        by_disaster: pairs of each type of disaster. by_split: pairs of each split.
        count_rule: where a building counts. left_out: inputs that could not be used. notes: further findings.
        skipped: tiles without enough valid pixels.
    """

    kind: str
    source: tuple[str, ...]
    pairs: int
    buildings: dict[str, int]
    damaged_pairs: int
    by_disaster: dict[str, int]
    by_split: dict[str, int]
    count_rule: str
    left_out: int
    notes: int
    skipped: int = 0
    version: str = __version__
    format: int = FORMAT


def facts_of(
    kind: str,
    source: Sequence[str],
    count_rule: str,
    pairs: Sequence[LabelledPair],
    problems: Sequence[Problem],
    skipped: int,
) -> DatasetFacts:
    """Facts of pairs and of what was found on the way."""
    return DatasetFacts(
        kind=kind,
        source=tuple(source),
        pairs=len(pairs),
        buildings={level: sum(pair.counts[level] for pair in pairs) for level in LEVELS},
        damaged_pairs=sum(pair.damaged > 0 for pair in pairs),
        by_disaster=dict(sorted(Counter(pair.disaster_type for pair in pairs).items())),
        by_split=dict(sorted(Counter(pair.split for pair in pairs if pair.split).items())),
        count_rule=count_rule,
        left_out=sum(problem.left_out for problem in problems),
        notes=sum(not problem.left_out for problem in problems),
        skipped=skipped,
    )

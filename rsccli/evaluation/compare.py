"""Two files of predictions on the pairs that both and the references share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rsccli.errors import InputError
from rsccli.evaluation.bootstrap import compare
from rsccli.evaluation.flag import Flags, measure_flags
from rsccli.evaluation.join import Joined
from rsccli.evaluation.result import Comparison, Difference, in_order, number_or_none
from rsccli.evaluation.scored import Scored
from rsccli.evaluation.scoring import ScoredPairs


@dataclass(frozen=True, eq=False)
class Contender:
    """One file of predictions as far as a comparison needs it.

    Attributes:
        name: of the file. joined: with which references. pairs: scored. said, true: predicted and true flags.
    """

    name: str
    joined: Joined
    pairs: ScoredPairs
    said: Flags
    true: Flags


def compare_files(first: Contender, second: Contender, order: Sequence[str], samples: int, seed: int) -> Comparison:
    """First minus second for every score, overall, on the changed pairs, and of the flag.

    Args:
        order: keys as the protocol lists them. samples: of the bootstrap and of the test. seed: of the random numbers.

    Raises:
        InputError: the two files have no pair in common.
    """
    places = {key: index for index, key in enumerate(second.joined.keys)}
    shared = [(index, places[key]) for index, key in enumerate(first.joined.keys) if key in places]
    if not shared:
        raise InputError(
            f"{first.name} and {second.name} caption no pair in common that has references: compare files of one split"
        )
    here, there = (np.array(side, np.intp) for side in zip(*shared, strict=True))
    one, other = first.pairs.restricted(here), second.pairs.restricted(there)
    said, also = first.said.only(here), second.said.only(there)
    true = first.true.only(here)
    changed = np.flatnonzero(true.changed)

    def differences(left: Scored, right: Scored) -> tuple[Difference, ...]:
        return _differences(left, right, order, samples, seed)

    return Comparison(
        second=second.name,
        pairs=len(shared),
        changed_pairs=len(changed),
        join=second.joined.report,
        overall=differences(one.scored, other.scored),
        changed_only=differences(one.restricted(changed).scored, other.restricted(changed).scored)
        if len(changed)
        else (),
        flag=differences(Scored((measure_flags(said, true),)), Scored((measure_flags(also, true),))),
    )


def _differences(
    first: Scored, second: Scored, order: Sequence[str], samples: int, seed: int
) -> tuple[Difference, ...]:
    result = compare(first, second, samples, seed)
    columns: Sequence[Sequence[float]] = (
        first.values().tolist(),
        second.values().tolist(),
        result.difference.tolist(),
        result.interval[:, 0].tolist(),
        result.interval[:, 1].tolist(),
        result.p_value.tolist(),
    )
    rows = zip(first.keys, *columns, strict=True)
    told = {key: Difference(key, *map(number_or_none, values)) for key, *values in rows}
    return tuple(told[key] for key in in_order(first.keys, order))

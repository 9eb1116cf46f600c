"""Which of a user's pairs are learned from, which set thresholds, and which are only measured: split by place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rsccli.errors import InputError
from rsccli.training.places import split_by_place
from rsccli.training.records import PairRecord
from rsccli.training.user_pairs import UserPair, read_user_pair, record_labels

FEW_PAIRS = 30


@dataclass(frozen=True, eq=False)
class Sides:
    """Pairs by what they are for; no place is on two sides, but see ``shared_place``.

    Attributes:
        training: learned from. validation: stop the training, set thresholds; may be empty. held_out: scored only.
        shared_place: validation and training are of one place, because there was one only.
    """

    training: tuple[UserPair, ...]
    validation: tuple[UserPair, ...]
    held_out: tuple[UserPair, ...]
    shared_place: bool

    def numbers(self) -> dict[str, dict[str, int]]:
        """Pairs, places, changed and unchanged pairs on each side."""
        return {
            name: {
                "pairs": len(pairs),
                "places": len({pair.record.place for pair in pairs}),
                "changed": sum(pair.changed is True for pair in pairs),
                "unchanged": sum(pair.changed is False for pair in pairs),
            }
            for name, pairs in (
                ("training", self.training),
                ("validation", self.validation),
                ("held_out", self.held_out),
            )
        }


def split_pairs(
    records: Sequence[PairRecord], notes: list[str], held_out: float, validation: float, seed: int, gsd_m: float
) -> Sides:
    """Split records by place and read their images.

    Args:
        notes: takes what to keep in mind. held_out: share of the records. validation: share of the others.
        seed: of the split. gsd_m: metres per pixel of images that do not say theirs.

    Raises:
        InputError: fewer than two places, nothing to learn from, or an image that cannot be used.
    """
    usable = [record for record in records if any(label is not None for label in _labels(record))]
    if not usable:
        raise InputError(
            f"none of the {len(records)} records says anything that can be learned: their captions name no known "
            "change; add status (changed or unchanged), or keywords of `rsccli info`"
        )
    if len(usable) < len(records):
        notes.append(f"{len(records) - len(usable)} of {len(records)} records say nothing that can be learned")
    rest, held = split_by_place(usable, held_out, seed)
    shared = len({record.place for record in rest}) < 2
    if not shared:
        training, checking = split_by_place(rest, validation, seed + 1)
    else:
        order = np.random.default_rng(seed).permutation(len(rest))
        count = round(validation * len(rest))
        checking = tuple(rest[i] for i in order[:count])
        training = tuple(rest[i] for i in order[count:])
        notes.append(
            "there is one place to learn from, so the pairs that set thresholds share it; held-out figures stay honest"
        )
    learned, checked, measured = (
        tuple(read_user_pair(record, gsd_m) for record in side) for side in (training, checking, held)
    )
    sides = Sides(learned, checked, measured, shared)
    for what, lacking in (("unchanged", False), ("changed", True)):
        if not any(pair.changed is lacking for pair in sides.training):
            notes.append(f"no {what} pair to learn from: the answers will lean the other way; add some")
    if len(sides.held_out) < FEW_PAIRS:
        notes.append(f"{len(sides.held_out)} held-out pairs are few: small differences are chance")
    return sides


def _labels(record: PairRecord) -> tuple[object, ...]:
    changed, keywords, _ = record_labels(record)
    return changed, keywords, record.polygons

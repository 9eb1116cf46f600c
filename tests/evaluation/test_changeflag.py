"""What captions of people and models say of change."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from rsccli.evaluation.changeflag import LEVIR_CC_UNCHANGED, changed_by_words, says_unchanged

# Written by people for Dubai-CC, or by models for it, for SYSU and for LEVIR-CC.
UNCHANGED = (
    *LEVIR_CC_UNCHANGED,
    *(f"{sentence} ." for sentence in LEVIR_CC_UNCHANGED),
    "Nothing has changed in this area.",
    "Nothing has changed.",
    "Everything remains the same.",
    "There is no difference in this area.",
    "No difference in this area.",
    "No change was made.",
    "No change occurred.",
    "No change to mention.",
    "There is no change to mention.",
    "The area appears the same.",
    "All is the same in this area.",
    "there is almost no difference",
    "no changes",
    "unchanged",
    "No.",
    "The two scenes are almost identical.",
    "The area remained stable.",
    "Neither image shows any change.",
    "Little has changed in the area.",
    "There was no new construction.",
    "There are no signs of destruction.",
    "Although the seasons differ, no changes are visible.",
)
CHANGED = (
    "no difference except a new house",
    "There is no difference apart from a new house.",
    "Except for a new house, nothing has changed.",
    "almost nothing has changed , only a house is built",
    "there is no difference and a house appears on the left",
    "the scene is the same as before, a house is built",
    "No significant change: a house was built on the left.",
    "a house is built and no other changes are visible",
    "While the vegetation is greener, the buildings are unchanged.",
    "the scene is not the same as before",
    "The two images are not identical.",
    "two identical houses appear on the left",
    "a house is built on the same side of the road",
    "No fewer than ten houses were built.",
    "a road without trees is constructed",
    "There is no longer a house.",
    "Few new houses appear in the desert.",
    "Few constructions and a road appear in the desert.",
    "The road in the desert appears wider.",
    "Change of vegetation occurred.",
    "Desert left the place to urbanization.",
    "",
    "...",
)


@pytest.mark.parametrize("text", UNCHANGED)
def test_says_that_nothing_changed(text: str) -> None:
    assert says_unchanged(text) and says_unchanged(text.upper())


@pytest.mark.parametrize("text", CHANGED)
def test_tells_of_a_change_or_of_nothing(text: str) -> None:
    assert not says_unchanged(text) and not says_unchanged(text.upper())


def test_more_than_half_of_the_references_decide() -> None:
    same, house = "nothing has changed", "a house is built"
    assert changed_by_words([same, same, house]) is False
    assert changed_by_words([same, house]) is True
    assert changed_by_words([house]) is True
    assert changed_by_words([]) is None


@pytest.mark.shared
def test_every_sentence_of_levir_cc_is_told_apart(shared: Path) -> None:
    """The data set's flag is known: unchanged pairs have its five sentences and no other."""
    splits = json.loads((shared / "captions" / "levir_cc_train_val.json").read_text())
    pairs = [captions for part in splits.values() for captions in part.values()]
    unchanged = [set(captions) == set(LEVIR_CC_UNCHANGED) for captions in pairs]
    assert sum(unchanged) == 4074 and len(pairs) == 8148
    assert [changed_by_words(captions) is False for captions in pairs] == unchanged
    wrong = [
        text
        for captions, same in zip(pairs, unchanged, strict=True)
        for text in captions
        if says_unchanged(text) is not same
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "text", ["no " * 20_000, "not " * 20_000 + "any", "but," * 20_000, "is really " * 10_000, "and the a " * 10_000]
)
def test_a_model_that_repeats_itself_does_not_hold_it_up(text: str) -> None:
    started = time.perf_counter()
    says_unchanged(text)
    assert time.perf_counter() - started < 5

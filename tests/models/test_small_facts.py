"""Facts are read off masks as a person would say them, and their tables fit each other."""

from __future__ import annotations

import numpy as np
import pytest

from rsccli.models.small.facts import (
    CHANGED,
    CONTRARY,
    COUNTED,
    COUNTS,
    EXTENTS,
    KEYWORDS,
    MAX_KEYWORDS,
    NOTHING_TOKEN,
    NOWHERE,
    PLACES,
    PROMPT_TOKENS,
    REGISTERS,
    REVERSED,
    STATUS_NAMES,
    UNCHANGED,
    Facts,
    Finding,
    Register,
    count_index,
    count_parts,
    mask_facts,
    prompt_vocabulary,
    prompt_words,
)
from rsccli.models.small.grammar import random_facts


def test_tables_name_keywords_only() -> None:
    assert len(set(KEYWORDS)) == len(KEYWORDS)
    assert set(REVERSED) | set(REVERSED.values()) <= set(KEYWORDS)
    assert set(KEYWORDS) >= COUNTED
    assert all(len(pair) == 2 and pair <= set(KEYWORDS) for pair in CONTRARY)
    assert STATUS_NAMES[CHANGED] == "changed" and PLACES[NOWHERE] == "nowhere"


def test_a_reverse_of_a_reverse_exists_and_no_change_is_its_own_reverse_but_boats() -> None:
    assert {name for name, other in REVERSED.items() if name == other} == {"boats"}
    assert all(REVERSED[name] in REVERSED for name in REVERSED)


def test_what_is_contrary_because_time_turns_it_is_reversed_too() -> None:
    """A pair that denies itself through time must not be drawn or said at once."""
    for name in ("water gain", "snow", "new road", "new trees", "flood", "greener vegetation"):
        assert frozenset((name, REVERSED[name])) in CONTRARY


def box(rows: slice, cols: slice, side: int = 32) -> np.ndarray:
    mask = np.zeros((side, side), bool)
    mask[rows, cols] = True
    return mask


@pytest.mark.parametrize(
    ("rows", "cols", "extent", "place"),
    [
        (slice(0, 4), slice(0, 4), "part", "upper left"),
        (slice(0, 4), slice(14, 18), "part", "top"),
        (slice(28, 32), slice(0, 32), "large", "bottom"),
        (slice(0, 32), slice(0, 10), "large", "left"),
        (slice(28, 32), slice(28, 32), "part", "lower right"),
        (slice(0, 32), slice(0, 32), "most", "spread"),
        (slice(15, 17), slice(15, 17), "spot", "centre"),
        (slice(0, 0), slice(0, 0), "none", "nowhere"),
    ],
)
def test_extent_and_place_are_those_that_a_person_would_say(rows: slice, cols: slice, extent: str, place: str) -> None:
    found = mask_facts(box(rows, cols), np.ones((32, 32), bool))
    assert (EXTENTS[found[0]], PLACES[found[1]]) == (extent, place)


def test_two_far_corners_are_spread() -> None:
    mask = box(slice(0, 4), slice(0, 4)) | box(slice(28, 32), slice(28, 32))
    assert PLACES[mask_facts(mask, np.ones_like(mask))[1]] == "spread"


@pytest.mark.parametrize("turned", [False, True])
def test_two_spots_on_either_side_are_not_in_the_middle(turned: bool) -> None:
    """They lie too close for far corners, but nothing changed between them."""
    mask = box(slice(14, 18), slice(4, 7)) | box(slice(14, 18), slice(25, 28))
    mask = mask.T if turned else mask
    assert PLACES[mask_facts(mask, np.ones_like(mask))[1]] == "spread"


def test_two_spots_beside_each_other_and_a_belt_have_a_place() -> None:
    near = box(slice(14, 18), slice(9, 13)) | box(slice(14, 18), slice(19, 23))
    belt = box(slice(14, 18), slice(0, 32))
    for mask in (near, belt):
        assert PLACES[mask_facts(mask, np.ones_like(mask))[1]] == "centre"


def test_a_crumb_on_the_other_side_does_not_spread_a_spot() -> None:
    mask = box(slice(14, 18), slice(4, 8)) | box(slice(15, 17), slice(26, 27))
    assert PLACES[mask_facts(mask, np.ones_like(mask))[1]] == "left"


def test_place_and_extent_are_of_the_ground_with_data() -> None:
    """The right edge of what can be seen is right, wherever the padding ends."""
    valid = box(slice(0, 32), slice(0, 16))
    extent, place = mask_facts(box(slice(12, 20), slice(12, 32)), valid)
    assert PLACES[place] == "right"
    assert EXTENTS[extent] == "part"
    assert EXTENTS[mask_facts(valid, valid)[0]] == "most"
    assert mask_facts(box(slice(0, 32), slice(20, 32)), valid) == (0, NOWHERE)


def test_parts_touch_at_corners_and_crumbs_are_none() -> None:
    mask = box(slice(0, 3), slice(0, 3)) | box(slice(3, 6), slice(3, 6))
    assert count_parts(mask) == 1
    mask[20:23, 20:23] = True
    mask[30, 0] = True
    assert count_parts(mask) == 2 and count_parts(mask, 1) == 3 and count_parts(mask, 10) == 1
    assert count_parts(np.zeros((8, 8), bool)) == 0


@pytest.mark.parametrize(
    ("number", "word"),
    [(0, "uncounted"), (1, "one"), (2, "two"), (3, "three"), (4, "several"), (8, "several"), (9, "many"), (99, "many")],
)
def test_counts_are_words(number: int, word: str) -> None:
    assert COUNTS[count_index(number)] == word


def test_a_prompt_has_one_length_and_known_tokens_and_tells_facts_apart() -> None:
    known = prompt_vocabulary()
    assert len(set(known)) == len(known)
    told: dict[tuple[str, ...], tuple[Facts, str]] = {}
    for seed in range(2000):
        facts = random_facts(np.random.default_rng(seed))
        for register in REGISTERS:
            words = tuple(prompt_words(facts, register))
            assert len(words) == PROMPT_TOKENS and set(words) <= set(known)
            assert told.setdefault(words, (facts, register)) == (facts, register)


@pytest.mark.parametrize("register", REGISTERS)
def test_a_prompt_says_what_is_there_in_order(register: Register) -> None:
    findings = (Finding(KEYWORDS.index("boats"), 3, PLACES.index("top"), 2), Finding(None, 0, NOWHERE, 0))
    words = prompt_words(Facts(CHANGED, findings), register)
    expected = [f"<{register}>", "<changed>", "<boats>", "<n three>", "<at top>", "<over part>"]
    expected += ["<unnamed>", "<n uncounted>", "<at nowhere>", "<over none>"]
    assert words == expected + [NOTHING_TOKEN] * 4
    assert prompt_words(Facts(UNCHANGED), register)[2:] == [NOTHING_TOKEN] * 4 * MAX_KEYWORDS


def test_keywords_of_facts_leave_out_what_has_no_name() -> None:
    assert Facts(CHANGED, (Finding(3), Finding(None), Finding(1))).keywords == (3, 1)

"""Sentences say their facts and nothing else, in words that the tokenizer has."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from rsccli.models.small.export import UNCHANGED_TEXT
from rsccli.models.small.facts import (
    CHANGED,
    COUNTED,
    COUNTS,
    EXTENTS,
    KEYWORDS,
    NOWHERE,
    PLACES,
    REGISTERS,
    UNCHANGED,
    UNSURE,
    Facts,
    Finding,
    Register,
)
from rsccli.models.small.grammar import (
    COUNT_WORDS,
    EXTENT_WORDS,
    NOTHING,
    WHERE,
    WORDINGS,
    named_keywords,
    random_facts,
    sentence,
)
from rsccli.models.small.tokenizer import captioner_tokenizer

MANY = [(seed, random_facts(np.random.default_rng(seed))) for seed in range(2000)]
MOST, PART = EXTENTS.index("most"), EXTENTS.index("part")
SAID = [
    (facts, register, sentence(facts, register, np.random.default_rng(s)))
    for s, facts in MANY
    for register in REGISTERS
]
BUILDING = KEYWORDS.index("new building")


def one(
    name: str, count: str = "uncounted", place: str = "nowhere", extent: str = "part", status: int = CHANGED
) -> Facts:
    """Facts of a single finding, by names."""
    finding = Finding(KEYWORDS.index(name), COUNTS.index(count), PLACES.index(place), EXTENTS.index(extent))
    return Facts(status, (finding,))


def ways(facts: Facts, register: Register, number: int = 40) -> set[str]:
    return {sentence(facts, register, np.random.default_rng(seed)) for seed in range(number)}


def test_a_wording_for_every_keyword_and_no_other() -> None:
    assert set(WORDINGS) == set(KEYWORDS)


def test_a_sentence_names_its_keywords_and_no_other() -> None:
    for facts, _, text in SAID:
        assert named_keywords(text) == {KEYWORDS[index] for index in facts.keywords}, text


@pytest.mark.parametrize("register", REGISTERS)
@pytest.mark.parametrize("name", KEYWORDS)
def test_every_way_of_saying_a_keyword_names_it_alone(name: str, register: Register) -> None:
    for count in COUNTS if name in COUNTED else COUNTS[:1]:
        for text in ways(one(name, count, "spread"), register):
            assert named_keywords(text) == {name}, text
    assert all(named_keywords(text) == {name} for text in ways(one(name, status=UNSURE), register, 3))


def test_every_word_is_known_to_the_tokenizer() -> None:
    tokenizer = captioner_tokenizer()
    for text in {text for _, _, text in SAID}:
        encoded = tokenizer.encode(text)
        assert "<unk>" not in encoded.tokens, text
        assert tokenizer.decode(encoded.ids) == text


def test_a_sentence_starts_with_a_capital_ends_with_a_stop_and_has_no_stray_space() -> None:
    for _, _, text in SAID:
        assert text[0].isupper() and text.endswith(".") and "  " not in text and " ." not in text and " ," not in text
        assert "{" not in text and ".." not in text and ",," not in text and not text.endswith(",.")


def test_without_a_generator_the_first_way_is_taken_every_time() -> None:
    for _, facts in MANY[:300]:
        for register in REGISTERS:
            assert sentence(facts, register) == sentence(facts, register)
    assert sentence(Facts(UNCHANGED)) == NOTHING["short"][0]
    assert sentence(one("new building", "two", "left")) == "Two large buildings have been built on the left."
    assert (
        sentence(one("flood", place="top", extent="large"))
        == "Flood water covers the ground over a large area at the top."
    )


@pytest.mark.parametrize("register", REGISTERS)
def test_a_place_is_said_as_it_was_told(register: Register) -> None:
    for place in range(NOWHERE):
        others = {way for index, row in enumerate(WHERE[register]) if index != place for way in row}
        for text in ways(Facts(CHANGED, (Finding(BUILDING, 0, place, PART),)), register):
            assert any(way in text for way in WHERE[register][place]), text
            said = [way for way in others if re.search(rf"{way}[,.]", text)]
            assert not said, text


@pytest.mark.parametrize("register", REGISTERS)
@pytest.mark.parametrize("name", sorted(COUNTED))
def test_a_number_is_said_as_it_was_told(name: str, register: Register) -> None:
    for count, word in zip(COUNTS[2:], COUNT_WORDS[2:], strict=True):
        for text in ways(one(name, count, "left"), register):
            found = re.findall(r"\b(one|single|a|two|three|several|many)\b", text.lower().replace("the two dates", ""))
            assert word in found and not set(found) & (set(COUNT_WORDS[2:]) - {word}), text
    for text in ways(one(name, "one", "left"), register):
        assert not set(COUNT_WORDS[2:]) & set(text.lower().replace("the two dates", "").split()), text


@pytest.mark.parametrize("register", REGISTERS)
def test_an_extent_is_said_as_it_was_told(register: Register) -> None:
    for extent, said in EXTENT_WORDS[register].items():
        facts = Facts(CHANGED, (Finding(KEYWORDS.index("mud"), 0, 0, extent),))
        assert all(any(way in text for way in said) for text in ways(facts, register))


@pytest.mark.parametrize("register", REGISTERS)
def test_without_a_mask_no_place_is_said(register: Register) -> None:
    places = {way for row in WHERE[register] for way in row}
    for text in ways(one("tree loss", extent="none"), register):
        assert not any(way in text for way in places | set(EXTENT_WORDS[register][MOST])), text
    two = Facts(CHANGED, (Finding(KEYWORDS.index("mud")), Finding(KEYWORDS.index("debris"))))
    assert not any(" all " in text or text.endswith("all.") for text in ways(two, register))


@pytest.mark.parametrize("register", REGISTERS)
def test_unsure_sentences_say_so_and_changed_ones_do_not(register: Register) -> None:
    doubt = re.compile("possibly|hint")
    assert all(doubt.search(text.lower()) for text in ways(one("mud", status=UNSURE), register))
    assert not any(doubt.search(text.lower()) for text in ways(one("mud"), register))


def test_registers_have_ways_of_their_own() -> None:
    """Compass directions belong to news, left and right to short sentences."""
    for facts, register, text in SAID:
        if facts.status == CHANGED:
            strange = (
                r"\bnorth|\bsouth|\bin the (east|west)"
                if register == "short"
                else r"\b(upper|lower|bottom|on the left)\b"
            )
            assert not re.search(strange, text), text


def test_random_facts_reach_everything_that_can_be_told() -> None:
    findings = [finding for _, facts in MANY for finding in facts.findings]
    assert {facts.status for _, facts in MANY} == {0, 1, 2}
    assert {finding.keyword for finding in findings} == {None, *range(len(KEYWORDS))}
    assert {finding.count for finding in findings} == set(range(len(COUNTS)))
    assert {finding.place for finding in findings} == set(range(NOWHERE))
    assert {len(facts.findings) for _, facts in MANY} == {0, 1, 2, 3}


@pytest.mark.shared
def test_no_sentence_is_one_of_levir_cc(shared: Path) -> None:
    splits = json.loads((shared / "captions" / "levir_cc_train_val.json").read_text())
    theirs = {" ".join(re.findall(r"\w+", t.lower())) for split in splits.values() for ts in split.values() for t in ts}
    ours = {" ".join(re.findall(r"\w+", text.lower())) for _, _, text in SAID}
    ours |= {" ".join(re.findall(r"\w+", text.lower())) for texts in NOTHING.values() for text in texts}
    assert not ours & theirs


def test_what_bundles_say_of_unchanged_tiles_is_a_sentence_of_the_grammar() -> None:
    assert UNCHANGED_TEXT in NOTHING["short"]


@pytest.mark.parametrize("name", ["water gain", "water loss"])
@pytest.mark.parametrize("register", REGISTERS)
def test_what_covers_much_of_a_scene_is_no_pond(name: str, register: Register):
    rng = np.random.default_rng(3)
    told = {}
    for extent in ("part", "large", "most"):
        finding = Finding(KEYWORDS.index(name), 0, 4, EXTENTS.index(extent))
        told[extent] = {sentence(Facts(CHANGED, (finding,)), register, rng) for _ in range(80)}
    assert not any("pond" in text for extent in ("large", "most") for text in told[extent])
    assert any("pond" in text for text in told["part"]) == (register == "short")

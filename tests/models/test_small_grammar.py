"""Sentences say their facts and nothing else, in words that the tokenizer has."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from rsccli.datasets.grammar import (
    CHANGED,
    NOTHING,
    UNSURE,
    WORDINGS,
    count_word,
    named_keywords,
    random_facts,
    sentence,
    vocabulary,
)
from rsccli.models.small.export import UNCHANGED_TEXT
from rsccli.models.small.facts import KEYWORDS, NOWHERE, PLACES, Facts

MANY = [(seed, random_facts(np.random.default_rng(seed))) for seed in range(3000)]


def test_a_wording_for_every_keyword_and_no_other():
    assert set(WORDINGS) == set(KEYWORDS)


def test_a_sentence_names_its_keywords_and_no_other():
    for seed, facts in MANY:
        counts = {"new house": 1 + seed % 9, "building removed": 1 + seed % 4, "new building": 1 + seed % 3}
        text = sentence(np.random.default_rng(seed), facts, counts)
        assert named_keywords(text) == {KEYWORDS[index] for index in facts.keywords}, text


def test_every_word_is_in_the_vocabulary():
    known = vocabulary()
    for seed, facts in MANY:
        text = sentence(np.random.default_rng(seed), facts, {"new house": 1 + seed % 9})
        assert set(re.findall(r"\w+|[^\w\s]", text)) <= known, text


def test_a_sentence_starts_with_a_capital_ends_with_a_stop_and_has_no_stray_space():
    for seed, facts in MANY:
        text = sentence(np.random.default_rng(seed), facts)
        assert text[0].isupper() and text.endswith(".") and "  " not in text and " ." not in text and " ," not in text
        assert "{" not in text


@pytest.mark.parametrize("place", [name for name in PLACES if name not in ("spread", "nowhere", "centre")])
def test_a_place_is_said_in_its_own_words(place: str):
    texts = {sentence(np.random.default_rng(s), Facts(CHANGED, (8,), 2, PLACES.index(place))) for s in range(20)}
    assert all(place in text for text in texts)


def test_without_a_mask_no_place_is_said():
    for seed in range(30):
        text = sentence(np.random.default_rng(seed), Facts(CHANGED, (13,), 0, NOWHERE))
        assert not any(word in text for word in ("left", "right", "top", "bottom", "centre", "scene", "everywhere"))


@pytest.mark.parametrize(("count", "word"), [(None, ""), (2, "two"), (3, "three"), (5, "several"), (9, "many")])
def test_counts_are_words(count: int | None, word: str):
    assert count_word(count) == word


def test_unsure_sentences_say_so_and_changed_ones_do_not():
    for seed in range(50):
        rng = np.random.default_rng(seed)
        assert sentence(rng, Facts(UNSURE, (3,), 1, 4)).startswith("Possibly")
        assert "ossibly" not in sentence(rng, Facts(CHANGED, (3,), 1, 4))


@pytest.mark.shared
def test_no_sentence_is_one_of_levir_cc(shared: Path):
    splits = json.loads((shared / "captions" / "levir_cc_train_val.json").read_text())
    theirs = {" ".join(re.findall(r"\w+", t.lower())) for split in splits.values() for ts in split.values() for t in ts}
    ours = {sentence(np.random.default_rng(seed), facts) for seed, facts in MANY} | set(NOTHING)
    assert not {" ".join(re.findall(r"\w+", text.lower())) for text in ours} & theirs


def test_what_bundles_say_of_unchanged_tiles_is_a_sentence_of_the_grammar():
    assert UNCHANGED_TEXT in NOTHING

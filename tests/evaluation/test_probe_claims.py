"""What captions claim to have appeared or gone."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from rsccli.evaluation.probes.answering import Answer
from rsccli.evaluation.probes.claims import KEYWORDS, SENTENCES, sentence_claims, vocabulary_of
from rsccli.models.large.answer import status_of
from rsccli.models.small.facts import KEYWORDS as ALL_KEYWORDS
from rsccli.models.small.facts import REVERSED
from rsccli.models.small.grammar import WORDINGS


@pytest.mark.parametrize(
    ("sentence", "claims"),
    [
        ("a row of villas are built around the open ground", ["building appears"]),
        ("many trees are removed and parking lots with three buildings are built",
         ["trees gone", "parking lot appears", "building appears"]),
        ("the woodland above is converted into a residential area", ["trees gone", "building appears"]),
        ("a wide road and a large villa have replaced much vegetation",
         ["road appears", "building appears", "vegetation gone"]),
        ("more villas have been built to replace some vegetation", ["building appears", "vegetation gone"]),
        ("a house is built in place of the trees", ["building appears", "trees gone"]),
        ("the house at the bottom disappears and the vegetation is replaced by a building next to a road",
         ["building gone", "vegetation gone", "building appears"]),
        ("a new road with three houses built beside shows up in the desert", ["road appears", "building appears"]),
        ("some houses and villas on both sides of the road disappear", ["building gone"]),
        ("The river has flooded; homes along the street have been destroyed.", ["water appears", "building gone"]),
        ("vegetation has become greener and denser", []),
        ("the scene is the same as before", []),
        ("", []),
    ],
)  # fmt: skip
def test_plain_sentences(sentence: str, claims: list[str]) -> None:
    assert list(sentence_claims(sentence)) == claims


@pytest.mark.parametrize(
    ("keyword", "claim"),
    [
        ("new house", "building appears"),
        ("new building", "building appears"),
        ("building removed", "building gone"),
        ("new road", "road appears"),
        ("road removed", "road gone"),
        ("new trees", "trees appears"),
        ("tree loss", "trees gone"),
        ("parking lot", "parking lot appears"),
        ("swimming pool", "pool appears"),
        ("water loss", "water gone"),
        ("water gain", "water appears"),
        ("snow melted", "snow gone"),
    ],
)
def test_every_wording_of_the_grammar_claims_what_its_keyword_says(keyword: str, claim: str) -> None:
    wording = WORDINGS[keyword]
    for clause in itertools.chain(wording.one, wording.many, wording.news_one, wording.news_many):
        assert list(sentence_claims(clause.replace("{n}", "three"))) == [claim], clause


@pytest.mark.shared
def test_most_human_captions_of_change_claim_something_and_none_of_no_change(shared: Path) -> None:
    captions = [
        caption.strip()
        for texts in json.loads((shared / "captions" / "levir_cc_train_val.json").read_text())["val"].values()
        for caption in texts
    ]
    changed = [caption for caption in captions if status_of(caption)[0] == "changed"]
    unchanged = [caption for caption in captions if status_of(caption)[0] == "unchanged"]
    assert len(changed) > 2000 and len(unchanged) > 2000
    assert sum(bool(sentence_claims(caption)) for caption in changed) / len(changed) > 0.93
    assert not any(sentence_claims(caption) for caption in unchanged)


def test_reverses_are_those_of_the_captioner_and_turn_both_ways() -> None:
    assert KEYWORDS.reverse == REVERSED
    assert KEYWORDS.turns("flood", ("water loss",)) and KEYWORDS.turns("water loss", ("flood",))
    assert KEYWORDS.turns("new house", ("building removed",))
    assert not KEYWORDS.turns("new house", ("building removed", "new house")), "said both ways"
    assert not KEYWORDS.turns("new house", ("tree loss",))
    for claim, reverse in SENTENCES.reverse.items():
        assert SENTENCES.reverse[reverse] == claim


def test_keywords_where_some_can_turn_else_sentences() -> None:
    assert vocabulary_of(ALL_KEYWORDS) is KEYWORDS
    assert vocabulary_of(()) is vocabulary_of(("brighter", "darker")) is SENTENCES


def test_claims_of_an_answer() -> None:
    answer = Answer("changed", 0.9, ("boats", "new road"), "a house has been built", None, 1.0)
    assert KEYWORDS.claims(answer) == ("boats", "new road")
    assert KEYWORDS.turning(answer) == ("new road",), "boats are boats both ways"
    assert SENTENCES.turning(answer) == ("building appears",)
    calm = Answer("unchanged", 0.1, (), "no new house was built", None, 1.0)
    assert SENTENCES.claims(calm) == ()

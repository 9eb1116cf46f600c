"""Captions as words: what a question matches, and in which order."""

from __future__ import annotations

import pytest

from rsccli.errors import UsageProblem
from rsccli.search.words import TextIndex, match_expression

CAPTIONS = (
    "Several houses are built along the road.",
    "A house stands on the former field beside a pond and many other things that make this sentence long.",
    "The scene is the same as before.",
    "A large building replaces the trees.",
    "Many trees have been removed.",
    "The café near the road was demolished.",
)


def ask(question: str, texts: tuple[str, ...] = CAPTIONS) -> list[int]:
    index = TextIndex(texts)
    try:
        return [place for place, _ in index.scores(question)]
    finally:
        index.close()


def test_stems_meet_and_short_captions_come_first() -> None:
    assert ask("house") == ask("HOUSES") == [0, 1]
    assert ask("tree") == [4, 3]


def test_a_caption_with_more_of_the_words_comes_first() -> None:
    assert ask("new houses along a road")[0] == 0
    assert set(ask("new houses along a road")) == {0, 1, 5}


def test_a_rare_word_counts_more_than_a_common_one() -> None:
    texts = ("a road", "a road", "a road", "a road", "a pond")
    assert ask("road or pond", texts)[0] == 4


def test_accents_do_not_matter() -> None:
    assert ask("cafe") == ask("CAFÉ") == [5]


def test_words_that_mean_the_same_are_not_known() -> None:
    # A limit that docs/search.md tells of: when this changes, the page must.
    assert ask("villa") == [] and 3 not in ask("house")


def test_words_of_grammar_are_left_out_unless_there_are_no_others() -> None:
    assert match_expression("the houses of the town") == '"houses" OR "town"'
    assert match_expression("the of") == '"the" OR "of"'
    assert match_expression("no change") == '"no" OR "change"', "a denial is no grammar"


@pytest.mark.parametrize(
    "question", ['AND "OR" NOT', "near(house, 2)", "house*", 'a"b', "text:house", "^house", "{house}"]
)
def test_what_the_index_takes_for_an_operator_is_a_word(question: str) -> None:
    ask(question)


@pytest.mark.parametrize("question", ["", " ", "?!", "_"])
def test_a_question_without_a_word_is_refused(question: str) -> None:
    with pytest.raises(UsageProblem, match="no word in it"):
        match_expression(question)


def test_scores_fall_and_are_above_nothing() -> None:
    index = TextIndex(CAPTIONS)
    scores = [score for _, score in index.scores("houses trees road")]
    index.close()
    assert scores == sorted(scores, reverse=True) and scores[-1] > 0

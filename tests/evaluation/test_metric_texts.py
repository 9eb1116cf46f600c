"""What is counted on predictions alone: length, repetition, variety; and S*m."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest
from metric_cases import WRITTEN

from rsccli.evaluation.metrics.base import Measured, Metric, Whole
from rsccli.evaluation.metrics.composed import s_m
from rsccli.evaluation.metrics.lengths import AverageLength
from rsccli.evaluation.metrics.repetition import RepetitionRate, is_stuck
from rsccli.evaluation.metrics.variety import Variety


def of(metric: Metric, *texts: str) -> Measured | Whole:
    return metric.measure(texts, [["a"]] * len(texts))


def test_average_length_is_in_words_and_not_times_100() -> None:
    assert of(AverageLength(), "two  words", "", "now four words .").value() == pytest.approx([2.0])


@pytest.mark.parametrize(
    ("text", "stuck"),
    [
        ("a road is built a road is built a road is built", True),
        ("there are houses and a road is built a road is built A Road is built", True),
        ("very very very new", True),
        ("a road is built a road is built", False),
        ("very very new and very old", False),
        ("a road and a house and a tree and a villa", False),
        ("roadroadroad", False),
        ("", False),
    ],
)
def test_a_block_that_stands_three_times_in_a_row_is_repetition(text: str, stuck: bool) -> None:
    assert is_stuck(text) is stuck


def test_repetition_is_what_the_definition_says_of_random_texts() -> None:
    chosen = random.Random(1)
    seen = set()
    for _ in range(400):
        words = [chosen.choice("ab") for _ in range(chosen.randrange(14))]
        blocks = (
            words[i : i + n] == words[i + n : i + 2 * n] == words[i + 2 * n : i + 3 * n]
            for n in range(1, len(words) // 3 + 1)
            for i in range(len(words) - 3 * n + 1)
        )
        expected = any(blocks)
        assert is_stuck(" ".join(words)) is expected, words
        seen.add(expected)
    assert seen == {True, False}


def test_repetition_rate_is_a_share_of_predictions() -> None:
    assert of(RepetitionRate(), "no no no", "a road", "a house", "a tree").value() == pytest.approx([25.0])


def test_variety_by_hand() -> None:
    # Seven words, four of them different; five word pairs, four of them different.
    measured = of(Variety(), "a road a road", "The road", "the")
    assert measured.keys == ("distinct_1", "distinct_2", "vocabulary")
    assert measured.value() == pytest.approx([100 * 3 / 7, 100 * 3 / 4, 3.0])
    assert measured.value(np.array([1, 2])) == pytest.approx([100 * 2 / 3, 100.0, 2.0])


def test_variety_is_that_of_sets_of_words() -> None:
    predictions, references = WRITTEN
    words = [text.split() for text in predictions]
    pairs = [pair for each in words for pair in pairwise(each)]
    flat = [word for each in words for word in each]
    expected = [100 * len(set(flat)) / len(flat), 100 * len(set(pairs)) / len(pairs), len(set(flat))]
    assert Variety().measure(predictions, references).value() == pytest.approx(expected)


def test_variety_does_not_claim_to_add_up() -> None:
    assert isinstance(of(Variety(), "a"), Whole)
    assert isinstance(of(AverageLength(), "a"), Measured)


def test_s_m_is_the_mean_of_its_four_parts() -> None:
    # RSICCformer's row: 60.4, 38.8, 72.6 and 130.0 make 75.45, printed as 75.5.
    published = {"bleu_4": 60.4, "meteor": 38.8, "rouge_l": 72.6, "cider_d": 130.0, "bleu_1": 1.0}
    assert s_m(published) == pytest.approx(75.45)
    del published["meteor"]
    assert s_m(published) is None

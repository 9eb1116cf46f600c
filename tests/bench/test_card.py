"""The figures of the model card are what they say; the measuring scripts themselves run by hand."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from card_judged import COLUMNS, FILE
from card_page import flowed
from card_sets import JUDGED
from card_stats import calibration_error, correlation, place_weights, ranking, share, spearman, vector_map
from card_swap import TURNING, turns
from card_text import bleu4, cider_d_each, medoid, rouge_l_each
from card_words import f1

SENTENCES = ["a new house stands on the left", "two trees are gone at the top", "the lawn is green now"]


def test_same_sentences_score_as_high_as_can_be() -> None:
    assert bleu4(SENTENCES, SENTENCES) == pytest.approx(100)
    assert rouge_l_each(SENTENCES, SENTENCES) == pytest.approx([100] * 3)
    assert cider_d_each(SENTENCES, SENTENCES) == pytest.approx([1000] * 3)


def test_punctuation_and_case_do_not_count() -> None:
    assert bleu4(["A new house, stands on the left."], SENTENCES[:1]) == pytest.approx(100)


def test_bleu_of_a_short_sentence_is_cut() -> None:
    # All n-grams of four words are right: only the brevity penalty of 4 words against 7 is left.
    assert bleu4(["a new house stands"], SENTENCES[:1]) == pytest.approx(100 * np.exp(1 - 7 / 4))


def test_rouge_follows_the_longest_common_subsequence() -> None:
    precision, recall = 2 / 3, 2 / 4
    wanted = 100 * 2.44 * precision * recall / (recall + 1.44 * precision)
    assert rouge_l_each(["a b c"], ["a x b y"]) == pytest.approx([wanted])


def test_cider_leaves_out_what_every_reference_says() -> None:
    assert cider_d_each(["the", "the"], ["the house", "the tree"]) == [0.0, 0.0]


def test_cider_is_less_for_another_length() -> None:
    longer = f"{SENTENCES[0]} and so on and on"
    assert 0 < cider_d_each([longer, *SENTENCES[1:]], SENTENCES)[0] < 1000


def test_medoid_is_the_sentence_most_like_the_others() -> None:
    assert medoid(["trees are gone", "two trees are gone now", "trees are gone now", "a pool"]) == "trees are gone now"


def test_spearman_shares_ranks_of_equal_values() -> None:
    assert spearman(np.array([1.0, 2, 3]), np.array([10.0, 20, 90])) == pytest.approx(1)
    assert spearman(np.array([1.0, 1, 2, 2]), np.array([1.0, 2, 3, 4])) == pytest.approx(0.8944, abs=1e-4)
    assert np.isnan(spearman(np.ones(3), np.array([1.0, 2, 3])))


def test_ranking_counts_ties_half_and_compares_with_vectors() -> None:
    found = ranking(
        (np.array([0.9, 0.5]), np.array([0.0, 0.0]), ["a", "b"]),
        (np.array([0.5, 0.1]), np.array([1.0, 1.0]), ["c", "d"]),
    )
    assert found.score.value == pytest.approx(0.875)
    assert found.vectors.value == 0
    assert found.gain.value == pytest.approx(0.875)


def test_pairs_of_one_place_are_drawn_together() -> None:
    first, second = place_weights(["a", "a", "b"], ["b", "c"], draws=50)
    assert np.array_equal(first[:, 0], first[:, 1])
    assert np.array_equal(first[:, 2], second[:, 0])


def test_interval_is_wider_where_pairs_share_places() -> None:
    flags = [True, False] * 20
    apart = share(flags, [str(at) for at in range(40)])
    together = share(flags, ["yes" if flag else f"no {at // 20}" for at, flag in enumerate(flags)])
    assert apart.value == together.value == 0.5
    assert together.high - together.low > apart.high - apart.low


def test_correlation_holds_its_value() -> None:
    values = np.arange(12.0)
    assert correlation(values, values, [str(at % 4) for at in range(12)]).value == pytest.approx(1)


def test_change_vectors_ignore_gain_and_offset_of_bands() -> None:
    rng = np.random.default_rng(3)
    image = rng.integers(40, 120, (3, 32, 32)).astype(np.uint8)
    brighter = (image * np.array([1.5, 1.2, 1.0])[:, None, None] + 20).astype(np.uint8)
    other = rng.integers(40, 120, (3, 32, 32)).astype(np.uint8)
    assert vector_map(image, brighter).mean() < 0.1 * vector_map(image, other).mean()


def test_calibration_error_of_a_sure_and_wrong_score_is_one() -> None:
    assert calibration_error(np.array([1.0, 1.0]), np.array([False, False]))[0] == 1
    assert calibration_error(np.array([0.5, 0.5]), np.array([True, False]))[0] == 0


def test_f1() -> None:
    assert f1(1, 2, 4) == (0.5, 0.25, pytest.approx(1 / 3))


def test_paragraphs_flow_and_tables_stay() -> None:
    text = "one\ntwo\n\n| a | b |\n|---|---|\n\n- x\n  y\n- z\n\n```bash\nrun  it\n\nagain\n```"
    assert flowed(text) == "one two\n\n| a | b |\n|---|---|\n\n- x y\n- z\n\n```bash\nrun  it\n\nagain\n```\n"


def test_judged_files_have_their_columns() -> None:
    with FILE.open(newline="", encoding="utf-8") as lines:
        assert tuple(csv.DictReader(lines).fieldnames or ()) == COLUMNS
    with (JUDGED / "harvey_labels.csv").open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert {row["seen"] for row in rows} <= {"changed", "minor", "unchanged", "unclear"}
    assert sum(row["seen"] == "changed" for row in rows) == 44


def test_a_word_that_stays_does_not_turn_round() -> None:
    assert turns("new trees", ("tree loss",))
    assert not turns("new trees", ("tree loss", "new trees"))
    assert turns("flood", ("water loss",)) and turns("water loss", ("flood",))
    assert "boats" not in TURNING

"""BLEU, RSCC's n-gram precisions and CIDEr-D against pycocoevalcap, and against numbers worked out by hand."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from metric_cases import WRITTEN, Cases, as_coco, pairs, parted, real
from pycocoevalcap.bleu.bleu_scorer import BleuScorer
from pycocoevalcap.cider.cider import Cider

from rsccli.evaluation.metrics.bleu import Bleu, NgramPrecisions
from rsccli.evaluation.metrics.cider_d import CiderD
from rsccli.evaluation.metrics.tokens import mteval_words


def coco_bleu(cases: Cases) -> list[float]:
    scorer = BleuScorer(n=4)
    for prediction, references in zip(*cases, strict=True):
        scorer += (prediction, references)
    scores, _ = scorer.compute_score(option="closest")
    return [100 * score for score in scores]


def coco_cider(cases: Cases) -> np.ndarray:
    _, each = Cider().compute_score(*as_coco(*cases))
    return 100 * each


@given(pairs)
@settings(max_examples=150, deadline=None)
def test_bleu_is_that_of_pycocoevalcap(drawn: list[tuple[str, list[str]]]) -> None:
    cases = parted(drawn)
    assert Bleu().measure(*cases).value() == pytest.approx(coco_bleu(cases), abs=1e-9)


@pytest.mark.shared
def test_bleu_of_real_captions_is_that_of_pycocoevalcap(shared: Path) -> None:
    cases = real(shared)
    assert Bleu().measure(*cases).value() == pytest.approx(coco_bleu(cases), abs=1e-9)


def test_an_empty_prediction_has_no_n_gram_and_still_a_length_to_reach() -> None:
    cases = (["", "a road appears in the forest"], [["a road appears"], ["a road appears in the forest"]])
    value = Bleu().measure(*cases).value()
    assert value == pytest.approx(coco_bleu(cases), abs=1e-9)
    assert value[0] == pytest.approx(100 * math.exp(1 - 9 / 6), abs=1e-6)


def test_bleu_of_the_paper_counts_a_word_no_more_often_than_a_reference() -> None:
    # Papineni et al. 2002, example 2: the modified unigram precision is 2/7.
    cases = (["the the the the the the the"], [["the cat is on the mat", "there is a cat on the mat"]])
    assert Bleu().measure(*cases).value()[0] == pytest.approx(100 * 2 / 7, abs=1e-6)


def test_bleu_of_the_paper_counts_the_words_of_its_first_candidates() -> None:
    # Papineni et al. 2002, example 1: unigram precisions 17/18 and 8/14, bigram precisions 10/17 and 1/13.
    references = [
        "it is a guide to action that ensures that the military will forever heed party commands",
        "it is the guiding principle which guarantees the military forces always being under the command of the party",
        "it is the practical guide for the army always to heed the directions of the party",
    ]
    first = "it is a guide to action which ensures that the military always obeys the commands of the party"
    second = "it is to insure the troops forever hearing the activity guidebook that party direct"
    precisions = NgramPrecisions(str.split)
    assert precisions.measure([first], [references]).value()[:2] == pytest.approx([1700 / 18, 1000 / 17])
    assert precisions.measure([second], [references]).value()[:2] == pytest.approx([800 / 14, 100 / 13])


def test_of_two_references_equally_far_the_shorter_is_the_length_to_reach() -> None:
    # Four words; references of three and five: no penalty, all of its words are right.
    cases = (["a b c d"], [["a b c d e", "a b c"]])
    assert Bleu().measure(*cases).value()[0] == pytest.approx(100, abs=1e-6)


def precisions_by_definition(cases: Cases) -> list[float]:
    found = []
    for order in range(1, 5):
        matched = possible = 0
        for prediction, references in zip(*cases, strict=True):
            grams = [
                Counter(zip(*(mteval_words(text)[i:] for i in range(order)), strict=False))
                for text in (prediction, *references)
            ]
            most: Counter[tuple[str, ...]] = Counter()
            for reference in grams[1:]:
                most |= reference
            matched += sum((grams[0] & most).values())
            possible += sum(grams[0].values())
        found.append(100 * matched / possible if possible else 0.0)
    return found


@given(pairs)
@settings(max_examples=60, deadline=None)
def test_precisions_are_matched_over_possible_n_grams(drawn: list[tuple[str, list[str]]]) -> None:
    cases = parted(drawn)
    value = NgramPrecisions(mteval_words).measure(*cases).value()
    assert value == pytest.approx(precisions_by_definition(cases), abs=1e-9)


@given(pairs)
@settings(max_examples=100, deadline=None)
def test_cider_d_is_that_of_pycocoevalcap(drawn: list[tuple[str, list[str]]]) -> None:
    cases = parted(drawn)
    each = CiderD().measure(*cases).statistics[:, 0] * 100
    assert each == pytest.approx(coco_cider(cases), abs=1e-9)


@pytest.mark.parametrize("cases", [WRITTEN, (["", "a"], [["a road"], ["a"]])], ids=["written", "short"])
def test_cider_d_of_every_pair_is_that_of_pycocoevalcap(cases: Cases) -> None:
    assert CiderD().measure(*cases).statistics[:, 0] * 100 == pytest.approx(coco_cider(cases), abs=1e-9)


@pytest.mark.shared
def test_cider_d_of_real_captions_is_that_of_pycocoevalcap(shared: Path) -> None:
    cases = real(shared)
    measured = CiderD().measure(*cases)
    assert measured.statistics[:, 0] * 100 == pytest.approx(coco_cider(cases), abs=1e-9)
    assert measured.value()[0] == pytest.approx(float(coco_cider(cases).mean()), abs=1e-9)


def test_cider_d_worked_out_by_hand() -> None:
    # Two pairs with one reference of four words each, nothing in common: every n-gram weighs log 2, so a perfect
    # prediction has cosine 1 for all four orders, times 10, times 100. The other predicts one of four words:
    # cosine 1/4 for single words (norms 2 and 2), 0 for the rest, mean 1/16.
    cases = (["a b c d", "e x y z"], [["a b c d"], ["e f g h"]])
    assert CiderD().measure(*cases).value() == pytest.approx([(1000 + 1000 * (1 / 4) / 4) / 2])


def test_cider_d_punishes_another_length() -> None:
    # One word more: a factor of exp(-1 / 72), and cosines of single words to four words of sqrt(n / (n + 1)) each.
    cases = (["a b c d e", "x"], [["a b c d"], ["y"]])
    cosines = np.mean([math.sqrt(n / (n + 1)) for n in (4, 3, 2, 1)])
    assert CiderD().measure(*cases).statistics[0, 0] == pytest.approx(10 * math.exp(-1 / 72) * cosines)

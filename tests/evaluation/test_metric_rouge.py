"""Both ROUGE-L against the libraries that they come from, and against examples of the paper."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_cases import WRITTEN, Cases, as_coco, pairs, parted, real
from pycocoevalcap.rouge.rouge import Rouge, my_lcs
from rouge_score.rouge_scorer import RougeScorer

from rsccli.evaluation.metrics.longest import longest_common, places_of
from rsccli.evaluation.metrics.rouge import RougeL, RougeLF1

letters = st.lists(st.sampled_from("abcd"), max_size=90)


@given(letters, letters)
@settings(max_examples=100, deadline=None)
def test_the_longest_common_subsequence_is_that_of_pycocoevalcap(ours: list[str], theirs: list[str]) -> None:
    assert longest_common(ours, places_of(theirs)) == my_lcs(ours, theirs)


def coco_rouge(cases: Cases) -> list[float]:
    _, each = Rouge().compute_score(*as_coco(*cases))
    return [float(score) for score in each]


@given(pairs)
@settings(max_examples=100, deadline=None)
def test_rouge_l_is_that_of_pycocoevalcap(drawn: list[tuple[str, list[str]]]) -> None:
    cases = parted(drawn)
    assert RougeL().measure(*cases).statistics[:, 0] == pytest.approx(coco_rouge(cases), abs=1e-12)


@pytest.mark.parametrize("cases", [WRITTEN, (["", "a"], [["a road"], ["", "a"]])], ids=["written", "empty"])
def test_rouge_l_of_every_pair_is_that_of_pycocoevalcap(cases: Cases) -> None:
    assert RougeL().measure(*cases).statistics[:, 0] == pytest.approx(coco_rouge(cases), abs=1e-12)


@pytest.mark.shared
def test_rouge_l_of_real_captions_is_that_of_pycocoevalcap(shared: Path) -> None:
    cases = real(shared)
    assert RougeL().measure(*cases).statistics[:, 0] == pytest.approx(coco_rouge(cases), abs=1e-12)


def test_rouge_l_takes_precision_and_recall_from_different_references() -> None:
    # Precision 2/2 of the long reference, recall 1/1 of the short one.
    assert RougeL().measure(["a b"], [["a b c d", "a"]]).value() == pytest.approx([100.0])


def test_rouge_l_f1_of_the_paper() -> None:
    # Lin 2004, section 3.1: "police killed the gunman" against two candidates, 0.75 and 0.5.
    measured = RougeLF1().measure(
        ["police kill the gunman", "the gunman kill police"], [["police killed the gunman"]] * 2
    )
    assert measured.statistics[:, 0] == pytest.approx([0.75, 0.5])


@given(pairs)
@settings(max_examples=60, deadline=None)
def test_rouge_l_f1_is_that_of_rouge_score(drawn: list[tuple[str, list[str]]]) -> None:
    predictions, references = parted(drawn)
    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    theirs = [
        scorer.score_multi(texts, prediction)["rougeL"].fmeasure
        for prediction, texts in zip(predictions, references, strict=True)
    ]
    assert RougeLF1().measure(predictions, references).statistics[:, 0] == pytest.approx(theirs, abs=1e-12)


def test_rouge_l_f1_ignores_capitals_and_marks_as_rouge_score_does() -> None:
    prediction, reference = "Two houses, newly-built, appear.", "two HOUSES newly built"
    theirs = RougeScorer(["rougeL"], use_stemmer=False).score(reference, prediction)["rougeL"].fmeasure
    assert RougeLF1().measure([prediction, "..."], [[reference], ["a road"]]).statistics[:, 0] == pytest.approx(
        [theirs, 0]
    )

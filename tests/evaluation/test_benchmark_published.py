"""The quoted figures are those of the publications, and stay apart from what is measured."""

from __future__ import annotations

import pytest

from rsccli.evaluation.benchmark.comparable import notes_on_quotes, protocol_cell, quoted_rows
from rsccli.evaluation.benchmark.published import PROTOCOL_TITLES, PublishedRow, published, published_rows
from rsccli.evaluation.benchmark.result import DataFacts, Run, Speed


def facts(split: str, pairs: int) -> DataFacts:
    return DataFacts(
        "list.json", "list", None, None, None, pairs, pairs, 0, pairs, 0, None, None, 0, 0, ((split, pairs),), ()
    )


def run(scored: int, regime: str = "zero-shot") -> Run:
    speed = Speed(scored, 1.0, 1.0, None, None, None, 1, 1.0, "fp32")
    return Run("m", "1", regime, "", None, "p.jsonl", scored, (), 0, 0, 0, 0, speed, ())


def test_every_row_names_its_protocol_split_and_source() -> None:
    rows = published_rows()
    assert len(published("levir-cc")) == 9 and len(published("rscc")) == 11 and len(rows) == 20
    assert all(
        row.source and row.split and row.pairs in (1929, 988) and row.protocol in PROTOCOL_TITLES for row in rows
    )
    assert {row.protocol for row in published("rscc")} == {"rscc"}
    assert {row.regime for row in published("rscc")} == {"zero-shot"}


@pytest.mark.parametrize("row", [row for row in published("levir-cc") if row.get("s_m")], ids=lambda row: row.model)
def test_s_m_is_the_mean_of_its_four_parts(row: PublishedRow) -> None:
    figures = {key: [float(part) for part in value.split("-")] for key, value in row.values}
    for end, s_m in enumerate(figures["s_m"]):
        parts = [figures[key][end] for key in ("bleu_4", "meteor", "rouge_l", "cider_d")]
        assert sum(parts) / 4 == pytest.approx(s_m, abs=0.11)


def test_figures_of_rscc_stand_under_the_right_scores() -> None:
    row = next(row for row in published("rscc") if row.model == "BLIP-3")
    assert dict(row.values) == {"rouge_l": "4.53", "meteor": "10.85", "st5_scs": "44.05", "avg_l": "456"}


def test_a_row_of_another_protocol_says_so() -> None:
    rows = {row.model: row for row in published("levir-cc")}
    assert protocol_cell(rows["CCExpert-7B"], ["words"]) == "words"
    assert protocol_cell(rows["CCExpert-7B"], ["word-ids"]) == "words (other)"
    assert protocol_cell(rows["PromptCC"], ["words", "word-ids"]) == "GPT-2 subword ids (other)"


def test_rows_are_those_of_the_protocols_that_were_measured() -> None:
    assert {row.benchmark for row in quoted_rows(["rscc"])} == {"rscc"}
    assert {row.benchmark for row in quoted_rows(["word-ids"])} == {"levir-cc"}
    assert len(quoted_rows(["words", "rscc"])) == 20


def test_other_pairs_than_the_published_ones_are_told() -> None:
    (note,) = notes_on_quotes(facts("train", 4), ["words"], [run(4)])
    assert note == (
        "measured on 4 pairs of list.json (split: train), quoted rows on 1,929 pairs (test) of LEVIR-CC: they cannot "
        "be compared"
    )
    (same,) = notes_on_quotes(facts("test", 1929), ["words"], [run(1929)])
    assert "whether images and captions are the same was not checked" in same
    # As many pairs of another split are others.
    (other,) = notes_on_quotes(facts("val", 1929), ["words"], [run(1929)])
    assert "cannot be compared" in other


def test_told_counts_are_no_zero_shot() -> None:
    notes = list(notes_on_quotes(facts("test", 988), ["rscc"], [run(988), run(988, "textual_prompt")]))
    assert "textual_prompt tell the model what labels count" in notes[-1]

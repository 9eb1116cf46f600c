"""What needs no pixel: the floors of a split."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import small_captions
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

from rsccli.errors import UsageProblem
from rsccli.evaluation.consensus import consensus, document_frequencies
from rsccli.evaluation.constants import candidates_of, find_constants
from rsccli.evaluation.evaluate import EvaluateOptions, evaluate_floors
from rsccli.evaluation.files import Request, evaluate_files
from rsccli.evaluation.judge import Judge
from rsccli.evaluation.keywords import KEYWORDS, keywords_of
from rsccli.evaluation.metrics.cider_d import CiderD
from rsccli.evaluation.oracle import oracle_sentences
from rsccli.evaluation.protocols import MetricChoices, metrics_for, protocol_named
from rsccli.evaluation.result import Evaluation, FloorRow
from rsccli.evaluation.scoring import score_pairs
from rsccli.evaluation.split import MANY_HOUSES, SAME_AS_BEFORE, Split

QUICK = EvaluateOptions(MetricChoices(meteor="off", spice=False), samples=20)
OVERALL = ("same_as_before", "no_difference", "best_no_change")
FLAGGED = ("perfect_flag_houses", "perfect_flag_best", "perfect_flag_cider", "perfect_flag_keywords")
CHANGED = ("changed_houses", "changed_best", "changed_keywords", "human_first")


def split_of(references: dict[str, tuple[str, ...]]) -> Split:
    changed = np.array([texts[0] not in small_captions.UNCHANGED for texts in references.values()])
    return Split(tuple(references.values()), changed)


def rows(found: Evaluation) -> dict[str, FloorRow]:
    assert found.floors is not None
    return {row.name: row for row in found.floors.rows}


def value(row: FloorRow, key: str) -> float:
    score = row.scores.get(key)
    assert score is not None and score.value is not None
    return score.value


@pytest.fixture(scope="module")
def captions(shared: Path) -> Path:
    return shared / "captions" / "levir_cc_train_val.json"


@pytest.fixture(scope="module")
def levir(captions: Path) -> Evaluation:
    return evaluate_files(Request(captions, split="val", options=QUICK))


@pytest.mark.shared
def test_the_table_of_the_test_split_comes_out_on_the_validation_split(levir: Evaluation) -> None:
    """The published floors are of LEVIR-CC's test split; the validation split is alike, pair for pair it is another."""
    published = {
        "same_as_before": (51.5, 60.6, 101.9),
        "no_difference": (32.8, 52.7, 109.2),
        "perfect_flag_houses": (63.2, 72.1, 124.1),
        "perfect_flag_keywords": (62.3, 77.4, 141.3),
    }
    found = rows(levir)
    for name, scores in published.items():
        ours = tuple(value(found[name], key) for key in ("bleu_4", "rouge_l", "cider_d"))
        assert ours == pytest.approx(scores, abs=1.0 if name != "perfect_flag_keywords" else 5.0), name
    # On changed pairs alone the splits differ more.
    alone = {
        "changed_houses": (22.3, 40.8, 32.2),
        "changed_keywords": (37.0, 54.8, 60.5),
        "human_first": (19.1, 43.4, 41.6),
    }
    for name, scores in alone.items():
        ours = tuple(value(found[name], key) for key in ("bleu_4", "rouge_l", "cider_d"))
        assert ours == pytest.approx(scores, abs=13), name
    # What the table teaches: the no-change string moves CIDEr-D up and BLEU-4 down; a flag is nearly everything.
    assert value(found["perfect_flag_cider"], "cider_d") > value(found["perfect_flag_best"], "cider_d") + 5
    assert value(found["perfect_flag_cider"], "bleu_4") < value(found["perfect_flag_best"], "bleu_4") - 10
    assert value(found["changed_keywords"], "cider_d") > 2 * value(found["changed_best"], "cider_d")


@pytest.mark.shared
def test_floors_are_scored_as_pycocoevalcap_scores_them(levir: Evaluation, captions: Path) -> None:
    references = list(json.loads(captions.read_text(encoding="utf-8"))["val"].values())
    still = [small_captions.UNCHANGED[0] in texts for texts in references]
    found = rows(levir)
    calm, event = found["perfect_flag_best"].sentences
    changed = [texts for texts, flag in zip(references, still, strict=True) if not flag]
    cases = {
        "perfect_flag_best": ([calm if flag else event for flag in still], references),
        "changed_best": (list(found["changed_best"].sentences) * len(changed), changed),
        "human_first": ([texts[0] for texts in changed], [texts[1:] for texts in changed]),
    }
    for name, (said, true) in cases.items():
        gts, res = dict(enumerate(true)), {index: [text] for index, text in enumerate(said)}
        assert value(found[name], "bleu_4") == pytest.approx(100 * Bleu(4).compute_score(gts, res, verbose=0)[0][3])
        assert value(found[name], "rouge_l") == pytest.approx(100 * Rouge().compute_score(gts, res)[0])
        assert value(found[name], "cider_d") == pytest.approx(100 * Cider().compute_score(gts, res)[0])


@pytest.mark.shared
def test_every_floor_has_intervals_and_says_whether_it_reads_labels(levir: Evaluation) -> None:
    found = rows(levir)
    assert list(found) == [*OVERALL, *FLAGGED, *CHANGED]
    assert {name for name, row in found.items() if not row.reads_labels} == {
        "same_as_before",
        "no_difference",
        "changed_houses",
        "human_first",
    }
    for row in found.values():
        score = row.scores.get("cider_d")
        assert score is not None and score.low is not None and score.high is not None and score.low < score.high
        assert row.scores.pairs == (1333 if row.scope == "overall" else 667)


def test_the_keyword_floor_never_sees_the_pairs_that_are_scored(tmp_path: Path) -> None:
    true = small_captions.references(20)
    path = tmp_path / "people.json"
    path.write_text(json.dumps({"train": true}))
    found = evaluate_files(Request(path, split="train", options=QUICK))
    assert found.floors is not None
    reasons = {each.name: each.reason for each in found.floors.left_out}
    missing = ("perfect_flag_keywords", "changed_keywords")
    assert reasons == dict.fromkeys(missing, "the train split is what is scored here")
    # Another file's ids are other pairs, even where they are called the same.
    other = small_captions.write_references(tmp_path / "more.json", small_captions.references(20, seed=9))
    assert {*missing} <= set(rows(evaluate_files(Request(path, split="train", train=other, options=QUICK))))
    # The same file, named or not, is the same pairs.
    again = evaluate_files(Request(path, split="train", train=path, options=QUICK))
    assert again.floors is not None and {each.name for each in again.floors.left_out} == {*missing}


@pytest.mark.shared
def test_floors_of_several_splits_at_once_are_refused(captions: Path) -> None:
    with pytest.raises(UsageProblem, match=r"train \(6,815\), val \(1,333\); name one with --split"):
        evaluate_files(Request(captions, options=QUICK))


def test_without_unchanged_pairs_no_floor_needs_a_flag() -> None:
    some = {key: texts for key, texts in small_captions.references(20).items() if texts != small_captions.UNCHANGED}
    found = evaluate_floors(split_of(some), "words", QUICK)
    assert set(rows(found)) == {"changed_houses", "changed_best", "human_first"}
    assert found.floors is not None
    reasons = {each.name: each.reason for each in found.floors.left_out}
    assert {reasons[name] for name in (*OVERALL, *FLAGGED)} == {"the references call no pair unchanged"}
    assert reasons["changed_keywords"] == "no training split was given"


def test_without_changed_pairs_only_constants_are_left() -> None:
    still = {f"p{index}": small_captions.UNCHANGED for index in range(6)}
    found = evaluate_floors(split_of(still), "words", QUICK)
    assert set(rows(found)) == set(OVERALL)
    assert value(rows(found)["same_as_before"], "bleu_4") == pytest.approx(100)
    assert found.floors is not None
    assert {each.reason for each in found.floors.left_out} == {"the references call no pair changed"}


def test_the_first_human_sentence_needs_another_one() -> None:
    true = small_captions.references(12)
    true["p0"], true["p2"] = true["p0"][:1], true["p2"][:2]
    row = rows(evaluate_floors(split_of(true), "words", QUICK))["human_first"]
    assert row.scores.pairs == 5, "of six changed pairs one has a single reference"
    single = {key: texts[:1] for key, texts in true.items()}
    found = evaluate_floors(split_of(single), "words", QUICK)
    assert found.floors is not None and "human_first" not in rows(found)
    assert "no changed pair has two references" in {each.reason for each in found.floors.left_out}


def test_rscc_has_no_cider_and_no_floor_for_it() -> None:
    found = evaluate_floors(split_of(small_captions.references(12)), "rscc", QUICK)
    assert found.floors is not None and "cider_d" not in found.floors.keys
    assert {each.name: each.reason for each in found.floors.left_out}["perfect_flag_cider"].startswith("CIDEr-D")


@pytest.mark.parametrize("protocol", ["words", "word-ids"])
def test_the_judge_scores_like_anybody_else(protocol: str) -> None:
    split = split_of(small_captions.references(40))
    rules = protocol_named(protocol)
    metrics = [m for m in metrics_for(protocol, MetricChoices(meteor="off", spice=False)) if m.name != "variety"][:3]
    judge = Judge(split, (SAME_AS_BEFORE, MANY_HOUSES), rules, metrics)
    everything = np.arange(40)
    for sentence in (MANY_HOUSES, SAME_AS_BEFORE, MANY_HOUSES):
        plain = score_pairs([sentence] * 40, split.references, rules, metrics).scored
        np.testing.assert_allclose(judge.score([sentence] * 40, everything).values(), plain.values(), rtol=1e-12)
    part = np.array([0, 4, 5, 39])
    plain = score_pairs([MANY_HOUSES] * 4, split.only(part).references, rules, metrics).scored
    np.testing.assert_allclose(judge.score([MANY_HOUSES] * 4, part).values(), plain.values(), rtol=1e-12)


def test_no_other_pair_of_candidates_is_better_than_the_one_found() -> None:
    split = split_of(small_captions.references(80, seed=5))
    rules = protocol_named("words")
    metrics = metrics_for("words", MetricChoices(meteor="off", spice=False))[:3]
    candidates = candidates_of(split, seed=0)
    judge = Judge(split, (*candidates.still, *candidates.told), rules, metrics)
    found = find_constants(split, candidates, judge)

    def merit(calm: str, event: str) -> tuple[float, float]:
        said = [event if flag else calm for flag in split.changed]
        scored = score_pairs(said, split.references, rules, metrics).scored
        told = dict(zip(scored.keys, scored.values(), strict=True))
        return float(np.mean([told[key] for key in ("bleu_4", "rouge_l", "cider_d")])), float(told["cider_d"])

    tried = {(calm, event): merit(calm, event) for calm in candidates.still for event in candidates.told}
    assert len(tried) > 20
    assert tried[found.flagged][0] == pytest.approx(max(mean for mean, _ in tried.values()))
    assert found.flagged_cider is not None
    assert tried[found.flagged_cider][1] == pytest.approx(max(cider for _, cider in tried.values()))


def test_the_consensus_is_the_caption_with_the_highest_mean_cider_d() -> None:
    captions = [text for texts in small_captions.references(16, seed=7).values() for text in texts]
    captions = [text for text in captions if text not in small_captions.UNCHANGED]
    captions += [captions[3], captions[3]]
    references = [[text] for text in captions]
    means = {
        text: float(CiderD().measure([text] * len(captions), references).value()[0]) for text in dict.fromkeys(captions)
    }
    assert len(set(means.values())) > 10
    assert consensus(captions, document_frequencies(references)) == max(means, key=lambda text: means[text])


def test_keywords_are_what_two_captions_agree_on() -> None:
    assert len(KEYWORDS) == 17
    said = ("a villa is built beside the road", "one house appears", "the trees have been removed")
    assert keywords_of(said) == {"house"}
    assert keywords_of(said[:1]) == {"house", "road"}
    assert keywords_of(("Many new Houses.", "many buildings")) == {"many"}
    assert keywords_of(()) == frozenset()


def test_the_oracle_says_training_captions_of_the_same_keywords() -> None:
    training = Split(
        (
            ("a house appears", "a house is built"),
            ("a road appears", "a new road appears"),
            ("there is no difference", "a road and a house"),
        ),
        np.array([True, True, False]),
    )
    said = oracle_sentences(
        [("two roads", "a road"), ("a villa", "the house"), ("a road", "a road by a path", "path")], training
    )
    assert said[0] in ("a road appears", "a new road appears")
    assert said[1] in ("a house appears", "a house is built")
    assert said[2] in ("a road appears", "a new road appears"), "no training pair has a road and a path: the nearest"

"""An evaluation from files: scores, changed pairs, flag, comparison, and their JSON."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import small_captions
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

from rsccli.errors import InputError, UsageProblem
from rsccli.evaluation.evaluate import EvaluateOptions
from rsccli.evaluation.files import Request, evaluate_files
from rsccli.evaluation.metrics.meteor_java import missing
from rsccli.evaluation.protocols import MetricChoices
from rsccli.evaluation.result import Evaluation, Scores
from rsccli.evaluation.tables.document import document, render_json

# Java takes seconds to load; what METEOR is, its own tests say.
QUICK = EvaluateOptions(MetricChoices(meteor="off", spice=False), samples=100, floors=False)
FLAGS = ("accuracy", "precision", "recall", "f1")


def original(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """What the scorers of pycocoevalcap say, times 100."""
    gts = {index: list(texts) for index, texts in enumerate(references)}
    res = {index: [text] for index, text in enumerate(predictions)}
    with contextlib.redirect_stdout(io.StringIO()):
        bleu, _ = Bleu(4).compute_score(gts, res)
        rouge, _ = Rouge().compute_score(gts, res)
        cider, _ = Cider().compute_score(gts, res)
    told = {f"bleu_{order}": value for order, value in enumerate(bleu, start=1)}
    return {key: 100 * float(value) for key, value in {**told, "rouge_l": rouge, "cider_d": cider}.items()}


def values(scores: Scores | None) -> dict[str, float | None]:
    assert scores is not None
    return {score.key: score.value for score in scores.scores}


def run(tmp_path: Path, said: dict[str, str], true: dict[str, tuple[str, ...]], **request: object) -> Evaluation:
    asked = {"options": QUICK, **request}
    return evaluate_files(
        Request(
            references=small_captions.write_references(tmp_path / "people.json", true),
            predictions=small_captions.write_predictions(tmp_path / "model.jsonl", said),
            **asked,  # type: ignore[arg-type]
        )
    )


@pytest.fixture(scope="module")
def levir(shared: Path) -> dict[str, tuple[str, ...]]:
    """Captions of LEVIR-CC's validation split by id."""
    text = (shared / "captions" / "levir_cc_train_val.json").read_text(encoding="utf-8")
    return {key: tuple(captions) for key, captions in json.loads(text)["val"].items()}


@pytest.mark.shared
def test_scores_on_all_and_on_changed_pairs_are_those_of_pycocoevalcap(
    tmp_path: Path, levir: dict[str, tuple[str, ...]]
) -> None:
    said = small_captions.predictions(levir, right=0.0)
    found = run(tmp_path, said, levir)
    ours = values(found.overall)
    for key, value in original(list(said.values()), list(levir.values())).items():
        assert ours[key] == pytest.approx(value, abs=1e-6), key
    changed = [key for key, texts in levir.items() if texts[0] != small_captions.UNCHANGED[0]]
    assert (found.pairs, found.changed_pairs) == (1333, len(changed)) == (1333, 667)
    # Document frequencies of CIDEr-D are those of the changed pairs: the original is given these alone.
    theirs = original([said[key] for key in changed], [levir[key] for key in changed])
    ours = values(found.changed_only)
    for key, value in theirs.items():
        assert ours[key] == pytest.approx(value, abs=1e-6), key


def test_changed_only_is_what_a_file_of_the_changed_pairs_gets(tmp_path: Path) -> None:
    true = small_captions.references(60)
    said = small_captions.predictions(true, right=0.5)
    whole = run(tmp_path, said, true)
    some = {key: texts for key, texts in true.items() if texts != small_captions.UNCHANGED}
    alone = run(tmp_path, {key: said[key] for key in some}, some)
    assert values(whole.changed_only) == pytest.approx(values(alone.overall))
    assert values(alone.overall) == values(alone.changed_only)
    cider = whole.changed_only and whole.changed_only.get("cider_d")
    assert cider is not None and cider.low is not None and cider.high is not None
    assert cider.low < (cider.value or 0) < cider.high


def test_the_flag_is_counted_from_words(tmp_path: Path) -> None:
    true = small_captions.references(10)
    changed, unchanged = [f"p{i}" for i in range(0, 10, 2)], [f"p{i}" for i in range(1, 10, 2)]
    said = {key: "a road is built" for key in (*changed[:4], unchanged[0])}
    said |= {key: "nothing has changed" for key in (changed[4], *unchanged[1:])}
    flag = run(tmp_path, said, true).flag
    assert flag is not None
    assert (flag.tp, flag.fp, flag.fn, flag.tn) == (4, 1, 1, 4)
    assert values(flag.scores) == pytest.approx({"accuracy": 0.8, "precision": 0.8, "recall": 0.8, "f1": 0.8})
    assert (flag.predicted_by_file, flag.predicted_by_words, flag.true_by_words) == (0, 10, 10)


def test_flags_that_files_tell_come_before_words(tmp_path: Path) -> None:
    people = [
        {"filename": "a.png", "changeflag": 1, "sentences": [{"raw": "there is no difference"}]},
        {"filename": "b.png", "changeflag": 0, "sentences": [{"raw": "there is no difference"}]},
    ]
    references = tmp_path / "levir.json"
    references.write_text(json.dumps({"images": people}))
    predictions = tmp_path / "model.jsonl"
    lines = [
        {"id": "a.png", "caption": "there is no difference", "changed": True},
        {"id": "b.png", "caption": "there is no difference"},
    ]
    predictions.write_text("\n".join(map(json.dumps, lines)))
    flag = evaluate_files(Request(references, predictions, options=QUICK)).flag
    assert flag is not None
    assert (flag.tp, flag.tn, flag.fp, flag.fn) == (1, 1, 0, 0), "words alone would call both unchanged"
    assert (flag.predicted_by_file, flag.predicted_by_words, flag.true_by_file) == (1, 1, 2)


def test_a_share_without_cases_has_no_value(tmp_path: Path) -> None:
    true = small_captions.references(8)
    found = run(tmp_path, dict.fromkeys(true, "there is no difference"), true)
    assert found.flag is not None
    told = values(found.flag.scores)
    assert told["precision"] is None and told["recall"] == 0 and told["accuracy"] == 0.5
    assert document(found)["flag"]["precision"] is None


def test_word_ids_equal_words_but_for_meteor(tmp_path: Path) -> None:
    true = small_captions.references(40)
    said = small_captions.predictions(true, right=0.4)
    words, ids = (run(tmp_path, said, true, protocol=name) for name in ("words", "word-ids"))
    for key in ("bleu_1", "bleu_4", "rouge_l", "cider_d"):
        assert values(words.overall)[key] == pytest.approx(values(ids.overall)[key]), key
    assert words.protocol_title != ids.protocol_title


def test_the_json_has_its_objects_and_keys(tmp_path: Path) -> None:
    true = small_captions.references(30)
    found = run(tmp_path, small_captions.predictions(true, right=0.5), true)
    told = document(found)
    assert {"overall", "changed_only", "flag", "floors", "join", "intervals", "metrics", "versions"} <= set(told)
    main = {*(f"bleu_{order}" for order in range(1, 5)), "meteor", "rouge_l", "cider_d", "s_m", "st5_scs", "avg_l"}
    for name in ("overall", "changed_only"):
        assert main <= set(told[name])
        assert told[name]["meteor"] is None and told[name]["s_m"] is None and told[name]["st5_scs"] is None
        assert 0 < told[name]["bleu_4"] <= 100
        low, high = told["intervals"][name]["bleu_4"]
        assert low <= told[name]["bleu_4"] <= high
    assert set(FLAGS) <= set(told["flag"]) and set(told["intervals"]["flag"]) == set(FLAGS)
    assert 0 <= told["flag"]["accuracy"] <= 1
    assert told["join"]["joined"] == told["pairs"]["evaluated"] == 30
    assert told["pairs"] == {"evaluated": 30, "changed": 15, "unchanged": 15}
    assert told["protocol"]["name"] == "words" and told["metrics"]["bleu_4"] == "BLEU"
    for role, name in (("predictions", "model.jsonl"), ("references", "people.json")):
        content = (tmp_path / name).read_bytes()
        assert told["files"][role]["sha256"] == hashlib.sha256(content).hexdigest()
    assert json.loads(render_json(found))["overall"] == told["overall"]


def test_no_samples_no_intervals(tmp_path: Path) -> None:
    true = small_captions.references(12)
    options = EvaluateOptions(MetricChoices(meteor="off", spice=False), samples=0, floors=False)
    told = document(run(tmp_path, small_captions.predictions(true, right=0.5), true, options=options))
    assert set(told["intervals"]["overall"].values()) == {None}
    assert told["overall"]["bleu_4"] is not None and told["bootstrap"]["samples"] == 0


def test_an_empty_prediction_is_scored_and_named(tmp_path: Path) -> None:
    true = small_captions.references(10)
    said = {key: texts[0] for key, texts in true.items()}
    full = values(run(tmp_path, said, true).overall)
    found = run(tmp_path, {**said, "p0": ""}, true)
    assert found.pairs == 10 and (values(found.overall)["bleu_1"] or 0) < (full["bleu_1"] or 0)
    assert found.flag is not None and found.flag.tp == 5, "it does not say that nothing changed"
    assert any("empty prediction" in note for note in found.notes)


def test_a_file_compared_with_itself_does_not_differ(tmp_path: Path) -> None:
    true = small_captions.references(30)
    said = small_captions.predictions(true, right=0.5)
    found = run(tmp_path, said, true, compare=tmp_path / "model.jsonl").comparison
    assert found is not None and (found.pairs, found.changed_pairs) == (30, 15)
    for each in (*found.overall, *found.changed_only, *found.flag):
        assert each.difference == 0 and each.first == each.second, each
        if each.p_value is not None:
            assert (each.low, each.high, each.p_value) == pytest.approx((0, 0, 1), abs=1e-9), each


def test_the_better_file_is_found_on_the_pairs_that_both_caption(tmp_path: Path) -> None:
    true = small_captions.references(200)
    good, bad = (small_captions.predictions(true, right=right, seed=3) for right in (0.9, 0.2))
    some = {key: bad[key] for key in list(true)[40:]}
    other = small_captions.write_predictions(tmp_path / "other.jsonl", some)
    found = run(tmp_path, good, true, compare=other)
    assert found.comparison is not None and found.comparison.pairs == 160
    assert found.pairs == 200, "the scores themselves are on all pairs"
    shared = {key: true[key] for key in some}
    # The same as evaluating both files on these pairs alone.
    first = values(run(tmp_path, {key: good[key] for key in some}, shared).overall)
    second = values(run(tmp_path, some, shared).overall)
    for each in found.comparison.overall:
        assert each.first == pytest.approx(first[each.key]) and each.second == pytest.approx(second[each.key])
    told = {each.key: each for each in found.comparison.overall}
    for key in ("bleu_4", "rouge_l", "cider_d"):
        each = told[key]
        assert each.low is not None and 0 < each.low < (each.difference or 0) and each.p_value == pytest.approx(1 / 101)
    assert told["vocabulary"].p_value is None and told["vocabulary"].difference is not None
    assert {each.key for each in found.comparison.flag} == set(FLAGS)
    assert found.overall is not None
    assert [each.key for each in found.comparison.overall] == [each.key for each in found.overall.scores]


def test_files_without_a_pair_in_common_are_not_compared(tmp_path: Path) -> None:
    true = small_captions.references(10)
    said = small_captions.predictions(true, right=1.0)
    some, others = ({key: said[key] for key in list(true)[part]} for part in (slice(0, 5), slice(5, 10)))
    other = small_captions.write_predictions(tmp_path / "other.jsonl", others)
    with pytest.raises(InputError, match="no pair in common"):
        run(tmp_path, some, true, compare=other)


def test_one_system_of_a_file_is_taken_by_model_and_regime(tmp_path: Path) -> None:
    true = small_captions.references(6)
    rows = [
        {
            "model_id": model,
            "inference_type": regime,
            "pre_image": f"x/{key}_pre.png",
            "post_image": f"x/{key}_post.png",
            "change_caption": texts[0] if regime == "zero-shot" else "something else",
        }
        for model in ("one", "other")
        for regime in ("zero-shot", "textual_prompt")
        for key, texts in true.items()
    ]
    predictions = tmp_path / "rscc.jsonl"
    predictions.write_text("\n".join(map(json.dumps, rows)))
    people = [{"pre": f"{key}_pre.png", "post": f"{key}_post.png", "captions": texts} for key, texts in true.items()]
    references = tmp_path / "people.json"
    references.write_text(json.dumps(people))
    with pytest.raises(InputError, match="several systems"):
        evaluate_files(Request(references, predictions, options=QUICK))
    found = evaluate_files(
        Request(
            references,
            predictions,
            model="one",
            regime="zero-shot",
            compare=predictions,
            compare_model="one",
            compare_regime="textual_prompt",
            options=QUICK,
        )
    )
    assert values(found.overall)["bleu_4"] == pytest.approx(100)
    facts = {each.role: each for each in found.files}
    assert (facts["predictions"].regime, facts["compared"].regime) == ("zero-shot", "textual_prompt")
    assert found.comparison is not None and all((each.difference or 0) >= 0 for each in found.comparison.overall[:4])


@pytest.mark.shared
@pytest.mark.parametrize(("name", "changed", "unchanged"), [("dubai_cc", 15, 10), ("sysu", 25, 0)])
def test_earthdials_messy_lines_are_prediction_and_references_in_one(
    shared: Path, name: str, changed: int, unchanged: int
) -> None:
    path = shared / "captions" / f"earthdial_{name}.jsonl"
    found = evaluate_files(Request(path, path, options=QUICK))
    assert (found.pairs, found.changed_pairs, found.unchanged_pairs) == (25, changed, unchanged)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    mean = np.mean([len(line["answer"].replace(".", "").split()) for line in lines])
    assert values(found.overall)["avg_l"] == pytest.approx(mean)
    told = evaluate_files(Request(path, path, prediction_column="answer", reference_column="caption*", options=QUICK))
    assert values(told.overall) == values(found.overall)


def test_a_wrong_choice_is_refused_before_files_are_read(tmp_path: Path) -> None:
    missing = tmp_path / "missing.json"
    options = EvaluateOptions(MetricChoices(meteor="java"))
    with pytest.raises(UsageProblem, match="java"):
        evaluate_files(Request(missing, missing, protocol="rscc", options=options))
    with pytest.raises(UsageProblem, match="no protocol"):
        evaluate_files(Request(missing, missing, protocol="subwords"))


def test_neural_scores_stand_beside_the_others(tmp_path: Path) -> None:
    """The encoders are synthetic, of random weights: what they say means nothing, that it is there is what counts."""
    from tiny_encoder import make_roberta, make_sentence_model

    encoder = make_roberta(tmp_path / "encoder")
    choices = MetricChoices(
        meteor="off",
        spice=False,
        sentence_encoder=make_sentence_model(tmp_path / "sentences", encoder),
        bert_score=encoder,
        bert_score_layers=2,
        roberta=encoder,
    )
    true = small_captions.references(12)
    options = EvaluateOptions(choices, samples=20)
    found = run(tmp_path, small_captions.predictions(true, right=0.5), true, protocol="rscc", options=options)
    told = document(found)
    for key in ("st5_scs", "cosine", "bert_score_f1", "roberta_cosine"):
        assert told["overall"][key] is not None and told["changed_only"][key] is not None, key
        low, high = told["intervals"]["overall"][key]
        assert low <= told["overall"][key] <= high
    assert told["overall"]["cider_d"] is None and told["overall"]["s_m"] is None
    assert "st5_scs" not in told["floors"]["same_as_before"] and "rouge_l" in told["floors"]["same_as_before"]
    assert {"torch", "sentence-transformers"} <= set(told["versions"])


def test_s_m_is_the_mean_of_its_parts_and_meteor_is_named(tmp_path: Path) -> None:
    if missing() is not None:
        pytest.skip(str(missing()))
    true = small_captions.references(12)
    options = EvaluateOptions(MetricChoices(spice=False), samples=20, full_floors=True)
    told = document(run(tmp_path, small_captions.predictions(true, right=0.5), true, options=options))
    for scores in (told["overall"], told["changed_only"], told["floors"]["perfect_flag_best"]):
        parts = [scores[key] for key in ("bleu_4", "meteor", "rouge_l", "cider_d")]
        assert scores["s_m"] == pytest.approx(np.mean(parts), abs=1e-5)
    assert "METEOR 1.5" in told["metrics"]["meteor"] and told["versions"]["pycocoevalcap"]
    low, high = told["intervals"]["overall"]["s_m"]
    assert low < told["overall"]["s_m"] < high

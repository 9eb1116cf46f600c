"""A benchmark from pairs to results, with captioners whose answers are known."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from benchmark_pairs import dates, save, write_levir, write_list
from metric_cases import needs_wordnet
from tiny_encoder import make_roberta, make_sentence_model

from rsccli.errors import InputError, JournalMismatchError, ModelError, OutputError, UsageProblem
from rsccli.evaluation.benchmark.files import claimed
from rsccli.evaluation.benchmark.images import Reading
from rsccli.evaluation.benchmark.job import BenchmarkJob, plan_benchmark
from rsccli.evaluation.benchmark.memory import PeakMemory, resident_mb
from rsccli.evaluation.benchmark.pairs import Choice
from rsccli.evaluation.benchmark.result import Benchmark
from rsccli.evaluation.benchmark.run import prepare, run_benchmark
from rsccli.evaluation.files import Request, evaluate_files
from rsccli.evaluation.protocols import MetricChoices
from rsccli.geo.pair import PairOptions
from rsccli.models.captioner import CaptionerOptions

TESTS = Path(__file__).resolve().parents[1]
ROOFS, BLIND, FUSSY = (f"{TESTS / 'probe_captioners.py'}:{name}Factory" for name in ("Roof", "Blind", "Fussy"))
ECHO, BRIGHTNESS = (f"{TESTS / 'captioners.py'}:{name}Factory" for name in ("Echo", "Brightness"))
QUICK = MetricChoices(meteor="off", spice=False)
COUNTS = {"no-damage": 1, "destroyed": 2}


def job(source: Path, output: Path, *models: str, **others: Any) -> BenchmarkJob:
    plain: dict[str, Any] = {"protocols": ("words",), "metrics": QUICK, "samples": 20}
    return BenchmarkJob(source, output, models or (ROOFS,), **{**plain, **others})


def run(*given: Any, **others: Any) -> Benchmark:
    return run_benchmark(prepare(job(*given, **others)))


def score(result: Benchmark, key: str, index: int = 0, protocol: str = "words") -> float | None:
    overall = result.runs[index].of(protocol).overall
    found = overall.get(key) if overall else None
    return found.value if found else None


def test_a_captioner_that_says_what_people_say_has_full_marks(tmp_path: Path) -> None:
    write_list(tmp_path / "pairs.json", ("built", "gone", "same", "same"))
    result = run(tmp_path, tmp_path / "out", ROOFS, BLIND)
    assert [each.model for each in result.runs] == ["roofs", "blind"]
    assert score(result, "bleu_4") == pytest.approx(100.0) and score(result, "rouge_l") == pytest.approx(100.0)
    flags = [each.of("words").flag for each in result.runs]
    assert flags[0] and (flags[0].tp, flags[0].fp, flags[0].fn, flags[0].tn) == (2, 0, 0, 2)
    assert flags[1] and (flags[1].tp, flags[1].fp, flags[1].fn, flags[1].tn) == (2, 2, 0, 0)
    part = result.runs[0].of("words").changed_only
    assert part and part.pairs == 2
    assert result.runs[0].statuses == (("changed", 2), ("unchanged", 2))
    # Compared with the first one, pair by pair; the floors are measured once.
    compared = result.runs[1].of("words").comparison
    assert result.runs[0].of("words").comparison is None and compared and compared.second == "roofs"
    assert result.runs[0].of("words").floors and not result.runs[1].of("words").floors


def test_the_folder_holds_three_forms_with_measured_and_quoted_apart(tmp_path: Path) -> None:
    write_list(tmp_path / "pairs.json")
    result = run(tmp_path, tmp_path / "out")
    told = json.loads((tmp_path / "out" / "results.json").read_text())
    assert told["format"] == "rsccli-benchmark-1"
    assert [row["model"] for row in told["measured"]] == ["roofs"]
    assert "roofs" not in {row["model"] for row in told["quoted"]} and len(told["quoted"]) == 9
    words = told["measured"][0]["scores"]["words"]
    assert {"overall", "changed_only", "flag", "floors", "join"} <= set(words)
    assert words["overall"]["bleu_4"] == pytest.approx(100.0) and words["overall"]["meteor"] is None
    assert told["data"]["pairs"] == 3 and told["data"]["sha256"]
    text = (tmp_path / "out" / "results.md").read_text()
    titles = re.findall(r"^### (.*)$", text, re.M)
    assert all(title.startswith(("Measured here: ", "Quoted, not measured here: ", "Notes")) for title in titles)
    # No table has both.
    sections = re.split(r"^### ", text, flags=re.M)[1:]
    assert not any("| roofs" in each and "MCCFormer-D" in each for each in sections)
    assert "cannot be compared" in text and "not measured" in text
    latex = (tmp_path / "out" / "results.tex").read_text()
    assert latex.count(r"\begin{table}") == latex.count(r"\bottomrule") == len(titles) - 1
    assert result.runs[0].speed.pairs == 3 and (result.runs[0].speed.pairs_per_s or 0) > 0
    assert (result.runs[0].speed.peak_mb or 0) > 20


@pytest.mark.parametrize(("form", "suffix"), [("rscc", "jsonl"), ("csv", "csv")])
def test_the_captions_score_the_same_by_themselves(tmp_path: Path, form: str, suffix: str) -> None:
    write_list(tmp_path / "pairs.json", ("built", "gone", "same", "built"))
    result = run(tmp_path, tmp_path / "out", BLIND, predictions=form, samples=0)
    path = tmp_path / "out" / "predictions" / f"blind.zero-shot.{suffix}"
    assert result.runs[0].predictions == str(path)
    again = evaluate_files(Request(tmp_path / "pairs.json", path, options=options()))
    here = result.runs[0].of("words")
    assert again.overall == here.overall and again.changed_only == here.changed_only
    if form == "rscc":
        line = json.loads(path.read_text().splitlines()[0])
        assert line == {
            "model_id": "blind",
            "inference_type": "zero-shot",
            "pre_image": "0_pre.png",
            "post_image": "0_post.png",
            "change_caption": "many houses are built along the road",
        }


def options() -> Any:
    from rsccli.evaluation.evaluate import EvaluateOptions

    return EvaluateOptions(choices=QUICK, samples=0, floors=False)


def test_a_levir_cc_folder_is_scored_on_its_split(tmp_path: Path) -> None:
    write_levir(tmp_path, {"train": ["built"], "test": ["same", "gone"]})
    result = run(tmp_path, tmp_path / "out", choice=Choice(split="test"), protocols=("word-ids", "words"))
    assert result.data.splits == (("test", 2),) and result.protocols == ("word-ids", "words")
    assert score(result, "bleu_4", protocol="word-ids") == pytest.approx(score(result, "bleu_4"))
    assert any("split: test" in note for note in result.notes)


def test_what_was_answered_is_not_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIGHTNESS_LOG", str(tmp_path / "log"))
    write_list(tmp_path / "pairs.json", ("built", "gone", "same"))
    first = run(tmp_path, tmp_path / "out", BRIGHTNESS, batch_size=2)
    with pytest.raises(OutputError, match="add --overwrite to replace it"):
        run(tmp_path, tmp_path / "out", BRIGHTNESS, batch_size=2)
    again = run(tmp_path, tmp_path / "out", BRIGHTNESS, ROOFS, batch_size=2, overwrite=True)
    assert (first.runs[0].taken_over, again.runs[0].taken_over, again.runs[1].taken_over) == (0, 3, 0)
    assert (tmp_path / "log").read_text() == "p000000,p000001\np000002\n"
    assert score(again, "rouge_l") == score(first, "rouge_l")
    # One picture is another one now: that pair is asked about once more.
    save(tmp_path / "2_post.png", dates("built", 2)[1])
    run(tmp_path, tmp_path / "out", BRIGHTNESS, batch_size=2, overwrite=True)
    assert (tmp_path / "log").read_text().splitlines()[2:] == ["p000002"]
    run(tmp_path, tmp_path / "out", BRIGHTNESS, batch_size=2, overwrite=True, resume=False)
    assert (tmp_path / "log").read_text().splitlines()[3:] == ["p000000,p000001", "p000002"]


def test_captions_of_other_options_are_not_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_list(tmp_path / "pairs.json")
    run(tmp_path, tmp_path / "out")
    with pytest.raises(JournalMismatchError, match=r"batch size: 3, now 2\n.*--no-resume"):
        run(tmp_path, tmp_path / "out", batch_size=2, overwrite=True)
    with pytest.raises(JournalMismatchError, match="max_new_tokens: None, now 9"):
        run(tmp_path, tmp_path / "out", captioner=CaptionerOptions(max_new_tokens=9), overwrite=True)
    # What decides no caption may be another one.
    run(tmp_path, tmp_path / "out", captioner=CaptionerOptions(threads=1), choice=Choice(seed=4), overwrite=True)


def test_pairs_that_cannot_be_used_cost_themselves_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUSSY_TILES", "p000003")
    write_list(tmp_path / "pairs.json", ("built", "gone", "same", "built", "same"))
    (tmp_path / "0_pre.png").unlink()
    (tmp_path / "1_post.png").write_bytes(b"no picture")
    result = run(tmp_path, tmp_path / "out", FUSSY, ROOFS)
    problems = {(each.pair, each.what): each.who for each in result.problems}
    assert problems == {
        ("pair0", "missing"): "",
        ("pair1", "unread"): "",
        ("pair3", "failed"): "fussy, zero-shot",
    }
    fussy, roofs = result.runs
    assert (fussy.scored, fussy.unread, fussy.failed) == (3, 1, 1) == (roofs.scored, roofs.unread, roofs.failed + 1)
    report = fussy.of("words").join
    assert report and report.empty_predictions.first == ("pair3",) and report.joined == 3
    lines = (tmp_path / "out" / "predictions" / "fussy.zero-shot.jsonl").read_text().splitlines()
    assert [json.loads(line)["change_caption"] for line in lines][1] == ""
    text = (tmp_path / "out" / "results.md").read_text()
    assert "1 of them empty because the model failed" in text and "counted as an empty caption" in text
    # Mended, they alone are asked about.
    monkeypatch.setenv("FUSSY_TILES", "")
    for name, image in zip(("1_pre.png", "1_post.png"), dates("gone", 1), strict=True):
        save(tmp_path / name, image)
    mended = run(tmp_path, tmp_path / "out", FUSSY, overwrite=True)
    assert [each.what for each in mended.problems] == ["missing"] and mended.runs[0].taken_over == 2


def test_a_model_that_fails_on_everything_is_no_row_of_zeros(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUSSY_TILES", "p000000,p000001,p000002")
    write_list(tmp_path / "pairs.json")
    with pytest.raises(ModelError, match="failed on every pair; pair0: tile p000000 is refused"):
        run(tmp_path, tmp_path / "out", FUSSY)
    for path in tmp_path.glob("*_pre.png"):
        path.write_bytes(b"")
    with pytest.raises(InputError, match="none of 3 pairs could be read"):
        run(tmp_path, tmp_path / "other")


def test_regimes_tell_what_the_records_count(tmp_path: Path) -> None:
    extra = {"counts": COUNTS, "disaster_type": "wildfire", "count_rule": "touch", "annotated": "drawn.png"}
    write_list(tmp_path / "pairs.json", ("built", "gone"), **extra)
    save(tmp_path / "drawn.png", dates("built", 9)[1])
    regimes = ("zero-shot", "textual_prompt", "visual_prompt")
    result = run(tmp_path, tmp_path / "out", ECHO, ROOFS, regimes=regimes)
    assert [(each.model, each.regime) for each in result.runs] == [
        *(("echo", name) for name in regimes),
        ("roofs", "zero-shot"),
    ]
    assert [each.prompt for each in result.runs] == ["naive", "textual", "visual", ""]
    source = "fields of pairs.json (touch)"
    assert [each.counts_from for each in result.runs] == [None, source, source, None]
    said = []
    for name in regimes:
        first, *_ = (tmp_path / "out" / "predictions" / f"echo.{name}.jsonl").read_text().splitlines()
        said.append(json.loads(json.loads(first)["change_caption"])["context"])
    assert said[0] is None
    counts = "3 buildings: 1 with no damage, 0 with minor damage, 0 with major damage, 2 destroyed"
    assert (said[1]["counts"], said[1]["disaster"], said[1]["source"]) == (counts, "wildfire", source)
    assert said[2]["counts"] == counts
    text = (tmp_path / "out" / "results.md").read_text()
    assert "Not measured under textual\\_prompt: roofs, which is not asked in words" in text
    assert "counts from fields of pairs.json" in text


def test_the_visual_regime_shows_the_outlines(tmp_path: Path) -> None:
    write_list(tmp_path / "pairs.json", ("same",), counts=COUNTS, annotated="drawn.png")
    save(tmp_path / "drawn.png", dates("built", 0)[1])
    # The echo says metres per pixel and context alone; pixels are seen where they are read.
    from rsccli.evaluation.benchmark.regimes import shown_post

    (pair,) = plan_benchmark(job(tmp_path, tmp_path / "out")).chosen.pairs
    assert [str(shown_post(pair, name)).rpartition("/")[2] for name in ("textual_prompt", "visual_prompt")] == [
        "0_post.png",
        "drawn.png",
    ]


@pytest.mark.parametrize(
    ("regime", "extra", "message"),
    [
        ("textual_prompt", {}, "2 of 2 pairs have none in their records .*--regime zero-shot"),
        ("visual_prompt", {"counts": COUNTS}, "no such image in the field annotated .*rsccli dataset draws them"),
    ],
)
def test_a_regime_without_its_facts_is_refused(
    tmp_path: Path, regime: str, extra: dict[str, Any], message: str
) -> None:
    write_list(tmp_path / "pairs.json", ("built", "gone"), **extra)
    with pytest.raises(InputError, match=message):
        prepare(job(tmp_path, tmp_path / "out", ECHO, regimes=(regime,)))
    assert not (tmp_path / "out").exists()


def test_counts_may_stand_in_columns_of_a_table(tmp_path: Path) -> None:
    write_list(tmp_path / "pairs.json", ("built",))
    (tmp_path / "pairs.csv").write_text(
        "id,pre,post,caption,no_damage,destroyed,counts_from,gsd\na,0_pre.png,0_post.png,x,4,1,labels: a.json,1\n"
    )
    (pair,) = plan_benchmark(
        job(tmp_path / "pairs.csv", tmp_path / "out", ECHO, regimes=("textual_prompt",))
    ).chosen.pairs
    assert dict(pair.told.counts or {}) == {
        "no-damage": 4,
        "minor-damage": 0,
        "major-damage": 0,
        "destroyed": 1,
        "un-classified": 0,
    }
    assert pair.told.source == "labels: a.json"


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"regimes": ("few-shot",)}, "--regime few-shot is unknown: choose from zero-shot"),
        ({"captioner": CaptionerOptions(prompt="textual")}, "give --regime textual_prompt"),
        ({"captioner": CaptionerOptions(prompt="nothing.txt")}, "no such file"),
        ({"regimes": ("textual_prompt",)}, "not asked in words"),
        ({"models": (ROOFS, ROOFS)}, "the model roofs is named twice"),
        ({"protocols": ("gpt2",)}, "no protocol is named 'gpt2'"),
        ({"metrics": replace(QUICK, sentence_encoder=Path("there"))}, "are for the columns of --protocol rscc"),
        ({"reading": Reading(-1, PairOptions())}, "--gsd -1"),
    ],
)
def test_what_contradicts_itself_is_refused(tmp_path: Path, others: dict[str, Any], message: str) -> None:
    write_list(tmp_path / "pairs.json")
    with pytest.raises(UsageProblem, match=message):
        models = others.pop("models", (ROOFS,))
        prepare(job(tmp_path, tmp_path / "out", *models, **others))


def test_words_of_ones_own_are_for_one_regime(tmp_path: Path) -> None:
    write_list(tmp_path / "pairs.json", counts=COUNTS)
    words = tmp_path / "words.txt"
    words.write_text("What changed? {counts}")
    asked = CaptionerOptions(prompt=str(words))
    with pytest.raises(UsageProblem, match="words of your own are for one --regime, not for 2"):
        job(tmp_path, tmp_path / "out", ECHO, regimes=("zero-shot", "textual_prompt"), captioner=asked)
    result = run(tmp_path, tmp_path / "out", ECHO, regimes=("textual_prompt",), captioner=asked)
    assert result.runs[0].prompt == "own"
    # The same file with other words is another question.
    words.write_text("What is new? {counts}")
    with pytest.raises(JournalMismatchError, match=r"options\.prompt: sha256="):
        run(tmp_path, tmp_path / "out", ECHO, regimes=("textual_prompt",), captioner=asked, overwrite=True)


def test_models_of_one_name_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_list(tmp_path / "pairs.json")
    copy = tmp_path / "copied.py"
    text = (TESTS / "probe_captioners.py").read_text()
    copy.write_text(text.replace('"roofs", "1", "roofs"', '"roofs", "2", "roofs"'))
    result = run(tmp_path, tmp_path / "out", ROOFS, f"{copy}:RoofFactory")
    assert [each.model for each in result.runs] == ["roofs@1", "roofs@2"]
    assert (tmp_path / "out" / "predictions" / "roofs@2.zero-shot.jsonl").is_file()


def test_two_processes_do_not_write_into_one_folder(tmp_path: Path) -> None:
    with claimed(tmp_path / "out"), pytest.raises(OutputError, match="another process is writing to it"):
        with claimed(tmp_path / "out"):
            pass
    with claimed(tmp_path / "out") as folder:
        assert folder.is_dir()


def test_scores_that_cannot_be_made_are_refused_at_the_start(tmp_path: Path) -> None:
    write_list(tmp_path / "pairs.json")
    nowhere = replace(QUICK, sentence_encoder=tmp_path / "nowhere")
    with pytest.raises(ModelError, match="nowhere: there is no such folder"):
        prepare(job(tmp_path, tmp_path / "out", protocols=("rscc",), metrics=nowhere))
    wordnet = MetricChoices(wordnet=tmp_path)
    with pytest.raises(ModelError, match="or leave METEOR out with --meteor off"):
        prepare(job(tmp_path, tmp_path / "out", protocols=("rscc",), metrics=wordnet))


@needs_wordnet
def test_the_columns_of_rscc_are_measured_with_models_and_said_to_be_missing_without(tmp_path: Path) -> None:
    """Encoders of random weights (synthetic): that their columns are there, not what they say."""
    write_list(tmp_path / "pairs.json", ("built", "gone", "same"))
    plain = run(tmp_path, tmp_path / "plain", protocols=("rscc",), metrics=MetricChoices(), samples=0)
    assert score(plain, "rouge_l", protocol="rscc") == pytest.approx(100.0)
    assert (score(plain, "meteor", protocol="rscc") or 0) > 90 and score(plain, "st5_scs", protocol="rscc") is None
    row = next(
        line for line in (tmp_path / "plain" / "results.md").read_text().splitlines() if line.startswith("| roofs")
    )
    assert row.count("not measured") == 3

    roberta = make_roberta(tmp_path / "roberta")
    encoder = make_sentence_model(tmp_path / "sentences", roberta)
    choices = MetricChoices(sentence_encoder=encoder, roberta=roberta, bert_score=roberta, bert_score_layers=2)
    full = run(tmp_path, tmp_path / "full", protocols=("rscc",), metrics=choices, samples=0)
    for key in ("roberta_cosine", "bert_score_f1", "st5_scs"):
        value = score(full, key, protocol="rscc")
        assert value is not None and value == pytest.approx(100.0, abs=1e-3)
    assert "not measured |" not in (tmp_path / "full" / "results.md").read_text()


def test_memory_is_the_largest_that_was_seen() -> None:
    before = resident_mb()
    if before is None:
        pytest.skip("this system does not tell the memory of a process")
    with PeakMemory() as memory:
        block = bytearray(80_000_000)
        block[::4096] = b"x" * len(block[::4096])
        memory.sample()
        del block
    assert memory.peak_mb is not None and memory.peak_mb >= before + 60
    assert memory.gpu_mb is None
    left = iter([1000.0, *[400.0] * 2, *[900.0] * 1000])
    with PeakMemory(lambda: next(left)) as gpu:
        gpu.sample()
    assert gpu.gpu_mb == pytest.approx(600 * 2**20 / 1e6)

"""Forms of an evaluation: the same numbers for the terminal, repositories, papers and programs."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import small_captions

from rsccli.evaluation.evaluate import EvaluateOptions
from rsccli.evaluation.files import Request, evaluate_files
from rsccli.evaluation.protocols import MetricChoices
from rsccli.evaluation.result import Evaluation, FileFacts, Score
from rsccli.evaluation.tables import FORMS, render
from rsccli.evaluation.tables.latex import render_latex
from rsccli.evaluation.tables.markdown import render_markdown
from rsccli.evaluation.tables.page import page_of
from rsccli.evaluation.tables.sheet import Page, Row, Sheet
from rsccli.evaluation.tables.terminal import render_terminal
from rsccli.evaluation.tables.words import count, interval, number, p_value, signed

NASTY = r'a|b_c & 50 % of $x$ #1 {y} \z ~ ^ <td> *"quoted"*'


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    folder = tmp_path_factory.mktemp("captions")
    true = small_captions.references(40)
    people = folder / "people.json"
    people.write_text(json.dumps({"val": true, "train": small_captions.references(60, seed=8)}))
    model, other = (
        small_captions.write_predictions(folder / name, small_captions.predictions(true, right))
        for name, right in (("model.jsonl", 0.7), ("other.jsonl", 0.3))
    )
    options = EvaluateOptions(MetricChoices(meteor="off", spice=False), samples=50)
    return evaluate_files(Request(people, model, split="val", compare=other, options=options))


def shown(evaluation: Evaluation) -> list[str]:
    """Every number that a person must find in any form."""
    assert evaluation.overall and evaluation.changed_only and evaluation.flag and evaluation.floors
    told = [number(each.key, each.value) for each in (*evaluation.overall.scores, *evaluation.changed_only.scores)]
    told += [number(each.key, each.value) for each in evaluation.flag.scores.scores]
    for row in evaluation.floors.rows:
        told += [number(key, score.value) for key in ("bleu_4", "rouge_l", "cider_d") if (score := row.scores.get(key))]
    assert evaluation.comparison is not None
    told += [signed(each.key, each.difference) for each in evaluation.comparison.overall]
    return told


@pytest.mark.parametrize("form", ["table", "markdown", "latex"])
def test_every_form_shows_every_number(evaluation: Evaluation, form: str) -> None:
    text = render(evaluation, form)  # type: ignore[arg-type]
    found = set(re.findall(r"[+-]?[\d,]+(?:\.\d+)?", text))
    numbers = shown(evaluation)
    assert len(numbers) > 60
    assert [each for each in numbers if each not in found] == []
    for title in ("METEOR", "BLEU-4", "CIDEr-D", "Avg", "accuracy", "oracle keywords", "first human sentence"):
        assert (title in text) is (title != "METEOR"), title
    assert text.endswith("\n") and not text.endswith("\n\n")


def test_the_terminal_table_is_aligned_and_at_most_100_wide(evaluation: Evaluation) -> None:
    lines = render_terminal(page_of(evaluation)).splitlines()
    # A path that is longer than a line cannot be cut.
    assert [line for line in lines if len(line) > 100 and "/" not in line] == []
    assert [line for line in lines if line != line.rstrip()] == []
    start = next(index for index, line in enumerate(lines) if line.startswith("Floors of the same pairs"))
    head = lines[start + 1]
    rows = [line for line in lines[start + 3 :] if re.search(r"\d+\.\d$", line)][:12]
    assert {len(row) for row in rows} == {len(head)}
    ends = [match.end() for match in re.finditer(r"\S+", head)]
    assert all(row[end - 1] != " " for row in rows for end in ends)


def test_a_page_of_floors_alone_has_no_row_of_predictions(evaluation: Evaluation) -> None:
    bare = replace(evaluation, overall=None, changed_only=None, flag=None, comparison=None, join=None)
    page = page_of(bare)
    assert [sheet.name for sheet in page.sheets] == ["floors"]
    assert page.title == "Floors of people.json"
    assert "these predictions" not in render(bare, "table")
    assert "these predictions" in render(evaluation, "table")


def test_markdown_cannot_be_broken_by_a_name(evaluation: Evaluation) -> None:
    page = Page(NASTY, (NASTY,), (Sheet("s", NASTY, ("", NASTY), (Row((NASTY, "1")),), (NASTY,)),), (NASTY,))
    text = render_markdown(page)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {3}
    assert "<td>" not in text.replace(r"\<td", "")
    assert render_markdown(page_of(evaluation), level=3).startswith("### ")


def test_latex_has_no_bare_special_characters() -> None:
    page = Page(
        NASTY, (), (Sheet("s", NASTY, ("", NASTY), (Row(("top",), heading=True), Row((NASTY, "1")))),), (NASTY,)
    )
    body = render_latex(page).split(r"\begin{table}")[1]
    assert not re.search(r"(?<!\\)[%$#_~^<>]", body)
    assert len(re.findall(r"(?<!\\)&", body)) == 2, "one column mark in the head and one in the row"
    assert r"\textbackslash{}z" in body and "``quoted''" in body and r"\multicolumn{2}{l}" in body
    # Comments hold names as they are, each on one line.
    head = render_latex(page).split("\n\n")[0]
    assert all(line.startswith("%") for line in head.splitlines())


def test_latex_tables_are_whole(evaluation: Evaluation) -> None:
    text = render(evaluation, "latex")
    for table in re.findall(r"\\begin\{tabular\}.*?\\end\{tabular\}", text, re.DOTALL):
        columns = len(re.search(r"\{(lr+)\}", table)[1])  # type: ignore[index]
        rows = [line for line in table.splitlines() if line.endswith(r"\\")]
        assert len(rows) > 4
        wide = {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows if "multicolumn" not in row}
        assert wide == {columns}
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 4


def test_json_is_what_the_other_forms_round(evaluation: Evaluation) -> None:
    told = json.loads(render(evaluation, "json"))
    assert evaluation.overall is not None and evaluation.floors is not None
    for score in evaluation.overall.scores:
        assert told["overall"][score.key] == pytest.approx(score.value, abs=1e-6)
        low, high = told["intervals"]["overall"][score.key] or (None, None)
        assert (low, high) == pytest.approx((score.low, score.high), abs=1e-6)
    assert list(told["floors"]) == [row.name for row in evaluation.floors.rows]
    floor = told["floors"]["perfect_flag_keywords"]
    assert floor["reads_labels"] is True and floor["scope"] == "overall" and 0 < floor["bleu_4"] <= 100
    assert told["comparison"]["overall"]["bleu_4"]["difference"] > 0
    assert set(FORMS) == {"table", "json", "markdown", "latex"}


def test_the_regime_of_the_predictions_is_named(evaluation: Evaluation) -> None:
    told = FileFacts("predictions", "rscc.jsonl", "0" * 64, "rscc", 40, None, "a-model", "textual_prompt")
    text = render(replace(evaluation, files=(told,)), "table")
    assert "Predictions: rscc.jsonl (rscc, model a-model, regime textual_prompt, 40 records)." in text


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [("bleu_4", 51.26, "51.3"), ("accuracy", 0.9512, "95.1"), ("vocabulary", 1234.0, "1,234"), ("meteor", None, "-")],
)
def test_numbers_as_people_read_them(key: str, value: float | None, text: str) -> None:
    assert number(key, value) == text


def test_signs_intervals_and_p_values() -> None:
    assert (signed("bleu_4", -0.26), signed("f1", 0.012), signed("bleu_4", None)) == ("-0.3", "+1.2", "-")
    assert interval(Score("bleu_4", 1.0, 0.5, 1.5)) == "0.5 to 1.5"
    assert interval(Score("bleu_4", 1.0, -0.5, 1.5), with_sign=True) == "-0.5 to +1.5"
    assert interval(Score("bleu_4", 1.0)) == "-"
    assert (p_value(0.0004), p_value(0.0316), p_value(None)) == ("<0.001", "0.032", "-")
    assert (count(1, "pair"), count(1333, "pair"), count(5)) == ("1 pair", "1,333 pairs", "5")


def test_no_form_names_a_file_that_was_not_read(evaluation: Evaluation) -> None:
    names = {Path(each.path).name for each in evaluation.files}
    assert names == {"people.json", "model.jsonl", "other.jsonl"}
    lines = render(evaluation, "table").splitlines()
    for role in ("Predictions: ", "References: ", "Compared with: ", "Training: "):
        assert sum(line.startswith(role) for line in lines) == 1, role

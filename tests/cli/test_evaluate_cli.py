"""``rsccli evaluate`` as a user runs it: stdout, stderr and exit codes are real."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import small_captions
from typer.testing import CliRunner

from rsccli.cli.main import app
from rsccli.errors import UsageProblem

QUICK = ("--meteor", "off", "--bootstrap", "50")


def rsccli(*arguments: object, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RSCCLI_")}
    return subprocess.run(
        [sys.executable, "-m", "rsccli", *map(str, arguments)],
        env={**clean, "OMP_NUM_THREADS": "1", "COLUMNS": "100", **environ},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Predictions and references."""
    true = small_captions.references(20)
    said = small_captions.predictions(true, right=0.6)
    return (
        small_captions.write_predictions(tmp_path / "model.jsonl", said),
        small_captions.write_references(tmp_path / "people.json", true),
    )


def test_the_table_is_on_stdout_and_nothing_else(files: tuple[Path, Path]) -> None:
    done = rsccli("evaluate", *files, *QUICK)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("model.jsonl against people.json\n")
    for part in (
        "Protocol words",
        "20 pairs, 10 changed and 10 unchanged",
        "BLEU-4",
        "Change flag",
        "Floors of the",
    ):
        assert part in done.stdout
    again = rsccli("evaluate", *files, *QUICK)
    assert again.stdout == done.stdout, "the same seed, the same bytes"


def test_json_for_programs(files: tuple[Path, Path]) -> None:
    done = rsccli("evaluate", *files, *QUICK, "--json")
    told = json.loads(done.stdout)
    assert told["overall"]["bleu_4"] > told["changed_only"]["bleu_4"] > 0
    assert told["bootstrap"]["samples"] == 50 and len(told["intervals"]["overall"]["bleu_4"]) == 2
    other = rsccli("evaluate", *files, *QUICK, "--format", "json")
    assert other.stdout == done.stdout


def test_several_files_at_once_and_none_is_replaced_unasked(files: tuple[Path, Path], tmp_path: Path) -> None:
    outputs = [tmp_path / f"result{suffix}" for suffix in (".json", ".md", ".tex", ".txt")]
    flags = [flag for path in outputs for flag in ("-o", path)]
    done = rsccli("evaluate", *files, *QUICK, *flags)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.split() == list(map(str, outputs))
    begins = [path.read_text()[:9] for path in outputs]
    assert begins == ['{\n  "form', "## model.", "% model.j", "model.jso"]
    refused = rsccli("evaluate", *files, *QUICK, *flags)
    assert refused.returncode == 3 and "--overwrite" in refused.stderr
    assert rsccli("evaluate", *files, *QUICK, *flags, "--overwrite").returncode == 0


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        (("--json", "--format", "latex"), 2, "leave one of them out"),
        (("-o", "result.docx"), 2, ".json, .md, .tex, .txt"),
        (("-o", "nowhere/result.json"), 3, "mkdir -p nowhere"),
        (("-o", "x.json", "--json"), 2, "add -o -"),
        (("--protocol", "subwords"), 2, "subwords"),
        (("--protocol", "rscc", "--meteor", "java"), 2, "nltk"),
        (("--split", "val"), 2, "does not say which pair is of which split"),
        (("--sentence-model", "nowhere"), 4, "nowhere"),
    ],
)
def test_wrong_flags_say_what_to_do(
    files: tuple[Path, Path], tmp_path: Path, flags: tuple[str, ...], code: int, said: str
) -> None:
    done = rsccli("evaluate", *files, *flags)
    assert done.returncode == code, done.stderr
    assert done.stdout == "" and said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_files_that_do_not_meet_are_an_input_error(files: tuple[Path, Path], tmp_path: Path) -> None:
    other = small_captions.write_predictions(tmp_path / "other.jsonl", {"q1": "a road appears"})
    done = rsccli("evaluate", other, files[1], *QUICK)
    assert done.returncode == 3 and "q1" in done.stderr and "p0" in done.stderr
    done = rsccli("evaluate", tmp_path / "missing.jsonl", files[1], *QUICK)
    assert done.returncode == 3 and "missing.jsonl" in done.stderr


def test_an_environment_variable_stands_in_for_a_flag(files: tuple[Path, Path]) -> None:
    done = rsccli("evaluate", *files, *QUICK, RSCCLI_PROTOCOL="word-ids", RSCCLI_JSON="1")
    assert json.loads(done.stdout)["protocol"]["name"] == "word-ids"
    # A command of the group does not trip over a variable of the other.
    done = rsccli("evaluate", "floors", files[1], "--bootstrap", "0", "--json", RSCCLI_PRED_COLUMN="x")
    assert done.returncode == 0, done.stderr


def test_compare_prints_the_difference_with_its_test(files: tuple[Path, Path], tmp_path: Path) -> None:
    true = small_captions.references(20)
    other = tmp_path / "other.csv"
    with other.open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["id", "caption"])
        table.writerows(small_captions.predictions(true, right=0.1).items())
    done = rsccli("evaluate", *files, *QUICK, "--compare", other, "--no-floors")
    assert done.returncode == 0, done.stderr
    assert "model.jsonl against other.csv" in done.stdout and "approximate randomisation" in " ".join(
        done.stdout.split()
    )
    assert "Floors" not in done.stdout


@pytest.mark.shared
def test_floors_need_no_predictions(shared: Path) -> None:
    captions = shared / "captions" / "levir_cc_train_val.json"
    done = rsccli("evaluate", "floors", captions, "--split", "val", "--bootstrap", "0")
    assert (done.returncode, done.stderr) == (0, "")
    rows = {
        " ".join(line.split()[:-3]): tuple(map(float, line.split()[-3:]))
        for line in done.stdout.splitlines()
        if re.match("  [a-z0-9]", line)
    }
    assert rows['always "the scene is the same as before"'] == (51.3, 61.1, 101.5)
    assert rows['perfect flag + "many houses are built along the road" *'] == (63.5, 72.6, 123.9)
    assert len(rows) == 11


@pytest.mark.shared
def test_earthdials_outputs_are_scored_as_they_lie_there(shared: Path) -> None:
    path = shared / "captions" / "earthdial_sysu.jsonl"
    done = rsccli("evaluate", path, path, "--pred-column", "answer", "--ref-column", "caption*", *QUICK)
    assert done.returncode == 0, done.stderr
    text = " ".join(done.stdout.split())
    assert "25 pairs, 25 changed and 0 unchanged" in text and "25 pairs are few" in text
    assert "100 x empty caption" in text and "the references call no pair unchanged" in text


def test_our_own_output_is_scored_by_its_status(tmp_path: Path) -> None:
    from made_run import make_facts, make_features

    from rsccli.output.writers import write_features

    facts = make_facts()
    features = list(make_features(12, facts))
    output = tmp_path / "out.geojson"
    write_features(output, features, facts)
    told = [feature for feature in json.loads(output.read_text())["features"] if feature["properties"]["caption"]]
    people = {str(feature["id"]): ("there is no difference", "no change has occurred") for feature in told}
    references = small_captions.write_references(tmp_path / "people.json", people)
    done = rsccli("evaluate", output, references, *QUICK, "--json")
    assert done.returncode == 0, done.stderr
    flag = json.loads(done.stdout)["flag"]
    said = [feature["properties"]["change"] for feature in told]
    assert flag["tn"] >= said.count(False) > 0 and flag["predicted_by_file"] == len(said) - said.count(None)
    assert flag["fp"] + flag["tn"] == len(told)


def test_help_shows_options_and_commands() -> None:
    done = rsccli("evaluate", "--help")
    assert done.returncode == 0
    for part in ("--protocol", "--compare", "Commands:", "floors", "retrieval"):
        assert part in done.stdout
    inner = rsccli("evaluate", "floors", "--help")
    assert inner.returncode == 0 and "Usage: python -m rsccli evaluate floors [OPTIONS] {REF}" in inner.stdout
    assert "--compare" not in inner.stdout
    assert rsccli("evaluate", "one.json").returncode == 2, "REF is missing"
    # A file that has a command's name is reached by its path.
    done = rsccli("evaluate", "./floors", "missing.json")
    assert done.returncode == 3 and "missing.json does not exist" in done.stderr


def test_bert_scores_layer_reaches_the_scorer(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from rsccli.evaluation import files as evaluation_files

    asked: list[evaluation_files.Request] = []

    def refuse(request: evaluation_files.Request) -> None:
        asked.append(request)
        raise UsageProblem("asked for enough")

    monkeypatch.setattr(evaluation_files, "evaluate_files", refuse)
    arguments = ["evaluate", *map(str, files), "--bert-model", "mine", "--bert-score-layers"]
    CliRunner().invoke(app, [*arguments, "9"])
    assert asked[0].options.choices.bert_score_layers == 9
    assert CliRunner().invoke(app, [*arguments, "0"]).exit_code == 2

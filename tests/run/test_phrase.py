"""``--summary-model``: words that pass replace the paragraph, others are refused and that is said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from made_run import make_facts, make_features

from rsccli.errors import ModelError, UsageProblem
from rsccli.models import registry
from rsccli.output.summary import Summary, summarise
from rsccli.run.phrase import SummaryModel, phrase_summary, summary_model

ROOT = Path(__file__).resolve().parents[2]
WRITER = f"{ROOT}/tests/phrasing_captioners.py:WriterFactory"
DEAF = f"{ROOT}/tests/phrasing_captioners.py:DeafFactory"


@pytest.fixture
def summary() -> Summary:
    facts = make_facts()
    return summarise(make_features(48, facts), facts)


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "words.txt"
    monkeypatch.setenv("PHRASE_FILE", str(path))
    return path


def phrased(summary: Summary, model: str = WRITER) -> Summary:
    return phrase_summary(summary, SummaryModel(model))


def test_words_that_say_the_facts_are_used(summary: Summary, words: Path) -> None:
    words.write_text("{facts}")
    found = phrased(summary).scene
    assert found.phrased_by == "writer 7" and found.rejected is None
    assert found.paragraph.startswith("Between 1 June 2016") and found.claims == summary.scene.claims
    assert phrased(summary).scene == found, "the same words, the same paragraph"


def test_words_that_say_something_else_are_refused_and_that_is_said(summary: Summary, words: Path) -> None:
    words.write_text("{facts} Twelve tiles were burnt [r00000c00000].")
    found = phrased(summary).scene
    assert found.paragraph == summary.scene.paragraph and found.phrased_by is None
    assert found.rejected is not None and "writer 7 was not used: it names 'burn scar'" in found.rejected


def test_a_model_that_fails_costs_its_words_alone(
    summary: Summary, words: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHRASE_FAILS", "1")
    found = phrased(summary).scene
    assert found.paragraph == summary.scene.paragraph and "as the test asked" in str(found.rejected)


def test_a_model_without_words_alone_is_told(summary: Summary) -> None:
    found = phrased(summary, DEAF).scene
    assert "cannot be asked in words alone" in str(found.rejected)


def test_what_cannot_work_is_told_at_once(summary: Summary) -> None:
    with pytest.raises(UsageProblem, match="not asked in words"):
        SummaryModel(registry.DEFAULT_CAPTIONER).describe()
    with pytest.raises(ModelError, match="nobody"):
        SummaryModel("nobody").describe()
    assert summary_model(None) is None


def test_nothing_to_tell_is_not_phrased(words: Path) -> None:
    words.write_text("{facts}")
    empty = summarise([], make_facts())
    assert phrase_summary(empty, SummaryModel(WRITER)) == empty and phrase_summary(empty, None) is empty


def caption(folder: Path, *options: str, **more: str) -> subprocess.CompletedProcess[str]:
    pair = [str(ROOT / "examples" / f"prairie_{date}.tif") for date in ("2012-07-31", "2014-07-20")]
    brightness = f"{ROOT}/tests/captioners.py:BrightnessFactory"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RSCCLI_")}
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "rsccli",
            "caption",
            *pair,
            "-o",
            str(folder / "out.geojson"),
            "-m",
            brightness,
            *options,
        ],
        env={**kept, "PYTHONPATH": str(ROOT / "tests"), **more},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(("text", "said"), [("{facts}", "passed the check"), ("All is well.", "was not used")])
def test_the_command_says_whose_words_the_report_has(tmp_path: Path, words: Path, text: str, said: str) -> None:
    words.write_text(text)
    done = caption(tmp_path, "--summary-model", WRITER)
    assert done.returncode == 0 and said in done.stderr, done.stderr
    scene = json.loads((tmp_path / "out.report.json").read_text())["summary"]["scene"]
    assert (scene["phrased_by"] == "writer 7") is (text == "{facts}")
    assert (scene["rejected"] is None) is (text == "{facts}")
    assert "writer 7" in (tmp_path / "out.report.md").read_text()


@pytest.mark.parametrize("options", [("--summary-model", "nobody"), ("--summary-model", "rsccli-small")])
def test_the_command_refuses_before_any_work(tmp_path: Path, options: tuple[str, ...]) -> None:
    done = caption(tmp_path, *options)
    assert done.returncode in (2, 4) and list(tmp_path.iterdir()) == []
    done = caption(tmp_path, "--summary-model", WRITER, "--no-report")
    assert done.returncode == 2 and "--no-report" in done.stderr


def test_a_report_that_is_made_again_may_be_phrased(tmp_path: Path, words: Path) -> None:
    from rsccli.output.writers import write_features

    facts = make_facts()
    write_features(tmp_path / "out.geojson", make_features(48, facts), facts)
    words.write_text("{facts} And so on.")
    done = subprocess.run(
        [sys.executable, "-m", "rsccli", "report", tmp_path / "out.geojson", "-o", "-", "--summary-model", WRITER],
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0 and "was not used: it says something without citing a tile" in done.stderr, done.stderr
    assert "The paragraph of writer 7 was not used" in done.stdout

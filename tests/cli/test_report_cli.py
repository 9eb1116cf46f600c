"""``rsccli report`` as a user runs it: stdout, stderr and exit codes are real."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from made_run import make_facts, make_features

from rsccli.output.report import render_report
from rsccli.output.summary import summarise
from rsccli.output.writers import write_features


def rsccli(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "rsccli", *map(str, arguments)],
        cwd=cwd,
        env={**{k: v for k, v in os.environ.items() if not k.startswith("RSCCLI_")}, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def output(tmp_path: Path) -> Path:
    facts = make_facts()
    path = tmp_path / "out.geojson"
    write_features(path, make_features(48, facts), facts)
    return path


def test_all_three_beside_the_output(output: Path) -> None:
    done = rsccli("report", output)
    assert (done.returncode, done.stdout) == (0, b""), done.stderr
    names = {path.name for path in output.parent.iterdir()}
    assert names == {"out.geojson", "out.report.html", "out.report.md", "out.report.json"}
    assert done.stderr.decode().split() == [
        str(output.parent / f"out.report.{form}") for form in ("html", "md", "json")
    ]
    before = {path.name: path.read_bytes() for path in output.parent.iterdir()}
    assert rsccli("report", output).returncode == 0, "again, over its own files"
    assert {path.name: path.read_bytes() for path in output.parent.iterdir()} == before


def test_stdout_holds_the_report_and_nothing_else(output: Path) -> None:
    facts = make_facts()
    summary = summarise(make_features(48, facts), facts)
    done = rsccli("report", output, "-o", "-")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == render_report("md", summary, facts)
    done = rsccli("report", output, "-o", "-", "--form", "json")
    assert json.loads(done.stdout)["summary"]["by_status"]["changed"] == summary.count("changed")
    assert [path.name for path in output.parent.iterdir()] == ["out.geojson"]


@pytest.mark.parametrize("suffix", [".gpkg", ".fgb", ".parquet"])
def test_the_same_page_from_any_format(output: Path, tmp_path: Path, suffix: str) -> None:
    facts = make_facts()
    other = tmp_path / f"other{suffix}"
    write_features(other, make_features(48, facts), facts)
    page = tmp_path / "page.html"
    done = rsccli("report", other, "-o", page)
    assert done.returncode == 0, done.stderr
    # The inputs that the facts name do not exist: the page goes without pictures.
    assert page.read_bytes() == render_report("html", summarise(make_features(48, facts), facts), facts)


def test_a_page_is_not_replaced_unasked(output: Path) -> None:
    page = output.with_name("page.html")
    page.write_text("mine")
    done = rsccli("report", output, "-o", page)
    assert done.returncode == 3 and b"--overwrite" in done.stderr
    assert page.read_text() == "mine"
    assert rsccli("report", output, "-o", page, "--overwrite").returncode == 0
    assert page.read_text().startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["none.geojson"], 3, "does not exist"),
        (["out.shp"], 2, ".gpkg"),
        (["out.geojson", "-o", "page.pdf"], 2, ".html, .md or .json"),
        (["out.geojson", "-o", "none/page.html"], 3, "mkdir -p none"),
        (["out.geojson", "--form", "md"], 2, "-o -"),
        (["out.geojson", "-o", "-", "--form", "pdf"], 2, "html, md or json"),
        (["cut.geojson"], 3, "cut.geojson"),
    ],
)
def test_mistakes_say_what_to_type(output: Path, arguments: list[str], code: int, said: str) -> None:
    (output.parent / "cut.geojson").write_bytes(output.read_bytes()[:9000])
    done = rsccli("report", *arguments, cwd=output.parent)
    assert done.returncode == code, done.stderr
    assert said in done.stderr.decode() and done.stdout == b""
    assert b"Traceback" not in done.stderr
    assert not list(output.parent.glob("*.report.*"))

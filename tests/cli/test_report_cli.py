"""``rsccli report`` as a user runs it: stdout, stderr and exit codes are real."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from made_run import make_facts, make_features
from report_pages import installed_chromium

from rsccli.output.report import Pictures, ShownTiles, render_report
from rsccli.output.summary import summarise
from rsccli.output.writers import write_features


def rsccli(*arguments: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[bytes]:
    own = {k: v for k, v in os.environ.items() if not k.startswith("RSCCLI_")}
    return subprocess.run(
        [sys.executable, "-m", "rsccli", *map(str, arguments)],
        cwd=cwd,
        env={**own, "OMP_NUM_THREADS": "1", **environment},
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
    shown = ShownTiles()
    summary = summarise(shown.of(make_features(48, facts)), facts)
    # The inputs that the facts name do not exist: the page goes without pictures, and says so.
    note = re.search(r"The images are not shown\. .*?\.(?=</p>)", page.read_text())
    assert note is not None and "data/long_beach_2016.tif" in note[0]
    pictures = Pictures(notes=(html.unescape(note[0]),))
    assert page.read_bytes() == render_report("html", summary, facts, pictures, shown.strongest())


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
        (["out.geojson", "-o", "page.doc"], 2, ".html, .md, .json or .pdf"),
        (["out.geojson", "-o", "page.html", "--pdf"], 2, "-o page.pdf"),
        (["out.geojson", "--basemap", "https://{s}.example.org/{z}/{x}/{y}.png"], 2, "exactly one host"),
        (["out.geojson", "--mask", "none.tif"], 3, "none.tif"),
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


@pytest.fixture
def chromium() -> str:
    found = installed_chromium()
    if found is None:
        pytest.skip("no Chromium is installed")
    return found


def test_pdf_is_printed_by_an_installed_browser(output: Path, chromium: str) -> None:
    done = rsccli("report", output, "--pdf")
    assert done.returncode == 0, done.stderr
    names = {path.name for path in output.parent.iterdir()}
    assert names == {"out.geojson", "out.report.html", "out.report.md", "out.report.json", "out.report.pdf"}
    content = output.with_name("out.report.pdf").read_bytes()
    assert content.startswith(b"%PDF-") and content.rstrip().endswith(b"%%EOF")
    assert len(re.findall(rb"/Type\s*/Page\b", content)) >= 2


@pytest.mark.slow
def test_one_pdf_by_its_suffix(output: Path, chromium: str) -> None:
    page = output.with_name("page.pdf")
    done = rsccli("report", output, "-o", page, RSCCLI_CHROMIUM=chromium)
    assert done.returncode == 0, done.stderr
    assert page.read_bytes().startswith(b"%PDF-")
    assert {path.name for path in output.parent.iterdir()} == {"out.geojson", "page.pdf"}
    assert rsccli("report", output, "-o", page).returncode == 3, "not replaced unasked"


def test_without_a_browser_the_pdf_is_refused_with_a_way_out(output: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for environment in ({"PATH": str(empty)}, {"RSCCLI_CHROMIUM": "/no/such/browser"}):
        done = rsccli("report", output, "--pdf", **environment)
        assert done.returncode == 3
        assert b"Chromium" in done.stderr and b"Traceback" not in done.stderr
        assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["out.geojson"], "told before any work"


def test_a_browser_that_fails_leaves_no_pdf(output: Path, tmp_path: Path) -> None:
    browser = tmp_path / "broken-browser"
    browser.write_text("#!/bin/sh\necho 'it broke' >&2\nexit 7\n")
    browser.chmod(0o755)
    done = rsccli("report", output, "-o", tmp_path / "page.pdf", RSCCLI_CHROMIUM=str(browser))
    assert done.returncode == 3
    assert b"it broke" in done.stderr and b"exit code 7" in done.stderr
    assert not (tmp_path / "page.pdf").exists() and not list(tmp_path.glob(".*part"))


def test_a_background_map_is_allowed_by_name(output: Path) -> None:
    done = rsccli("report", output, "--basemap", "https://tile.openstreetmap.org/{z}/{x}/{y}.png")
    assert done.returncode == 0, done.stderr
    text = output.with_name("out.report.html").read_text()
    assert "img-src data: https://tile.openstreetmap.org;" in text and "© OpenStreetMap contributors" in text


def test_report_of_a_real_pair_with_its_mask(root: Path, tmp_path: Path) -> None:
    pre, post = (root / "examples" / name for name in ("prairie_2012-07-31.tif", "prairie_2014-07-20.tif"))
    out = tmp_path / "prairie.geojson"
    captioner = f"{root}/tests/captioners.py:BrightnessFactory"
    done = rsccli("caption", pre, post, "-o", out, "-m", captioner, "--no-report", "-q")
    assert done.returncode == 0, done.stderr
    mask = tmp_path / "mask.tif"
    with rasterio.open(pre) as source:
        profile = {"driver": "GTiff", "width": source.width, "height": source.height, "count": 1, "dtype": "uint8"}
        with rasterio.open(mask, "w", crs=source.crs, transform=source.transform, **profile) as target:
            target.write((np.indices(source.shape).sum(axis=0) % 200 < 40).astype(np.uint8), 1)
    done = rsccli("report", out, "--mask", mask)
    assert done.returncode == 0, done.stderr
    text = out.with_name("prairie.report.html").read_text()
    assert "What changed between 31\u00a0July\u00a02012 and 20\u00a0July\u00a02014" in text
    assert text.count('src="data:image/webp;base64,') == 3, "both dates and the mask"
    cards = text.count('<li class="card seen"')
    assert cards > 0 and text.count('src="data:image/jpeg;base64,') == 3 * cards
    assert "The masks are not shown" not in text
    assert len(text) < 2_000_000
    scores = tmp_path / "scores.tif"
    with rasterio.open(mask) as source, rasterio.open(scores, "w", **{**source.profile, "dtype": "float32"}) as target:
        target.write(source.read().astype(np.float32))
    done = rsccli("report", out, "--mask", scores)
    assert done.returncode == 3 and b"not its scores" in done.stderr

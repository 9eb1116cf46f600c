"""What a model, a file name or a tag says stays text: in CSV, Markdown, HTML, XML, and on a terminal."""

from __future__ import annotations

import csv
import html
import io
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_run import make_facts, make_results

from rsccli.cli.terminal import PlainStream, shown
from rsccli.evaluation.records import CaptionRecord, read_captions, write_captions
from rsccli.output.features import build_features
from rsccli.output.formulas import shielded, unshielded
from rsccli.output.readers import read_outputs
from rsccli.output.report import render_report
from rsccli.output.report.markdown import plain_text
from rsccli.output.summary import summarise
from rsccli.output.writers import write_features

LIVE = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "'=1", "''+x", "\uff1d1", '=HYPERLINK("http://x","y")')
TAME = ("a = b", "'tis", "", "1-2", "it's", "a house")
HOSTILE = (
    "<img src=x onerror=alert(1)> [link](http://evil) ![i](http://evil) https://evil www.evil.com `x` | </script>"
    '<script>alert(2)</script> " onmouseover="alert(3)'
)


# ---- spreadsheets ----


@pytest.mark.parametrize("text", LIVE)
def test_a_formula_becomes_a_text(text: str) -> None:
    assert shielded(text) == "'" + text
    assert unshielded(shielded(text)) == text


@given(st.text(st.sampled_from("'=+-@\t\r\n ab\uff1d"), max_size=6))
@settings(max_examples=300, derandomize=True, database=None)
def test_every_text_comes_back(text: str) -> None:
    there = shielded(text)
    assert unshielded(there) == text
    assert not re.match(r"[=+\-@\uff1d\t\r\n]", there)


@pytest.mark.parametrize("text", TAME)
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert shielded(text) == unshielded(text) == text


def test_captions_in_csv_are_no_formulas_and_come_back(tmp_path: Path) -> None:
    facts = make_facts()
    results = list(make_results(len(LIVE), facts))
    told = [
        (replace(record, caption=text, reason=text, keywords=(text,), logprob=-1.5), tile)
        for (record, tile), text in zip(results, LIVE, strict=True)
    ]
    features = list(build_features(told, facts))
    path = tmp_path / "out.csv"
    write_features(path, features, facts)
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(LIVE)
    for row in rows:
        for name in ("id", "caption", "reason", "keywords"):
            assert row[name][:1] == "'" or not re.match(r"[\s]*[=+\-@\uff1d]", row[name])
        assert row["logprob"] == "-1.5"  # a number of ours
    back = list(read_outputs(path)[1])
    assert [feature.caption for feature in back] == [feature.caption for feature in features]
    assert [feature.reason for feature in back] == [feature.reason for feature in features]


def test_tables_of_captions_are_shielded_and_come_back(tmp_path: Path) -> None:
    path = tmp_path / "captions.csv"
    texts = [" ".join(text.split()) for text in LIVE]
    written = [CaptionRecord(key=f"{number}", captions=(text,), where="") for number, text in enumerate(texts)]
    write_captions(path, written)
    cells = [row["caption"] for row in csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))]
    assert all(cell.startswith("'") for cell in cells)
    assert [record.captions for record in read_captions(path).records] == [(text,) for text in texts]


# ---- pages ----


class _Page(HTMLParser):
    """Gathers scripts, attributes and addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.events += [name for name, _ in attrs if name.startswith("on")]
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action", "srcset", "style")]


def _hostile_report(form: str) -> str:
    facts = make_facts()
    facts = replace(
        facts,
        pre=replace(facts.pre, path=HOSTILE, name=HOSTILE, datetime=None),
        post=replace(facts.post, datetime=None),
        model=HOSTILE,
        limits=(HOSTILE,),
        warnings=(HOSTILE,),
    )
    results = [
        (replace(record, caption=HOSTILE, reason=HOSTILE, keywords=(HOSTILE,)), tile)
        for record, tile in make_results(12, facts)
    ]
    features = list(build_features(results, facts))
    return render_report(form, summarise(features, facts), facts).decode()  # type: ignore[arg-type]


def test_a_page_shows_markup_as_text() -> None:
    text = _hostile_report("html")
    page = _Page()
    page.feed(text)
    assert page.events == []
    assert [address for address in page.addresses if "evil" in address or "javascript:" in address] == []
    assert "img" not in page.tags or "onerror" not in text.replace("onerror=alert(1)&gt;", "")
    assert "<script>alert" not in text
    assert "default-src 'none'" in html.unescape(text)


def test_a_markdown_report_has_no_links_of_others() -> None:
    text = _hostile_report("md")
    assert "alert(1)" in text
    for live in ("<img", "<script", "[link]", "![i]", "https://evil", "www.evil"):
        assert live not in text
    # Only what is ours stands in code marks.
    assert "`x`" not in text


@pytest.mark.parametrize("text", ["https://a.b/c", "see www.a.b now", "HTTP://A", "mailto:a@b"])
def test_addresses_in_markdown_are_words(text: str) -> None:
    assert re.search(r"(?i)(https?|mailto)\\:|www\\\.", plain_text(text))
    assert plain_text(text).replace("\\", "") == text


def test_names_of_a_mask_are_text_in_xml() -> None:
    import xml.etree.ElementTree as ET

    from rsccli.run.detect.codes import Legend
    from rsccli.run.detect.rasters import _category_names

    legend = Legend(("a</Category><b>&\x00\x1b[2J",))
    root = ET.fromstring(_category_names(legend))
    assert [each.text for each in root.iter("Category")][1] == "a</Category><b>&\ufffd\ufffd[2J"


# ---- terminals ----


def test_control_characters_are_shown_by_their_codes() -> None:
    assert shown("a\x1b[2Jb\r\x07\x9b1m\u202ec\n\tä房") == "a\\x1b[2Jb\\r\\x07\\x9b1m\\u202ec\n\tä房"
    assert shown("\udcff") == "\\udcff"


def test_a_stream_keeps_what_progress_bars_need() -> None:
    out = io.StringIO()
    stream = PlainStream(out)
    stream.write("\r 50% of \x1b[1mx\r")
    assert out.getvalue() == "\r 50% of \\x1b[1mx\\r"


def _rsccli(*arguments: object) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RSCCLI_")}
    return subprocess.run(
        [sys.executable, "-m", "rsccli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=clean,
    )


def test_messages_cannot_move_the_cursor(tmp_path: Path) -> None:
    done = _rsccli("info", tmp_path / "a\x1b[2J\r\u202eb.tif")
    assert done.returncode == 3
    assert "\\x1b[2J\\r\\u202eb.tif" in done.stderr
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202e]", done.stderr)


def test_a_file_name_is_text_in_every_output(raster_factory: Callable[..., Path], tmp_path: Path) -> None:
    name = "=cmd|' x'!A1 <b>$(touch hacked) \x1b[31m.tif"
    pre = raster_factory(name)
    post = raster_factory("post.tif")
    done = _rsccli("caption", pre, post, "-o", tmp_path / "out.csv", "--allow-same")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stderr
    assert not list(tmp_path.rglob("hacked"))
    page = (tmp_path / "out.report.html").read_text(encoding="utf-8")
    assert "<b>$(touch" not in page and "&lt;b&gt;$(touch" in page
    assert "<b>" not in (tmp_path / "out.report.md").read_text(encoding="utf-8")

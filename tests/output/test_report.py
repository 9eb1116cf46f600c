"""The report: escaped, self-contained, under a strict policy, the same every time."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_run import NASTY, make_facts, make_features

from rsccli.errors import OutputError
from rsccli.output.facts import facts_from_json
from rsccli.output.features import Feature
from rsccli.output.report import FORMS, numbers, render_report, report_paths, write_reports
from rsccli.output.report.thumbnails import data_uri
from rsccli.output.summary import Summary, summarise
from rsccli.types import STATUSES, RunFacts

VOID = {"meta", "img", "br", "hr", "link", "input", "rect"}


class Page(HTMLParser):
    """Tags, attributes and text of a page; fails where tags do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture
def facts() -> RunFacts:
    bad = make_facts()
    return replace(
        bad,
        pre=replace(
            bad.pre, path='/data/<img src=x onerror="alert(1)">.tif', name='<img src=x onerror="alert(1)">.tif'
        ),
        warnings=(*bad.warnings, "</style><script>alert(2)</script>"),
        limits=(*bad.limits, "' onmouseover='alert(3)"),
    )


@pytest.fixture
def features(facts: RunFacts) -> list[Feature]:
    made = make_features(48, facts)
    return [replace(f, keywords=(*f.keywords, "<b>bold</b>")) if f.keywords else f for f in made]


@pytest.fixture
def summary(features: list[Feature], facts: RunFacts) -> Summary:
    return summarise(features, facts)


@pytest.fixture
def thumbnails(summary: Summary) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    random = np.random.default_rng(1)
    pair = (random.integers(0, 255, (3, 64, 64), np.uint8), random.integers(0, 255, (3, 400, 300), np.uint8))
    return {tile.tile_id: pair for tile in summary.ranked[:-1]}


def html(summary: Summary, facts: RunFacts | None, thumbnails: object = None) -> str:
    return render_report("html", summary, facts, thumbnails).decode()


def test_nothing_that_others_wrote_becomes_markup(summary: Summary, facts: RunFacts, thumbnails: object) -> None:
    text = html(summary, facts, thumbnails)
    page = Page(text)
    allowed = (
        "html head meta title style body header main section footer p h1 h2 table caption thead tbody tr th td dl div "
        "dt dd ul ol li strong svg rect figure figcaption img cite span b code a"
    ).split()
    assert {tag for tag, _ in page.tags} <= set(allowed)
    assert not any(name.startswith("on") or name == "style" for _, attrs in page.tags for name in attrs)
    assert {attrs["href"] for attrs in page.all("a")} == {"#warnings"}
    assert NASTY.split("\n")[0] in page.text, "shown as it was written"
    assert '/data/<img src=x onerror="alert(1)">.tif' in page.text
    assert "</style><script>alert(2)</script>" in page.text
    assert "<b>bold</b>" in page.text
    assert "<script" not in text


def test_policy_is_strict_and_holds_for_the_page_itself(summary: Summary, facts: RunFacts, thumbnails: object) -> None:
    text = html(summary, facts, thumbnails)
    page = Page(text)
    metas = [m for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert len(metas) == 1
    policy = dict(part.strip().split(" ", 1) for part in str(metas[0]["content"]).split(";"))
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert policy == {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": f"'sha256-{digest}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert text.index("Content-Security-Policy") < text.index("<style>"), "a policy holds for what follows it"


def test_no_address_leads_out_of_the_page(summary: Summary, facts: RunFacts, thumbnails: object) -> None:
    page = Page(html(summary, facts, thumbnails))
    sources = [attrs["src"] for attrs in page.all("img")]
    assert len(sources) == 2 * (len(summary.ranked) - 1)
    assert all(str(source).startswith("data:image/jpeg;base64,") for source in sources)
    assert not page.all("link") and not page.all("script") and not page.all("iframe")
    style = re.search(r"<style>(.*?)</style>", html(summary, facts), re.DOTALL)
    assert style is not None and "url(" not in style[1] and "@import" not in style[1]


def test_page_can_be_read_without_seeing_it(summary: Summary, facts: RunFacts, thumbnails: object) -> None:
    page = Page(html(summary, facts, thumbnails))
    assert page.all("html")[0]["lang"] == "en"
    assert page.all("title") and len(page.all("h1")) == 1 and page.all("main")
    assert all(attrs.get("alt") for attrs in page.all("img"))
    assert all(attrs.get("scope") in ("col", "row") for attrs in page.all("th"))
    assert all(attrs.get("aria-hidden") == "true" for attrs in page.all("svg"))
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert all(attrs["aria-labelledby"] in ids for attrs in page.all("section"))
    assert '"width=device-width' in html(summary, facts)
    style = html(summary, facts)
    assert "prefers-color-scheme: dark" in style and "@media print" in style


def test_page_says_what_the_summary_says(summary: Summary, facts: RunFacts, thumbnails: object) -> None:
    text = Page(html(summary, facts, thumbnails)).text
    assert "What changed between 1 June 2016 and 17 May 2020" in text.replace("\u00a0", " ")
    assert numbers.area(summary.changed_area_m2) in text
    assert numbers.area(summary.compared_area_m2) in text
    for tile in summary.ranked:
        assert f"[{tile.tile_id}]" in text
    for status, count in summary.by_status:
        assert count and numbers.percent(count / 48) in text, status
    assert "0.50 px" in text and "block 3 is damaged" in text
    assert all(limit in text for limit in facts.limits)
    assert all(warning in text for warning in summary.warnings)


def test_every_status_has_its_colour_in_light_dark_and_print(summary: Summary, facts: RunFacts) -> None:
    text = html(summary, facts)
    for status in STATUSES:
        assert text.count(f"--{status}:") == 3
        assert f".fill-{status} " in text


def test_markdown_keeps_its_own_markup_only(summary: Summary, facts: RunFacts) -> None:
    text = render_report("md", summary, facts).decode()
    assert "<" not in text and "&lt;script&gt;" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    bars = [len(re.findall(r"(?<!\\)\|", row)) for row in rows]
    assert set(bars) <= {3, 4}, "no pipe of a caption or file name opens a column"
    assert sum(line.startswith("#") for line in text.splitlines()) == len(re.findall(r"^#{1,2} ", text, re.M))
    for tile in summary.ranked:
        assert f"[{tile.tile_id}]" in text


@pytest.mark.parametrize("start", ["# heading", "- item", "1. item", "12) item", "+ item", "> quote"])
def test_markdown_texts_cannot_begin_a_block(summary: Summary, facts: RunFacts, start: str) -> None:
    text = render_report("md", replace(summary, limits=(start,)), facts).decode()
    line = next(line for line in text.splitlines() if line.startswith("- ") and start.split()[-1] in line)
    assert not re.match(r"- ([#>+-]|\d+[.)]) ", line)


def test_json_holds_the_facts_and_the_summary(summary: Summary, facts: RunFacts) -> None:
    content = json.loads(render_report("json", summary, facts))
    assert facts_from_json(content["facts"], "x") == facts
    assert content["summary"]["tiles"] == 48
    assert content["summary"]["by_status"] == dict(summary.by_status)
    assert content["summary"]["ranked"][0]["tile_id"] == summary.ranked[0].tile_id
    assert content["summary"]["changed_area_m2"] == summary.changed_area_m2


def test_same_input_same_bytes(summary: Summary, facts: RunFacts, thumbnails: object) -> None:
    for form in FORMS:
        assert render_report(form, summary, facts, thumbnails) == render_report(form, summary, facts, thumbnails)


@pytest.mark.parametrize("form", FORMS)
def test_without_facts_or_features(features: list[Feature], facts: RunFacts, form: str) -> None:
    for case in (summarise(features, None), summarise([], None)):
        assert render_report(form, case, None)
    assert render_report(form, summarise([], facts), facts)
    if form == "html":
        Page(html(summarise([], None), None))
        assert "No tile is called changed" in html(summarise([], facts), facts)


def test_pictures_are_small_and_true() -> None:
    pixels = np.zeros((3, 600, 300), np.uint8)
    pixels[0, :300], pixels[2, 300:] = 200, 200  # red above blue
    coded = base64.b64decode(data_uri(pixels).split(",")[1])
    back = cv2.imdecode(np.frombuffer(coded, np.uint8), cv2.IMREAD_COLOR)
    assert back.shape == (256, 128, 3)
    assert back[64, 64, 2] > 180 > 60 > back[64, 64, 0], "red stays red"
    assert back[200, 64, 0] > 180 > 60 > back[200, 64, 2]
    small = cv2.imdecode(
        np.frombuffer(base64.b64decode(data_uri(pixels[:, :64, :64]).split(",")[1]), np.uint8), cv2.IMREAD_COLOR
    )
    assert small.shape == (64, 64, 3), "never enlarged"


def test_files_beside_the_output(tmp_path: Path, summary: Summary, facts: RunFacts) -> None:
    output = tmp_path / "out.v2.geojson"
    written = write_reports(output, summary, facts)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in written)
    assert {path.name for path in written} == {"out.v2.report.html", "out.v2.report.md", "out.v2.report.json"}
    assert report_paths(output)["html"].read_bytes() == render_report("html", summary, facts)
    with pytest.raises(OutputError, match="cannot write"):
        write_reports(tmp_path / "none" / "out.geojson", summary, facts)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "unknown"),
        (0.0, "0 ha"),
        (85.4, "85 m²"),
        (12_345.0, "1.23 ha"),
        (1_234_567_8.0, "1 234.6 ha"),
        (2.5e9, "250 000 ha"),
    ],
)
def test_areas(value: float | None, text: str) -> None:
    assert _plain(numbers.area(value)) == text


def _plain(text: str) -> str:
    return text.replace("\u202f", " ").replace("\u00a0", " ")


def test_lengths() -> None:
    assert [_plain(numbers.metres(v)) for v in (0.6, 153.6, 999.4, 1280.0, 25_344.0, 2_000_000.0, None)] == [
        "0.6 m",
        "154 m",
        "999 m",
        "1.28 km",
        "25.3 km",
        "2 000 km",
        "unknown",
    ]


def test_dates_and_places() -> None:
    assert _plain(numbers.moment("2016-06-01")) == "1 June 2016"
    assert _plain(numbers.moment("2020-05-17T18:21:09Z")) == "17 May 2020, 18:21 UTC"
    assert _plain(numbers.moment("2020-05-17T23:30:00-05:00")) == "18 May 2020, 04:30 UTC"
    assert numbers.moment("spring 2009") == "spring 2009"
    assert numbers.moment(None) == "unknown date"
    assert numbers.moment("2016") == "2016"
    assert numbers.place((-118.25, 33.5)) == "33.50000° N, 118.25000° W"
    assert numbers.percent(0.00001).startswith("under")

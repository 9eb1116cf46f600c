"""The report: escaped, self-contained, under a strict policy, the same every time. In a browser: test_report_page."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_run import NASTY, make_facts, make_features
from report_pages import flat_pictures, hostile_run, page_bytes

from rsccli.errors import OutputError, UsageProblem
from rsccli.output import numbers
from rsccli.output.facts import facts_from_json
from rsccli.output.features import Feature
from rsccli.output.report import FORMS, render_report, report_paths, write_reports
from rsccli.output.report.basemap import parse_basemap
from rsccli.output.report.pictures import Pictures
from rsccli.output.summary import Summary, summarise
from rsccli.types import STATUSES, RunFacts

VOID = {"meta", "img", "br", "hr", "link", "input"}


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
        if not self._open or self._open[-1] not in ("script", "style"):
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
def pictures(summary: Summary, facts: RunFacts) -> Pictures:
    return flat_pictures(facts.grid, [tile.tile_id for tile in summary.ranked[:-1]], mask=True)


def html(
    summary: Summary, facts: RunFacts | None, pictures: Pictures | None = None, features: Sequence[Feature] = ()
) -> str:
    return render_report("html", summary, facts, pictures, features).decode()


def hashes(text: str, tag: str) -> set[str]:
    """Of every element of a kind that a browser runs or applies."""
    bodies = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    return {f"'sha256-{base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()}'" for body in bodies}


def test_nothing_that_others_wrote_becomes_markup(
    summary: Summary, facts: RunFacts, pictures: Pictures, features: list[Feature]
) -> None:
    text = html(summary, facts, pictures, features)
    page = Page(text)
    allowed = (
        "html head meta title style body header main section footer p h1 h2 h3 table caption thead tbody tr th td dl "
        "div dt dd ul ol li strong svg rect path text figure figcaption img cite span b code a form label input select "
        "option fieldset legend output button aside nav noscript details summary script"
    ).split()
    assert {tag for tag, _ in page.tags} <= set(allowed)
    assert not any(name.startswith("on") or name == "style" for _, attrs in page.tags for name in attrs)
    assert {attrs["href"] for attrs in page.all("a")} == {"#main", "#warnings", "#limits"}
    assert NASTY.split("\n")[0] in page.text, "shown as it was written"
    assert '/data/<img src=x onerror="alert(1)">.tif' in page.text
    assert "</style><script>alert(2)</script>" in page.text
    assert "<b>bold</b>" in page.text
    assert [attrs for attrs in page.all("script") if attrs] == [{"type": "application/json", "id": "data"}]
    assert len(page.all("script")) == 3


def test_block_of_data_holds_every_text_and_ends_no_script() -> None:
    features, facts = hostile_run()
    text = page_bytes(features, facts).decode()
    block = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert block is not None
    assert not set("<>&\u2028\u2029") & set(block[1])
    data = json.loads(block[1])
    told = [None if place < 0 else data["captions"][place] for place in data["tiles"]["caption"]]
    assert dict(zip(data["tiles"]["id"], told, strict=True)) == {f.id: f.caption for f in features}


def test_policy_is_strict_and_holds_for_the_page_itself(
    summary: Summary, facts: RunFacts, pictures: Pictures, features: list[Feature]
) -> None:
    text = html(summary, facts, pictures, features)
    page = Page(text)
    metas = [m for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert len(metas) == 1
    policy = dict(part.strip().split(" ", 1) for part in str(metas[0]["content"]).split(";"))
    assert set(policy.pop("style-src").split()) == hashes(text, "style")
    assert set(policy.pop("script-src").split()) == hashes(text, "script")
    assert policy == {"default-src": "'none'", "img-src": "data:", "base-uri": "'none'", "form-action": "'none'"}
    assert text.index("Content-Security-Policy") < text.index("<style>"), "a policy holds for what follows it"


def test_policy_names_the_one_host_of_a_background_map(
    summary: Summary, facts: RunFacts, features: list[Feature]
) -> None:
    basemap = parse_basemap("https://Tile.example.org:8443/a/{z}/{x}/{y}.png")
    text = render_report("html", summary, facts, None, features, basemap).decode()
    assert "img-src data: https://tile.example.org:8443;" in text
    assert "sees which places this page shows" in text


@pytest.mark.parametrize(
    "url",
    [
        "tile.example.org/{z}/{x}/{y}.png",
        "ftp://example.org/{z}/{x}/{y}.png",
        "https://{s}.example.org/{z}/{x}/{y}.png",
        "https://*.example.org/{z}/{x}/{y}.png",
        "https://user:word@example.org/{z}/{x}/{y}.png",
        "https://example.org;script-src *//{z}/{x}/{y}.png",
        "https://example.org/{z}/{x}.png",
        "https://example.org/{z}/{x}/{y}.png?token={token}",
        'https://example.org/{z}/{x}/{y}.png"><script>',
        "https:///{z}/{x}/{y}.png",
        "",
    ],
)
def test_addresses_of_background_maps_are_checked(url: str) -> None:
    with pytest.raises(UsageProblem, match="--basemap"):
        parse_basemap(url)


def test_no_address_leads_out_of_the_page(
    summary: Summary, facts: RunFacts, pictures: Pictures, features: list[Feature]
) -> None:
    text = html(summary, facts, pictures, features)
    page = Page(text)
    sources = [str(attrs["src"]) for attrs in page.all("img")]
    assert len(sources) == 3 + 3 * (len(summary.ranked) - 1)
    assert all(source.startswith(("data:image/jpeg;base64,", "data:image/webp;base64,")) for source in sources)
    assert not page.all("link") and not page.all("iframe") and not any("src" in attrs for attrs in page.all("script"))
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style is not None and "url(" not in style[1] and "@import" not in style[1]
    assert "sourceMappingURL" not in text
    assert "Volodymyr Agafonkin" in text and "Redistribution and use" in text, "Leaflet's licence goes with it"


def test_page_can_be_read_without_seeing_it(
    summary: Summary, facts: RunFacts, pictures: Pictures, features: list[Feature]
) -> None:
    page = Page(html(summary, facts, pictures, features))
    assert page.all("html")[0]["lang"] == "en"
    assert page.all("title") and len(page.all("h1")) == 1 and page.all("main")
    assert all(attrs.get("alt") for attrs in page.all("img") if "hidden" not in attrs)
    assert all(attrs.get("scope") in ("col", "row") for attrs in page.all("th"))
    for attrs in page.all("svg"):
        assert attrs.get("aria-hidden") == "true" or (attrs.get("role") == "img" and attrs.get("aria-label"))
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert all(attrs["aria-labelledby"] in ids for attrs in page.all("section"))
    assert '"width=device-width' in html(summary, facts)
    style = html(summary, facts)
    assert "prefers-color-scheme: dark" in style and "@media print" in style


def test_page_says_what_the_summary_says(summary: Summary, facts: RunFacts, pictures: Pictures) -> None:
    text = Page(html(summary, facts, pictures)).text
    assert "What changed between 1 June 2016 and 17 May 2020" in text.replace("\u00a0", " ")
    assert numbers.area(summary.changed_area_m2) in text
    assert numbers.area(summary.compared_area_m2) in text
    for tile in summary.ranked:
        assert tile.tile_id in text
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


def test_same_input_same_bytes(summary: Summary, facts: RunFacts, pictures: Pictures, features: list[Feature]) -> None:
    for form in FORMS:
        assert render_report(form, summary, facts, pictures, features) == render_report(
            form, summary, facts, pictures, features
        )


@pytest.mark.parametrize("form", FORMS)
def test_without_facts_or_features(features: list[Feature], facts: RunFacts, form: str) -> None:
    for case in (summarise(features, None), summarise([], None)):
        assert render_report(form, case, None)
    assert render_report(form, summarise(features, None), None, None, features)
    assert render_report(form, summarise([], facts), facts)
    if form == "html":
        Page(html(summarise([], None), None))
        assert "No tile is called changed" in html(summarise([], facts), facts)


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

"""The timeline's page, text, document and map say the same, and nothing that others wrote becomes markup."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_run import NASTY, make_facts, make_features

from rsccli.errors import InputError
from rsccli.output.features import Feature
from rsccli.output.readers import read_outputs
from rsccli.output.summary import summarise
from rsccli.output.timeline.dates import Moment
from rsccli.output.timeline.document import timeline_json
from rsccli.output.timeline.drawing import axis, map_runs
from rsccli.output.timeline.facts import SeriesFacts, SeriesImage
from rsccli.output.timeline.geojson import write_timeline
from rsccli.output.timeline.html import timeline_html
from rsccli.output.timeline.markdown import timeline_markdown
from rsccli.output.timeline.pairs import choose_pairs
from rsccli.output.timeline.summary import SeriesJudge, Timeline, build_timeline

ROWS, COLS = 6, 8
DATES = [Moment(2016, 6, 1), Moment(2016, 12, 1), Moment(2020, 5, 17)]
EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def facts() -> SeriesFacts:
    run = make_facts()
    images = tuple(
        SeriesImage(f"data/{EVIL}{i}.tif", f"{EVIL}{i}.tif", date, "its name") for i, date in enumerate(DATES)
    )
    return SeriesFacts(
        version="0.1.0",
        images=images,
        pairs=choose_pairs(DATES, [date.label for date in DATES], "both"),
        grid=run.grid,
        gsd_m=0.6,
        tile_size=256,
        stride=256,
        rows=ROWS,
        cols=COLS,
        tiles=48,
        model="rsccli-small",
        model_revision="abc",
        limits=("| no # table",),
        warnings=("</style><script>alert(2)</script>",),
    )


def features_of(index: int) -> Iterator[Feature]:
    """Pair 0: a flood in the first row. Pair 1: a made run of every status. Pair 2, around both: no change."""
    made = make_features(48, make_facts())
    for feature in made:
        quiet = replace(feature, status="unchanged", keywords=(), changed_area_m2=0.0)
        changed = replace(
            feature, status="changed", keywords=("flood", "<b>x</b>"), changed_area_m2=1000.0, caption=NASTY
        )
        if index == 0 and feature.tile_row == 0:
            yield changed
        elif index == 1:
            yield replace(feature, keywords=("water loss",)) if feature.status == "changed" else feature
        else:
            yield quiet


@pytest.fixture(scope="module")
def judged(facts: SeriesFacts) -> SeriesJudge:
    return SeriesJudge(facts, features_of)


@pytest.fixture(scope="module")
def timeline(facts: SeriesFacts, judged: SeriesJudge) -> Timeline:
    return build_timeline(facts, judged, [summarise(features_of(index), make_facts()) for index in range(3)])


class Page(HTMLParser):
    """Tags and text of a page; fails where tags do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text, self._open = "", []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_counts(timeline: Timeline) -> None:
    first, second, around = timeline.pairs
    assert (first.changed, first.seasonal, first.undecided) == (8, 8, 0), "flood is not there around both dates"
    assert around.changed == 0 and second.failed == timeline.failed == 13
    assert first.area_per_year_m2 == pytest.approx(8000 / (183 / 365.25), abs=0.01)
    assert [(kind.keyword, kind.tiles, kind.seasonal) for kind in first.kinds] == [("<b>x</b>", 8, 8), ("flood", 8, 8)]
    changed = {f.id for index in (0, 1) for f in features_of(index) if f.status == "changed"}
    assert timeline.ever_changed == len(changed)
    twice = [f.id for f in features_of(1) if f.status == "changed" and f.tile_row == 0]
    assert timeline.more_than_once == len(twice)
    assert [h.tile_id for h in timeline.histories[: len(twice)]] == twice, "most often changed first"


def test_page_is_escaped_and_self_contained(timeline: Timeline, judged: SeriesJudge) -> None:
    text = timeline_html(timeline, judged, linked=True)
    page = Page(text)
    assert not {"script", "img", "iframe", "link", "b"} & {tag for tag, _ in page.tags}
    assert not any(name.startswith("on") or name == "style" for _, attrs in page.tags for name in attrs)
    assert EVIL in page.text and "</style><script>alert(2)</script>" in page.text and "<b>x</b>" in page.text
    assert {attrs["href"] for tag, attrs in page.tags if tag == "a"} == {
        f"{pair.pair.label}.report.html" for pair in timeline.pairs
    }
    assert all(attrs.get("role") == "img" or attrs.get("aria-hidden") == "true" for t, attrs in page.tags if t == "svg")
    assert timeline_html(timeline, judged, linked=True) == text
    assert not [tag for tag, _ in Page(timeline_html(timeline, judged, linked=False)).tags if tag == "a"]


def test_markdown_is_escaped(timeline: Timeline) -> None:
    text = timeline_markdown(timeline)
    assert "<" not in text and "&lt;img" in text
    seasonal = sum(pair.seasonal for pair in timeline.pairs)
    assert seasonal == 8 + timeline.pairs[1].changed, "what the second pair shows is not there around it either"
    assert f"{seasonal} changes of a tile are marked seasonal" in text
    heads = [line for line in text.splitlines() if line.startswith("#")]
    assert len(heads) == 8 and not any("table" in head for head in heads)


def test_document_tells_each_tile(timeline: Timeline) -> None:
    document = json.loads(timeline_json(timeline))
    first = document["tiles"][0]
    assert first["changes"] == 2 and first["pairs"][0]["seasonal"] is True
    assert document["pairs"][0]["season_cannot_be_told"] == 0
    assert document["series"]["images"][0]["date"] == "2016-06-01"


def test_dates_stand_on_their_true_scale(timeline: Timeline) -> None:
    drawn = axis(timeline)
    first, second, third = (tick.x for tick in drawn.ticks)
    assert (second - first) / (third - first) == pytest.approx(183 / 1446, abs=0.005)
    rows = [bar.y for bar in drawn.bars]
    assert rows[0] == rows[1] < rows[2], "pairs that lie side by side share a row"
    assert drawn.bars[0].opacity > drawn.bars[2].opacity


def test_small_maps_cover_every_tile_once(timeline: Timeline, judged: SeriesJudge) -> None:
    for index in range(3):
        runs = map_runs(timeline, judged, index)
        cells = [(run.y, run.x + step) for run in runs for step in range(run.width)]
        assert sorted(cells) == [(row, col) for row in range(ROWS) for col in range(COLS)]
    assert map_runs(timeline, judged, 0)[0].mark == "seasonal" and map_runs(timeline, judged, 0)[0].width == COLS


def test_map_has_the_features_of_all_pairs(facts: SeriesFacts, judged: SeriesJudge, tmp_path: Path) -> None:
    path = tmp_path / "timeline.geojson"
    assert write_timeline(path, facts, judged, features_of) == 3 * 48
    content = json.loads(path.read_bytes())
    assert len(content["features"]) == 144 and len(content["bbox"]) == 4
    assert [p["pair"] for p in content["rsccli_series"]["pairs"]] == [pair.label for pair in facts.pairs]
    own = content["features"][0]["properties"]
    assert own["seasonal"] is True and own["keywords"] == "flood;<b>x</b>" and own["caption"] == NASTY
    write_timeline(tmp_path / "again.geojson", facts, judged, features_of)
    assert (tmp_path / "again.geojson").read_bytes() == path.read_bytes()


def test_a_timeline_is_not_read_as_one_run(facts: SeriesFacts, judged: SeriesJudge, tmp_path: Path) -> None:
    path = tmp_path / "timeline.geojson"
    write_timeline(path, facts, judged, features_of)
    with pytest.raises(InputError, match="holds many pairs"):
        read_outputs(path)
    path.write_text(json.dumps(json.loads(path.read_text()), indent=1))
    with pytest.raises(InputError, match="holds many pairs"):
        read_outputs(path)

"""What the page is made of: the tiles that it holds, their places, its charts, its pictures within their budgets."""

from __future__ import annotations

import base64
import json
import random
from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
from made_run import FIJI, UTM, make_facts, make_features
from report_pages import flat_pictures

from rsccli.output.features import Feature
from rsccli.output.histograms import AreaBin, Spread
from rsccli.output.report import html
from rsccli.output.report.charts import area_chart, area_edge, score_chart
from rsccli.output.report.data import data_block
from rsccli.output.report.encode import mask_uri, overview_uri, tile_uri
from rsccli.output.report.pictures import MaskKind, Overview, Pictures
from rsccli.output.report.places import Places, places
from rsccli.output.report.shown import ShownTiles
from rsccli.output.report.still import still_map
from rsccli.output.report.words import key_figures
from rsccli.output.summary import summarise
from rsccli.types import MapBounds


@pytest.fixture
def features() -> list[Feature]:
    return make_features(48, make_facts())


def corners(found: Places, tile: int) -> list[np.ndarray]:
    """Rings of a tile in metres, as the page's script reads them."""
    return [
        np.cumsum(np.array(ring).reshape(-1, 2), axis=0) * found.step_m + [found.left_m, found.bottom_m]
        for ring in found.rings[tile]
    ]


def decoded(uri: str) -> np.ndarray:
    coded = np.frombuffer(base64.b64decode(uri.split(",")[1]), np.uint8)
    return cv2.imdecode(coded, cv2.IMREAD_UNCHANGED)


def test_places_are_those_of_the_footprints(features: list[Feature]) -> None:
    found = places(features)
    assert found is not None and len(found.rings) == 48
    for tile, feature in enumerate(features):
        (ring,) = corners(found, tile)
        lon = np.degrees(ring[:, 0] / 6_378_137)
        lat = np.degrees(np.arctan(np.sinh(ring[:, 1] / 6_378_137)))
        wanted = np.array(feature.polygons[0][:-1])
        assert len(ring) == len(wanted)
        assert np.abs(np.stack([lon, lat], axis=1) - wanted).max() < 2e-6, "within 0.2 m of ground"


def test_parts_at_the_antimeridian_touch() -> None:
    found = places(make_features(48, make_facts(FIJI)))
    assert found is not None
    cut = [tile for tile in range(48) if len(found.rings[tile]) == 2]
    assert cut
    for tile in cut:
        east, west = corners(found, tile)
        assert east[:, 0].max() == pytest.approx(west[:, 0].min(), abs=found.step_m) or west[
            :, 0
        ].max() == pytest.approx(east[:, 0].min(), abs=found.step_m)
    assert found.bounds.right - found.bounds.left < 50_000


def test_no_places_of_nothing_and_near_a_pole(features: list[Feature]) -> None:
    assert places([]) is None
    ring = ((0.0, 89.0), (1.0, 89.0), (1.0, 89.5), (0.0, 89.0))
    assert places([*features, replace(features[0], polygons=(ring,), bbox=(0.0, 89.0, 1.0, 89.5))]) is None


def test_curved_edges_lose_the_corners_that_nobody_sees(features: list[Feature]) -> None:
    (ring,) = features[0].polygons
    dense = [
        (a[0] + (b[0] - a[0]) * part / 50, a[1] + (b[1] - a[1]) * part / 50)
        for a, b in pairwise(ring)
        for part in range(50)
    ]
    found = places([replace(features[0], polygons=((*dense, dense[0]),))])
    assert found is not None and len(found.rings[0][0]) == 8


def test_the_tiles_that_matter_most_are_kept(features: list[Feature]) -> None:
    many = [replace(f, id=f"{f.id}-{copy}") for f in features for copy in range(3)]
    whole = ShownTiles()
    assert list(whole.of(many)) == many, "every feature passes"
    order = whole.strongest()
    assert len(order) == len(many) == whole.total
    statuses = [f.status for f in order]
    assert statuses == sorted(
        statuses, key=["changed", "unsure", "model_error", "read_error", "unchanged", "skipped", "nodata"].index
    )
    scores = [f.change_score or 0 for f in order if f.status == "changed"]
    assert scores == sorted(scores, reverse=True)
    for seed in range(3):
        shuffled = many.copy()
        random.Random(seed).shuffle(shuffled)
        few = ShownTiles(10)
        assert sum(1 for _ in few.of(shuffled)) == len(many)
        assert few.strongest() == order[:10] and few.total == len(many)


def test_block_stays_in_its_budget_and_says_how_much_it_holds(features: list[Feature]) -> None:
    long = [replace(f, caption=f"{f.id} " + "word " * 200) for f in features]
    summary = summarise(long, make_facts())
    whole = data_block(long, summary, Pictures(), None, 10**6)
    assert whole.tiles == 48 and whole.has_map
    part = data_block(long, summary, Pictures(), None, most_bytes=20_000)
    assert 5 < part.tiles < 48 and len(part.text.encode()) <= 20_000
    assert json.loads(part.text)["tiles"]["id"] == [f.id for f in long[: part.tiles]]
    assert json.loads(part.text)["total"] == 48
    assert data_block(long, summary, Pictures(), None, most_bytes=1).tiles == 1


def test_page_is_never_larger_than_its_budget(features: list[Feature], monkeypatch: pytest.MonkeyPatch) -> None:
    long = [replace(f, caption=f"{f.id} " + "word " * 4000) for f in features]
    summary, pictures = summarise(long, make_facts()), flat_pictures(UTM, [])
    whole = html.render_html(summary, make_facts(), pictures, long)
    monkeypatch.setattr(html, "PAGE_BYTES", html._REST_BYTES + 200_000)
    part = html.render_html(summary, make_facts(), pictures, long)
    assert len(part) < len(whole) - 500_000
    assert "of 48 tiles, those that are most likely changed" in part and "This page holds 48" not in whole


def test_each_different_text_stands_once(features: list[Feature]) -> None:
    same = [replace(f, caption="the scene is the same", keywords=("a", "b"), reason=None) for f in features]
    data = json.loads(data_block(same, summarise(same, make_facts()), Pictures(), None, 10**6).text)
    assert data["captions"] == ["the scene is the same"] and data["words"] == ["a", "b"] and data["reasons"] == []
    assert set(data["tiles"]["caption"]) == {0} and set(data["tiles"]["reason"]) == {-1}


@pytest.mark.parametrize("most_bytes", [2_000, 20_000, 10**7])
def test_overviews_fit_their_budget(most_bytes: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (4, 300, 400), np.uint8)
    pixels[3] = 255
    pixels[3, :100] = 0
    uri = overview_uri(Overview(pixels, MapBounds(0, 0, 1, 1)), most_bytes)
    assert uri.startswith("data:image/webp;base64,")
    assert len(base64.b64decode(uri.split(",")[1])) <= most_bytes
    back = decoded(uri)
    assert back.shape[2] == 4 and back[2, 2, 3] == 0 and back[-2, -2, 3] == 255
    if most_bytes == 10**7:
        assert back.shape == (300, 400, 4)


def test_pictures_of_tiles_are_small_and_true() -> None:
    pixels = np.zeros((3, 800, 400), np.uint8)
    pixels[0, :400], pixels[2, 400:] = 200, 200  # red above blue
    back = decoded(tile_uri(pixels))
    assert back.shape == (384, 192, 3)
    assert back[64, 64, 2] > 180 > 60 > back[64, 64, 0], "red stays red"
    assert back[300, 64, 0] > 180 > 60 > back[300, 64, 2]
    assert decoded(tile_uri(pixels[:, :64, :64])).shape == (64, 64, 3), "never enlarged"


def test_mask_is_shown_in_the_colours_of_its_kinds() -> None:
    post = np.full((3, 90, 90), 120, np.uint8)
    mask = np.zeros((90, 90), np.uint8)
    mask[:30], mask[30:60] = 1, 2
    back = decoded(mask_uri(post, mask, (MaskKind("water", (0, 0, 255)), MaskKind("burn", (255, 0, 0))))).astype(int)
    blue, red, grey = back[10, 40], back[45, 40], back[80, 40]
    assert blue[0] - blue[2] > 100 and red[2] - red[0] > 100 and np.ptp(grey) < 10


def test_scores_are_counted_in_bins(features: list[Feature]) -> None:
    spread = Spread()
    for value in (0.0, 0.0499, 0.05, 0.15, 0.999, 1.0, float("nan")):
        spread.add(replace(features[0], change_score=value))
    spread.add(replace(features[1], status="unsure", change_score=None))
    (counts,) = spread.scores()
    assert counts.status == "changed"
    assert [(i, n) for i, n in enumerate(counts.counts) if n] == [(0, 2), (1, 1), (3, 1), (19, 2)]


def test_areas_are_counted_in_bins_of_one_two_five(features: list[Feature]) -> None:
    spread = Spread()
    for value in (0.0, 1.0, 19.0, 20.0, 49.9, 12_345.0, None, float("inf")):
        spread.add(replace(features[0], changed_area_m2=value))
    bins = spread.areas()
    assert [part for part in bins if part.count] == [
        AreaBin(0, 1, 1),
        AreaBin(1, 2, 1),
        AreaBin(10, 20, 1),
        AreaBin(20, 50, 2),
        AreaBin(10_000, 20_000, 1),
    ]
    assert all(a.high_m2 == b.low_m2 for a, b in pairwise(bins))
    one = Spread()
    one.add(replace(features[0], changed_area_m2=150.0))
    assert len(one.areas()) == 8 and sum(part.count for part in one.areas()) == 1


def test_charts_add_up_to_the_tiles(features: list[Feature]) -> None:
    summary = summarise(features, make_facts())
    scores, areas = score_chart(summary), area_chart(summary)
    assert scores is not None and areas is not None
    for chart, counted in (
        (scores, sum(f.change_score is not None for f in features)),
        (areas, sum(f.status == "changed" for f in features)),
    ):
        highest = max(sum(bar.height for bar in chart.bars if bar.x == x) for x in {bar.x for bar in chart.bars})
        assert highest == pytest.approx(160, abs=0.1)
        assert round(sum(bar.height for bar in chart.bars) / 160 * chart.most) == counted
    assert {name for _, name in scores.legend} == {"changed", "unchanged", "unsure"}
    empty = summarise([], make_facts())
    assert score_chart(empty) is None and area_chart(empty) is None


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0 m²"), (50, "50 m²"), (1000, "0.1 ha"), (20_000, "2 ha"), (2e9, "200 000 ha")]
)
def test_ends_of_bins_are_round(value: float, text: str) -> None:
    assert area_edge(value).replace("\u202f", " ") == text


def test_still_map_outlines_what_is_not_unchanged(features: list[Feature]) -> None:
    shown = ShownTiles()
    list(shown.of(features))
    pictures = flat_pictures(UTM, [])
    assert pictures.post is not None
    drawn = still_map(shown.strongest(), pictures.post.map_bounds)
    assert drawn is not None and drawn.left_out == 0
    wanted = [f.status for f in shown.strongest() if f.status in ("changed", "unsure", "read_error", "model_error")]
    assert [status for status, _ in drawn.outlines] == wanted
    numbers = [float(v) for _, path in drawn.outlines for v in path.replace("M", " ").split("l")[0].split()]
    assert min(numbers) >= -1 and max(numbers[::2]) <= drawn.width + 1 and max(numbers[1::2]) <= drawn.height + 1
    assert still_map([], None) is None
    many = [replace(features[0], id=f"t{i}") for i in range(1600)]
    crowded = still_map(many, None)
    assert crowded is not None and (len(crowded.outlines), crowded.left_out) == (1500, 100)


def test_numbers_at_the_top_leave_out_what_nobody_knows(features: list[Feature]) -> None:
    told = [figure.what for figure in key_figures(summarise(features, make_facts()))]
    assert len(told) == 5 and not any("building" in what for what in told)
    bare = [replace(f, changed_area_m2=None, changed_fraction=None) for f in features if f.status == "unchanged"]
    (only,) = key_figures(summarise(bare, make_facts()))
    assert only.number == "0" and "called changed" in only.what
    counted = key_figures(summarise(features, make_facts()), buildings=1234)
    assert any(figure.number == "1\u202f234" and "building" in figure.what for figure in counted)

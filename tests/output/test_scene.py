"""The scene's paragraph: every number from the features, every sentence with its tiles."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace

import pytest
from made_run import make_facts, make_features

from rsccli.output.features import Feature
from rsccli.output.report import render_report
from rsccli.output.report.areas import scene_notes
from rsccli.output.summary import summarise
from rsccli.types import RunFacts

TILE = re.compile(r"r\d{5}c\d{5}")


@pytest.fixture
def facts() -> RunFacts:
    return make_facts()


@pytest.fixture
def features(facts: RunFacts) -> list[Feature]:
    return make_features(48, facts)


def plain(text: str) -> str:
    return text.replace("\u202f", " ").replace("\u00a0", " ")


def test_every_claim_cites_tiles_and_every_tile_is_what_it_says(facts: RunFacts, features: list[Feature]) -> None:
    summary = summarise(features, facts)
    by_id = {feature.id: feature for feature in features}
    assert len(summary.scene.claims) >= 8
    for claim in summary.scene.claims:
        cited = TILE.findall(claim.text)
        assert cited and set(cited) <= set(claim.tile_ids) <= set(by_id), claim.text
        for keyword in claim.keywords:
            assert all(keyword in by_id[tile].keywords for tile in claim.tile_ids)
        for words, statuses in (
            ("called changed", {"changed"}),
            ("unsure", {"unsure"}),
            ("called unchanged", {"unchanged"}),
            ("could not be read", {"read_error", "model_error"}),
            ("had too little", {"nodata", "skipped"}),
        ):
            if words in claim.text:
                assert {by_id[tile].status for tile in cited} <= statuses, claim.text
    assert summary.scene.paragraph == " ".join(claim.text for claim in summary.scene.claims)


def test_numbers_are_those_of_the_features(facts: RunFacts, features: list[Feature]) -> None:
    summary = summarise(features, facts)
    text = plain(summary.scene.paragraph)
    changed = [f for f in features if f.status == "changed"]
    assert text.startswith(f"Between 1 June 2016 and 17 May 2020, {len(changed)} of 48 tiles are called changed")
    assert f"{sum(f.changed_area_m2 for f in changed) / 10_000:.2f} ha of changed ground" in text
    unsure = sum(f.status == "unsure" for f in features)
    assert f"{unsure} tiles are unsure" in text
    assert f"{summary.failed_total} tiles could not be read or captioned" in text
    for area in summary.change_areas.areas[:3]:
        assert plain(area.sentence).removesuffix(".") in text
    assert f"The largest of {summary.change_areas.total} change areas is A1" in text


def test_the_order_of_features_does_not_matter(facts: RunFacts, features: list[Feature]) -> None:
    whole = summarise(features, facts)
    for seed in range(4):
        shuffled = features.copy()
        random.Random(seed).shuffle(shuffled)
        found = summarise(shuffled, facts)
        assert found.scene == whole.scene and found.change_areas == whole.change_areas


def test_where_nothing_changed_it_says_so(facts: RunFacts, features: list[Feature]) -> None:
    quiet = [f for f in features if f.status == "unchanged"]
    text = plain(summarise(quiet, facts).scene.paragraph)
    assert f"none of {len(quiet)} tiles is called changed [" in text
    assert "change area" not in text


def test_one_tile_is_told_in_the_singular(facts: RunFacts, features: list[Feature]) -> None:
    one = next(f for f in features if f.status == "changed")
    text = plain(summarise([one], facts).scene.paragraph)
    assert "1 of 1 tile is called changed" in text and "in its mask" in text


def test_overlapping_tiles_are_told_as_a_bound(facts: RunFacts, features: list[Feature]) -> None:
    text = plain(summarise(features, replace(facts, stride=128)).scene.paragraph)
    assert "up to 0.86 ha of changed ground in their masks" in text and "% of the" not in text


def test_without_dates_and_facts(features: list[Feature]) -> None:
    undated = [replace(f, pre_datetime=None, post_datetime=None) for f in features]
    text = summarise(undated, None).scene.paragraph
    assert text.startswith("7 of 48 tiles are called changed")
    assert summarise([], None).scene.paragraph == "None of 0 tiles is called changed."


def test_report_holds_paragraph_and_areas(facts: RunFacts, features: list[Feature]) -> None:
    summary = summarise(features, facts)
    text = render_report("md", summary, facts).decode()
    assert "## The scene in short" in text and f"## Change areas ({summary.change_areas.total})" in text
    found = json.loads(render_report("json", summary, facts))["summary"]
    assert found["scene"]["paragraph"] == summary.scene.paragraph
    first = found["change_areas"]["areas"][0]
    assert first["tile_ids"] == list(summary.change_areas.areas[0].tile_ids)
    assert first["geometry"]["type"] in ("Polygon", "MultiPolygon")
    assert found["change_areas"]["total"] == summary.change_areas.total


def test_report_says_whose_words_they_are(facts: RunFacts, features: list[Feature]) -> None:
    summary = summarise(features, facts)
    assert scene_notes(summary.scene) == []
    refused = replace(summary, scene=replace(summary.scene, rejected="The words of <b>X</b> were not used."))
    text = render_report("md", refused, facts).decode()
    assert "The words of &lt;b&gt;X&lt;/b&gt; were not used." in text
    phrased = replace(summary, scene=replace(summary.scene, paragraph="Said.", phrased_by="X 1"))
    assert "Worded by X 1" in render_report("md", phrased, facts).decode()


def test_hostile_keywords_stay_words(facts: RunFacts, features: list[Feature]) -> None:
    nasty = "]. 99 tiles <script>| # x"
    bad = [replace(f, keywords=(nasty,)) if f.keywords else f for f in features]
    text = render_report("md", summarise(bad, facts), facts).decode()
    assert "<script" not in text
    assert all(not line.startswith("# x") for line in text.splitlines())

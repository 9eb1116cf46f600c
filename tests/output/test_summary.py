"""The summary counts what the features say, in any order."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from made_run import UTM, make_facts, make_features

from rsccli.geo.footprint import tile_area_m2
from rsccli.output.features import Feature
from rsccli.output.summary import summarise
from rsccli.types import STATUSES, PxWindow, RunFacts


@pytest.fixture
def facts() -> RunFacts:
    return make_facts()


@pytest.fixture
def features(facts: RunFacts) -> list[Feature]:
    return make_features(48, facts)


def test_counts(facts: RunFacts, features: list[Feature]) -> None:
    summary = summarise(features, facts)
    assert summary.tiles == 48
    assert dict(summary.by_status) == {s: sum(f.status == s for f in features) for s in STATUSES}
    assert sum(dict(summary.by_status).values()) == 48
    changed = [f for f in features if f.status == "changed"]
    assert summary.changed_area_m2 == pytest.approx(sum(f.changed_area_m2 for f in changed))
    assert dict(summary.keywords) == {"house": len(changed), "road,lane": len(changed)}
    assert summary.failed_total == summary.count("read_error") + summary.count("model_error")


def test_the_order_of_features_does_not_matter(facts: RunFacts, features: list[Feature]) -> None:
    odd = [replace(f, changed_area_m2=0.1 * i) for i, f in enumerate(features)]
    whole = summarise(odd, facts)
    for seed in range(5):
        shuffled = odd.copy()
        random.Random(seed).shuffle(shuffled)
        assert summarise(shuffled, facts) == whole


def test_strongest_first_with_ties_settled(facts: RunFacts, features: list[Feature]) -> None:
    base = features[0]
    made = [
        replace(base, id="b", change_score=0.9, changed_area_m2=1.0),
        replace(base, id="a", change_score=0.9, changed_area_m2=1.0),
        replace(base, id="c", change_score=0.9, changed_area_m2=5.0),
        replace(base, id="d", change_score=0.95, changed_area_m2=None),
        replace(base, id="e", change_score=None, changed_area_m2=9.0),
        replace(base, id="f", status="unsure", change_score=0.99),
    ]
    ranked = summarise(made, facts).ranked
    assert [tile.tile_id for tile in ranked] == ["d", "c", "a", "b", "e"]
    many = [replace(base, id=f"t{i:03d}", change_score=i / 100) for i in range(40)]
    assert [tile.tile_id for tile in summarise(many, facts).ranked] == [f"t{i:03d}" for i in range(39, 27, -1)]


def test_where_nothing_changed_the_unsure_ones_are_shown(facts: RunFacts, features: list[Feature]) -> None:
    quiet = [f for f in features if f.status != "changed"]
    ranked = summarise(quiet, facts).ranked
    assert ranked and {tile.status for tile in ranked} == {"unsure"}


def test_failed_tiles_are_listed_by_id(facts: RunFacts, features: list[Feature]) -> None:
    broken = next(f for f in features if f.status == "read_error")
    many = [replace(broken, id=f"t{i:03d}") for i in reversed(range(50))]
    summary = summarise(many, facts)
    assert [tile.tile_id for tile in summary.failed] == [f"t{i:03d}" for i in range(20)]
    assert summary.failed_total == 50
    assert summary.failed[0].reason == "block 3 is damaged"


def test_compared_area_counts_what_both_dates_cover(features: list[Feature]) -> None:
    facts = make_facts()
    whole = tile_area_m2(UTM, PxWindow(0, 0, UTM.width, UTM.height))
    # Every tile fully on the grid valid, the padded ones in their part: all of the grid.
    columns, rows = -(-UTM.width // 256), -(-UTM.height // 256)
    full = []
    for feature in features[: columns * rows]:
        wide = min(256, UTM.width - feature.tile_col * 256)
        high = min(256, UTM.height - feature.tile_row * 256)
        full.append(replace(feature, valid_fraction=wide * high / 256**2))
    assert summarise(full, facts).compared_area_m2 == pytest.approx(whole, rel=1e-6)
    half = [replace(f, valid_fraction=f.valid_fraction / 2) for f in full]
    assert summarise(half, facts).compared_area_m2 == pytest.approx(whole / 2, rel=1e-4)


@pytest.mark.parametrize("change", [{"stride": 128}, {"edge": "shift"}])
def test_overlapping_tiles_do_not_pretend_to_an_area(features: list[Feature], change: dict[str, object]) -> None:
    summary = summarise(features, replace(make_facts(), **change))
    assert summary.compared_area_m2 is None and summary.changed_share is None
    assert any("overlap" in note for note in summary.notes)


def test_warnings_are_gathered(facts: RunFacts, features: list[Feature]) -> None:
    summary = summarise(features[:40], facts)
    assert "long_beach_2016.tif: no nodata value: the mask alone decides" in summary.warnings
    assert "post is 16 bit, pre is 8 bit" in summary.warnings
    assert "The file holds 40 of the 48 tiles of the plan." in summary.warnings
    assert summary.limits == ("sees nothing smaller than a car",)


def test_without_masks_the_area_is_unknown_and_not_nought(facts: RunFacts, features: list[Feature]) -> None:
    bare = [replace(f, changed_area_m2=None, changed_fraction=None) for f in features]
    summary = summarise(bare, facts)
    assert summary.changed_area_m2 is None and summary.unsure_area_m2 is None
    assert any("no masks" in note for note in summary.notes)


def test_without_facts(features: list[Feature]) -> None:
    summary = summarise(features, None)
    assert summary.tiles == 48 and summary.compared_area_m2 is None
    assert summary.model == "rsccli-small" and summary.pre_datetime == "2016-06-01"
    assert "facts of the run are missing" in summary.warnings[0]


def test_of_nothing(facts: RunFacts) -> None:
    summary = summarise([], facts)
    assert summary.tiles == 0 and summary.ranked == () and summary.changed_area_m2 is None
    assert summary.warnings[-1] == "The file holds 0 of the 48 tiles of the plan."

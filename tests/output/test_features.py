"""A feature carries what DESIGN.md lists, and is valid GeoJSON by the geojson library."""

from __future__ import annotations

import json

import geojson
import orjson
import pytest
from made_run import FIJI, make_facts, make_features, make_results

from rsccli.output.features import PROPERTIES, Feature, as_geojson, as_json_dict, build_features, properties
from rsccli.types import STATUSES, RunFacts

DESIGN = (
    "caption status change change_score logprob keywords changed_area_m2 changed_fraction valid_fraction gsd_m "
    "shift_px tile_row tile_col pre_datetime post_datetime model model_revision"
).split()


@pytest.fixture
def facts() -> RunFacts:
    return make_facts()


@pytest.fixture
def features(facts: RunFacts) -> list[Feature]:
    return make_features(48, facts)


def test_every_result_is_a_feature_in_its_order(facts: RunFacts, features: list[Feature]) -> None:
    assert [f.id for f in features] == [record.tile_id for record, _ in make_results(48, facts)]
    assert {f.status for f in features} == set(STATUSES)


def test_properties_are_those_of_the_design_and_flat(features: list[Feature]) -> None:
    assert list(PROPERTIES) == [*DESIGN, "reason"]
    for feature in features:
        values = properties(feature)
        assert list(values) == list(PROPERTIES)
        for name, value in values.items():
            assert value is None or type(value) is PROPERTIES[name]


def test_change_follows_from_the_status(features: list[Feature]) -> None:
    said = {f.status: properties(f)["change"] for f in features}
    assert said == {
        "changed": True,
        "unchanged": False,
        "unsure": None,
        "skipped": None,
        "nodata": None,
        "read_error": None,
        "model_error": None,
    }


def test_keywords_are_joined_and_can_be_split_again(features: list[Feature]) -> None:
    changed = next(f for f in features if f.status == "changed")
    assert changed.keywords == ("house", "road,lane")
    assert properties(changed)["keywords"] == "house;road,lane"


def test_facts_of_the_run_are_on_every_feature(facts: RunFacts, features: list[Feature]) -> None:
    for feature in features:
        assert feature.shift_px == 0.5
        assert (feature.pre_datetime, feature.post_datetime) == ("2016-06-01", "2020-05-17T18:21:09Z")
        assert (feature.model, feature.model_revision, feature.gsd_m) == ("rsccli-small", "abc123", 0.6)


@pytest.mark.parametrize("grid", [None, FIJI])
def test_the_geojson_library_agrees(grid: object) -> None:
    facts = make_facts(grid) if grid else make_facts()
    features = make_features(48, facts)
    for feature in features:
        made = as_geojson(feature)
        assert isinstance(made, geojson.Feature) and made.is_valid
        streamed = orjson.loads(orjson.dumps(as_json_dict(feature)))
        assert streamed == json.loads(geojson.dumps(made)), "all 7 decimals survive"


def test_the_geojson_library_refuses_an_open_ring(features: list[Feature]) -> None:
    from dataclasses import replace

    broken = replace(features[0], polygons=(features[0].polygons[0][:-1],))
    with pytest.raises(ValueError, match="not valid GeoJSON"):
        as_geojson(broken)


def test_building_is_lazy(facts: RunFacts) -> None:
    taken = 0

    def counted():
        nonlocal taken
        for result in make_results(10_000, make_facts(facts.grid, stride=16, tile_size=16)):
            taken += 1
            yield result

    next(build_features(counted(), facts))
    assert taken < 5000

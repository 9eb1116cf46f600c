"""Facts survive JSON exactly."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from made_run import FIJI, make_facts

from rsccli.errors import InputError
from rsccli.output.facts import facts_from_json, facts_to_bytes, facts_to_json
from rsccli.types import Grid, Registration

finite = st.floats(allow_nan=False, allow_infinity=False)


def test_round_trip() -> None:
    for facts in (make_facts(), make_facts(FIJI)):
        assert facts_from_json(orjson.loads(facts_to_bytes(facts)), "x") == facts
        assert facts_from_json(facts_to_json(facts), "x") == facts


@given(
    transform=st.tuples(finite, finite, finite, finite, finite, finite),
    gsd=finite,
    texts=st.lists(st.text(st.characters(codec="utf-8"))),
    shift=st.one_of(st.none(), finite),
)
def test_round_trip_of_any_numbers_and_texts(transform, gsd, texts, shift) -> None:
    facts = replace(
        make_facts(),
        grid=Grid("EPSG:4326", Affine(*transform), 3, 4),
        gsd_m=gsd,
        limits=tuple(texts),
        registration=Registration(shift, shift, None, None, 0, False, reason="few"),
    )
    back = facts_from_json(orjson.loads(facts_to_bytes(facts)), "x")
    assert back == facts
    assert isinstance(back.pre.size_px, tuple) and isinstance(back.limits, tuple)


def test_unknown_members_are_ignored_and_optional_ones_filled() -> None:
    value = facts_to_json(make_facts())
    value["of_a_later_version"] = 1
    value["pre"]["too"] = 2
    del value["warnings"], value["registration"]["applied"]
    back = facts_from_json(value, "x")
    assert back.warnings == () and back.registration.applied is False


@pytest.mark.parametrize("damage", ["pre", "grid", "spec_hash"])
def test_a_missing_member_is_an_error_that_names_the_file(damage: str) -> None:
    value = facts_to_json(make_facts())
    del value[damage]
    with pytest.raises(InputError, match=r"out\.geojson.*rsccli caption"):
        facts_from_json(value, "out.geojson")


@pytest.mark.parametrize("value", [None, 3, "x", [], {"grid": 1}])
def test_nonsense_is_an_error(value: object) -> None:
    with pytest.raises(InputError):
        facts_from_json(value, "out.geojson")

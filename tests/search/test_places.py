"""Filters: a box in degrees, over the antimeridian too, and statuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rsccli.errors import InputError, UsageProblem
from rsccli.search.places import Filter, Places, load_places, make_places
from rsccli.types import STATUSES

BOUNDS = np.array(
    [
        (-10.0, 0.0, -9.0, 1.0),
        (0.0, 0.0, 1.0, 1.0),
        (178.0, 10.0, 179.0, 11.0),
        (179.5, 10.0, -179.5, 11.0),  # over the antimeridian
        (-179.0, 10.0, -178.0, 11.0),
    ]
)


@pytest.fixture
def places() -> Places:
    status = np.array(
        [STATUSES.index(each) for each in ("changed", "unchanged", "changed", "unsure", "nodata")], np.uint8
    )
    caption = np.array([0, 1, 0, 0, -1], np.int32)
    return make_places(BOUNDS, status, caption, np.array([0.2, 0.9, 0.8, np.nan, np.nan]), 2)


def kept(places: Places, wanted: Filter) -> list[int]:
    found = places.allowed(wanted)
    return list(range(5)) if found is None else np.flatnonzero(found).tolist()


@pytest.mark.parametrize(
    ("box", "rows"),
    [
        ((-180, -90, 180, 90), [0, 1, 2, 3, 4]),
        ((-20, -5, 5, 5), [0, 1]),
        ((0.5, 0.5, 0.6, 0.6), [1]),
        ((1, 1, 2, 2), [1]),
        ((1.1, 0, 2, 1), []),
        ((0, 2, 1, 3), []),
        ((179.6, 10, 180, 10.5), [3]),
        ((-180, 10, -179.6, 10.5), [3]),
        ((-180, 10, -178.5, 10.5), [3, 4]),
        ((170, 9, -170, 12), [2, 3, 4]),
        ((179.7, 9, -179.7, 12), [3]),
        ((179.2, 9, -179.2, 12), [3]),
        ((10, 9, -179.0, 12), [2, 3, 4]),
        ((10, -1, -9.5, 12), [0, 2, 3, 4]),
    ],
)
def test_a_box_keeps_what_touches_it(places: Places, box: tuple[float, ...], rows: list[int]) -> None:
    assert kept(places, Filter(box)) == rows  # type: ignore[arg-type]


def test_statuses_and_boxes_go_together(places: Places) -> None:
    assert kept(places, Filter(None, ("changed",))) == [0, 2]
    assert kept(places, Filter(None, ("changed", "unsure"))) == [0, 2, 3]
    assert kept(places, Filter((170, 9, -170, 12), ("changed",))) == [2]
    assert places.allowed(Filter()) is None


def test_tiles_of_a_caption_come_by_their_change(places: Places) -> None:
    assert places.tiles_of(0).tolist() == [2, 0, 3] and places.tiles_of(1).tolist() == [1]
    only = np.array([True, False, False, False, True])
    assert places.captions_in(only).tolist() == [True, False]


def test_places_survive_the_disk(places: Places, tmp_path: Path) -> None:
    places.save(tmp_path)
    again = load_places(tmp_path)
    for name in ("bounds", "status", "caption", "order", "starts"):
        assert np.array_equal(getattr(again, name), getattr(places, name))
    path = tmp_path / "places.npz"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match=r"places\.npz cannot be read"):
        load_places(tmp_path)


@pytest.mark.parametrize(
    "box", [(0, 5, 1, 4), (-200, 0, 0, 1), (0, 0, 181, 1), (0, -91, 1, 0), (0, 0, float("nan"), 1)]
)
def test_a_box_off_the_earth_is_refused(box: tuple[float, ...]) -> None:
    with pytest.raises(UsageProblem, match="--bbox"):
        Filter(box)  # type: ignore[arg-type]


def test_an_unknown_status_is_refused() -> None:
    with pytest.raises(UsageProblem, match="--status burnt: choose from changed"):
        Filter(None, ("burnt",))

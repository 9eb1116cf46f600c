"""Places, dates and splits of NAIP chips."""

from __future__ import annotations

import itertools
import shutil
from collections import Counter
from pathlib import Path

import pytest

from rsccli.datasets.naip import HELD_OUT_CITY, SPLITS, Place, cross_date_pairs, read_places, split_of
from rsccli.errors import InputError


def test_places_hold_their_dates_in_order_with_trees(little_data: Path):
    places = read_places(little_data / "naip")
    assert [place.name for place in places] == ["demo_1", "demo_2", "demo_5", "demo_10"]
    assert all([chip.year for chip in place.chips] == [2016, 2018] for place in places)
    assert all(chip.trees.shape == (6, 2) for place in places for chip in place.chips)


def test_every_fifth_place_and_half_of_one_city_are_for_development_and_its_other_half_for_testing(
    little_data: Path, tmp_path: Path
):
    # No two of them on the same ground.
    for number, source in ((1, 1), (4, 2), (5, 5), (10, 10)):
        shutil.copy(little_data / "naip" / f"demo_2016_{source}.tif", tmp_path / f"{HELD_OUT_CITY}_2016_{number}.tif")
    for number in (1, 2, 5, 10):
        name = f"demo_2016_{number}.tif"
        shutil.copy(little_data / "naip" / name, tmp_path / name)
    splits = {place.name: place.split for place in read_places(tmp_path)}
    numbers = {1: "test", 4: "development", 5: "test", 10: "development"}
    held_out = {f"{HELD_OUT_CITY}_{number}": split for number, split in numbers.items()}
    others = {"demo_1": "train", "demo_2": "train", "demo_5": "development", "demo_10": "development"}
    assert splits == {**others, **held_out}


def test_the_split_follows_from_the_name_alone():
    splits = [split_of(HELD_OUT_CITY, 5), split_of(HELD_OUT_CITY, 6), split_of("demo", 5), split_of("demo", 6)]
    assert splits == ["test", "development", "development", "train"]


def test_pairs_are_two_dates_of_one_place(little_data: Path):
    places = read_places(little_data / "naip")
    names = [name for name, _, _ in cross_date_pairs(places, "train")]
    assert names == ["demo_1:2016-2018", "demo_2:2016-2018"]
    assert not cross_date_pairs(places, "test")


def test_a_training_place_that_touches_a_held_out_one_is_left_out(little_data: Path, tmp_path: Path):
    for year in (2016, 2018):
        for number in (1, 5):
            shutil.copy(little_data / "naip" / f"demo_{year}_{number}.tif", tmp_path / f"demo_{year}_{number}.tif")
        # The same ground once more under a training number.
        shutil.copy(little_data / "naip" / f"demo_{year}_5.tif", tmp_path / f"demo_{year}_6.tif")
    assert [place.number for place in read_places(tmp_path)] == [1, 5]


def test_a_development_place_that_touches_one_for_testing_is_left_out(little_data: Path, tmp_path: Path):
    for number, source in ((1, 1), (2, 1), (4, 2)):
        shutil.copy(little_data / "naip" / f"demo_2016_{source}.tif", tmp_path / f"{HELD_OUT_CITY}_2016_{number}.tif")
    assert [(place.number, place.split) for place in read_places(tmp_path)] == [(1, "test"), (4, "development")]


def test_a_date_on_another_grid_is_left_out(little_data: Path, tmp_path: Path):
    shutil.copy(little_data / "naip" / "demo_2016_1.tif", tmp_path / "demo_2016_1.tif")
    shutil.copy(little_data / "naip" / "demo_2018_2.tif", tmp_path / "demo_2018_1.tif")
    assert [len(place.chips) for place in read_places(tmp_path)] == [1]


def test_a_folder_without_chips_is_an_error(tmp_path: Path):
    with pytest.raises(InputError, match="no NAIP chips"):
        read_places(tmp_path)


@pytest.mark.shared
def test_a_whole_city_and_a_fifth_of_the_others_are_held_out(real_places: list[Place]):
    city = [place for place in real_places if place.city == HELD_OUT_CITY]
    assert {(place.number % 2, place.split) for place in city} == {(0, "development"), (1, "test")}
    assert {place.city for place in real_places if place.split == "test"} == {HELD_OUT_CITY}
    training = [place for place in real_places if place.split == "train"]
    development = [place for place in real_places if place.split == "development" and place.city != HELD_OUT_CITY]
    assert len(training) > 230 and len(development) > 60
    assert all(place.number % 5 for place in training) and not any(place.number % 5 for place in development)
    assert min(Counter(place.split for place in city).values()) >= 40


@pytest.mark.shared
def test_no_place_shares_ground_with_one_of_a_later_split(real_places: list[Place]):
    checked = 0
    for one, other in itertools.permutations(real_places, 2):
        if SPLITS.index(one.split) >= SPLITS.index(other.split) or one.city != other.city:
            continue
        a, b = one.map_bounds, other.map_bounds
        wide, high = min(a.right, b.right) - max(a.left, b.left), min(a.top, b.top) - max(a.bottom, b.bottom)
        assert min(wide, high) < 0.01, (one.name, other.name)
        checked += 1
    assert checked > 3000
    assert len({place.name for place in real_places}) == len(real_places)

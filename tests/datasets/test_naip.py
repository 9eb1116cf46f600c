"""Places, dates and splits of NAIP chips."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rsccli.datasets.naip import HELD_OUT_CITY, Place, cross_date_pairs, read_places
from rsccli.errors import InputError


def test_places_hold_their_dates_in_order_with_trees(little_data: Path):
    places = read_places(little_data / "naip")
    assert [place.name for place in places] == ["demo_1", "demo_2", "demo_5", "demo_10"]
    assert all([chip.year for chip in place.chips] == [2016, 2018] for place in places)
    assert all(chip.trees.shape == (6, 2) for place in places for chip in place.chips)


def test_every_fifth_place_is_for_development_and_one_city_for_testing(little_data: Path, tmp_path: Path):
    shutil.copy(little_data / "naip" / "demo_2016_1.tif", tmp_path / f"{HELD_OUT_CITY}_2016_1.tif")
    for number in (1, 2, 5, 10):
        name = f"demo_2016_{number}.tif"
        shutil.copy(little_data / "naip" / name, tmp_path / name)
    splits = {place.name: place.split for place in read_places(tmp_path)}
    held_out = {"demo_5": "development", "demo_10": "development", f"{HELD_OUT_CITY}_1": "test"}
    assert splits == {"demo_1": "train", "demo_2": "train", **held_out}


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


def test_a_date_on_another_grid_is_left_out(little_data: Path, tmp_path: Path):
    shutil.copy(little_data / "naip" / "demo_2016_1.tif", tmp_path / "demo_2016_1.tif")
    shutil.copy(little_data / "naip" / "demo_2018_2.tif", tmp_path / "demo_2018_1.tif")
    assert [len(place.chips) for place in read_places(tmp_path)] == [1]


def test_a_folder_without_chips_is_an_error(tmp_path: Path):
    with pytest.raises(InputError, match="no NAIP chips"):
        read_places(tmp_path)


@pytest.mark.shared
def test_a_whole_city_and_a_fifth_of_the_others_are_held_out(real_places: list[Place]):
    assert {place.split for place in real_places if place.city == HELD_OUT_CITY} == {"test"}
    assert {place.city for place in real_places if place.split == "test"} == {HELD_OUT_CITY}
    training = [place for place in real_places if place.split == "train"]
    development = [place for place in real_places if place.split == "development"]
    assert len(training) > 230 and len(development) > 60
    assert all(place.number % 5 for place in training) and not any(place.number % 5 for place in development)


@pytest.mark.shared
def test_no_training_place_shares_ground_with_a_held_out_one(real_places: list[Place]):
    training = [place for place in real_places if place.split == "train"]
    held_out = [place for place in real_places if place.split != "train"]
    assert not {place.name for place in training} & {place.name for place in held_out}
    for one in training:
        a = one.map_bounds
        for other in held_out:
            b = other.map_bounds
            wide, high = min(a.right, b.right) - max(a.left, b.left), min(a.top, b.top) - max(a.bottom, b.bottom)
            assert min(wide, high) < 0.01, (one.name, other.name)

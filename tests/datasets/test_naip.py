"""Places, dates and splits of NAIP chips."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rsccli.datasets.naip import cross_date_pairs, read_places
from rsccli.errors import InputError


def test_places_hold_their_dates_in_order_with_trees(little_data: Path):
    places = read_places(little_data / "naip")
    assert [place.name for place in places] == ["demo_1", "demo_2", "demo_5", "demo_10"]
    assert all([chip.year for chip in place.chips] == [2016, 2018] for place in places)
    assert all(chip.trees.shape == (6, 2) for place in places for chip in place.chips)


def test_every_fifth_place_is_held_out(little_data: Path):
    splits = {place.number: place.split for place in read_places(little_data / "naip")}
    assert splits == {1: "train", 2: "train", 5: "development", 10: "test"}


def test_pairs_are_two_dates_of_one_place(little_data: Path):
    names = [name for name, _, _ in cross_date_pairs(read_places(little_data / "naip"), "train")]
    assert names == ["demo_1:2016-2018", "demo_2:2016-2018"]


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
def test_whole_cities_are_held_out(shared: Path):
    places = read_places(shared / "naip")
    assert {place.split for place in places if place.city in ("eureka", "bishop")} == {"test"}
    assert len([place for place in places if place.split == "train"]) > 250

"""Pairs that nobody trained for are told apart from ordinary ones, each with its reason."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from tile_pairs import grey_pair

from rsccli.models.small.domain import cloud_reason, false_colour, grey, look_reason, pixel_reason
from rsccli.models.small.grammar import named_keywords
from rsccli.types import U8

ALL = np.ones((64, 64), bool)


def plain(*levels: int) -> U8:
    """One colour, (3, 64, 64), with a little noise."""
    noise = np.random.default_rng(0).integers(-2, 3, (1, 64, 64))
    return (np.array(levels).reshape(3, 1, 1) + noise).astype(np.uint8)


def test_equal_bands_are_grey_and_dusk_is_not() -> None:
    assert grey(plain(90, 90, 90), ALL)
    assert grey(plain(91, 90, 90), ALL)
    assert not grey(plain(94, 90, 92), ALL)


def test_grey_looks_at_the_pixels_with_data_alone() -> None:
    image = plain(120, 90, 60)
    image[:, :, :48] = 0
    assert grey(image, np.arange(64)[None].repeat(64, 0) < 48)
    assert not grey(image, np.arange(64)[None].repeat(64, 0) >= 48)
    assert not grey(image, np.zeros((64, 64), bool))


@pytest.mark.parametrize(
    ("colour", "false"),
    [((200, 60, 80), True), ((70, 110, 60), False), ((150, 120, 90), False), ((60, 90, 140), False)],
)
def test_magenta_plants_are_false_colour_and_grass_soil_and_water_are_not(colour: tuple[int, ...], false: bool) -> None:
    assert false_colour(plain(*colour), ALL) is false
    assert not false_colour(plain(*colour), np.zeros((64, 64), bool))


def test_a_red_roof_is_no_false_colour() -> None:
    image = plain(110, 110, 90)
    image[:, :16, :16] = plain(200, 60, 70)[:, :16, :16]
    assert not false_colour(image, ALL)


@pytest.mark.shared
def test_real_imagery_in_false_and_in_true_colour(shared: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    paths = sorted((shared / "naip_rgbn").glob("*.tif"))
    assert len(paths) >= 6
    for path in paths:
        with rasterio.open(path) as source:
            red, green, blue, infrared = source.read((1, 2, 3, 4))
        valid = np.ones(red.shape, bool)
        assert false_colour(np.stack([infrared, red, green]), valid), path.name
        assert not false_colour(np.stack([red, green, blue]), valid), path.name
        assert not grey(np.stack([red, green, blue]), valid), path.name
        assert grey(np.stack([red, red, red]), valid), path.name


@pytest.mark.shared
def test_real_chips_of_ordinary_places_are_neither(shared: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    for path in sorted((shared / "naip").glob("*.tif"))[::10]:
        with rasterio.open(path) as source:
            image = source.read((1, 2, 3))
        valid = np.ones(image.shape[1:], bool)
        assert not grey(image, valid) and not false_colour(image, valid), path.name


@pytest.mark.parametrize(
    ("gsd_m", "judged"), [(0.3, True), (1.0, True), (10.0, True), (0.29, False), (10.1, False), (30.0, False)]
)
def test_sampling_outside_of_the_training_data(gsd_m: float, judged: bool) -> None:
    pair = dataclasses.replace(grey_pair(0), gsd_m=gsd_m)
    reason = pixel_reason(pair, (0.3, 10.0))
    assert (reason is None) is judged
    assert judged or (reason is not None and f"{gsd_m:.2g} m per pixel" in reason and "0.3 to 10 m" in reason)
    assert pixel_reason(pair, None) is None


def test_a_reason_names_the_date() -> None:
    pair = grey_pair(0)
    one_band = np.repeat(pair.pre[:1], 3, 0)
    red = np.broadcast_to(np.array([[[200]], [[60]], [[80]]], np.uint8), pair.pre.shape)
    assert "earlier image is grey" in str(pixel_reason(dataclasses.replace(pair, pre=one_band), None))
    assert "later image is grey" in str(pixel_reason(dataclasses.replace(pair, post=one_band), None))
    assert "later image is in false colour" in str(pixel_reason(dataclasses.replace(pair, post=red), None))


def test_looks_beyond_the_limit() -> None:
    assert look_reason((0.5, 0.9), 0.9) is None
    assert "earlier image looks unlike" in str(look_reason((1.2, 1.0), 0.9))
    assert "later image looks unlike" in str(look_reason((0.1, 1.0), 0.9))


def test_no_reason_names_a_change() -> None:
    """A reason stands in the caption, where words are looked for."""
    pair = grey_pair(0)
    red = np.broadcast_to(np.array([[[200]], [[60]], [[80]]], np.uint8), pair.pre.shape)
    one_band = np.repeat(pair.pre[:1], 3, 0)
    reasons = [pixel_reason(dataclasses.replace(pair, post=post), None) for post in (red, one_band)]
    reasons += [pixel_reason(pair, (2.0, 3.0)), look_reason((9.0, 0.0), 1.0), cloud_reason((0.9, 0.1))]
    assert all(reason and not named_keywords(reason) for reason in reasons), reasons


def test_clouds_over_more_than_half() -> None:
    assert cloud_reason((0.5, 0.2)) is None
    assert cloud_reason((0.1, 0.75)) == "clouds hide 75 % of the later image"
    assert cloud_reason((0.9, 0.75)) == "clouds hide 90 % of the earlier image"

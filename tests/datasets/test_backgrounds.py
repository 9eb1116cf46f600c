"""Real pairs under drawn changes: labels hold, crops stay registered, splits stay apart."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from marks import MARK
from rasterio.coords import BoundingBox

from rsccli.datasets.backgrounds import Background, Label, Sources, background, read_labels, read_sources
from rsccli.datasets.naip import GSD_M, HELD_OUT_CITY, Chip, Place
from rsccli.models.small.facts import KEYWORDS

SIDE = 128
CHIP_PX = 256
SEEN = {"changed", "minor", "unchanged", "unclear"}
PATCH = (255, 0, 255)


def drawn(sources: Sources, number: int) -> list[Background]:
    rng = np.random.default_rng(1)
    return [background(sources, rng, SIDE) for _ in range(number)]


def named(pair: str) -> tuple[str, int, list[int]]:
    """City, number and years of a label's pair."""
    place, years = pair.split(":")
    city, number = place.rsplit("_", 1)
    return city, int(number), [int(year) for year in years.split("-")]


@pytest.fixture(scope="module")
def painted(marked: Sources) -> Sources:
    """The marked place with its mark painted in a colour that nothing else has, in the later date."""
    place, first, second = marked.marked[0]
    image = second.image.copy()
    left, top, right, bottom = (round(value) for value in MARK)
    image[top:bottom, left:right] = PATCH
    later = replace(second, image=image)
    place = replace(place, chips=(first, later))
    return replace(marked, places=(place,), prairie=(), marked=((place, first, later),))


def test_the_labels_file_is_well_formed():
    with (resources.files("rsccli.datasets") / "assets" / "naip_labels.csv").open("r", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    labels = read_labels()
    # Every pair once, and in the order of time.
    assert len(rows) == len(labels)
    for pair, label in labels.items():
        _, _, (first, second) = named(pair)
        assert first < second, pair
        assert label.seen in SEEN, pair
        assert set(label.keywords) <= set(KEYWORDS) and len(set(label.keywords)) == len(label.keywords), pair
        assert label.caption, pair
        assert bool(label.boxes) == (label.seen in ("changed", "minor")), pair
        assert not (label.keywords and label.seen == "unchanged"), pair
        for left, top, right, bottom in label.boxes:
            assert 0 <= left < right <= CHIP_PX and 0 <= top < bottom <= CHIP_PX, pair


def test_held_out_pairs_are_labelled_and_both_answers_are_among_them():
    counts: Counter[tuple[str, str]] = Counter()
    for pair, label in read_labels().items():
        city, number, _ = named(pair)
        counts[Place(city, number, (), BoundingBox(0, 0, 1, 1)).split, label.seen] += 1
    for split in ("development", "test"):
        assert sum(number for (held_out, _), number in counts.items() if held_out == split) >= 150, counts
        assert counts[split, "changed"] >= 50 and counts[split, "unchanged"] >= 25, counts
    assert counts["train", "changed"] >= 100, counts


@pytest.mark.shared
def test_every_label_is_of_imagery_that_is_there(shared: Path):
    for pair in read_labels():
        city, number, years = named(pair)
        for year in years:
            assert (shared / "naip" / f"{city}_{year}_{number}.tif").exists(), pair


def test_splits_share_textures_and_nothing_else(little_data: Path, sources: Sources):
    development = read_sources(little_data, "development")
    assert [place.name for place in sources.places] == ["demo_1", "demo_2"] and len(sources.prairie) == 2
    assert [place.name for place in development.places] == ["demo_5", "demo_10"] and development.prairie == ()
    assert np.array_equal(development.textures.soil, sources.textures.soil)
    assert {back.name.split(":")[0] for back in drawn(sources, 80)} == {"demo_1", "demo_2", "prairie"}
    assert {back.name.split(":")[0] for back in drawn(development, 20)} == {"demo_5", "demo_10"}


@pytest.mark.shared
def test_the_held_out_city_is_never_drawn_over(real_places: list[Place], sources: Sources):
    """With the real places and labels, as training reads them."""
    training = tuple(place for place in real_places if place.split == "train")
    labels = read_labels()
    every = replace(sources, places=training, labels=labels, marked=())
    assert not any(back.name.startswith(HELD_OUT_CITY) for back in drawn(every, 150))
    names = {place.name for place in training}
    assert not any(pair.split(":")[0] in names for pair in labels if pair.startswith(HELD_OUT_CITY))


def test_the_same_chance_gives_the_same_crop(sources: Sources):
    for first, second in zip(drawn(sources, 12), drawn(sources, 12), strict=True):
        assert first.name == second.name and first.gsd_m == second.gsd_m
        assert np.array_equal(first.pre, second.pre) and np.array_equal(first.post, second.post)


def test_crops_come_finer_and_coarser_than_the_chip(sources: Sources):
    backs = [back for back in drawn(sources, 200) if back.name.startswith("demo")]
    sizes = [back.gsd_m for back in backs]
    assert min(sizes) < 0.65 * GSD_M and max(sizes) > 1.1 * GSD_M * CHIP_PX / SIDE
    for back in backs:
        assert back.pre.shape == back.post.shape == (SIDE, SIDE, 3) and back.pre.dtype == np.float32
        assert 0 <= back.pre.min() and back.pre.max() <= 255
    assert any(back.same_date for back in backs) and not all(back.same_date for back in backs)


def test_trees_stand_where_the_crop_shows_them(sources: Sources):
    checked = 0
    for back in drawn(sources, 60):
        inside = back.trees[((back.trees > 1) & (back.trees < SIDE - 1)).all(1)].astype(int)
        for x, y in inside:
            # Crowns of the little data are far darker than its fields.
            assert back.post[y, x].mean() < 70, back.name
            checked += 1
    assert checked > 60


def test_a_mark_is_doubtful_ground_in_both_orders_of_time(painted: Sources):
    orders = set()
    for back in drawn(painted, 150):
        shown = back.pre if back.name.endswith("2018-2016") else back.post
        there = (np.abs(shown - np.array(PATCH)) < 30).all(2)
        if back.same_date:
            assert back.doubtful is None and not back.changed
            continue
        if there.sum() < 10:
            continue
        orders.add(back.name)
        assert back.doubtful is not None and back.doubtful[there].all(), back.gsd_m
        # Three pixels of the chip around the mark, and rounding.
        margin = 2 * 5 * GSD_M / back.gsd_m + 4
        assert back.doubtful.sum() < there.sum() + 4 * margin * SIDE
    assert len(orders) == 2


def test_a_crop_that_holds_a_marked_change_is_a_positive_of_its_keyword(painted: Sources):
    answers = set()
    for back in drawn(painted, 200):
        if back.same_date or back.name.endswith("2018-2016"):
            assert not back.changed
            continue
        there = (np.abs(back.post - np.array(PATCH)) < 30).all(2)
        left, _, right, _ = MARK
        share = there.sum() * (back.gsd_m / GSD_M) ** 2 / (right - left) ** 2
        if back.changed:
            assert back.keywords == ("new building",)
            assert share > 0.5 and back.doubtful is not None, back.gsd_m
        else:
            # A mirrored view may show the mark more than once, each in part.
            assert share < 0.7 or back.gsd_m > GSD_M * CHIP_PX / SIDE / 2, back.gsd_m
        answers.add(back.changed)
    assert answers == {True, False}


def test_a_view_wider_than_the_chip_still_knows_its_mark(painted: Sources):
    name = next(iter(painted.labels))
    corner = Label("changed", ("new building",), ((10.0, 10.0, 60.0, 60.0),))
    # From three quarters of the mirrored chip on, every crop holds the whole chip's upper left.
    backs = drawn(replace(painted, labels={name: corner}), 500)
    wide = [back for back in backs if back.name == name and back.gsd_m > 0.76 * 2 * CHIP_PX * GSD_M / SIDE]
    assert len(wide) >= 3
    assert all(back.changed for back in wide)


def test_a_change_of_several_kinds_in_several_places_has_no_certain_keyword(painted: Sources):
    name = next(iter(painted.labels))
    several = Label("changed", ("new building", "tree loss"), (MARK, (10.0, 10.0, 40.0, 40.0)))
    backs = drawn(replace(painted, labels={name: several}), 200)
    changed = [back for back in backs if back.changed]
    assert {back.keywords for back in changed} == {None, ("new building", "tree loss")}


@pytest.mark.parametrize("seen", ["minor", "unclear"])
def test_what_is_not_called_changed_is_doubtful_alone(painted: Sources, seen: str):
    name = next(iter(painted.labels))
    backs = drawn(replace(painted, labels={name: Label(seen, ("new building",), (MARK,))}), 40)
    assert not any(back.changed for back in backs)
    assert any(back.doubtful is not None for back in backs)


def test_marked_pairs_come_up_in_training_as_often_as_asked(sources: Sources):
    place = sources.places[0]
    rare = Place("rare", 1, tuple(Chip(chip.year, chip.image, chip.trees) for chip in place.chips), place.map_bounds)
    first, second = rare.chips
    labels = {"rare_1:2016-2018": Label("changed", ("new building",), (MARK,))}
    often = replace(sources, places=(place,), labels=labels, marked=((rare, first, second),), real_share=0.5)
    backs = [back for back in drawn(often, 100) if back.name.startswith("rare")]
    assert 30 <= len(backs) <= 60
    # A crop finer than the mark shows a part of it, which is doubtful ground.
    assert all(back.name == "rare_1:2016-2018" and back.doubtful is not None for back in backs)
    assert sum(back.changed for back in backs) > len(backs) / 2
    # A development set is drawn over its places evenly.
    for none in (replace(often, prairie=()), replace(often, real_share=0.0)):
        assert not any(back.name.startswith("rare") for back in drawn(none, 60))


def test_prairie_labels_lie_on_water_that_changed(sources: Sources):
    backs = [back for back in drawn(sources, 200) if back.name.startswith("prairie")]
    grown = [back for back in backs if back.real.get("water gain") is not None and back.real["water gain"].sum() > 40]
    assert grown
    for back in backs:
        assert 2.9 < back.gsd_m < 10.1 and back.water is not None
        assert not (back.same_date and back.real)
    for back in grown:
        wet = back.real["water gain"]
        # Ponds of the little prairie are dark and none of its fields is as dark.
        assert back.post[wet].mean() < back.pre[wet].mean() - 15

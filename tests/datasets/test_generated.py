"""Generated pairs: repeatable, true to their labels, and balanced."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from rsccli.datasets.canvas import Stage
from rsccli.datasets.generated import FINE, REVERSED, TWINS, GeneratedPair, Sources, _twin, generate
from rsccli.datasets.grammar import named_keywords
from rsccli.datasets.surfaces import without_trees
from rsccli.models.small.facts import KEYWORDS, mask_facts

NUMBER = 160


@pytest.fixture(scope="module")
def pairs(sources: Sources) -> list[GeneratedPair]:
    return [generate(sources, 5, index) for index in range(NUMBER)]


@pytest.fixture
def stage(sources: Sources) -> Stage:
    return Stage(0.8, (0.6, 0.8), np.ones(3, np.float32), sources.textures)


def test_the_same_call_gives_the_same_pair_and_another_index_another(sources: Sources):
    first, again, other = generate(sources, 5, 7), generate(sources, 5, 7), generate(sources, 5, 8)
    assert np.array_equal(first.pre, again.pre) and np.array_equal(first.post, again.post)
    assert first.caption == again.caption
    assert not np.array_equal(first.pre, other.pre)
    assert not np.array_equal(first.pre, generate(sources, 6, 7).pre)


@pytest.mark.parametrize("side", [64, 128, 256])
def test_shapes_follow_the_side(sources: Sources, side: int):
    pair = generate(sources, 1, 0, side)
    assert pair.pre.shape == pair.post.shape == (3, side, side) and pair.mask.shape == (side, side)
    assert pair.pre.dtype == np.uint8


def test_flag_mask_and_caption_agree(pairs: list[GeneratedPair]):
    for pair in pairs:
        assert pair.mask.any() == bool(pair.facts.keywords)
        assert np.array_equal(pair.layers > 0, pair.mask)
        assert {index + 1 for index in pair.facts.keywords} <= set(pair.layers.flat)
        assert (pair.facts.status == 2) == pair.mask.any()
        assert named_keywords(pair.caption) == {KEYWORDS[index] for index in pair.facts.keywords}


def test_extent_and_place_are_those_of_the_mask(pairs: list[GeneratedPair]):
    for pair in pairs:
        if pair.mask.any():
            cells = pair.mask.reshape(32, 4, 32, 4).mean((1, 3)) >= 0.5
            assert (pair.facts.extent, pair.facts.place) == mask_facts(cells, np.ones_like(cells))


def test_both_answers_and_most_kinds_come_up(pairs: list[GeneratedPair]):
    changed = sum(pair.facts.status == 2 for pair in pairs)
    assert 0.4 < changed / NUMBER < 0.75
    seen = Counter(KEYWORDS[index] for pair in pairs for index in pair.facts.keywords)
    assert len(seen) >= 14, seen


def test_masked_ground_differs_more_than_the_rest(pairs: list[GeneratedPair]):
    inside, outside = [], []
    for pair in pairs:
        if 0.02 < pair.mask.mean() < 0.5:
            difference = np.abs(pair.pre.astype(float) - pair.post.astype(float)).mean(0)
            inside.append(difference[pair.mask].mean())
            outside.append(difference[~pair.mask].mean())
    assert np.mean(inside) > 1.3 * np.mean(outside)


@pytest.mark.parametrize("kind", sorted(FINE))
def test_every_renderer_changes_pixels_where_its_mask_says(kind: str, stage: Stage):
    image = np.full((128, 128, 3), 120, np.float32) + np.random.default_rng(0).normal(0, 9, (128, 128, 1))
    drawn = FINE[kind](image.astype(np.float32), np.random.default_rng(3), stage)
    assert drawn.keyword in KEYWORDS and drawn.count >= 1
    assert drawn.image.shape == image.shape and np.isfinite(drawn.image).all()
    assert drawn.image.min() > -60 and drawn.image.max() < 330
    assert drawn.mask.any()
    assert np.abs(drawn.image - image)[drawn.mask].mean() > 5


@pytest.mark.parametrize("kind", TWINS)
def test_what_is_drawn_on_both_dates_has_one_shape(kind: str, stage: Stage):
    rng = np.random.default_rng(1)
    dark, bright = np.full((96, 96, 3), 70, np.float32), np.full((96, 96, 3), 160, np.float32)
    first, second = _twin(FINE[kind], dark, bright, rng, stage)
    assert np.array_equal(first.mask, second.mask)


def test_reversing_twice_leads_back_for_plants_and_trees():
    for keyword in ("greener vegetation", "drier vegetation", "new trees", "tree loss"):
        assert REVERSED[REVERSED[keyword]] == keyword
    assert set(REVERSED.values()) <= set(KEYWORDS)


def test_real_trees_are_taken_out_where_they_stand(stage: Stage):
    image = np.full((96, 96, 3), 130, np.float32)
    points = np.array([[20, 20], [30, 24], [25, 34], [80, 80]], np.float32)
    for x, y in points.astype(int):
        image[y - 4 : y + 5, x - 4 : x + 5] = 40
    drawn = without_trees(image, np.random.default_rng(0), stage, points)
    assert drawn is not None and drawn.keyword == "tree loss"
    assert drawn.image[drawn.mask].mean() > 60
    assert without_trees(image, np.random.default_rng(0), stage, points[:2]) is None

"""Generated pairs: repeatable, true to their labels, and balanced."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace

import numpy as np
import numpy.typing as npt
import pytest
from small_stage import make_stage, suburb

from rsccli.datasets import buildings, facilities, ground, plants, water
from rsccli.datasets.backgrounds import Sources
from rsccli.datasets.canvas import F32, Rendered
from rsccli.datasets.generated import (
    COARSE_FROM_M,
    KINDS,
    MASK_STRIDE,
    SMALLEST_FRACTION,
    GeneratedPair,
    generate,
    reversed_in_time,
    turned,
    usable,
)
from rsccli.models.small.facts import (
    CHANGED,
    COUNTED,
    KEYWORDS,
    MAX_KEYWORDS,
    REVERSED,
    UNCHANGED,
    Facts,
    Finding,
    mask_facts,
)
from rsccli.models.small.grammar import named_keywords
from rsccli.types import Bool

NUMBER = 110
SIDE = 64
TABLES = (buildings.KINDS, facilities.KINDS, ground.KINDS, plants.KINDS, water.KINDS)


@pytest.fixture(scope="module")
def pairs(sources: Sources) -> list[GeneratedPair]:
    return [generate(sources, 5, index) for index in range(NUMBER)]


@pytest.fixture(scope="module")
def marked_pairs(marked: Sources) -> list[GeneratedPair]:
    return [generate(replace(marked, prairie=()), 3, index) for index in range(50)]


def hidden(pair: GeneratedPair) -> Bool:
    return np.asarray(~pair.valid | pair.cloud.any(0))


def named(indices: tuple[int, ...]) -> set[str]:
    return {KEYWORDS[index] for index in indices}


def made(*, keyword: str = "new trees", known: bool = True) -> GeneratedPair:
    """A pair by hand: one corner changed, another hidden, a third doubtful, each also readable from the pixels."""
    pre = np.arange(3 * SIDE * SIDE, dtype=np.uint32).reshape(3, SIDE, SIDE).astype(np.uint8)
    mask, valid, doubtful = (np.zeros((SIDE, SIDE), bool) for _ in range(3))
    mask[4:20, 8:16], valid[:, 50:], doubtful[40:44, 2:30] = True, True, True
    cloud = np.zeros((2, SIDE, SIDE), bool)
    cloud[1, 30:38, 30:44] = True
    post = np.stack([np.where(mask, 200, 7), np.where(valid, 11, 3), np.where(cloud[1], 250, 1)]).astype(np.uint8)
    index = KEYWORDS.index(keyword)
    layers = mask.astype(np.uint8) * np.uint8(index + 1)
    facts = Facts(CHANGED, (Finding(index),))
    keywords = (index,) if known else None
    return GeneratedPair(
        pre, post, 0.6, ~valid, cloud, mask, ~doubtful, layers, True, keywords, facts, "text", "demo_1:2016-2018"
    )


def test_the_same_call_gives_the_same_pair_and_another_another(sources: Sources):
    first, again, other = generate(sources, 5, 7), generate(sources, 5, 7), generate(sources, 5, 8)
    for field in fields(GeneratedPair):
        assert np.array_equal(getattr(first, field.name), getattr(again, field.name)), field.name
    assert not np.array_equal(first.pre, other.pre)
    assert not np.array_equal(first.pre, generate(sources, 6, 7).pre)


@pytest.mark.parametrize("side", [64, 128, 256])
def test_shapes_follow_the_side(sources: Sources, side: int):
    for index in range(4):
        pair = generate(sources, 1, index, side)
        assert pair.pre.shape == pair.post.shape == (3, side, side)
        assert pair.cloud.shape == (2, side, side)
        assert {mask.shape for mask in (pair.valid, pair.mask, pair.known, pair.layers)} == {(side, side)}
        assert {array.dtype.name for array in (pair.pre, pair.post, pair.layers)} == {"uint8"}
        assert {array.dtype.name for array in (pair.valid, pair.cloud, pair.mask, pair.known)} == {"bool"}
        assert 0.2 < pair.gsd_m < 10.1


def test_unchanged_pairs_have_no_mask_and_no_keyword(pairs: list[GeneratedPair]):
    unchanged = [pair for pair in pairs if pair.changed is False]
    assert len(unchanged) > 30
    for pair in unchanged:
        assert not pair.mask.any() and not pair.layers.any()
        assert pair.keywords == () and pair.facts == Facts(UNCHANGED)
        assert pair.known.all()
        assert not named_keywords(pair.caption)


def test_flag_layers_facts_and_caption_agree(pairs: list[GeneratedPair]):
    for pair in pairs:
        present = {KEYWORDS[int(layer) - 1] for layer in np.unique(pair.layers[pair.mask])}
        assert np.array_equal(pair.layers > 0, pair.mask)
        assert (pair.changed is True) == pair.mask.any()
        assert (pair.facts.status == CHANGED) == pair.mask.any()
        if pair.keywords is not None:
            assert named(pair.keywords) == present
        assert named(pair.facts.keywords) <= present
        assert len(pair.facts.findings) == min(MAX_KEYWORDS, len(present))
        assert named_keywords(pair.caption) == named(pair.facts.keywords)


def test_extent_place_and_number_are_those_of_the_layer(pairs: list[GeneratedPair]):
    checked = 0
    for pair in pairs:
        assert all((f.count > 0) <= (KEYWORDS[f.keyword] in COUNTED) for f in pair.facts.findings if f.keyword)
        rows = (pair.mask.shape[0] // MASK_STRIDE, MASK_STRIDE) * 2
        data = pair.valid.reshape(rows).mean((1, 3)) >= 0.5
        for finding in pair.facts.findings:
            assert finding.keyword is not None
            cells = (pair.layers == finding.keyword + 1).reshape(rows).mean((1, 3)) >= 0.5
            if cells.any():
                assert (finding.extent, finding.place) == mask_facts(cells, data)
                checked += 1
    assert checked > 40


def test_cloud_and_missing_data_hide_what_changed(pairs: list[GeneratedPair]):
    assert any(pair.cloud.any() for pair in pairs) and any(not pair.valid.all() for pair in pairs)
    for pair in pairs:
        assert not (pair.mask & hidden(pair)).any()
        assert not pair.pre[:, ~pair.valid].any() and not pair.post[:, ~pair.valid].any()
        for key in np.unique(pair.layers[pair.mask]):
            assert (pair.layers == key).mean() > SMALLEST_FRACTION / 2


def test_what_is_drawn_and_then_all_but_hidden_is_neither_a_change_nor_none(sources: Sources):
    drawn = (generate(sources, 9, index, SIDE) for index in range(400))
    unknown = next(pair for pair in drawn if pair.changed is None)
    assert unknown.keywords is None and not unknown.mask.any() and unknown.facts.status == UNCHANGED


def test_both_answers_and_most_kinds_come_up(pairs: list[GeneratedPair]):
    changed = sum(pair.changed is True for pair in pairs)
    assert 0.4 < changed / NUMBER < 0.75
    seen = Counter(name for pair in pairs for name in named(pair.keywords or ()))
    assert len(seen) >= 14, seen


def test_masked_ground_differs_more_than_the_rest(pairs: list[GeneratedPair]):
    inside, outside = [], []
    for pair in pairs:
        if 0.02 < pair.mask.mean() < 0.5:
            difference = np.abs(pair.pre.astype(float) - pair.post.astype(float)).mean(0)
            shown = ~hidden(pair)
            inside.append(difference[pair.mask].mean())
            outside.append(difference[shown & ~pair.mask].mean())
    assert np.mean(inside) > 1.3 * np.mean(outside)


def test_where_a_person_marked_change_no_negative_is_asked(marked_pairs: list[GeneratedPair]):
    building = KEYWORDS.index("new building")
    doubtful = [pair for pair in marked_pairs if not pair.known.all()]
    real = 0
    for pair in doubtful:
        assert pair.changed is not False
        assert not (pair.mask & ~pair.known).any()
        if pair.mask.any() or pair.keywords is None:
            # Nobody knows whether what is drawn is alone there.
            assert pair.keywords is None
            continue
        real += 1
        # The outline is not known, so nothing is asked of the marked ground, and the rest did not change.
        assert pair.changed is True and pair.keywords == (building,)
        assert pair.facts.status == CHANGED and pair.facts.keywords == (building,)
        assert named_keywords(pair.caption) == {"new building"}
        rows = (pair.known.shape[0] // MASK_STRIDE, MASK_STRIDE) * 2
        cells, data = (mask.reshape(rows).mean((1, 3)) >= 0.5 for mask in (~pair.known & pair.valid, pair.valid))
        assert (pair.facts.findings[0].extent, pair.facts.findings[0].place) == mask_facts(cells, data)
    assert 8 < real < len(doubtful) and len(doubtful) < len(marked_pairs)


def test_no_table_hides_a_kind_of_another():
    assert len(KINDS) == sum(len(table) for table in TABLES)
    for name, kind in KINDS.items():
        assert (kind.render is None) != (kind.render_pair is None), name
        assert kind.weight > 0 and (kind.fine or kind.coarse), name


@pytest.mark.parametrize("gsd_m", [0.6, 6.0])
def test_a_kind_is_usable_where_its_table_says(gsd_m: float):
    names = {name for name, kind in KINDS.items() if (kind.coarse if gsd_m > COARSE_FROM_M else kind.fine)}
    assert set(usable(gsd_m)) == names and len(names) > 20


def draw(name: str, gsd_m: float, scene: F32, seed: int) -> tuple[F32, Rendered]:
    """Earlier date and what is drawn into the later one."""
    stage, rng = make_stage(gsd_m), np.random.default_rng(seed)
    kind = KINDS[name]
    if kind.render is not None:
        return scene, kind.render(scene.copy(), rng, stage)
    assert kind.render_pair is not None
    before, after, drawn = kind.render_pair(scene.copy(), scene.copy(), rng, stage)
    assert np.array_equal(after, drawn.image)
    return before, drawn


@pytest.mark.parametrize("gsd_m", [0.5, 6.0])
@pytest.mark.parametrize("name", KINDS)
def test_every_kind_changes_pixels_where_its_mask_says(name: str, gsd_m: float):
    if name not in usable(gsd_m):
        # Not to be drawn there; that this test is about the others is checked above.
        return
    told = 0
    for side, seeds in ((128, (0, 1)), (256, (2,))):
        scene = np.tile(suburb(), (side // 128, side // 128, 1))
        for seed in seeds:
            before, drawn = draw(name, gsd_m, scene, seed)
            assert drawn.keyword in KEYWORDS and drawn.count >= 0
            assert drawn.image.shape == (side, side, 3) and drawn.image.dtype == np.float32
            assert np.isfinite(drawn.image).all() and drawn.image.min() > -1 and drawn.image.max() < 256
            assert drawn.mask.shape == (side, side) and drawn.mask.dtype == bool
            difference = np.abs(drawn.image - before).mean(2)
            inside = difference[drawn.mask].mean() if drawn.mask.any() else 0.0
            # A flood comes with a duller sky, which changes everything a little.
            dulled = drawn.keyword == "flood"
            outside = 0.0 if dulled or drawn.mask.all() else difference[~drawn.mask].mean()
            told += inside > max(4.0, 2.0 * outside)
    assert told >= 2


def test_every_keyword_can_come_up():
    drawn = {draw(name, 0.5 if kind.fine else 6.0, suburb(), 0)[1].keyword for name, kind in KINDS.items()}
    assert drawn | {REVERSED[name] for name in drawn if name in REVERSED} == set(KEYWORDS)


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.twin and kind.render is not None])
def test_what_is_drawn_on_both_dates_has_one_shape(name: str):
    kind = KINDS[name]
    assert kind.render is not None
    stage = make_stage(0.5 if kind.fine else 6.0)
    scene = suburb()
    dark, bright = scene * np.float32(0.6), np.clip(scene * np.float32(1.1), 0, 255)
    first, second = (kind.render(image, np.random.default_rng(4), stage) for image in (dark, bright))
    assert np.array_equal(first.mask, second.mask)


def test_what_a_change_is_called_backwards_is_a_keyword():
    for keyword in ("greener vegetation", "drier vegetation", "new trees", "tree loss", "snow", "new road"):
        assert REVERSED[REVERSED[keyword]] == keyword
    assert set(REVERSED) | set(REVERSED.values()) <= set(KEYWORDS)


def test_reversing_swaps_dates_clouds_and_keywords():
    pair = made(keyword="new trees")
    back = reversed_in_time(pair)
    assert back is not None
    assert np.array_equal(back.pre, pair.post) and np.array_equal(back.post, pair.pre)
    assert np.array_equal(back.cloud[0], pair.cloud[1]) and np.array_equal(back.cloud[1], pair.cloud[0])
    assert back.keywords == (KEYWORDS.index("tree loss"),) and back.changed
    assert set(back.layers[pair.mask].tolist()) == {KEYWORDS.index("tree loss") + 1}
    assert not back.layers[~pair.mask].any()
    assert np.array_equal(back.mask, pair.mask) and np.array_equal(back.known, pair.known)


def test_a_pair_that_cannot_be_reversed_is_not():
    assert reversed_in_time(made(keyword="solar panels")) is None
    # Nobody knows what changed there, so nobody knows what it is called backwards.
    assert reversed_in_time(made(known=False)) is None


def test_generated_pairs_reverse_by_the_table(pairs: list[GeneratedPair]):
    both = [(pair, back) for pair in pairs if (back := reversed_in_time(pair)) is not None]
    assert len(both) > 0.5 * NUMBER
    assert any(pair.changed for pair, _ in both)
    for pair, back in both:
        assert back.changed == pair.changed
        for layer in np.unique(pair.layers[pair.mask]):
            there = np.unique(back.layers[pair.layers == layer])
            assert [KEYWORDS[int(value) - 1] for value in there] == [REVERSED[KEYWORDS[int(layer) - 1]]]
        if pair.keywords is not None and back.keywords is not None:
            assert named(back.keywords) == {REVERSED[name] for name in named(pair.keywords)}


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_turning_keeps_every_mask_on_its_pixels(turns: int, flip: bool):
    pair = made()
    moved = turned(pair, turns, flip)
    assert np.array_equal(moved.mask, moved.post[0] == 200)
    assert np.array_equal(~moved.valid, moved.post[1] == 11)
    assert np.array_equal(moved.cloud[1], moved.post[2] == 250) and not moved.cloud[0].any()
    assert np.array_equal(moved.layers > 0, moved.mask)
    assert (~moved.known).sum() == (~pair.known).sum()
    # The doubtful strip lies in the turned earlier date where its own pixels went.
    ids = turned(replace(pair, pre=np.stack([~pair.known] * 3).astype(np.uint8)), turns, flip).pre
    assert np.array_equal(ids[0] == 1, ~moved.known)
    assert np.array_equal(np.sort(moved.pre, None), np.sort(pair.pre, None))
    assert (turns == 0 and not flip) == np.array_equal(moved.pre, pair.pre)


def test_four_quarters_lead_back():
    pair: GeneratedPair = made()
    moved = pair
    for _ in range(4):
        moved = turned(moved, 1, False)
    arrays: list[tuple[npt.NDArray[np.generic], npt.NDArray[np.generic]]] = [
        (pair.pre, moved.pre),
        (pair.layers, moved.layers),
        (pair.cloud, moved.cloud),
    ]
    assert all(np.array_equal(a, b) for a, b in arrays)

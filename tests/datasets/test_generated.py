"""Generated pairs: repeatable, true to their labels, and balanced."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace

import numpy as np
import numpy.typing as npt
import pytest
from marks import HIGH, MARK, WIDE, label_of, painted
from small_stage import make_stage, suburb

from rsccli.datasets import buildings, facilities, generated, ground, nuisance, plants, water
from rsccli.datasets.backgrounds import Background, Label, Mark, Sources, background
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
    count_index,
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


def with_backgrounds(sources: Sources, seed: int, number: int) -> list[tuple[Background, GeneratedPair]]:
    """Generated pairs, each with what it is drawn over."""
    backs = (background(sources, np.random.default_rng([seed, index, 128]), 128) for index in range(number))
    return [(back, generate(sources, seed, index)) for index, back in enumerate(backs)]


@pytest.fixture(scope="module")
def marked_pairs(marked: Sources) -> list[tuple[Background, GeneratedPair]]:
    return with_backgrounds(marked, 3, 120)


@pytest.fixture
def nothing_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real changes are left alone."""
    monkeypatch.setattr(generated, "CHANGED_SHARE", 0.0)
    monkeypatch.setattr(generated, "OVER_REAL_SHARE", 0.0)


def hidden(pair: GeneratedPair) -> Bool:
    return np.asarray(~pair.valid | pair.cloud.any(0))


def named(indices: tuple[int, ...]) -> set[str]:
    return {KEYWORDS[index] for index in indices}


def made(*, keyword: str = "new trees", known: bool = True, unasked: tuple[str, ...] = ()) -> GeneratedPair:
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
    pair = GeneratedPair(
        pre, post, 0.6, ~valid, cloud, mask, ~doubtful, layers, True, keywords, facts, "text", "demo_1:2016-2018"
    )
    return replace(pair, unasked=tuple(sorted(map(KEYWORDS.index, unasked))))


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
        assert pair.known.all() and pair.unasked == ()
        assert not named_keywords(pair.caption)


def test_flag_layers_facts_and_caption_agree(pairs: list[GeneratedPair]):
    for pair in pairs:
        present = {KEYWORDS[int(layer) - 1] for layer in np.unique(pair.layers[pair.mask])}
        assert np.array_equal(pair.layers > 0, pair.mask)
        assert (pair.changed is True) == pair.mask.any()
        assert (pair.facts.status == CHANGED) == pair.mask.any()
        if pair.keywords is not None:
            assert named(pair.keywords) == present
            assert not named(pair.keywords) & named(pair.unasked)
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
    assert unknown.keywords == () and not unknown.mask.any() and unknown.facts.status == UNCHANGED
    # It alone may be there or not; the others are not.
    assert len(unknown.unasked) == 1


def test_a_marked_change_that_cloud_all_but_hides_is_not_asked_for(
    marked: Sources, nothing_drawn: None, monkeypatch: pytest.MonkeyPatch
):
    clear, hid = with_backgrounds(marked, 3, 12), 0

    def overcast(image: F32, *args: object, **options: object) -> nuisance.Recorded:
        return nuisance.Recorded(image.astype(np.uint8), np.ones(image.shape[:2], bool))

    monkeypatch.setattr(nuisance, "one_date", overcast)
    for back, pair in with_backgrounds(marked, 3, 12):
        assert not pair.mask.any() and pair.keywords == ()
        assert named(pair.unasked) == {*back.real, *(back.doubts or ())}
        assert pair.changed is (False if back.doubtful is None else None)
        hid += bool(back.real)
    assert hid >= 5
    assert any(pair.changed for _, pair in clear)


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


def test_a_real_change_is_masked_named_and_counted(sources: Sources, nothing_drawn: None):
    houses = painted(sources, label_of(Mark("new house", WIDE, True), Mark("new house", HIGH, True)))
    house, counts = KEYWORDS.index("new house"), set()
    for back, pair in with_backgrounds(houses, 3, 60):
        mask = back.real.get("new house", np.zeros_like(pair.mask)) & ~hidden(pair)
        if mask.mean() < SMALLEST_FRACTION:
            continue
        assert pair.changed is True and pair.keywords == (house,) and pair.unasked == ()
        assert np.array_equal(pair.mask, mask) and np.array_equal(pair.layers == house + 1, mask)
        # The margin around it is doubtful, the rest known.
        assert back.doubtful is not None and np.array_equal(pair.known, ~back.doubtful | mask)
        assert not pair.known.all()
        assert pair.facts.findings[0].count == count_index(back.counts["new house"])
        assert named_keywords(pair.caption) == {"new house"}
        counts.add(back.counts["new house"])
    assert counts == {1, 2}


def test_over_real_change_little_is_drawn(marked_pairs: list[tuple[Background, GeneratedPair]]):
    real = [pair for back, pair in marked_pairs if back.real]
    others = [pair for back, pair in marked_pairs if not back.real]
    more = sum(named(pair.keywords or ()) - {"new building"} != set() for pair in real)
    assert 0 < more < 0.35 * len(real) and len(real) > 50
    assert sum(pair.changed is True for pair in others) > 0.35 * len(others) and len(others) > 15


def test_nothing_is_drawn_alike_on_both_dates_over_real_change(marked: Sources, monkeypatch: pytest.MonkeyPatch):
    calls: list[object] = []
    monkeypatch.setattr(generated, "_same_on_both", lambda *stages: calls.append(stages))
    seen, alike = Counter[bool](), Counter[bool]()
    for index in range(150):
        calls.clear()
        # Drawn over the same crop.
        ((back, _),) = with_backgrounds(marked, index, 1)
        seen[bool(back.real)] += 1
        alike[bool(back.real)] += len(calls)
    assert seen[True] > 60 and alike[True] == 0
    assert alike[False] >= 3


def test_where_a_person_marked_change_no_negative_is_asked(marked_pairs: list[tuple[Background, GeneratedPair]]):
    building, positives = KEYWORDS.index("new building"), 0
    for back, pair in marked_pairs:
        assert not (pair.mask & ~pair.known).any()
        if back.doubtful is None:
            continue
        assert pair.changed is not False and pair.keywords is not None
        assert np.array_equal(pair.known, ~back.doubtful | pair.mask)
        if building in pair.keywords:
            positives += 1
        elif building not in pair.unasked:
            # All of it that is in the crop lies under what was drawn.
            assert back.doubts == ()
            assert not any((mask & ~hidden(pair) & ~pair.mask).any() for mask in back.real.values())
    assert positives > 40


def test_what_doubtful_ground_may_have_is_not_asked(sources: Sources, nothing_drawn: None):
    minor = painted(sources, label_of(Mark("new road", WIDE, False), Mark("", HIGH, False)))
    seen: Counter[tuple[int, ...]] = Counter()
    for back, pair in with_backgrounds(minor, 3, 60):
        assert pair.keywords == () and pair.facts == Facts(UNCHANGED) and not pair.mask.any()
        assert named(pair.unasked) == set(back.doubts or ())
        # Ground that changed in a way no keyword names is doubtful too.
        assert pair.changed is (False if back.doubtful is None else None)
        assert pair.known.all() == (back.doubtful is None)
        seen[pair.unasked] += back.doubtful is not None
    assert seen[()] > 3 and seen[KEYWORDS.index("new road"),] > 10


def test_a_real_change_beside_a_doubtful_one_is_still_a_change(sources: Sources, nothing_drawn: None):
    both = painted(
        sources,
        label_of(Mark("new building", WIDE, True), Mark("new road", HIGH, False), Mark("new building", MARK, False)),
    )
    building, road = KEYWORDS.index("new building"), KEYWORDS.index("new road")
    checked = 0
    for back, pair in with_backgrounds(both, 3, 60):
        if back.real and set(back.doubts or ()) == {"new road", "new building"} and pair.mask.any():
            assert pair.changed is True and pair.keywords == (building,) and pair.unasked == (road,)
            checked += 1
    assert checked > 10


def test_boxes_of_any_keyword_leave_no_keyword_known(sources: Sources, nothing_drawn: None):
    boxes = painted(sources, Label("changed", ("new building", "tree loss"), (WIDE, HIGH)))
    pairs = [pair for back, pair in with_backgrounds(boxes, 3, 40) if back.doubtful is not None]
    assert len(pairs) > 15
    assert all(pair.keywords is None and pair.changed is None and not pair.known.all() for pair in pairs)


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


def test_what_nobody_knows_stays_unknown_backwards():
    back = reversed_in_time(made(keyword="new trees", unasked=("new road", "solar panels", "flood")))
    assert back is not None
    # Solar panels have no name backwards, so of them nothing is left to ask.
    assert named(back.unasked) == {"road removed", "water loss"} and named(back.keywords or ()) == {"tree loss"}
    # A house and a building are one thing when they go, and that is known.
    back = reversed_in_time(made(keyword="new house", unasked=("new building", "new trees")))
    assert back is not None and named(back.keywords or ()) == {"building removed"}
    assert named(back.unasked) == {"tree loss"}
    assert reversed_in_time(made(unasked=("mud",))) is not None


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

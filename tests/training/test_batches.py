"""Batches: what the network reads is what the generated pairs say."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rsccli.datasets.backgrounds import Label, Mark, Sources
from rsccli.datasets.generated import GeneratedPair, generate
from rsccli.models.small.facts import CHANGED, KEYWORDS, PROMPT_TOKENS, UNCHANGED, Facts, Finding
from rsccli.models.small.tokenizer import captioner_tokenizer
from rsccli.training import batches as making
from rsccli.training.batches import (
    NO_CLASS,
    SIDES,
    Batch,
    GeneratedDataset,
    batches,
    collate,
    normalise,
    prompt_ids,
    token_ids,
)

SIDE = 64
TOKENIZER = captioner_tokenizer()


@pytest.fixture
def dataset(little_data: Path) -> GeneratedDataset:
    return GeneratedDataset(little_data, 3, 4)


def made(**other: object) -> GeneratedPair:
    """One changed pair by hand: its upper left quarter is a new road."""
    road = KEYWORDS.index("new road")
    blank = np.full((3, SIDE, SIDE), 100, np.uint8)
    mask = np.zeros((SIDE, SIDE), bool)
    mask[:32, :32] = True
    every, none = np.ones((SIDE, SIDE), bool), np.zeros((2, SIDE, SIDE), bool)
    layers = mask.astype(np.uint8) * np.uint8(road + 1)
    facts = Facts(CHANGED, (Finding(road),))
    pair = GeneratedPair(blank, blank, 0.6, every, none, mask, every, layers, True, (road,), facts, "text", "demo")
    return replace(pair, **other)  # type: ignore[arg-type]


def same(first: Batch, second: Batch) -> bool:
    return all(
        torch.equal(torch.nan_to_num(a, 7.0), torch.nan_to_num(b, 7.0)) for a, b in zip(first, second, strict=True)
    )


def test_a_batch_comes_again_by_its_number_and_another_is_another(dataset: GeneratedDataset, little_data: Path):
    assert same(dataset[1], GeneratedDataset(little_data, 3, 4)[1])
    assert not torch.equal(dataset[1].pre, dataset[0].pre)
    assert not torch.equal(dataset[1].pre, GeneratedDataset(little_data, 4, 4)[1].pre)


def test_all_sizes_come_up_and_cost_about_the_same(dataset: GeneratedDataset):
    sizes = [dataset.size(number) for number in range(len(SIDES))]
    assert {side for _, side in sizes} == set(SIDES)
    assert all(count % 2 == 0 and count >= 2 for count, _ in sizes)
    large = GeneratedDataset(Path(), 0, 32)
    pixels = [count * side * side for count, side in map(large.size, range(len(SIDES)))]
    assert max(pixels) <= 1.2 * min(pixels)


def test_every_tensor_has_the_shape_that_it_says(dataset: GeneratedDataset):
    number = SIDES.index(256)
    batch = dataset[number]
    assert batch.pre.shape == batch.post.shape == (2, 3, 256, 256)
    assert batch.valid.shape == (2, 1, 256, 256)
    assert batch.mask.shape == batch.known.shape == (2, 1, 64, 64)
    assert batch.classes.shape == (2, 64, 64) and batch.classes.dtype == torch.int64
    assert batch.cloud.shape == (2, 2, 16, 16)
    assert batch.gsd.shape == batch.change.shape == (2,) and batch.keywords.shape == (2, len(KEYWORDS))
    assert all(torch.isfinite(part).all() for part in (batch.pre, batch.post, batch.mask, batch.gsd))


def test_workers_give_what_this_process_gives(little_data: Path):
    dataset = GeneratedDataset(little_data, 3, 2)
    with contextlib.closing(batches(dataset, 1, 1)) as stream:
        spawned = [next(stream) for _ in range(2)]
    own = batches(dataset, 1, 0)
    for batch in spawned:
        assert same(batch, next(own))


def test_each_pair_is_shown_twice_and_backwards_where_it_can_be(sources: Sources, little_data: Path):
    dataset = GeneratedDataset(little_data, 3, 4)
    batch = dataset[0]
    assert batch.pre.shape[0] == 4
    first = collate([generate(sources, 3, 0, 128)])
    assert torch.equal(batch.pre[0], first.pre[0])
    # The second showing is turned: the same values elsewhere, of either date.
    values = [part[0].flatten(1).sort(1).values for part in (first.pre, first.post)]
    assert any(torch.equal(batch.pre[1].flatten(1).sort(1).values, each) for each in values)
    assert torch.equal(torch.isnan(batch.change[0]), torch.isnan(batch.change[1]))


def test_the_second_showing_leaves_unasked_what_the_first_does(little_data: Path, monkeypatch: pytest.MonkeyPatch):
    trees, loss = KEYWORDS.index("new trees"), KEYWORDS.index("tree loss")
    monkeypatch.setattr(making, "generate", lambda *_: made(unasked=(trees,)))
    batch = GeneratedDataset(little_data, 3, 2)[0]
    removed = KEYWORDS.index("road removed")
    assert batch.keywords.isnan().nonzero().tolist() == [[0, trees], [1, loss]]
    assert (batch.keywords == 1).nonzero().tolist() == [[0, KEYWORDS.index("new road")], [1, removed]]


def test_masks_become_shares_of_cells_and_classes_are_those_of_the_layers():
    batch = collate([made()])
    road = KEYWORDS.index("new road")
    assert batch.mask[0, 0, :8, :8].min() == 1 and batch.mask.sum() == 64
    assert (batch.classes[0, :8, :8] == road).all() and (batch.classes[0, 8:] == NO_CLASS).all()
    assert batch.keywords[0].nonzero().flatten().tolist() == [road] and batch.change.tolist() == [1.0]
    assert batch.known.min() == 1 and batch.gsd.tolist() == pytest.approx([0.6])


def test_what_nobody_knows_is_nan_and_never_no():
    batch = collate([made(changed=None, keywords=None), made(changed=False, keywords=())])
    assert batch.change[0].isnan() and batch.change[1] == 0
    assert batch.keywords[0].isnan().all() and (batch.keywords[1] == 0).all()


def test_keywords_that_are_not_asked_are_nan_and_named_ones_stay():
    road, trees, flood = (KEYWORDS.index(name) for name in ("new road", "new trees", "flood"))
    batch = collate([made(unasked=(trees, flood)), made(unasked=(road,)), made(keywords=(), changed=None)])
    assert batch.keywords[0].isnan().nonzero().flatten().tolist() == sorted((trees, flood))
    assert (batch.keywords[:2, road] == 1).all() and batch.keywords[0].nansum() == 1
    # What is named is there, whatever else is doubtful.
    assert not batch.keywords[1].isnan().any() and batch.keywords[1].sum() == 1
    assert batch.change[:2].tolist() == [1, 1] and batch.change[2].isnan() and (batch.keywords[2] == 0).all()


def test_missing_ground_is_zero_in_pixels_and_unknown_in_the_mask():
    valid, cloud = np.ones((SIDE, SIDE), bool), np.zeros((2, SIDE, SIDE), bool)
    valid[:, 48:] = False
    cloud[1, :16] = True
    batch = collate([made(valid=valid, cloud=cloud)])
    assert batch.pre[..., 48:].abs().max() == 0 and batch.pre[..., :48].abs().min() > 0
    assert batch.known[..., 12:].max() == 0 and batch.known[..., :12].min() == 1
    assert batch.cloud[0, 1, 0].min() == 1 and batch.cloud[0, 1, 1:].max() == 0 and batch.cloud[0, 0].max() == 0


@pytest.mark.parametrize("main", [True, False, None])
def test_marked_ground_is_never_asked_to_be_unchanged(sources: Sources, main: bool | None):
    place, box = sources.places[0], (60.0, 60.0, 190.0, 190.0)
    building = KEYWORDS.index("new building")
    marks = None if main is None else (Mark("new building", box, main),)
    label = Label("changed", ("new building",), (box,), marks=marks)
    marked = replace(sources, places=(place,), prairie=(), labels={f"{place.name}:2016-2018": label}, real_share=0.0)
    pairs = [generate(marked, 1, index, SIDE) for index in range(40)]
    batch = collate(pairs)
    asked, positives, unknown = 0, 0, 0
    for row, pair in enumerate(pairs):
        doubtful = torch.from_numpy(~pair.known & pair.valid)
        if not doubtful.any():
            continue
        assert batch.change[row] != 0
        inside = torch.nn.functional.avg_pool2d(doubtful[None, None].float(), 4)[0, 0] == 1
        asked += int(inside.sum())
        assert batch.known[row, 0][inside].sum() == 0
        positives += int(batch.keywords[row, building] == 1)
        unknown += int(batch.keywords[row, building].isnan())
    if main:
        # Nothing is asked of its edge alone.
        assert positives > 12
    else:
        assert asked > 100 and unknown > 12


def test_sentences_are_framed_and_padded():
    ids = token_ids(TOKENIZER, ["No lasting change can be seen.", "A road."])
    assert ids[:, 0].tolist() == [1, 1] and ids[0, -1] == 2
    assert ids[1].tolist().count(2) == 1 and ids[1, -1] == 0


def test_a_word_that_is_not_known_is_an_error():
    with pytest.raises(ValueError, match="cannot say"):
        token_ids(TOKENIZER, ["Nothing of zebras has changed."])


def test_prompts_of_other_facts_are_others_and_have_no_unknown_word():
    road = KEYWORDS.index("new road")
    ids = prompt_ids(TOKENIZER, [Facts(CHANGED, (Finding(road, 2, 4, 1),)), Facts(UNCHANGED)])
    assert ids.shape == (2, PROMPT_TOKENS) and not torch.equal(ids[0], ids[1])
    assert TOKENIZER.token_to_id("<unk>") not in ids and TOKENIZER.token_to_id("<new road>") in ids[0]
    assert not torch.equal(ids, prompt_ids(TOKENIZER, [Facts(CHANGED), Facts(UNCHANGED)], "news"))


def test_normalised_grey_is_near_zero():
    grey = np.full((3, 2, 2), 107, np.uint8)
    assert normalise(grey).abs().max() < 0.15

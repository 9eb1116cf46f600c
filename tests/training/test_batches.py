"""Batches: what the network reads is what the generated pairs say."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
import torch

from rsccli.datasets.generated import generate, read_sources
from rsccli.datasets.grammar import vocabulary
from rsccli.models.small.facts import KEYWORDS, Facts
from rsccli.models.small.tokenizer import build_tokenizer
from rsccli.training.batches import SIDES, GeneratedDataset, batches, collate, fact_tensors, normalise, token_ids

TOKENIZER = build_tokenizer(vocabulary())


@pytest.fixture
def dataset(little_data: Path) -> GeneratedDataset:
    return GeneratedDataset(little_data, 3, TOKENIZER.to_str(), 6)


def test_a_batch_comes_again_by_its_number(dataset: GeneratedDataset):
    first, again = dataset[1], dataset[1]
    assert all(torch.equal(a, b) for a, b in zip(first[:7], again[:7], strict=True) if not a.isnan().any())
    assert not torch.equal(first.pre, dataset[0].pre)


def test_all_sizes_come_up(dataset: GeneratedDataset):
    assert {dataset.size(number)[1] for number in range(len(SIDES))} == set(SIDES)
    assert dataset[4].pre.shape == (2, 3, 256, 256) and dataset[4].mask.shape == (2, 1, 64, 64)


def test_workers_give_what_this_process_gives(dataset: GeneratedDataset):
    with contextlib.closing(batches(dataset, 1, 1)) as stream:
        made = [next(stream) for _ in range(2)]
    for number, batch in enumerate(made, start=1):
        assert torch.equal(batch.pre, dataset[number].pre) and torch.equal(batch.ids, dataset[number].ids)


def test_pixels_under_the_border_are_zero_and_no_change_is_asked_there(little_data: Path):
    sources = read_sources(little_data, "train")
    pairs = [generate(sources, 0, index) for index in range(60)]
    batch = collate(pairs, TOKENIZER, np.random.default_rng(0))
    hidden = batch.valid == 0
    assert hidden.any()
    assert batch.pre[hidden.expand_as(batch.pre)].abs().max() == 0
    covered = torch.nn.functional.avg_pool2d(batch.valid, 4) == 0
    assert batch.mask[covered].max() == 0
    assert ((batch.change == 1) >= (torch.nan_to_num(batch.keywords).amax(1) == 1)).all()


def test_untold_sentences_say_what_the_facts_say(little_data: Path):
    sources = read_sources(little_data, "train")
    pairs = [generate(sources, 0, index) for index in range(30)]
    batch = collate(pairs, TOKENIZER, np.random.default_rng(0))
    assert 0 < batch.told.sum() < 20
    for row, pair in enumerate(pairs):
        if not batch.told[row]:
            ids = batch.ids[row].tolist()
            assert TOKENIZER.decode(ids, skip_special_tokens=True) == pair.caption
            assert set(batch.facts.keywords[row].nonzero().flatten().tolist()) == set(pair.facts.keywords)


def test_fact_tensors_are_one_hot():
    tensors = fact_tensors([Facts(2, (0, 16), 3, 9), Facts(0)])
    assert tensors.keywords.sum(1).tolist() == [2.0, 0.0] and tensors.keywords[0, len(KEYWORDS) - 1] == 1
    assert tensors.status.argmax(1).tolist() == [2, 0] and tensors.place.argmax(1).tolist() == [9, 10]


def test_a_word_that_is_not_known_is_an_error():
    with pytest.raises(ValueError, match="cannot say"):
        token_ids(TOKENIZER, ["Nothing of zebras has changed."])


def test_normalised_grey_is_near_zero():
    grey = np.full((3, 2, 2), 107, np.uint8)
    assert normalise(grey).abs().max() < 0.15

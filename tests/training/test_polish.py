"""The decoder learns to follow its facts, and nothing else of the network moves."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from rsccli.datasets.backgrounds import Sources
from rsccli.datasets.generated import generate
from rsccli.models.small.facts import CHANGED, NOWHERE, Facts, Finding
from rsccli.models.small.network import GRID_CELLS, SmallCaptioner
from rsccli.models.small.tokenizer import captioner_tokenizer
from rsccli.training.loop import TrainSpec, best_checkpoint, load_state, model_of
from rsccli.training.polish import WITHHELD, polish, pooled_features, withheld

# What makes image tokens for the decoder learns with it.
MAKERS = ("grid_head", "scene_head", "grid_place")


@pytest.fixture
def model(little_run: TrainSpec) -> SmallCaptioner:
    return model_of(load_state(best_checkpoint(little_run.output)))


def test_sentences_get_likelier_and_the_rest_of_the_encoder_stays(little_run: TrainSpec, model: SmallCaptioner):
    before = copy.deepcopy(model.state_dict())
    tokenizer = captioner_tokenizer()
    short = polish(copy.deepcopy(model), tokenizer, little_run.data, seed=1, pairs=6, steps=2)
    long = polish(model, tokenizer, little_run.data, seed=1, pairs=6, steps=16)
    assert long < 0.95 * short
    moved = {name for name, value in model.state_dict().items() if not torch.equal(before[name], value)}
    parts = {".".join(name.split(".")[:2]) if name.startswith("encoder") else name.split(".")[0] for name in moved}
    assert parts == {"decoder", *(f"encoder.{maker}" for maker in MAKERS)}


def test_features_come_in_the_order_of_the_pairs(sources: Sources, model: SmallCaptioner):
    pairs = [generate(sources, 0, index, 64) for index in range(5)]
    grid, scene = pooled_features(model, pairs, at_once=2)
    assert grid.shape[:2] == (5, GRID_CELLS**2) and scene.shape[0] == 5
    alone = pooled_features(model, pairs[3:4])
    assert torch.allclose(grid[3:4], alone[0], atol=1e-4) and torch.allclose(scene[3:4], alone[1], atol=1e-4)
    assert not torch.allclose(grid[0], grid[3], atol=1e-4)


def test_some_of_what_facts_say_is_withheld_and_nothing_is_made_up():
    rng = np.random.default_rng(0)
    facts = Facts(CHANGED, (Finding(0, 2, 4, 1), Finding(3, 1, 8, 2)))
    told = [withheld(facts, rng).findings for _ in range(400)]
    for findings in told:
        assert [finding.keyword for finding in findings] == [0, 3]
        for known, finding in zip(facts.findings, findings, strict=True):
            assert finding.count in (0, known.count)
            assert (finding.place, finding.extent) in ((known.place, known.extent), (NOWHERE, 0))
    share = np.mean([finding.place == NOWHERE for findings in told for finding in findings])
    assert share == pytest.approx(WITHHELD, abs=0.05)

"""The decoder learns to follow its facts, and nothing else of the network moves."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from rsccli.datasets.generated import generate, read_sources
from rsccli.training.bundle import FINAL, export_run
from rsccli.training.loop import TrainSpec, best_checkpoint, load_state, model_of
from rsccli.training.polish import grid_tokens, polish


@pytest.fixture
def trained(little_run: TrainSpec) -> tuple[dict[str, object], Tokenizer]:
    state = load_state(best_checkpoint(little_run.output))
    return state, Tokenizer.from_str(state["tokenizer"])


def test_sentences_get_likelier_and_the_encoder_stays(little_run: TrainSpec, trained):
    state, tokenizer = trained
    model = model_of(state)
    before = copy.deepcopy(model.encoder.state_dict())
    short = polish(copy.deepcopy(model), tokenizer, little_run.data, seed=1, pairs=8, steps=2)
    long = polish(model, tokenizer, little_run.data, seed=1, pairs=8, steps=40)
    assert long < 0.8 * short
    assert all(torch.equal(before[name], value) for name, value in model.encoder.state_dict().items())


def test_grid_tokens_come_in_the_order_of_the_pairs(little_run: TrainSpec, trained):
    model = model_of(trained[0])
    sources = read_sources(little_run.data, "train")
    pairs = [generate(sources, 0, index) for index in range(5)]
    tokens = grid_tokens(model, pairs, at_once=2)
    assert tokens.shape == (5, 17, model.config.width)
    assert torch.allclose(tokens[3:4], grid_tokens(model, pairs[3:4]), atol=1e-5)


def test_an_export_polishes_once(little_run: TrainSpec, tmp_path: Path):
    run = tmp_path / "run"
    run.mkdir()
    kept = best_checkpoint(little_run.output)
    (run / kept.name).write_bytes(kept.read_bytes())
    spec = replace(little_run, output=run)
    made = []
    for folder in ("first", "second"):
        export_run(spec.data, run, tmp_path / folder, development_pairs=4, polish_steps=6)
        made.append((run / FINAL).stat().st_mtime_ns)
    assert made[0] == made[1]
    first, second = ((tmp_path / folder / "encoder.onnx").read_bytes() for folder in ("first", "second"))
    assert first == second
    assert load_state(run / FINAL)["origin"][1] == 6

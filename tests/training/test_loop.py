"""A short run: checkpoints, resuming, repeatability, refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rsccli.errors import InputError, JournalMismatchError
from rsccli.training.loop import STATE, Trainer, TrainSpec, best_checkpoint, kept_checkpoints, load_state, model_of


def test_a_run_leaves_a_checkpoint_with_figures(little_run: TrainSpec):
    kept = kept_checkpoints(little_run.output)
    assert len(kept) == 1
    state = load_state(kept[0])
    assert state["progress"]["pairs"] >= 12
    assert 0.0 <= state["development"]["auc_generated"] <= 1.0
    assert best_checkpoint(little_run.output) == kept[0]


def test_training_moves_the_averaged_weights(little_run: TrainSpec, tmp_path: Path):
    fresh = Trainer(replace(little_run, output=tmp_path), say=lambda _: None).average
    trained = model_of(load_state(best_checkpoint(little_run.output)))
    assert not torch.equal(fresh.encoder.mask_head.weight, trained.encoder.mask_head.weight)
    assert not trained.training


def test_the_same_seed_gives_the_same_weights(little_run: TrainSpec, tmp_path: Path):
    again = replace(little_run, output=tmp_path)
    Trainer(again, say=lambda _: None).run()
    first, second = (load_state(best_checkpoint(spec.output))["average"] for spec in (little_run, again))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_that_is_done_trains_no_more(little_run: TrainSpec):
    before = (little_run.output / STATE).read_bytes()
    trainer = Trainer(little_run, say=lambda _: None)
    assert trainer.done == 1.0
    assert trainer.run() == kept_checkpoints(little_run.output)
    assert (little_run.output / STATE).read_bytes() == before


def test_a_longer_schedule_goes_on_from_the_last_checkpoint(little_run: TrainSpec, tmp_path: Path):
    (tmp_path / STATE).write_bytes((little_run.output / STATE).read_bytes())
    said: list[str] = []
    trainer = Trainer(replace(little_run, output=tmp_path, pairs=16), say=said.append)
    start = trainer.progress.step
    assert "going on" in said[0] and start > 0
    trainer.run()
    assert trainer.progress.step > start and trainer.progress.pairs >= 16


def test_another_seed_is_refused(little_run: TrainSpec):
    with pytest.raises(JournalMismatchError, match="--seed"):
        Trainer(replace(little_run, seed=9))


def test_a_damaged_checkpoint_is_an_error(little_run: TrainSpec, tmp_path: Path):
    (tmp_path / STATE).write_bytes((little_run.output / STATE).read_bytes()[:5000])
    with pytest.raises(InputError, match=r"last\.pt"):
        Trainer(replace(little_run, output=tmp_path))


def test_no_checkpoint_is_an_error(tmp_path: Path):
    with pytest.raises(InputError, match="rsccli train"):
        best_checkpoint(tmp_path)


def test_a_schedule_needs_one_length(little_run: TrainSpec):
    with pytest.raises(ValueError, match="minutes or pairs"):
        Trainer(replace(little_run, minutes=1.0))

"""A short run: checkpoints, log, resuming, repeatability, refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rsccli.errors import DeviceError, InputError, JournalMismatchError, OutputError, UsageProblem
from rsccli.training.development import Figures
from rsccli.training.loop import (
    LOG,
    STATE,
    Trainer,
    TrainSpec,
    best_checkpoint,
    chosen_device,
    chosen_precision,
    kept_checkpoints,
    load_state,
    model_of,
    save_state,
)
from rsccli.training.losses import Losses


class Stopped(Exception):
    """What stands for a run that is killed."""


def quiet(_: str) -> None:
    """Say nothing."""


def test_a_run_leaves_a_checkpoint_with_figures(little_run: TrainSpec):
    kept = kept_checkpoints(little_run.output)
    assert [path.name for path in kept] == ["step_0000006.pt"]
    state = load_state(kept[0])
    assert state["progress"]["pairs"] == 12 and state["progress"]["step"] == 6
    assert set(state["development"]) == set(Figures.__dataclass_fields__)
    assert 0.0 <= state["development"]["mask_iou"] <= 1.0
    assert best_checkpoint(little_run.output) == kept[0]


def test_the_log_has_a_line_for_each_checkpoint(little_run: TrainSpec):
    lines = [json.loads(line) for line in (little_run.output / LOG).read_text().splitlines()]
    (line,) = [line for line in lines if "development" in line]
    assert line["step"] == 6 and line["pairs"] == 12 and line["seconds"] > 0
    assert set(line["development"]) == set(Figures.__dataclass_fields__)


def test_losses_are_logged_as_they_fall(little_run: TrainSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("rsccli.training.loop.REPORT_STEPS", 2)
    said: list[str] = []
    Trainer(replace(little_run, output=tmp_path, pairs=4), say=said.append).run()
    lines = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert [set(line["losses"]) for line in lines if "losses" in line] == [set(Losses._fields)]
    assert said[0].startswith("step 2 pairs 4 (100 %")


def test_training_moves_the_averaged_weights_and_not_the_decoder(little_run: TrainSpec, tmp_path: Path):
    fresh = Trainer(replace(little_run, output=tmp_path), say=quiet).average.state_dict()
    trained = model_of(load_state(best_checkpoint(little_run.output)))
    assert not trained.training
    moved = {name.split(".")[0] for name, value in trained.state_dict().items() if not torch.equal(value, fresh[name])}
    assert moved == {"encoder"}


def test_a_run_that_was_stopped_ends_where_one_in_one_go_does(little_run: TrainSpec, tmp_path: Path):
    whole = replace(little_run, output=tmp_path / "whole", pairs=8)
    Trainer(whole, say=quiet).run()
    broken = replace(whole, output=tmp_path / "broken", checkpoint_minutes=0.0)
    saved = []

    def stop(text: str) -> None:
        saved.append(text)
        if len(saved) == 3:
            raise Stopped

    with pytest.raises(Stopped):
        Trainer(broken, say=stop).run()
    said: list[str] = []
    trainer = Trainer(broken, say=said.append)
    assert trainer.progress.step == 2 and "going on" in said[0]
    trainer.run()
    first, second = (load_state(spec.output / STATE) for spec in (whole, broken))
    assert first["progress"]["step"] == second["progress"]["step"] == 4
    for part in ("model", "average"):
        assert all(torch.equal(first[part][name], second[part][name]) for name in first[part]), part


def test_a_run_that_is_done_trains_no_more(little_run: TrainSpec):
    before = (little_run.output / STATE).read_bytes()
    trainer = Trainer(little_run, say=quiet)
    assert trainer.done == 1.0
    assert trainer.run() == kept_checkpoints(little_run.output)
    assert (little_run.output / STATE).read_bytes() == before


def test_a_run_can_begin_with_weights_that_are_there(little_run: TrainSpec, tmp_path: Path):
    path = best_checkpoint(little_run.output)
    trainer = Trainer(replace(little_run, output=tmp_path, start=path, seed=8), say=quiet)
    wanted = load_state(path)["average"]
    assert trainer.progress.step == 0
    assert all(torch.equal(value, wanted[name]) for name, value in trainer.model.state_dict().items())


def test_a_run_in_bfloat16_on_a_cpu_keeps_float32_weights(little_run: TrainSpec, tmp_path: Path):
    Trainer(replace(little_run, output=tmp_path, pairs=2, precision="bf16"), say=quiet).run()
    average = load_state(best_checkpoint(tmp_path))["average"]
    assert all(value.dtype == torch.float32 for value in average.values() if value.is_floating_point())
    assert all(torch.isfinite(value).all() for value in average.values())


def test_a_device_that_is_not_there_is_refused(little_run: TrainSpec, tmp_path: Path):
    assert chosen_device("cpu").type == "cpu"
    if torch.cuda.is_available():
        assert chosen_device("auto").type == "cuda"
        return
    assert chosen_device("auto").type == "cpu"
    with pytest.raises(DeviceError, match="--device cpu"):
        Trainer(replace(little_run, output=tmp_path / "run", device="cuda"), say=quiet)
    assert not (tmp_path / "run").exists()


def test_a_precision_that_is_not_there_is_refused():
    cpu = torch.device("cpu")
    assert chosen_precision("auto", cpu) == chosen_precision("fp32", cpu) == torch.float32
    assert chosen_precision("bf16", cpu) == torch.bfloat16
    assert chosen_precision("fp16", torch.device("cuda")) == torch.float16
    with pytest.raises(UsageProblem, match="needs a GPU"):
        chosen_precision("fp16", cpu)
    with pytest.raises(UsageProblem, match="fp32"):
        chosen_precision("int3", cpu)


def test_another_seed_is_refused(little_run: TrainSpec):
    with pytest.raises(JournalMismatchError, match="--seed"):
        Trainer(replace(little_run, seed=9), say=quiet)


def test_a_damaged_checkpoint_is_an_error(little_run: TrainSpec, tmp_path: Path):
    (tmp_path / STATE).write_bytes((little_run.output / STATE).read_bytes()[:5000])
    with pytest.raises(InputError, match=r"last\.pt"):
        Trainer(replace(little_run, output=tmp_path), say=quiet)


def test_a_checkpoint_that_cannot_be_written_is_an_error(tmp_path: Path):
    with pytest.raises(OutputError, match="free some space"):
        save_state({"seed": 0}, tmp_path)


def test_no_checkpoint_is_an_error(tmp_path: Path):
    with pytest.raises(InputError, match="rsccli train"):
        best_checkpoint(tmp_path)


def test_the_best_checkpoint_has_the_best_figure(tmp_path: Path):
    for step, choice in ((1, 0.4), (2, 0.9), (3, 0.7)):
        save_state({"choice": choice}, tmp_path / f"step_{step:07d}.pt")
    assert best_checkpoint(tmp_path).name == "step_0000002.pt"


def test_a_schedule_needs_one_length(little_run: TrainSpec):
    with pytest.raises(ValueError, match="minutes or pairs"):
        Trainer(replace(little_run, minutes=1.0))

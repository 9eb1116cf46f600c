"""A small data folder and one very short training run on it, shared by the tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_data import make_training_data

from rsccli.training.loop import Trainer, TrainSpec


@pytest.fixture(scope="session")
def little_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_training_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def little_spec(little_data: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainSpec:
    """Six steps of two pairs."""
    output = tmp_path_factory.mktemp("run")
    return TrainSpec(little_data, output, pairs=12, batch_size=2, workers=0, development_pairs=4)


@pytest.fixture(scope="session")
def little_run(little_spec: TrainSpec) -> TrainSpec:
    """The spec of a run that is done."""
    Trainer(little_spec, say=lambda _: None).run()
    return little_spec

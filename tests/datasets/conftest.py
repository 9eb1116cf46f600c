"""One small data folder for all tests of the generator, with and without marks in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from marks import MARK, label_of, painted
from small_data import make_training_data

from rsccli.datasets.backgrounds import Mark, Sources, read_sources
from rsccli.datasets.naip import Place, read_places


@pytest.fixture(scope="session")
def little_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_training_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def sources(little_data: Path) -> Sources:
    return read_sources(little_data, "train")


@pytest.fixture(scope="session")
def marked(sources: Sources) -> Sources:
    """One place alone, in which a person marked a new building (``MARK``) and nothing else."""
    return painted(sources, label_of(Mark("new building", MARK, True)))


@pytest.fixture(scope="session")
def real_places(shared: Path) -> list[Place]:
    """Every place of the real imagery."""
    return read_places(shared / "naip")

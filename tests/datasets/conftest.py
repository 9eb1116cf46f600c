"""One small data folder for all tests of the generator."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_data import make_training_data

from rsccli.datasets.generated import Sources, read_sources


@pytest.fixture(scope="session")
def little_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_training_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def sources(little_data: Path) -> Sources:
    return read_sources(little_data, "train")

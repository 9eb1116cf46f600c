"""One small data folder for all tests of the generator, with and without marks in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from marks import MARK
from small_data import make_training_data

from rsccli.datasets.backgrounds import Label, Sources, read_sources
from rsccli.datasets.naip import Place, read_places


@pytest.fixture(scope="session")
def little_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_training_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def sources(little_data: Path) -> Sources:
    return read_sources(little_data, "train")


@pytest.fixture(scope="session")
def marked(sources: Sources) -> Sources:
    """One place alone, in which a person saw a new building (``MARK``) and nothing else."""
    place = sources.places[0]
    first, second = place.chips
    label = Label("changed", ("new building",), (MARK,), "A hall has been built in the middle.")
    labels = {f"{place.name}:{first.year}-{second.year}": label}
    return replace(sources, places=(place,), labels=labels, marked=((place, first, second),))


@pytest.fixture(scope="session")
def real_places(shared: Path) -> list[Place]:
    """Every place of the real imagery."""
    return read_places(shared / "naip")

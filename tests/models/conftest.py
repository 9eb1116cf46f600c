"""Fixtures of the model tests: the tiny bundle in its three styles."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tiny_bundle import write_tiny_bundle


@pytest.fixture(scope="session")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny bundle that says known sentences; do not write into it."""
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "scripted", "scripted")


@pytest.fixture(scope="session")
def looping(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny bundle whose decoder repeats two words for ever when the scene gets brighter."""
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "looping", "looping")


@pytest.fixture(scope="session")
def random_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny bundle whose words depend on every input of the decoder."""
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "random", "random")


@pytest.fixture
def spoiled(scripted: Path, tmp_path: Path) -> Path:
    """A copy of the tiny bundle to damage."""
    return Path(shutil.copytree(scripted, tmp_path / "spoiled"))

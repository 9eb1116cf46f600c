"""Fixtures of the model tests: the tiny bundle and tile pairs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny_bundle import write_tiny_bundle

from rsccli.types import MapBounds, PxWindow, Tile, TilePair

MakePair = Callable[..., TilePair]


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


@pytest.fixture(scope="session")
def make_pair() -> MakePair:
    """Make a tile pair of grey texture whose post date is ``lift`` levels brighter."""

    def make(lift: int, height: int = 128, width: int = 128, seed: int = 0, index: int = 0) -> TilePair:
        rng = np.random.default_rng(seed)
        pre = rng.integers(90, 110, (3, height, width)).astype(np.uint8)
        post = (pre.astype(np.int16) + lift).astype(np.uint8)
        window = PxWindow(width * index, 0, width, height)
        bounds = MapBounds(float(width * index), 0.0, float(width * (index + 1)), float(height))
        tile = Tile(f"r00000c{index:05d}", 0, index, window, bounds)
        return TilePair(tile, pre, post, np.ones((height, width), dtype=bool), 1.0)

    return make

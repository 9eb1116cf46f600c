"""What the tests of search share: a tiny dual encoder, and a map of coloured ground."""

from __future__ import annotations

from pathlib import Path

import pytest
from coloured_map import Coloured, make_map
from tiny_dual import write_tiny_dual


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny dual encoder; do not write into it."""
    return write_tiny_dual(tmp_path_factory.mktemp("bundles") / "tiny-dual")


@pytest.fixture
def coloured(tmp_path: Path) -> Coloured:
    """A map of twelve tiles in a folder of its own."""
    return make_map(tmp_path)

"""The storm with a fixed seed, and a folder for each test."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from storm import Storm


@pytest.fixture(scope="session")
def storm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storm]:
    made = Storm(tmp_path_factory.mktemp("storm").resolve(), random.Random(7))
    yield made
    made.close()


@pytest.fixture(scope="session")
def shimmed(storm: Storm) -> Storm:
    """The storm where a C compiler is; the test skips, with the reason, where none is."""
    if storm.shim is None:
        pytest.skip("no C compiler (apt install gcc), or not Linux: the library of faults cannot be built")
    return storm

"""What every test directory shares: where the repository and the real imagery are."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from rasters import make_raster

# Several test processes on a few cores: threads of each would only wait for those of the others. Before torch loads.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"
WHY_SKIPPED = f"the real imagery is not at {SHARED}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked ``shared`` skip, with the reason, where the imagery is absent."""
    if SHARED.is_dir():
        return
    for item in items:
        if item.get_closest_marker("shared"):
            item.add_marker(pytest.mark.skip(reason=WHY_SKIPPED))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of the real imagery (``../shared/data``); the test skips where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(WHY_SKIPPED)
    return SHARED


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's top folder."""
    return ROOT


@pytest.fixture
def raster_factory(tmp_path: Path) -> Callable[..., Path]:
    """``raster_factory("pre.tif", crs=..., bounds=..., dtype=..., ...)``: see ``rasters.make_raster``."""

    def make(name: str = "raster.tif", **options: object) -> Path:
        return make_raster(tmp_path / name, **options)  # type: ignore[arg-type]

    return make

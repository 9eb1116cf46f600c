"""What the tests of exports share: a small checkpoint, and the bundle that the command line makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from checkpoints_a import make_qwen2_vl
from command import Made, one_layer, run_cli


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen2-VL; do not write into it."""
    return make_qwen2_vl(tmp_path_factory.mktemp("checkpoints") / "tiny-vl")


@pytest.fixture(scope="session")
def made(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The checkpoint's bundle, by ``rsccli export-onnx``; do not write into it."""
    bundle = tmp_path_factory.mktemp("bundles") / "tiny-vl-bundle"
    done = run_cli("export-onnx", checkpoint, "-o", bundle)
    assert done.returncode == 0, done.stderr
    return Made(checkpoint, bundle, done)


@pytest.fixture(scope="session")
def light(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint with one layer; do not write into it."""
    return one_layer(checkpoint, tmp_path_factory.mktemp("checkpoints") / "one-layer")

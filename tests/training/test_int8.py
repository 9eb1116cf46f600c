"""An 8-bit bundle is a whole bundle with the same words, smaller and near to the one that it was made from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from rsccli.errors import OutputError
from rsccli.models.bundle import open_bundle
from rsccli.models.small.captioner import BUNDLED
from rsccli.training.int8 import quantise_bundle


@pytest.fixture(scope="module")
def small(little_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return quantise_bundle(BUNDLED, tmp_path_factory.mktemp("int8") / "small-int8", little_data, pairs=8)


def test_it_is_a_bundle_of_its_own_name_and_a_smaller_encoder(small: Path):
    bundle = open_bundle(small, "full")
    assert bundle.manifest.name == "rsccli-small-int8" and bundle.manifest.dtype == "int8"
    assert (small / "encoder.onnx").stat().st_size < 0.45 * (BUNDLED / "encoder.onnx").stat().st_size


def test_words_and_thresholds_are_those_of_its_source(small: Path):
    for name in ("decoder.onnx", "embed.onnx", "tokenizer.json"):
        assert (small / name).read_bytes() == (BUNDLED / name).read_bytes()
    one, other = (json.loads((folder / "rsccli.json").read_text()) for folder in (BUNDLED, small))
    assert all(one[key] == other[key] for key in ("calibration", "thresholds", "keywords", "input"))


def test_its_scores_are_near(small: Path):
    rng = np.random.default_rng(0)
    pre = rng.normal(0, 1, (4, 3, 16, 16)).repeat(8, 2).repeat(8, 3).astype(np.float32)
    post = np.concatenate([pre[:2], rng.permutation(pre[2:].ravel()).reshape(2, 3, 128, 128)])
    feeds = {"pre": pre, "post": post, "valid": np.ones((4, 1, 128, 128), np.float32), "gsd": np.full(4, 0.6, "f4")}
    said = []
    for folder in (BUNDLED, small):
        session = onnxruntime.InferenceSession(folder / "encoder.onnx", providers=["CPUExecutionProvider"])
        said.append(session.run(["change_logit", "mask_logits"], feeds))
    assert np.corrcoef(said[0][1].ravel(), said[1][1].ravel())[0, 1] > 0.9
    assert not np.array_equal(said[0][0], said[1][0])


def test_nothing_is_overwritten_unasked(small: Path, little_data: Path):
    with pytest.raises(OutputError, match="--overwrite"):
        quantise_bundle(BUNDLED, small, little_data, pairs=4)

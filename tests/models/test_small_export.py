"""A network becomes a bundle that says the same, or nothing is written."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch

from rsccli.errors import BundleError, OutputError
from rsccli.models.bundle import open_bundle
from rsccli.models.small import export
from rsccli.models.small.export import Calibration, Checkpoint, export_bundle, logit, set_thresholds
from rsccli.models.small.facts import KEYWORDS
from rsccli.models.small.network import SmallCaptioner, SmallConfig
from rsccli.models.small.parity import Parity
from rsccli.models.small.tokenizer import build_tokenizer

WORDS = "A house stands in the left part now , and trees are gone .".split()


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    torch.manual_seed(0)
    tokenizer = build_tokenizer(WORDS)
    model = SmallCaptioner(SmallConfig(vocab=tokenizer.get_vocab_size())).eval()
    calibration = Calibration(scale=0.7, bias=-0.2, changed=0.55, unchanged=0.4, keywords=(0.3,) * len(KEYWORDS))
    return Checkpoint(model, tokenizer, calibration, "ab" * 32, "nothing: random weights for a test")


@pytest.fixture(scope="module")
def bundle(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_bundle(checkpoint, tmp_path_factory.mktemp("out") / "bundle", limits=("random",))


def _run(bundle: Path, name: str, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    session = ort.InferenceSession(str(bundle / name), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, feeds), strict=True))


def test_the_manifest_holds_hashes_thresholds_and_parity(bundle: Path, checkpoint: Checkpoint):
    manifest = json.loads((bundle / "rsccli.json").read_text())
    for name, entry in manifest["files"].items():
        content = (bundle / name).read_bytes()
        assert entry == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    assert set(manifest["files"]) == {"encoder.onnx", "embed.onnx", "decoder.onnx", "tokenizer.json"}
    assert manifest["thresholds"]["changed"] == 0.55 and manifest["calibration"] == {"scale": 0.7, "bias": -0.2}
    assert manifest["parity"]["captions_equal"] == manifest["parity"]["pairs"] == 6
    assert manifest["parity"]["decoder_logits"] < 1e-3


def test_the_runtime_opens_it(bundle: Path):
    assert open_bundle(bundle).manifest.keywords == KEYWORDS


def test_it_is_under_forty_megabytes(bundle: Path):
    assert sum(path.stat().st_size for path in bundle.iterdir()) < 40e6


@pytest.mark.parametrize(("count", "height", "width"), [(1, 64, 64), (3, 160, 96), (1, 512, 64)])
def test_every_size_of_the_contract_runs(bundle: Path, count: int, height: int, width: int):
    pixels = np.random.default_rng(0).normal(size=(count, 3, height, width)).astype(np.float32)
    valid = np.ones((count, 1, height, width), np.float32)
    outputs = _run(bundle, "encoder.onnx", {"pre": pixels, "post": pixels[:, ::-1].copy(), "valid": valid})
    assert outputs["mask_logits"].shape == (count, 1, height // 4, width // 4)
    assert outputs["image_tokens"].shape[0] == count and np.isfinite(outputs["change_logit"]).all()


def test_padding_on_the_left_does_not_change_the_next_word(bundle: Path, checkpoint: Checkpoint):
    config = checkpoint.model.config
    rng = np.random.default_rng(0)
    embeds = rng.normal(size=(1, 5, config.width)).astype(np.float32)
    empty = np.zeros((1, config.heads, 0, config.head_dim), np.float32)
    past = {name: empty for name in export.past_names(config.layers, "past_key_values")}
    feeds = {
        "inputs_embeds": embeds,
        "attention_mask": np.ones((1, 5), np.int64),
        "position_ids": np.arange(5)[None],
        **past,
    }
    plain = _run(bundle, "decoder.onnx", feeds)["logits"]
    padded = {
        "inputs_embeds": np.concatenate([rng.normal(size=(1, 3, config.width)).astype(np.float32), embeds], 1),
        "attention_mask": np.array([[0, 0, 0, 1, 1, 1, 1, 1]]),
        "position_ids": np.array([[0, 0, 0, 0, 1, 2, 3, 4]]),
        **past,
    }
    assert np.abs(_run(bundle, "decoder.onnx", padded)["logits"] - plain).max() < 1e-4


def test_thresholds_stand_in_the_fact_reader(checkpoint: Checkpoint):
    set_thresholds(checkpoint.model, checkpoint.calibration)
    facts = checkpoint.model.facts
    assert 1 / (1 + np.exp(-(0.7 * float(facts.change_changed) - 0.2))) == pytest.approx(0.55, abs=1e-5)
    assert float(facts.keyword_thresholds[0]) == pytest.approx(logit(0.3), abs=1e-5)


def test_a_bundle_that_is_there_is_kept(bundle: Path, checkpoint: Checkpoint):
    before = (bundle / "rsccli.json").read_bytes()
    with pytest.raises(OutputError, match="--overwrite"):
        export_bundle(checkpoint, bundle)
    assert (bundle / "rsccli.json").read_bytes() == before


def test_graphs_that_differ_from_pytorch_are_not_written(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def write_other_graphs(model: SmallCaptioner, folder: Path) -> None:
        torch.manual_seed(1)
        real(SmallCaptioner(model.config), folder)

    real = export.write_graphs
    monkeypatch.setattr(export, "write_graphs", write_other_graphs)
    with pytest.raises(BundleError, match="differ from PyTorch"):
        export_bundle(checkpoint, tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_place_is_an_error(checkpoint: Checkpoint, tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot write"):
        export_bundle(checkpoint, tmp_path / "file" / "bundle")


def test_parity_is_good_only_where_everything_agrees():
    good = Parity(6, 6, 1e-6, 1e-6, 1e-6, 1e-6, 1e-6)
    assert good.good
    assert not replace(good, captions_equal=5).good and not replace(good, mask_logits=0.1).good


def test_the_tokenizer_joins_marks_without_spaces():
    tokenizer = build_tokenizer(WORDS)
    text = "A house stands in the left part now, and trees are gone."
    assert tokenizer.decode(tokenizer.encode(text).ids) == text
    assert tokenizer.decode([1, *tokenizer.encode("trees are gone.").ids, 2, 0, 0]) == "trees are gone."

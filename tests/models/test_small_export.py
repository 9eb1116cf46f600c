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
from tile_pairs import grey_pair

from rsccli.errors import BundleError, OutputError
from rsccli.models.bundle import open_bundle
from rsccli.models.captioner import CaptionerOptions
from rsccli.models.manifest import parse_manifest
from rsccli.models.registry import load_captioner
from rsccli.models.small import export
from rsccli.models.small.captioner import ENCODER_OUTPUTS
from rsccli.models.small.export import WEIGHTS, Calibration, Checkpoint, export_bundle
from rsccli.models.small.facts import KEYWORDS
from rsccli.models.small.grammar import named_keywords
from rsccli.models.small.network import SmallCaptioner, SmallConfig
from rsccli.models.small.parity import PARTS, Parity
from rsccli.models.small.tokenizer import build_tokenizer, captioner_tokenizer

# One of each for every keyword, all different.
SCALES = tuple(0.5 + k / 8 for k in range(len(KEYWORDS)))
BIASES = tuple(-1.0 - k / 4 for k in range(len(KEYWORDS)))
SIZES = tuple(-k / 16 for k in range(len(KEYWORDS)))
SPOTS = tuple(k / 32 for k in range(len(KEYWORDS)))
WORDS = "A house stands in the left part now , and trees are gone .".split()


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    torch.manual_seed(0)
    tokenizer = captioner_tokenizer()
    model = SmallCaptioner(SmallConfig(vocab=tokenizer.get_vocab_size())).eval()
    calibration = Calibration(0.7, -0.2, 0.55, 0.4, (0.3,) * len(KEYWORDS), 0.45, vectors=0.1, domain=2.5, size=-0.3)
    each = {"keyword_scale": SCALES, "keyword_spot": SPOTS, "keyword_size": SIZES, "keyword_bias": BIASES}
    calibration = replace(calibration, spot=0.2, **each)
    # Without statistics of a training the distance from it would be 0 whatever the pixels.
    model.encoder.domain_white.copy_(torch.eye(model.config.domain_width))
    return Checkpoint(model, tokenizer, calibration, "ab" * 32, "nothing: random weights for a test", "grammar")


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
    assert set(manifest["files"]) == {"encoder.onnx", "embed.onnx", "decoder.onnx", "tokenizer.json", WEIGHTS}
    assert manifest["calibration"] == {
        "scale": 0.7,
        "bias": -0.2,
        "vectors": 0.1,
        "size": -0.3,
        "spot": 0.2,
        "keyword_scale": list(SCALES),
        "keyword_bias": list(BIASES),
        "keyword_size": list(SIZES),
        "keyword_spot": list(SPOTS),
    }
    assert manifest["thresholds"] == {
        "changed": 0.55,
        "unchanged": 0.4,
        "keywords": [0.3] * len(KEYWORDS),
        "mask": 0.45,
        "domain": 2.5,
    }
    assert (manifest["words"], manifest["input"]["window"], manifest["limits"]) == ("grammar", 256, ["random"])
    assert manifest["parity"]["captions_equal"] == manifest["parity"]["pairs"] == 6
    assert all(manifest["parity"][name] < 1e-3 for name in (*PARTS, "decoder_logits"))


def test_the_runtime_opens_it(bundle: Path):
    manifest = open_bundle(bundle).manifest
    assert manifest.keywords == KEYWORDS
    scores = manifest.calibration
    assert (scores.scale, scores.bias, scores.vectors, scores.size) == (0.7, -0.2, 0.1, -0.3)
    assert (scores.keyword_scale, scores.keyword_bias, scores.keyword_size) == (SCALES, BIASES, SIZES)
    assert (scores.spot, scores.keyword_spot) == (0.2, SPOTS)
    assert (manifest.words, manifest.input.window, manifest.thresholds.domain) == ("grammar", 256, 2.5)
    assert manifest.input.window is not None and 1.5 * manifest.input.window <= manifest.input.max_side


def test_without_a_limit_of_looks_there_is_none(bundle: Path, checkpoint: Checkpoint):
    content = export.manifest(replace(checkpoint, calibration=Calibration()), bundle, {}, ())
    del content["files"]["rsccli.json"]
    manifest = parse_manifest(json.dumps(content), bundle)
    assert manifest.thresholds.domain is None
    # Keyword logits that nobody calibrated are log-odds as they are.
    fit = manifest.calibration
    assert set(fit.keyword_scale) == {1.0} and set((*fit.keyword_bias, *fit.keyword_size, *fit.keyword_spot)) == {0.0}


def test_a_real_tile_goes_all_the_way_through(bundle: Path):
    captioner = load_captioner(bundle, CaptionerOptions(device="cpu", threads=1, words="decoder"))
    for caption in captioner.caption([grey_pair(30, 100, 500), grey_pair(-30, 64, 64)]):
        assert caption.text.endswith(".") and caption.change_score is not None
        assert named_keywords(caption.text) == set(caption.keywords)


def test_the_weights_inside_make_the_same_network(bundle: Path, checkpoint: Checkpoint):
    """In half precision: what fine-tuning starts from."""
    content = torch.load(bundle / WEIGHTS, map_location="cpu", weights_only=True)
    model = SmallCaptioner(SmallConfig(**content["config"])).eval()
    model.load_state_dict({name: value.float() for name, value in content["average"].items()})
    assert content["tokenizer"] == checkpoint.tokenizer.to_str()
    pixels = torch.randn(2, 1, 3, 64, 64)
    feeds = (*pixels, torch.ones(1, 1, 64, 64), torch.ones(1))
    with torch.no_grad():
        again, before = model.encoder(*feeds), checkpoint.model.encoder(*feeds)
    assert torch.allclose(again.change, before.change, atol=0.02)
    assert torch.allclose(again.mask, before.mask, atol=0.05)


def test_it_is_under_forty_megabytes(bundle: Path):
    assert sum(path.stat().st_size for path in bundle.iterdir()) < 40e6


@pytest.mark.parametrize(("count", "height", "width"), [(1, 64, 64), (3, 192, 128), (1, 384, 64), (2, 320, 384)])
def test_every_size_of_the_contract_runs(bundle: Path, count: int, height: int, width: int):
    pixels = np.random.default_rng(0).normal(size=(count, 3, height, width)).astype(np.float32)
    valid = np.ones((count, 1, height, width), np.float32)
    gsd = np.linspace(0.5, 8.0, count).astype(np.float32)
    feeds = {"pre": pixels, "post": pixels[:, ::-1].copy(), "valid": valid, "gsd": gsd}
    outputs = _run(bundle, "encoder.onnx", feeds)
    assert tuple(outputs) == ENCODER_OUTPUTS
    assert outputs["mask_logits"].shape == (count, 1, height // 4, width // 4)
    assert outputs["class_logits"].shape == (count, len(KEYWORDS), height // 4, width // 4)
    assert outputs["cloud_logits"].shape == (count, 2, height // 16, width // 16)
    assert outputs["domain"].shape == (count, 2)
    assert outputs["change_logit"].shape == outputs["change_vector"].shape == (count,)
    assert outputs["image_tokens"].shape == (count, *_run_shape(bundle))
    assert all(np.isfinite(values).all() for values in outputs.values())


def _run_shape(bundle: Path) -> tuple[int, int]:
    manifest = json.loads((bundle / "rsccli.json").read_text())
    return manifest["tokens"]["image_tokens"], manifest["decoder"]["width"]


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
    good = Parity(6, 6, **dict.fromkeys((*PARTS, "decoder_logits"), 1e-6))
    assert good.good
    assert not replace(good, captions_equal=5).good
    for name in (*PARTS, "decoder_logits"):
        assert not replace(good, **{name: 0.1}).good


def test_the_tokenizer_joins_marks_without_spaces():
    tokenizer = build_tokenizer(WORDS)
    text = "A house stands in the left part now, and trees are gone."
    assert tokenizer.decode(tokenizer.encode(text).ids) == text
    assert tokenizer.decode([1, *tokenizer.encode("trees are gone.").ids, 2, 0, 0]) == "trees are gone."

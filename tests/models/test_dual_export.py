"""Checkpoints to bundles: CLIP and SigLIP of transformers, OpenCLIP weights; compared, refused, handed over."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dual_checkpoints import WIDTH, make_clip, make_open_clip, make_siglip, spread

from rsccli.errors import BundleError, ModelError, OutputError, UsageProblem
from rsccli.models.dual.checkpoint import find_dual
from rsccli.models.dual.encoder import open_dual
from rsccli.models.dual.export import DualJob, export_dual, plan_dual
from rsccli.models.dual.loading import load_dual
from rsccli.models.dual.parity import compare_dual
from rsccli.models.large.pictures import pair_pictures
from rsccli.models.large.sample import sample_pairs

TEXTS = ("new houses along a road", "Trees were removed.", "many buildings " * 60)


@dataclass(frozen=True)
class Made:
    checkpoint: Path
    bundle: Path

    @property
    def manifest(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.bundle / "rsccli.json").read_text())
        return document


def export(checkpoint: Path, bundle: Path, **options: Any) -> Made:
    source = find_dual(str(checkpoint))
    assert source is not None
    export_dual(plan_dual(DualJob(str(checkpoint), bundle, **options), source), sample_pairs())
    return Made(checkpoint, bundle)


def rsccli(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rsccli", *map(str, arguments)],
        env={**{k: v for k, v in os.environ.items() if not k.startswith("RSCCLI_")}, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("clip")
    # With the end token of the first published configurations, which transformers treats on its own.
    return export(make_clip(folder / "tiny-clip", legacy=True), folder / "bundle")


@pytest.fixture(scope="module")
def siglip(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("siglip")
    return export(make_siglip(folder / "tiny-siglip"), folder / "bundle")


@pytest.fixture(scope="module")
def open_clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[Made, Any]:
    """By the command line, as a user has it: one file of weights and nothing beside."""
    folder = tmp_path_factory.mktemp("open_clip")
    path, model = make_open_clip(folder / "RemoteCLIP-ViT-tiny.pt", "gelu")
    done = rsccli("export-onnx", path, "-o", folder / "bundle", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["family"] == "dual-encoder" and "tile pairs" not in done.stdout
    return Made(path, folder / "bundle"), model


def units(vectors: torch.Tensor) -> np.ndarray:
    return torch.nn.functional.normalize(vectors, dim=-1).numpy()


def check_features(made: Made, padding: bool) -> None:
    """Pictures and texts of the bundle against transformers from the raw inputs on."""
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(made.checkpoint).eval()
    processor = AutoImageProcessor.from_pretrained(made.checkpoint, use_fast=False)
    pictures = [picture for pair in sample_pairs() for picture in pair_pictures(pair)]
    encoder = open_dual(made.bundle, "cpu", 1)
    if padding:
        ids = torch.from_numpy(encoder.tokens(TEXTS))  # SigLIP's own tokenizer needs another library
        assert ids.shape == (3, 64)
    else:
        own = AutoTokenizer.from_pretrained(made.checkpoint)
        ids = own(list(TEXTS), padding=True, truncation=True, max_length=77, return_tensors="pt")["input_ids"]
    pixels = processor(images=pictures, return_tensors="pt", input_data_format="channels_last")["pixel_values"]
    with torch.no_grad():
        seen, read = units(model.get_image_features(pixels)), units(model.get_text_features(ids))
    assert np.abs(encoder.pictures(pictures) - seen).max() < 1e-4
    assert np.abs(encoder.texts(TEXTS) - read).max() < 1e-4
    # The checkpoint tells its inputs apart: agreement is no accident.
    assert (seen @ seen.T).min() < 0.999 and (read @ read.T).min() < 0.99
    encoder.close()


def test_a_clip_bundle_says_what_transformers_says(clip: Made) -> None:
    check_features(clip, padding=False)
    parity = clip.manifest["parity"]
    assert (parity["pictures"], parity["texts"], parity["same_tokens"]) == (6, 6, 6)
    assert min(parity["picture_cosine"], parity["text_cosine"]) > 1 - 1e-5 and parity["pixels"] == 0


def test_a_siglip_bundle_says_what_transformers_says(siglip: Made) -> None:
    check_features(siglip, padding=True)
    manifest = siglip.manifest
    assert manifest["architecture"] == "siglip" and manifest["logit_bias"] is not None
    assert manifest["text"] == {"length": 64, "pad": 1, "padded": True}
    assert manifest["picture"]["resize"] == "exact"


@pytest.mark.slow
def test_an_open_clip_bundle_says_what_the_original_says(open_clip: tuple[Made, Any]) -> None:
    made, model = open_clip
    encoder = open_dual(made.bundle, "cpu", 1)
    pictures = [picture for pair in sample_pairs()[:1] for picture in pair_pictures(pair)]
    from rsccli.models.dual.pictures import prepare_pictures

    with torch.no_grad():
        seen = units(model.encode_image(torch.from_numpy(prepare_pictures(pictures, encoder.manifest.picture))))
        read = units(model.encode_text(torch.from_numpy(encoder.tokens(TEXTS))))
    assert np.abs(encoder.pictures(pictures) - seen).max() < 1e-4
    assert np.abs(encoder.texts(TEXTS) - read).max() < 1e-4
    assert any("gelu" in each for each in made.manifest["limits"])


def test_the_manifest_tells_what_was_done(clip: Made) -> None:
    manifest = clip.manifest
    assert (manifest["family"], manifest["name"], manifest["width"]) == ("dual-encoder", "bundle", WIDTH)
    assert manifest["source"]["id"] == "tiny-clip" and len(manifest["source"]["revision"]) == 64
    assert {path.name for path in clip.bundle.iterdir()} == {*manifest["files"], "rsccli.json"}
    assert manifest["licence"].startswith("unknown")


@pytest.mark.slow
def test_half_precision_stays_close(clip: Made, tmp_path: Path) -> None:
    made = export(clip.checkpoint, tmp_path / "half", dtype="fp16")
    assert 0.999 < made.manifest["parity"]["text_cosine"] < 1
    halves, wholes = (sum(each["bytes"] for each in m.manifest["files"].values()) for m in (made, clip))
    assert halves < 0.8 * wholes


def test_a_bundle_that_differs_is_an_error(clip: Made) -> None:
    source = find_dual(str(clip.checkpoint))
    assert source is not None
    other = load_dual(source)
    spread(other.model, seed=5)
    with pytest.raises(BundleError, match="differ from PyTorch"):
        compare_dual(clip.bundle, other, sample_pairs(), DualJob("x", clip.bundle), lambda _: None)


def test_other_checkpoints_are_left_to_the_captioners(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llava"}))
    assert find_dual(str(tmp_path)) is None
    assert find_dual(str(tmp_path / "gone")) is None
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "siglip2"}))
    with pytest.raises(ModelError, match="NaFlex"):
        find_dual(str(tmp_path))


def test_a_cut_download_is_refused_before_the_work(clip: Made, tmp_path: Path) -> None:
    folder = tmp_path / "cut"
    folder.mkdir()
    (folder / "config.json").write_bytes((clip.checkpoint / "config.json").read_bytes())
    with pytest.raises(ModelError, match="were not downloaded"):
        find_dual(str(folder))
    (folder / "model.safetensors").write_bytes((clip.checkpoint / "model.safetensors").read_bytes()[:-100])
    with pytest.raises(ModelError, match="copy the checkpoint again"):
        find_dual(str(folder))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"dtype": "bf16"}, UsageProblem),
        ({"opset": 12}, UsageProblem),
        ({"activation": "relu"}, UsageProblem),
        ({"activation": "gelu"}, UsageProblem),
        ({"tokenizer": Path("nowhere")}, ModelError),
    ],
)
def test_what_cannot_be_exported_is_refused(
    clip: Made, tmp_path: Path, options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        export(clip.checkpoint, tmp_path / "bundle", **options)
    assert not (tmp_path / "bundle").exists() and not list(tmp_path.glob(".bundle*"))


def test_a_bundle_is_not_replaced_unasked(clip: Made) -> None:
    before = clip.manifest
    with pytest.raises(OutputError, match="--overwrite"):
        export(clip.checkpoint, clip.bundle)
    assert clip.manifest == before


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--quantize", "int8"], 2, "is a dual encoder"),
        (["--max-new-tokens", "5"], 2, "is a dual encoder"),
        (["--activation", "gelu"], 2, "--activation is for OpenCLIP weights"),
    ],
)
def test_options_of_captioners_are_refused(
    clip: Made, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    done = rsccli("export-onnx", clip.checkpoint, "-o", tmp_path / "b", *arguments)
    assert done.returncode == code and said in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and not (tmp_path / "b").exists()

"""The runtime of a dual encoder's bundle: vectors, refusals, damage."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_dual import open_tiny_dual, write_tiny_dual

from rsccli.errors import BundleError, ModelError, UsageProblem
from rsccli.models.dual.encoder import DualEncoder, open_dual
from rsccli.models.dual.manifest import open_dual_bundle, read_dual_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_dual(tmp_path_factory.mktemp("bundles") / "tiny-dual")


@pytest.fixture(scope="module")
def encoder(bundle: Path) -> DualEncoder:
    return open_tiny_dual(bundle)


def plain(red: int, green: int, blue: int, height: int = 30, width: int = 20) -> np.ndarray:
    return np.full((height, width, 3), (red, green, blue), np.uint8)


def test_a_word_is_nearest_to_the_picture_of_its_colour(encoder: DualEncoder) -> None:
    names = ("red", "green", "blue")
    pictures = encoder.pictures([plain(200, 50, 50), plain(50, 200, 50), plain(50, 50, 200)])
    texts = encoder.texts(names)
    assert (texts @ pictures.T).argmax(axis=1).tolist() == [0, 1, 2]
    for vectors in (pictures, texts):
        assert vectors.dtype == np.float32 and np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_a_vector_does_not_depend_on_its_neighbours(encoder: DualEncoder) -> None:
    random = np.random.default_rng(0)
    many = [random.integers(0, 256, (12 + i, 40 - i, 3), dtype=np.uint8) for i in range(19)]
    together = encoder.pictures(many)
    assert np.allclose(together, np.concatenate([encoder.pictures([each]) for each in many]), atol=1e-6)
    texts = ["red", "red green blue grey " * 9, "a red house", "blue"] * 5
    assert np.allclose(encoder.texts(texts), np.concatenate([encoder.texts([each]) for each in texts]), atol=1e-6)


def test_texts_are_padded_and_cut(encoder: DualEncoder) -> None:
    assert encoder.tokens(["red", "green blue"]).tolist() == [[2, 0], [3, 4]]
    assert encoder.tokens(["red " * 40]).shape == (1, 16)


@pytest.mark.parametrize("text", ["", "  ", "...!"])
def test_a_text_without_a_word_is_refused(encoder: DualEncoder, text: str) -> None:
    with pytest.raises(UsageProblem, match="has no word in it"):
        encoder.texts(["red", text])


def test_a_closed_encoder_says_so(bundle: Path) -> None:
    opened = open_dual(bundle, "cpu", 1)
    opened.close()
    with pytest.raises(ModelError, match="is closed"):
        opened.texts(["red"])


def test_the_runtime_needs_no_torch_and_no_transformers(bundle: Path) -> None:
    script = (
        "import sys, numpy as np; from pathlib import Path; from rsccli.models.dual.encoder import open_dual\n"
        f"opened = open_dual(Path({str(bundle)!r}), 'cpu', 1)\n"
        "opened.texts(['red']); opened.pictures([np.zeros((9, 9, 3), np.uint8)])\n"
        "print(sorted({'torch', 'transformers'} & {name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["image.onnx", "text.onnx", "tokenizer.json"])
@pytest.mark.parametrize("how", ["gone", "cut", "altered"])
def test_a_damaged_file_is_named(bundle: Path, tmp_path: Path, name: str, how: str) -> None:
    copy = Path(shutil.copytree(bundle, tmp_path / "copy"))
    content = (copy / name).read_bytes()
    if how == "gone":
        (copy / name).unlink()
    else:
        (copy / name).write_bytes(content[:-9] if how == "cut" else content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(BundleError, match=name.replace(".", r"\.")):
        open_dual_bundle(copy)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"family": "small"}, "a captioner: give the folder of a dual encoder"),
        ({"width": 0}, "'width'"),
        ({"architecture": "bert"}, "'architecture'"),
        ({"surprise": 1}, "surprise"),
        ({"picture": {"height": 8}}, "picture.resize"),
        ({"text": {"length": 16, "pad": 0}}, "text.padded"),
        ({"files": {}}, "does not list image.onnx"),
        ({"format": "other"}, "format"),
    ],
)
def test_a_manifest_that_does_not_hold_is_refused(
    bundle: Path, tmp_path: Path, change: dict[str, object], said: str
) -> None:
    document = json.loads((bundle / "rsccli.json").read_text())
    (tmp_path / "rsccli.json").write_text(json.dumps({**document, **change}))
    with pytest.raises(BundleError, match=said):
        read_dual_bundle(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"resample": "magic"}, "resample"),
        ({"resize": "stretch"}, "resize"),
        ({"resize": "shortest", "side": 4}, "side"),
        ({"std": [0.5, 0.0, 0.5]}, "std"),
    ],
)
def test_a_picture_that_cannot_be_made_is_refused(
    bundle: Path, tmp_path: Path, change: dict[str, object], said: str
) -> None:
    document = json.loads((bundle / "rsccli.json").read_text())
    document["picture"] |= change
    (tmp_path / "rsccli.json").write_text(json.dumps(document))
    with pytest.raises(BundleError, match=f"picture.{said}"):
        read_dual_bundle(tmp_path)


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"has no rsccli\.json"):
        open_dual(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(BundleError, match="is a checkpoint, not a bundle: make one with rsccli export-onnx"):
        open_dual(tmp_path)

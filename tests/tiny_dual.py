"""A dual encoder of two tiny graphs that sees colours: real sessions and a real tokenizer, known answers.

A picture's vector is its mean red, green and blue, less grey, and a small constant; a text's is the sum of its words'
colours. So "red" is nearest to the reddest picture, and to the tile that turned red by the difference.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper, parser
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from rsccli.models.dual.encoder import DualEncoder, open_dual

SIDE = 8
WORDS = {
    "<pad>": (0.0, 0.0, 0.0, 0.0),
    "<unk>": (0.0, 0.0, 0.0, 0.01),
    "red": (1.0, -0.5, -0.5, 0.0),
    "green": (-0.5, 1.0, -0.5, 0.0),
    "blue": (-0.5, -0.5, 1.0, 0.0),
    "grey": (0.0, 0.0, 0.0, 1.0),
}

IMAGE = """
<ir_version: 8, opset_import: ["" : 18]>
image (float[N, 3, 8, 8] pixel_values) => (float[N, 4] features)
{
  mean = ReduceMean <keepdims = 0> (pixel_values, axes)
  whole = ReduceMean <keepdims = 1> (mean, last)
  colour = Sub (mean, whole)
  rest = Abs (whole)
  nothing = Mul (rest, zero)
  constant = Add (nothing, little)
  features = Concat <axis = 1> (colour, constant)
}
"""
TEXT = """
<ir_version: 8, opset_import: ["" : 18]>
text (int64[N, L] input_ids) => (float[N, 4] features)
{
  found = Gather (table, input_ids)
  features = ReduceSum <keepdims = 0> (found, axis)
}
"""


def write_tiny_dual(folder: Path, name: str = "tiny-dual") -> Path:
    """Write the bundle; another ``name`` makes another digest."""
    folder.mkdir(parents=True, exist_ok=True)
    floats = {"zero": np.zeros(1, np.float32), "little": np.full(1, 0.05, np.float32)}
    _write(folder / "image.onnx", IMAGE, {"axes": np.array([2, 3]), "last": np.array([1]), **floats})
    _write(folder / "text.onnx", TEXT, {"table": np.array(list(WORDS.values()), np.float32), "axis": np.array([1])})
    vocabulary = {word: place for place, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    files = {}
    for path in sorted(folder.iterdir()):
        if path.name != "rsccli.json":
            content = path.read_bytes()
            files[path.name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    manifest = {
        "format": "rsccli-bundle/1",
        "family": "dual-encoder",
        "name": name,
        "version": "1",
        "source": {"id": "tests/tiny_dual.py", "revision": "1"},
        "architecture": "clip",
        "width": 4,
        "picture": {
            "height": SIDE,
            "width": SIDE,
            "resize": "exact",
            "side": SIDE,
            "resample": "bilinear",
            "scale": 1 / 255,
            "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5],
        },
        "text": {"length": 16, "pad": 0, "padded": False},
        "logit_scale": 4.6,
        "logit_bias": None,
        "dtype": "fp32",
        "opset": 18,
        "licence": "MIT",
        "training_data": "None.",
        "parity": {},
        "limits": ["Sees colours only."],
        "files": files,
    }
    (folder / "rsccli.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    return folder


def open_tiny_dual(folder: Path) -> DualEncoder:
    """The bundle on the CPU, in one thread."""
    return open_dual(folder, "cpu", 1)


def _write(path: Path, text: str, values: dict[str, np.ndarray]) -> None:
    model = parser.parse_model(text)
    for name, value in values.items():
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    onnx.save(model, path)

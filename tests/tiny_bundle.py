"""A bundle of three tiny graphs that keep the whole contract, for tests: real sessions, known sentences.

The encoder compares mean brightness. The decoder is two parallel attention layers over real keys and values
(so a wrong mask, past or position changes its words) and three tables: token to next token, attended history
to next token, position to next token. ``scripted`` tables say one of three sentences of different length,
``looping`` ones never end, ``random`` ones say nonsense that depends on everything.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from onnx import numpy_helper, parser
from tokenizers import Tokenizer, models, pre_tokenizers

WORDS = ("<pad>", "<bos>", "<eos>", "The", "scene", "is", "brighter", "darker", "unchanged", "now.")
TOPICS = ("<up>", "<down>", "<same>")
VOCAB = (*WORDS, *TOPICS, "<unk>", "<a>", "<b>")
WIDTH = len(VOCAB)  # 16: embeddings are one-hot
HEADS, HEAD_DIM, LAYERS, IMAGE_TOKENS = 2, 8, 2, 3
KEYWORDS = ("brighter", "darker", "any")
SENTENCES = {
    "up": "The scene is brighter now.",
    "down": "The scene is darker",
    "same": "The scene is unchanged",
}
Style = Literal["scripted", "looping", "random"]

ENCODER = """
<ir_version: 8, opset_import: ["" : 17]>
encoder (float[N, 3, H, W] pre, float[N, 3, H, W] post, float[N, 1, H, W] valid)
  => (float[N, 3, 16] image_tokens, float[N] change_logit, float[N, 3] keyword_logits,
  float[N, 1, h, w] mask_logits)
{
  difference = Sub (post, pre)
  mean_difference = ReduceMean <axes = [1], keepdims = 1> (difference)
  total = ReduceSum (mean_difference, all_axes)
  area = ReduceSum (valid, all_axes)
  signed = Div (total, area)
  size = Abs (signed)
  scaled = Mul (size, forty)
  change = Sub (scaled, four)
  change_logit = Squeeze (change, all_axes_123)
  up = Mul (signed, forty)
  down = Neg (up)
  three = Concat <axis = 1> (up, down, change)
  keyword_logits = Squeeze (three, axes_23)
  same = Neg (change)
  topics = Concat <axis = 1> (up, down, same)
  flat = Squeeze (topics, axes_23)
  soft = Softmax <axis = 1> (flat)
  topic_token = MatMul (soft, topic_rows)
  one_token = Unsqueeze (topic_token, axis_1)
  image_tokens = Concat <axis = 1> (one_token, one_token, one_token)
  magnitude = Abs (mean_difference)
  cells = AveragePool <kernel_shape = [4, 4], strides = [4, 4]> (magnitude)
  scaled_cells = Mul (cells, forty)
  mask_logits = Sub (scaled_cells, four)
}
"""
EMBED = """
<ir_version: 8, opset_import: ["" : 17]>
embed (int64[N, L] input_ids) => (float[N, L, 16] inputs_embeds)
{
  inputs_embeds = Gather <axis = 0> (table, input_ids)
}
"""
# Only the last position gives logits and the layers are parallel, so no causal mask is needed.
LAYER = """
  key_flat_I = MatMul (inputs_embeds, key_weight_I)
  key_split_I = Reshape (key_flat_I, head_shape)
  key_I = Transpose <perm = [0, 2, 1, 3]> (key_split_I)
  value_split_I = Reshape (inputs_embeds, head_shape)
  value_I = Transpose <perm = [0, 2, 1, 3]> (value_split_I)
  present__I__key = Concat <axis = 2> (past_key_values__I__key, key_I)
  present__I__value = Concat <axis = 2> (past_key_values__I__value, value_I)
  query_flat_I = MatMul (last, query_weight_I)
  query_split_I = Reshape (query_flat_I, head_shape)
  query_I = Transpose <perm = [0, 2, 1, 3]> (query_split_I)
  keys_turned_I = Transpose <perm = [0, 1, 3, 2]> (present__I__key)
  fit_I = MatMul (query_I, keys_turned_I)
  masked_I = Add (fit_I, hide)
  weights_I = Softmax <axis = 3> (masked_I)
  seen_I = MatMul (weights_I, present__I__value)
  seen_turned_I = Transpose <perm = [0, 2, 1, 3]> (seen_I)
  history_I = Reshape (seen_turned_I, width_shape)
  logits_I = MatMul (history_I, history_weight_I)
"""
DECODER = """
<ir_version: 8, opset_import: ["" : 17]>
decoder (float[N, L, 16] inputs_embeds, int64[N, S] attention_mask, int64[N, L] position_ids,
  float[N, 2, P, 8] past_key_values__0__key, float[N, 2, P, 8] past_key_values__0__value,
  float[N, 2, P, 8] past_key_values__1__key, float[N, 2, P, 8] past_key_values__1__value)
  => (float[N, 1, 16] logits,
  float[N, 2, S, 8] present__0__key, float[N, 2, S, 8] present__0__value,
  float[N, 2, S, 8] present__1__key, float[N, 2, S, 8] present__1__value)
{
  last = Slice (inputs_embeds, minus_one, end, axis_1)
  mask_float = Cast <to = 1> (attention_mask)
  mask_4d = Unsqueeze (mask_float, axes_12)
  mask_less = Sub (mask_4d, one)
  hide = Mul (mask_less, big)
LAYERS
  from_token = MatMul (last, next_weight)
  last_position = Slice (position_ids, minus_one, end, axis_1)
  from_position = Gather <axis = 0> (position_weight, last_position)
  history = Add (logits_0, logits_1)
  so_far = Add (from_token, history)
  logits = Add (so_far, from_position)
}
"""


def _model(text: str, weights: Mapping[str, np.ndarray]) -> onnx.ModelProto:
    model = parser.parse_model(text)
    # The text format has no dots in names; the contract has (past_key_values.0.key).
    for node in model.graph.node:
        node.input[:] = [name.replace("__", ".") for name in node.input]
        node.output[:] = [name.replace("__", ".") for name in node.output]
    for value in (*model.graph.input, *model.graph.output):
        value.name = value.name.replace("__", ".")
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in weights.items())
    onnx.checker.check_model(model, full_check=True)
    return model


def encoder() -> onnx.ModelProto:
    topics = np.zeros((3, WIDTH), np.float32)
    for row, topic in enumerate(TOPICS):
        topics[row, VOCAB.index(topic)] = 1.0
    axes = {"all_axes": [1, 2, 3], "all_axes_123": [1, 2, 3], "axes_23": [2, 3], "axis_1": [1]}
    weights: dict[str, np.ndarray] = {name: np.array(value, np.int64) for name, value in axes.items()}
    weights |= {"forty": np.float32(40), "four": np.float32(4), "topic_rows": topics}
    return _model(ENCODER, {name: np.asarray(value) for name, value in weights.items()})


def embed() -> onnx.ModelProto:
    return _model(EMBED, {"table": np.eye(WIDTH, dtype=np.float32)})


def decoder(style: Style) -> onnx.ModelProto:
    text = DECODER.replace(
        "LAYERS", "".join(LAYER.replace("__I__", f"__{i}__").replace("_I", f"_{i}") for i in range(LAYERS))
    )
    rng = np.random.default_rng(7)
    shapes = {"next_weight": (WIDTH, WIDTH), "position_weight": (128, WIDTH)}
    shapes |= {f"{kind}_weight_{i}": (WIDTH, WIDTH) for i in range(LAYERS) for kind in ("key", "query", "history")}
    if style == "random":
        weights = {name: rng.normal(0, 1.5, shape).astype(np.float32) for name, shape in shapes.items()}
        # An end now and then, at a step that depends on the row.
        weights["next_weight"][:, 2] += 1.0
    else:
        weights = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
        chain = ["<bos>", "The", "scene", "is"]
        links = [
            *pairwise(chain),
            ("brighter", "now."),
            ("darker", "<eos>"),
            ("unchanged", "<eos>"),
        ]
        links.append(("now.", "brighter" if style == "looping" else "<eos>"))
        for before, after in links:
            weights["next_weight"][VOCAB.index(before), VOCAB.index(after)] = 30.0
        for topic, word in zip(TOPICS, ("brighter", "darker", "unchanged"), strict=True):
            weights["next_weight"][VOCAB.index("is"), VOCAB.index(word)] = 10.0
            weights["history_weight_0"][VOCAB.index(topic), VOCAB.index(word)] = 20.0
    weights |= {
        "minus_one": np.array([-1], np.int64),
        "end": np.array([2**31 - 1], np.int64),
        "axis_1": np.array([1], np.int64),
        "axes_12": np.array([1, 2], np.int64),
        "one": np.array(1, np.float32),
        "big": np.array(1e9, np.float32),
        "head_shape": np.array([0, -1, HEADS, HEAD_DIM], np.int64),
        "width_shape": np.array([0, -1, WIDTH], np.int64),
    }
    return _model(text, weights)


def tokenizer() -> Tokenizer:
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(VOCAB)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.add_special_tokens(["<pad>", "<bos>", "<eos>"])
    return words


def manifest_of(folder: Path) -> dict[str, Any]:
    files = sorted(path for path in folder.iterdir() if path.name != "rsccli.json")
    return {
        "format": "rsccli-bundle/1",
        "family": "rsccli-small",
        "name": "tiny",
        "version": "0.0.1",
        "source": {"id": "tests/tiny_bundle.py", "revision": "1"},
        "files": {
            path.name: {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": path.stat().st_size}
            for path in files
        },
        "input": {
            "bands": ["red", "green", "blue"],
            "min_side": 64,
            "max_side": 128,
            "multiple": 32,
            "mean": [0.5, 0.5, 0.5],
            "std": [0.25, 0.25, 0.25],
            "gsd_m": [0.3, 10.0],
        },
        "tokens": {"bos": 1, "eos": 2, "pad": 0, "image_tokens": IMAGE_TOKENS, "max_new_tokens": 20},
        "decoder": {
            "layers": LAYERS,
            "heads": HEADS,
            "head_dim": HEAD_DIM,
            "width": WIDTH,
            "vocab": len(VOCAB),
        },
        "keywords": list(KEYWORDS),
        "calibration": {"scale": 1.0, "bias": 0.0},
        "thresholds": {"changed": 0.6, "unchanged": 0.2, "keywords": [0.6, 0.6, 0.6], "mask": 0.5},
        "prompts": {"naive": ""},
        "dtype": "fp32",
        "opset": 17,
        "licence": "MIT",
        "training_data": "None: three tables written by hand, for tests.",
        "parity": {},
        "limits": ["knows nothing but brightness"],
    }


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    (folder / "rsccli.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def write_tiny_bundle(folder: Path, style: Style = "scripted") -> Path:
    """Write a bundle and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(encoder(), folder / "encoder.onnx")
    onnx.save(embed(), folder / "embed.onnx")
    onnx.save(decoder(style), folder / "decoder.onnx")
    tokenizer().save(str(folder / "tokenizer.json"))
    write_manifest(folder, manifest_of(folder))
    return folder

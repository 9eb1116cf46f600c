"""A bundle of three tiny graphs that keep the whole contract, for tests: real sessions, known sentences.

The encoder compares mean brightness: brighter is greener vegetation, darker is a burn scar, white is cloud, and
how foreign a date looks is the square of its mean. The decoder is two parallel attention layers over real keys and
values (so a wrong mask, past or position changes its words) and three tables: token to next token, attended history
to next token, position to next token. ``scripted`` tables say one of three sentences of different length,
``looping`` ones never end, ``random`` ones say nonsense that depends on everything. Keys and values may be kept in
half the bytes.
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

from rsccli.models.small.facts import KEYWORDS, prompt_vocabulary

WORDS = ("<pad>", "<bos>", "<eos>", "The", "scene", "is", "greener", "burnt", "unchanged", "now.")
TOPICS = ("<up>", "<down>", "<same>")
HEADS, LAYERS, IMAGE_TOKENS = 2, 2, 3
_KNOWN = (*WORDS, *TOPICS, "<unk>", "<a>", "<b>", *prompt_vocabulary())
VOCAB = (*_KNOWN, *(f"<fill {i}>" for i in range(-len(_KNOWN) % HEADS)))
WIDTH = len(VOCAB)  # embeddings are one-hot
HEAD_DIM = WIDTH // HEADS
UP, DOWN = KEYWORDS.index("greener vegetation"), KEYWORDS.index("burn scar")
Style = Literal["scripted", "looping", "random"]

ENCODER = """
<ir_version: 8, opset_import: ["" : 17]>
encoder (float[N, 3, H, W] pre, float[N, 3, H, W] post, float[N, 1, H, W] valid, float[N] gsd)
  => (float[N, 3, WIDTH] image_tokens, float[N] change_logit, float[N] change_vector,
  float[N, KINDS] keyword_logits, float[N, 1, h, w] mask_logits, float[N, KINDS, h, w] class_logits,
  float[N, 2, hc, wc] cloud_logits, float[N, 2] domain)
{
  difference = Sub (post, pre)
  mean_difference = ReduceMean <axes = [1], keepdims = 1> (difference)
  total = ReduceSum (mean_difference, all_axes)
  area = ReduceSum (valid, all_axes)
  area_kept = Max (area, one)
  signed = Div (total, area_kept)
  size = Abs (signed)
  scaled = Mul (size, forty)
  change = Sub (scaled, four)
  change_logit = Squeeze (change, all_axes)
  change_vector = Squeeze (size, all_axes)
  up = Mul (signed, forty)
  down = Neg (up)
  both = Concat <axis = 1> (up, down)
  both_flat = Squeeze (both, axes_23)
  keyword_sizes = MatMul (both_flat, keyword_rows)
  keyword_logits = Add (keyword_sizes, keyword_bias)
  same = Neg (change)
  topics = Concat <axis = 1> (up, down, same)
  flat = Squeeze (topics, axes_23)
  soft = Softmax <axis = 1> (flat)
  topic_token = MatMul (soft, topic_rows)
  one_token = Unsqueeze (topic_token, axis_1)
  image_tokens = Concat <axis = 1> (one_token, one_token, one_token)
  cells = AveragePool <kernel_shape = [4, 4], strides = [4, 4]> (mean_difference)
  magnitude = Abs (cells)
  scaled_cells = Mul (magnitude, forty)
  mask_logits = Sub (scaled_cells, four)
  class_logits = Conv (cells, class_weight)
  pre_grey = ReduceMean <axes = [1], keepdims = 1> (pre)
  post_grey = ReduceMean <axes = [1], keepdims = 1> (post)
  dates = Concat <axis = 1> (pre_grey, post_grey)
  coarse = AveragePool <kernel_shape = [16, 16], strides = [16, 16]> (dates)
  cloud_logits = Sub (coarse, nearly_white)
  date_means = ReduceMean <axes = [2, 3], keepdims = 0> (dates)
  domain = Mul (date_means, date_means)
}
"""
EMBED = """
<ir_version: 8, opset_import: ["" : 17]>
embed (int64[N, L] input_ids) => (float[N, L, WIDTH] inputs_embeds)
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
  key_kept_I = Cast <to = PAST> (key_I)
  value_kept_I = Cast <to = PAST> (value_I)
  present__I__key = Concat <axis = 2> (past_key_values__I__key, key_kept_I)
  present__I__value = Concat <axis = 2> (past_key_values__I__value, value_kept_I)
  keys_I = Cast <to = 1> (present__I__key)
  values_I = Cast <to = 1> (present__I__value)
  query_flat_I = MatMul (last, query_weight_I)
  query_split_I = Reshape (query_flat_I, head_shape)
  query_I = Transpose <perm = [0, 2, 1, 3]> (query_split_I)
  keys_turned_I = Transpose <perm = [0, 1, 3, 2]> (keys_I)
  fit_I = MatMul (query_I, keys_turned_I)
  masked_I = Add (fit_I, hide)
  weights_I = Softmax <axis = 3> (masked_I)
  seen_I = MatMul (weights_I, values_I)
  seen_turned_I = Transpose <perm = [0, 2, 1, 3]> (seen_I)
  history_I = Reshape (seen_turned_I, width_shape)
  logits_I = MatMul (history_I, history_weight_I)
"""
DECODER = """
<ir_version: 8, opset_import: ["" : 17]>
decoder (float[N, L, WIDTH] inputs_embeds, int64[N, S] attention_mask, int64[N, L] position_ids,
  KEPT[N, 2, P, HEAD_DIM] past_key_values__0__key, KEPT[N, 2, P, HEAD_DIM] past_key_values__0__value,
  KEPT[N, 2, P, HEAD_DIM] past_key_values__1__key, KEPT[N, 2, P, HEAD_DIM] past_key_values__1__value)
  => (float[N, 1, WIDTH] logits,
  KEPT[N, 2, S, HEAD_DIM] present__0__key, KEPT[N, 2, S, HEAD_DIM] present__0__value,
  KEPT[N, 2, S, HEAD_DIM] present__1__key, KEPT[N, 2, S, HEAD_DIM] present__1__value)
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
    for name, size in (("HEAD_DIM", HEAD_DIM), ("WIDTH", WIDTH), ("KINDS", len(KEYWORDS))):
        text = text.replace(name, str(size))
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
    keywords = np.zeros((2, len(KEYWORDS)), np.float32)
    keywords[0, UP] = keywords[1, DOWN] = 1.0
    classes = np.zeros((len(KEYWORDS), 1, 1, 1), np.float32)
    classes[UP], classes[DOWN] = 40.0, -40.0
    axes = {"all_axes": [1, 2, 3], "axes_23": [2, 3], "axis_1": [1]}
    weights: dict[str, np.ndarray] = {name: np.array(value, np.int64) for name, value in axes.items()}
    weights |= {"one": np.float32(1), "forty": np.float32(40), "four": np.float32(4), "nearly_white": np.float32(1.8)}
    weights |= {"topic_rows": topics, "keyword_rows": keywords, "class_weight": classes}
    # What never grows stays far below any threshold.
    weights["keyword_bias"] = np.where(keywords.any(0), 0.0, -12.0).astype(np.float32)
    return _model(ENCODER, {name: np.asarray(value) for name, value in weights.items()})


def embed() -> onnx.ModelProto:
    return _model(EMBED, {"table": np.eye(WIDTH, dtype=np.float32)})


def decoder(style: Style, past: str = "fp32") -> onnx.ModelProto:
    text = DECODER.replace(
        "LAYERS", "".join(LAYER.replace("__I__", f"__{i}__").replace("_I", f"_{i}") for i in range(LAYERS))
    )
    number, kind = {"fp32": (1, "float"), "fp16": (10, "float16"), "bf16": (16, "bfloat16")}[past]
    text = text.replace("PAST", str(number)).replace("KEPT", kind)
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
            ("greener", "now."),
            ("burnt", "<eos>"),
            ("unchanged", "<eos>"),
        ]
        links.append(("now.", "greener" if style == "looping" else "<eos>"))
        for before, after in links:
            weights["next_weight"][VOCAB.index(before), VOCAB.index(after)] = 30.0
        for topic, word in zip(TOPICS, ("greener", "burnt", "unchanged"), strict=True):
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


def manifest_of(folder: Path, past: str = "fp32") -> dict[str, Any]:
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
            "window": 64,
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
            **({} if past == "fp32" else {"dtype": past}),
        },
        "keywords": list(KEYWORDS),
        "calibration": {"scale": 1.0, "bias": 0.0},
        "thresholds": {"changed": 0.6, "unchanged": 0.2, "keywords": [0.6] * len(KEYWORDS), "mask": 0.5},
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


def write_tiny_bundle(folder: Path, style: Style = "scripted", past: str = "fp32") -> Path:
    """Write a bundle and return its folder.

    Args:
        style: of its decoder's tables. past: type of keys and values, ``fp32``, ``fp16`` or ``bf16``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(encoder(), folder / "encoder.onnx")
    onnx.save(embed(), folder / "embed.onnx")
    onnx.save(decoder(style, past), folder / "decoder.onnx")
    tokenizer().save(str(folder / "tokenizer.json"))
    write_manifest(folder, manifest_of(folder, past))
    return folder

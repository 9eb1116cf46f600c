"""Modules of transformers to the three graphs of a bundle, through torch's exporter.

What made it work: indices and masks come from the host, the 4D mask and the cache are made inside of the decoder
graph from flat inputs, and no shape depends on values.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers.cache_utils import DynamicCache

from rsccli.models.bundle import past_names
from rsccli.models.large.family import DecoderExport, EncoderExport, GraphInput

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
#: Graphs above this many bytes keep their weights in files beside them: a protobuf ends at 2 GB.
EXTERNAL_BYTES = 1_500_000_000
#: Sizes of the example that the decoder is traced with: no two are equal, none is 0 or 1.
ROWS, LENGTH, PAST = 2, 3, 5


class LanguageModel(nn.Module):
    """A decoder-only language model of transformers behind the contract of `DecoderExport.module`.

    Args:
        model: takes inputs_embeds, a 4D mask, position_ids and a cache, and returns ``last_hidden_state``.
        head: hidden states to logits. axes: 3 where positions are (3, N, L) for the model.
    """

    def __init__(self, model: nn.Module, head: nn.Module, axes: int = 1) -> None:
        super().__init__()
        self.model, self.head, self.axes = model, head, axes

    def forward(
        self, inputs_embeds: Tensor, mask: Tensor, position_ids: Tensor, past: list[Tensor], further: list[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """Logits of the last position, and the present keys and values."""
        cache = cache_of(past)
        out = self.model(
            inputs_embeds=inputs_embeds,
            attention_mask=mask,
            position_ids=position_ids.transpose(0, 1) if self.axes == 3 else position_ids,
            past_key_values=cache,
            use_cache=True,
        )
        return self.head(out.last_hidden_state[:, -1:]), flat(cache)


def cache_of(past: list[Tensor]) -> DynamicCache:
    """A cache with keys and values, layer by layer, key before value."""
    cache = DynamicCache()
    for layer in range(len(past) // 2):
        cache.update(past[2 * layer], past[2 * layer + 1], layer)
    return cache


def flat(cache: DynamicCache) -> list[Tensor]:
    """Keys and values of a cache, layer by layer, key before value."""
    return [part for layer in cache.layers for part in (layer.keys, layer.values)]


class _DecoderGraph(nn.Module):
    """Float32 outside, the model's precision inside; the 4D mask is made here."""

    def __init__(self, export: DecoderExport, dtype: torch.dtype) -> None:
        super().__init__()
        self.module, self.dtype = export.module, dtype

    def forward(
        self,
        inputs_embeds: Tensor,
        attention_mask: Tensor,
        position_ids: Tensor,
        further: list[Tensor],
        past: list[Tensor],
    ) -> tuple[Tensor, ...]:
        total, length = attention_mask.shape[1], inputs_embeds.shape[1]
        seen = torch.arange(total).view(1, 1, 1, -1)
        own = torch.arange(length).view(1, 1, -1, 1) + (total - length)
        allowed = (seen <= own) & (attention_mask[:, None, None, :] > 0)
        # A padded position sees nothing; it sees itself instead, as softmax over nothing is not a number.
        allowed = allowed | (seen == own)
        mask = torch.where(allowed, 0.0, torch.finfo(self.dtype).min).to(self.dtype)
        beside = [each.to(self.dtype) if each.is_floating_point() else each for each in further]
        logits, present = self.module(inputs_embeds.to(self.dtype), mask, position_ids, past, beside)
        return (logits.float(), *present)


class _EncoderGraph(nn.Module):
    """Float32 outside, the model's precision inside."""

    def __init__(self, export: EncoderExport, dtype: torch.dtype) -> None:
        super().__init__()
        self.module, self.dtype = export.module, dtype

    def forward(self, inputs: list[Tensor]) -> tuple[Tensor, ...]:
        out = self.module(*[each.to(self.dtype) if each.is_floating_point() else each for each in inputs])
        return tuple(each.float() for each in (out if isinstance(out, tuple) else (out,)))


def write_encoder(export: EncoderExport, dtype: str, opset: int, path: Path) -> None:
    """Export the encoder."""
    inputs = list(export.inputs.values())
    _export(
        _EncoderGraph(export, DTYPES[dtype]),
        ([each.example for each in inputs],),
        ([_free(each) for each in inputs],),
        (list(export.inputs), list(export.outputs)),
        opset,
        path,
    )


def write_decoder(export: DecoderExport, dtype: str, opset: int, path: Path) -> None:
    """Export the decoder."""
    kind = DTYPES[dtype]
    total, auto = LENGTH + PAST, torch.export.Dim.DYNAMIC
    past = [torch.randn(ROWS, export.heads, PAST, export.head_dim).to(kind) for _ in range(2 * export.layers)]
    positions = torch.arange(PAST, total).expand(ROWS, *([3] if export.axes == 3 else []), LENGTH).contiguous()
    further = list(export.further.values())
    past_in, present = past_names(export.layers)
    _export(
        _DecoderGraph(export, kind),
        (
            torch.randn(ROWS, LENGTH, export.width),
            torch.ones(ROWS, total, dtype=torch.int64),
            positions,
            [each.example for each in further],
            past,
        ),
        (
            {0: auto, 1: auto},
            {0: auto, 1: auto},
            {0: auto, positions.ndim - 1: auto},
            [_free(each) for each in further],
            [{0: auto, 2: auto}] * len(past),
        ),
        (
            ["inputs_embeds", "attention_mask", "position_ids", *export.further, *past_in],
            ["logits", *present],
        ),
        opset,
        path,
    )


def write_embedding(table: Tensor, dtype: str, opset: int, path: Path) -> None:
    """Write the graph that looks token embeddings up, from its table (V, D)."""
    import onnx
    from onnx import TensorProto, helper

    kinds = {"fp32": TensorProto.FLOAT, "fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}
    values = table.detach().to(DTYPES[dtype]).contiguous()
    raw = values.view(torch.uint8 if dtype == "bf16" else values.dtype).numpy()
    if raw.nbytes > EXTERNAL_BYTES:
        # A table may be larger than a protobuf can be, even for a moment: it goes into its file as it is.
        beside = path.with_name(f"{path.name}.data")
        raw.tofile(beside)
        weight = TensorProto(name="table", data_type=kinds[dtype], dims=values.shape)
        weight.data_location = TensorProto.EXTERNAL
        for key, value in (("location", beside.name), ("offset", "0"), ("length", str(raw.nbytes))):
            weight.external_data.add(key=key, value=value)
    else:
        weight = helper.make_tensor("table", kinds[dtype], list(values.shape), raw.tobytes(), raw=True)
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["found"])]
    nodes.append(helper.make_node("Cast", ["found"], ["inputs_embeds"], to=TensorProto.FLOAT))
    graph = helper.make_graph(
        nodes,
        "embed",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["n", "length"])],
        [helper.make_tensor_value_info("inputs_embeds", TensorProto.FLOAT, ["n", "length", values.shape[1]])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    onnx.save(model, path)


def _free(given: GraphInput) -> dict[int, Any]:
    return {axis: torch.export.Dim.DYNAMIC for axis in given.dynamic}


def _export(
    module: nn.Module,
    args: tuple[Any, ...],
    shapes: tuple[Any, ...],
    names: tuple[list[str], list[str]],
    opset: int,
    path: Path,
) -> None:
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            module.eval(),
            args,
            dynamo=True,
            opset_version=opset,
            dynamic_shapes=shapes,
            input_names=names[0],
            output_names=names[1],
            verbose=False,
        )
        if program is None:
            raise RuntimeError("torch's exporter returned nothing")
        size = sum(weight.numel() * weight.element_size() for weight in module.state_dict().values())
        program.save(path, external_data=size > EXTERNAL_BYTES)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter prints to stdout and warns of what parity is measured for afterwards."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.onnx._internal", "onnxscript")]
    levels = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)


def attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Attention of (B, heads, M, head_dim), back as (B, M, heads * head_dim)."""
    out = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    return out.transpose(1, 2).flatten(2)


def split_heads(states: Tensor, heads: int) -> Tensor:
    """(B, M, heads * head_dim) to (B, heads, M, head_dim)."""
    split: Tensor = states.unflatten(-1, (heads, -1)).transpose(1, 2)  # type: ignore[no-untyped-call]
    return split


def rotate(states: Tensor, angles: Tensor) -> Tensor:
    """Rotary embedding of (B, heads, M, head_dim) by angles (M, head_dim / 2), in float32."""
    whole = torch.cat((angles, angles), -1)
    cos, sin = whole.cos(), whole.sin()
    wide = states.float()
    first, second = wide.chunk(2, dim=-1)
    return (wide * cos + torch.cat((-second, first), -1) * sin).to(states.dtype)


def inverse_frequencies(head_dim: int, theta: float = 10000.0) -> Tensor:
    """Inverse frequencies of a two-dimensional rotary embedding, (head_dim / 4)."""
    half = head_dim // 2
    return 1.0 / (theta ** (torch.arange(0, half, 2, dtype=torch.float32) / half))


def on_inputs(pick: Callable[..., Any], examples: Mapping[str, GraphInput]) -> Any:  # noqa: ANN401
    """Run a module on its own examples (for checks of a family while it is written)."""
    with torch.no_grad():
        return pick(*[each.example for each in examples.values()])


def as_numpy(values: Mapping[str, Tensor]) -> dict[str, np.ndarray[Any, Any]]:
    """Tensors as arrays, by name."""
    return {name: value.numpy(force=True) for name, value in values.items()}

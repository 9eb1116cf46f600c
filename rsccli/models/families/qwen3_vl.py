"""Qwen3-VL (Qwen team 2025): as Qwen2-VL, with learned positions and with image features behind the first layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from rsccli.models.families.qwen2_vl import Qwen2VL, QwenReader, patch_positions
from rsccli.models.large.boxes import FORMS, BoxRule
from rsccli.models.large.family import (
    F32,
    I64,
    IMAGE_TOKENS,
    U8,
    DecoderExport,
    Embed,
    EncoderExport,
    Features,
    GraphInput,
    Picture,
    Published,
    Reader,
    Row,
)

#: Features of inner layers of the vision encoder, (N, K, T, D) from it and (N, L, K, D) into the decoder.
DEEPSTACK = "deepstack"


class Qwen3Reader(QwenReader):
    """Reader of Qwen3-VL.

    Args:
        vision: as `QwenReader` has it, and ``side``, learned positions per side of their square.
        folder: of the bundle.
    """

    outputs = (IMAGE_TOKENS, DEEPSTACK)
    per_token = (DEEPSTACK,)

    def __init__(self, vision: Mapping[str, Any], folder: Path) -> None:
        super().__init__(vision, folder)
        self._side = int(vision["side"])
        self.inputs = (*self.inputs, "corners", "shares")

    def picture(self, image: U8) -> Picture:
        """See `Reader.picture`."""
        picture = super().picture(image)
        rows, cols = picture.shape
        corners, shares = around(rows, cols, picture.shared["patch_positions"], self._side)
        return replace(picture, shared={**picture.shared, "corners": corners, "shares": shares})

    def row(self, ids: I64, features: Sequence[Features], embed: Embed) -> Row:
        """See `Reader.row`."""
        row = super().row(ids, features, embed)
        inner = np.concatenate([each.outputs[DEEPSTACK] for each in features], axis=1)
        values = np.zeros((len(ids), inner.shape[0], inner.shape[2]), np.float32)
        values[ids == self.image_token] = inner.transpose(1, 0, 2)
        return replace(row, per_token={DEEPSTACK: (values, np.zeros((1, *values.shape[1:]), np.float32))})


def around(rows: int, cols: int, at: I64, side: int) -> tuple[I64, F32]:
    """The four learned positions around each patch, and their shares, both (4, M).

    Args:
        rows, cols: of the image's patches. at: (row, column) of each, (M, 2). side: of the square of learned positions.
    """
    low, high, share = [], [], []
    for axis, count in enumerate((rows, cols)):
        place = np.linspace(0, side - 1, count, dtype=np.float32)[at[:, axis]]
        low.append(place.astype(np.int64))
        high.append(np.minimum(low[axis] + 1, side - 1))
        share.append(place - low[axis].astype(np.float32))
    (top, left), (bottom, right), (down, along) = low, high, share
    corners = [top * side + left, top * side + right, bottom * side + left, bottom * side + right]
    shares = [(1 - down) * (1 - along), (1 - down) * along, down * (1 - along), down * along]
    return np.stack(corners), np.stack(shares).astype(np.float32)


class Qwen3VL(Qwen2VL):
    """Qwen3-VL."""

    name: ClassVar[str] = "qwen3-vl"
    title: ClassVar[str] = "Qwen3-VL"
    model_class: ClassVar[str] = "Qwen3VLForConditionalGeneration"
    published: ClassVar[tuple[Published, ...]] = tuple(
        Published(f"Qwen/Qwen3-VL-{size}-Instruct", "Apache-2.0") for size in ("2B", "4B", "8B", "32B")
    )
    boxes: ClassVar[BoxRule | None] = BoxRule("thousand", FORMS["thousand"])

    def reads(self, config: Mapping[str, Any]) -> bool:
        """See `Family.reads`."""
        return config.get("model_type") == "qwen3_vl"

    def encoder(self, model: Any) -> EncoderExport:  # noqa: ANN401
        """See `Family.encoder`."""
        import torch

        from rsccli.models.families.modules.qwen3 import Qwen3Vision

        visual = model.model.visual
        merge, width = visual.spatial_merge_size, visual.patch_embed.proj.weight[0].numel()
        rows, cols = 2 * merge, 3 * merge
        at = patch_positions(rows, cols, merge)
        corners, shares = around(rows, cols, at, visual.num_grid_per_side)
        return EncoderExport(
            Qwen3Vision(visual),
            {
                "pixel_values": GraphInput(torch.randn(2, len(at), width), (0, 1)),
                "patch_positions": GraphInput(torch.from_numpy(at), (0,)),
                "corners": GraphInput(torch.from_numpy(corners), (1,)),
                "shares": GraphInput(torch.from_numpy(shares), (1,)),
            },
            (IMAGE_TOKENS, DEEPSTACK),
        )

    def decoder(self, model: Any) -> DecoderExport:  # noqa: ANN401
        """See `Family.decoder`."""
        import torch

        from rsccli.models.families.modules.qwen3 import Qwen3Language
        from rsccli.models.large.graphs import LENGTH, ROWS

        language = model.model.language_model
        from rsccli.models.families.modules.language import language_decoder

        plain = language_decoder(language, model.lm_head, axes=3)
        layers = len(model.model.visual.deepstack_visual_indexes)
        features = GraphInput(torch.randn(ROWS, LENGTH, layers, plain.width), (0, 1))
        return replace(plain, module=Qwen3Language(language, model.lm_head, layers), further={DEEPSTACK: features})

    def vision(self, model: Any, processor: Any) -> dict[str, Any]:  # noqa: ANN401
        """See `Family.vision`."""
        return {**super().vision(model, processor), "side": model.model.visual.num_grid_per_side}

    def reader(self, vision: Mapping[str, Any], folder: Path) -> Reader:
        """See `Family.reader`."""
        return Qwen3Reader(vision, folder)


class Qwen3VLMoe(Qwen3VL):
    """Qwen3-VL with experts, of which each token needs a few; the graphs compute all of them, as transformers does."""

    name: ClassVar[str] = "qwen3-vl-moe"
    title: ClassVar[str] = "Qwen3-VL MoE"
    model_class: ClassVar[str] = "Qwen3VLMoeForConditionalGeneration"
    published: ClassVar[tuple[Published, ...]] = tuple(
        Published(
            f"Qwen/Qwen3-VL-{size}-Instruct",
            "Apache-2.0",
            "Every token costs as much as that of a model of this size without experts.",
        )
        for size in ("30B-A3B", "235B-A22B")
    )

    def reads(self, config: Mapping[str, Any]) -> bool:
        """See `Family.reads`."""
        return config.get("model_type") == "qwen3_vl_moe"

"""Qwen2-VL (Wang et al. 2024): images of any size as patches, 3D rotary positions in the language model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from rsccli.models.large.boxes import BoxRule, View
from rsccli.models.large.family import (
    I64,
    U8,
    DecoderExport,
    EncoderExport,
    Family,
    GraphInput,
    Picture,
    Published,
    Reader,
)


class QwenReader(Reader):
    """Reader of the Qwen families up to 2.5.

    Args:
        vision: ``image_token``, ``merge`` (patches per side of an image token) and, with windows, ``window`` (image
            tokens per side of one). folder: of the bundle.
    """

    def __init__(self, vision: Mapping[str, Any], folder: Path) -> None:
        from rsccli.models.large.images import load_image_processor

        self.image_token, self._merge = int(vision["image_token"]), int(vision["merge"])
        self._window = vision.get("window")
        self.inputs = ("pixel_values", "patch_positions", *(("windows",) if self._window else ()))
        self._processor = load_image_processor(folder)

    def picture(self, image: U8) -> Picture:
        """See `Reader.picture`."""
        made = self._processor(images=[image], return_tensors="np")
        _, rows, cols = (int(n) for n in made["image_grid_thw"][0])
        at = patch_positions(rows, cols, self._merge)
        shared = {"patch_positions": at}
        if self._window:
            across = at // (int(self._window) * self._merge)
            shared["windows"] = across[:, 0] * (cols + 1) + across[:, 1]
        grid = (rows // self._merge, cols // self._merge)
        pixels = np.asarray(made["pixel_values"], np.float32)
        return Picture({"pixel_values": pixels}, shared, (rows, cols), (self.image_token,) * (grid[0] * grid[1]), grid)

    def view(self, height: int, width: int) -> View:
        """See `Reader.view`: sides are resized to whole patches."""
        rows, cols = self.picture(np.zeros((height, width, 3), np.uint8)).shape
        patch = int(self._processor.patch_size)
        return View(0, 0, width, height, cols * patch, rows * patch)

    def positions(self, ids: I64, pictures: Sequence[Picture]) -> I64:
        """See `Reader.positions`."""
        return rotary_positions(ids, self.image_token, [each.grid for each in pictures if each.grid])


def patch_positions(rows: int, cols: int, merge: int) -> I64:
    """(row, column) of every patch, (M, 2), in the order in which blocks of merge x merge patches follow."""
    at = np.stack(np.meshgrid(np.arange(rows), np.arange(cols), indexing="ij"), -1)
    blocks = at.reshape(rows // merge, merge, cols // merge, merge, 2).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(blocks.reshape(-1, 2).astype(np.int64))


def rotary_positions(ids: I64, image_token: int, grids: Sequence[tuple[int, int]]) -> I64:
    """Positions (3, L) in time, height and width: text counts on, an image is a plane of its own grid."""
    positions = np.zeros((3, len(ids)), np.int64)
    following, at = 0, 0
    remaining = iter(grids)
    while at < len(ids):
        if ids[at] != image_token:
            positions[:, at] = following
            at, following = at + 1, following + 1
            continue
        rows, cols = next(remaining)
        place = slice(at, at + rows * cols)
        positions[0, place] = following
        positions[1, place] = following + np.repeat(np.arange(rows), cols)
        positions[2, place] = following + np.tile(np.arange(cols), rows)
        at, following = at + rows * cols, following + max(rows, cols)
    return positions


class Qwen2VL(Family):
    """Qwen2-VL."""

    name: ClassVar[str] = "qwen2-vl"
    title: ClassVar[str] = "Qwen2-VL"
    model_class: ClassVar[str] = "Qwen2VLForConditionalGeneration"
    published: ClassVar[tuple[Published, ...]] = (
        Published("Qwen/Qwen2-VL-2B-Instruct", "Apache-2.0"),
        Published("Qwen/Qwen2-VL-7B-Instruct", "Apache-2.0"),
        Published("Qwen/Qwen2-VL-72B-Instruct", "Qwen licence"),
    )
    boxes: ClassVar[BoxRule | None] = BoxRule("thousand", "(x1,y1),(x2,y2) for each place, with numbers from 0 to 1000")

    def reads(self, config: Mapping[str, Any]) -> bool:
        """See `Family.reads`."""
        return config.get("model_type") == "qwen2_vl"

    def encoder(self, model: Any) -> EncoderExport:  # noqa: ANN401
        """See `Family.encoder`."""
        import torch

        from rsccli.models.families.modules.qwen2 import Qwen2Vision

        visual = model.model.visual
        merge, width = visual.spatial_merge_size, visual.patch_embed.proj.weight[0].numel()
        at = torch.from_numpy(patch_positions(2 * merge, 3 * merge, merge))
        return EncoderExport(
            Qwen2Vision(visual),
            {
                "pixel_values": GraphInput(torch.randn(2, len(at), width), (0, 1)),
                "patch_positions": GraphInput(at, (0,)),
            },
        )

    def decoder(self, model: Any) -> DecoderExport:  # noqa: ANN401
        """See `Family.decoder`."""
        from rsccli.models.families.modules.language import language_decoder

        return language_decoder(model.model.language_model, model.lm_head, axes=3)

    def vision(self, model: Any, processor: Any) -> dict[str, Any]:  # noqa: ANN401
        """See `Family.vision`."""
        return {"image_token": model.config.image_token_id, "merge": model.config.vision_config.spatial_merge_size}

    def reader(self, vision: Mapping[str, Any], folder: Path) -> Reader:
        """See `Family.reader`."""
        return QwenReader(vision, folder)

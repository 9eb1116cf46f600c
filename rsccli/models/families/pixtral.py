"""Pixtral (Agrawal et al. 2024): images of any size as rows of patches, each row closed by a token of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rsccli.models.large.family import (
    I64,
    U8,
    Array,
    DecoderExport,
    EncoderExport,
    Family,
    GraphInput,
    Picture,
    Published,
    Reader,
)

if TYPE_CHECKING:
    import torch


class PixtralReader(Reader):
    """Reader of Pixtral.

    Args:
        vision: ``image_token``, ``break_token`` (after every row of patches but the last), ``end_token`` (after that)
            and ``patch`` (its side in pixels). folder: of the bundle.
    """

    inputs = ("pixel_values", "patch_positions")

    def __init__(self, vision: Mapping[str, Any], folder: Path) -> None:
        from rsccli.models.large.images import load_image_processor

        self.image_token, self._patch = int(vision["image_token"]), int(vision["patch"])
        self._break, self._end = int(vision["break_token"]), int(vision["end_token"])
        self._processor = load_image_processor(folder)

    def picture(self, image: U8) -> Picture:
        """See `Reader.picture`."""
        image = _thick(image, int(self._processor.size["longest_edge"]))
        made = self._processor(
            images=[image], patch_size=self._patch, return_tensors="np", input_data_format="channels_last"
        )
        pixels = np.asarray(made["pixel_values"][0], np.float32)
        rows, cols = (side // self._patch for side in pixels.shape[1:])
        row = (self.image_token,) * cols
        tokens = (*(*row, self._break) * (rows - 1), *row, self._end)
        arrays = {"pixel_values": patches(pixels, self._patch)}
        return Picture(arrays, {"patch_positions": grid_positions(rows, cols)}, (rows, cols), tokens)


def _thick(image: U8, longest: int) -> U8:
    """The processor fails where it would make an image less than one pixel thick: then its pixels are repeated."""
    height, width = image.shape[:2]
    times = -(-max(height, width) // longest)
    return image if min(height, width) >= times else image.repeat(times, int(width < height))


def patches(pixels: Array, side: int) -> Array:
    """Patches (M, 3 * side^2) of an image (3, H, W), row by row."""
    channels, height, width = pixels.shape
    cut = pixels.reshape(channels, height // side, side, width // side, side).transpose(1, 3, 0, 2, 4)
    return np.ascontiguousarray(cut.reshape(-1, channels * side * side))


def grid_positions(rows: int, cols: int) -> I64:
    """(row, column) of every cell, (M, 2), row by row."""
    at = np.stack(np.meshgrid(np.arange(rows), np.arange(cols), indexing="ij"), -1)
    return np.ascontiguousarray(at.reshape(-1, 2).astype(np.int64))


class Pixtral(Family):
    """Pixtral."""

    name: ClassVar[str] = "pixtral"
    title: ClassVar[str] = "Pixtral"
    model_class: ClassVar[str] = "LlavaForConditionalGeneration"
    published: ClassVar[tuple[Published, ...]] = (Published("mistral-community/pixtral-12b", "Apache-2.0"),)

    def reads(self, config: Mapping[str, Any]) -> bool:
        """See `Family.reads`."""
        from rsccli.models.families.modules.clip import kind_of

        return config.get("model_type") == "llava" and kind_of(config) == "pixtral"

    def processor(self, folder: Path) -> Any:  # noqa: ANN401 - transformers is not typed
        """See `Family.processor`."""
        from rsccli.models.large.checkpoint import load_processor

        # By its model_type it would get LLaVA's.
        return load_processor(folder, "PixtralProcessor")

    def model(self, folder: Path, dtype: torch.dtype) -> Any:  # noqa: ANN401
        """See `Family.model`."""
        from rsccli.models.families.modules.beams import keep_prompts_together

        return keep_prompts_together(super().model(folder, dtype), ["pixel_values", "image_sizes"])

    def encoder(self, model: Any) -> EncoderExport:  # noqa: ANN401
        """See `Family.encoder`."""
        import torch

        from rsccli.models.families.modules.pixtral import PixtralVision

        at = torch.from_numpy(grid_positions(3, 5))
        width = model.model.vision_tower.patch_conv.weight[0].numel()
        return EncoderExport(
            PixtralVision(model.model),
            {
                "pixel_values": GraphInput(torch.randn(2, len(at), width), (0, 1)),
                "patch_positions": GraphInput(at, (0,)),
            },
        )

    def decoder(self, model: Any) -> DecoderExport:  # noqa: ANN401
        """See `Family.decoder`."""
        from rsccli.models.families.modules.language import language_decoder

        return language_decoder(model.model.language_model, model.lm_head)

    def vision(self, model: Any, processor: Any) -> dict[str, Any]:  # noqa: ANN401
        """See `Family.vision`."""
        return {
            "image_token": model.config.image_token_id,
            "break_token": processor.image_break_token_id,
            "end_token": processor.image_end_token_id,
            "patch": model.config.vision_config.patch_size,
        }

    def reader(self, vision: Mapping[str, Any], folder: Path) -> Reader:
        """See `Family.reader`."""
        return PixtralReader(vision, folder)

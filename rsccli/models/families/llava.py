"""LLaVA 1.5 (Liu et al. 2023) and LLaVA-NeXT-Interleave (Li et al. 2024): one fixed size, one token a patch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rsccli.models.large.boxes import FORMS, BoxRule, View
from rsccli.models.large.family import (
    U8,
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

VICUNA = "Llama 2 Community Licence"
ONE_IMAGE = "Trained with one image in a prompt: two dates are new to it."


class LlavaReader(Reader):
    """Reader of LLaVA.

    Args:
        vision: ``image_token`` and ``tokens`` (of one image). folder: of the bundle.
    """

    inputs = ("pixel_values",)

    def __init__(self, vision: Mapping[str, Any], folder: Path) -> None:
        from rsccli.models.large.images import load_image_processor

        self.image_token, self._tokens = int(vision["image_token"]), int(vision["tokens"])
        self._processor = load_image_processor(folder)

    def picture(self, image: U8) -> Picture:
        """See `Reader.picture`."""
        made = self._processor(images=[image], return_tensors="np", input_data_format="channels_last")
        pixels = np.asarray(made["pixel_values"][0], np.float32)
        return Picture({"pixel_values": pixels}, {}, pixels.shape, (self.image_token,) * self._tokens)

    def view(self, height: int, width: int) -> View:
        """See `Reader.view`: CLIP's own processor cuts the square in the middle out."""
        if not getattr(self._processor, "do_center_crop", False):
            return super().view(height, width)
        side = min(height, width)
        return View((width - side) / 2, (height - side) / 2, side, side, side, side)


class Llava(Family):
    """LLaVA 1.5, LLaVA-NeXT-Interleave and others of their class that see with CLIP or SigLIP."""

    name: ClassVar[str] = "llava"
    title: ClassVar[str] = "LLaVA 1.5 and LLaVA-NeXT-Interleave"
    model_class: ClassVar[str] = "LlavaForConditionalGeneration"
    published: ClassVar[tuple[Published, ...]] = (
        Published("llava-hf/llava-1.5-7b-hf", VICUNA, ONE_IMAGE),
        Published("llava-hf/llava-1.5-13b-hf", VICUNA, ONE_IMAGE),
        Published("llava-hf/llava-interleave-qwen-0.5b-hf", "Tongyi Qianwen Research Licence", "No commercial use."),
        Published("llava-hf/llava-interleave-qwen-7b-hf", "see its card"),
    )
    boxes: ClassVar[BoxRule | None] = BoxRule("normalised", FORMS["normalised"])

    def reads(self, config: Mapping[str, Any]) -> bool:
        """See `Family.reads`."""
        from rsccli.models.families.modules.clip import kind_of

        return config.get("model_type") == "llava" and kind_of(config) != "pixtral"

    def check(self, config: Mapping[str, Any]) -> str | None:
        """See `Family.check`."""
        return unknown_vision(config)

    def model(self, folder: Path, dtype: torch.dtype) -> Any:  # noqa: ANN401
        """See `Family.model`."""
        from rsccli.models.families.modules.beams import keep_prompts_together

        return keep_prompts_together(super().model(folder, dtype), ["pixel_values"])

    def encoder(self, model: Any) -> EncoderExport:  # noqa: ANN401
        """See `Family.encoder`."""
        import torch

        from rsccli.models.families.modules.clip import ClipVision

        side = model.config.vision_config.image_size
        return EncoderExport(ClipVision(model.model), {"pixel_values": GraphInput(torch.randn(2, 3, side, side), (0,))})

    def decoder(self, model: Any) -> DecoderExport:  # noqa: ANN401
        """See `Family.decoder`."""
        from rsccli.models.families.modules.language import language_decoder

        return language_decoder(model.model.language_model, model.lm_head)

    def vision(self, model: Any, processor: Any) -> dict[str, Any]:  # noqa: ANN401
        """See `Family.vision`."""
        from rsccli.models.families.modules.clip import tokens_per_image

        return {"image_token": model.config.image_token_id, "tokens": tokens_per_image(model.config)}

    def reader(self, vision: Mapping[str, Any], folder: Path) -> Reader:
        """See `Family.reader`."""
        return LlavaReader(vision, folder)


def unknown_vision(config: Mapping[str, Any]) -> str | None:
    """Why nobody here knows what a checkpoint of LLaVA's class sees with, or None."""
    from rsccli.models.families.modules.clip import KINDS, kind_of

    kind = kind_of(config)
    return None if kind in KINDS else f"its vision encoder {kind!r} is not known here: only {' and '.join(KINDS)} are"

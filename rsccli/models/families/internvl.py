"""InternVL 3 and 3.5 (Zhu, Wang et al. 2025): an image as tiles of a grid near its own shape, and the whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rsccli.models.large.boxes import BoxRule
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

QWEN = "MIT, and Qwen's own for the language model: see its card"


class InternVLReader(Reader):
    """Reader of InternVL.

    Args:
        vision: ``image_token``, ``start_token`` and ``end_token`` (around an image), ``tokens`` (of one tile) and
            ``tiles`` (whether images are cut). folder: of the bundle.
    """

    inputs = ("pixel_values",)

    def __init__(self, vision: Mapping[str, Any], folder: Path) -> None:
        from rsccli.models.large.images import load_image_processor

        self.image_token, self._tokens = int(vision["image_token"]), int(vision["tokens"])
        self._start, self._end = int(vision["start_token"]), int(vision["end_token"])
        self._tiles = bool(vision["tiles"])
        self._processor = load_image_processor(folder)

    def picture(self, image: U8) -> Picture:
        """See `Reader.picture`."""
        made = self._processor(
            images=[image], crop_to_patches=self._tiles, return_tensors="np", input_data_format="channels_last"
        )
        pixels = np.asarray(made["pixel_values"], np.float32)
        tokens = (self._start, *(self.image_token,) * (len(pixels) * self._tokens), self._end)
        return Picture({"pixel_values": pixels}, {}, pixels.shape, tokens, tiles=len(pixels))


class InternVL(Family):
    """InternVL 3 and 3.5 in the layout of transformers (``-hf``)."""

    name: ClassVar[str] = "internvl"
    title: ClassVar[str] = "InternVL 3 and 3.5"
    model_class: ClassVar[str] = "InternVLForConditionalGeneration"
    published: ClassVar[tuple[Published, ...]] = (
        *(Published(f"OpenGVLab/InternVL3-{size}-hf", QWEN) for size in ("1B", "2B", "8B", "14B", "38B", "78B")),
        *(Published(f"OpenGVLab/InternVL3_5-{size}-HF", "Apache-2.0") for size in ("1B", "2B", "4B", "8B", "14B")),
    )
    boxes: ClassVar[BoxRule | None] = BoxRule(
        "thousand", "<ref>{phrase}</ref><box>[[x1, y1, x2, y2], ...]</box>, with numbers from 0 to 1000"
    )

    def reads(self, config: Mapping[str, Any]) -> bool:
        """See `Family.reads`."""
        return config.get("model_type") == "internvl"

    def check(self, config: Mapping[str, Any]) -> str | None:
        """See `Family.check`."""
        layer = config.get("vision_feature_layer", -1)
        text = config.get("text_config") or {}
        if layer != -1:
            return f"it reads layer {layer} of its vision encoder (vision_feature_layer): only the last is known here"
        if any("experts" in name for name in text):
            return "its language model is a mixture of experts, whose choice of experts no fixed graph can hold"
        return None

    def model(self, folder: Path, dtype: torch.dtype) -> Any:  # noqa: ANN401
        """See `Family.model`."""
        from rsccli.models.families.modules.beams import keep_prompts_together

        model = super().model(folder, dtype)
        token, tokens = model.config.image_token_id, model.config.image_seq_length

        def tiles(input_ids: torch.Tensor, _: torch.Tensor) -> list[int]:
            return [int(count) // tokens for count in (input_ids == token).sum(1).tolist()]

        return keep_prompts_together(model, ["pixel_values"], tiles)

    def encoder(self, model: Any) -> EncoderExport:  # noqa: ANN401
        """See `Family.encoder`."""
        import torch

        from rsccli.models.families.modules.internvit import InternVision

        height, width = model.config.vision_config.image_size
        pixels = torch.randn(2, 3, 3, height, width)
        return EncoderExport(InternVision(model.model), {"pixel_values": GraphInput(pixels, (0, 1))})

    def decoder(self, model: Any) -> DecoderExport:  # noqa: ANN401
        """See `Family.decoder`."""
        from rsccli.models.families.modules.language import language_decoder

        language = model.model.language_model
        rotary = language.rotary_emb
        if rotary.rope_type == "dynamic":
            # It changes frequencies beyond the trained length alone, and by values, which a graph cannot.
            rotary.rope_type = "default"
        return language_decoder(language, model.lm_head)

    def vision(self, model: Any, processor: Any) -> dict[str, Any]:  # noqa: ANN401
        """See `Family.vision`."""
        from transformers.models.internvl.processing_internvl import InternVLProcessorKwargs

        # The processor's word counts, whatever the file of its image processor says.
        own = getattr(processor.image_processor, "crop_to_patches", False)
        return {
            "image_token": processor.image_token_id,
            "start_token": processor.start_image_token_id,
            "end_token": processor.end_image_token_id,
            "tokens": processor.image_seq_length,
            "tiles": InternVLProcessorKwargs._defaults.get("images_kwargs", {}).get("crop_to_patches", own),
        }

    def reader(self, vision: Mapping[str, Any], folder: Path) -> Reader:
        """See `Family.reader`."""
        return InternVLReader(vision, folder)

"""Qwen2.5-VL (Bai et al. 2025): as Qwen2-VL, but most layers of its vision see a window each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from rsccli.models.families.qwen2_vl import Qwen2VL
from rsccli.models.large.boxes import FORMS, BoxRule
from rsccli.models.large.family import EncoderExport, GraphInput, Published

if TYPE_CHECKING:
    pass


class Qwen25VL(Qwen2VL):
    """Qwen2.5-VL."""

    name: ClassVar[str] = "qwen2.5-vl"
    title: ClassVar[str] = "Qwen2.5-VL"
    model_class: ClassVar[str] = "Qwen2_5_VLForConditionalGeneration"
    published: ClassVar[tuple[Published, ...]] = (
        Published("Qwen/Qwen2.5-VL-3B-Instruct", "Qwen research licence", "Not for commercial use."),
        Published("Qwen/Qwen2.5-VL-7B-Instruct", "Apache-2.0"),
        Published("Qwen/Qwen2.5-VL-32B-Instruct", "Apache-2.0"),
        Published("Qwen/Qwen2.5-VL-72B-Instruct", "Qwen licence"),
        Published(
            "BiliSakura/RSCCM",
            "see its card",
            "RSCCM of Chen et al. (2025): Qwen2.5-VL-7B, fine-tuned on the change captions of RSCC.",
        ),
    )
    boxes: ClassVar[BoxRule | None] = BoxRule("absolute", FORMS["absolute"])

    def reads(self, config: Mapping[str, Any]) -> bool:
        """See `Family.reads`."""
        return config.get("model_type") == "qwen2_5_vl"

    def encoder(self, model: Any) -> EncoderExport:  # noqa: ANN401
        """See `Family.encoder`."""
        import torch

        export = super().encoder(model)
        patches = len(export.inputs["patch_positions"].example)
        windows = GraphInput(torch.arange(patches) // model.model.visual.spatial_merge_unit, (0,))
        return replace(export, inputs={**export.inputs, "windows": windows})

    def vision(self, model: Any, processor: Any) -> dict[str, Any]:  # noqa: ANN401
        """See `Family.vision`."""
        visual = model.model.visual
        tokens = visual.window_size // visual.spatial_merge_size // visual.patch_size
        return {**super().vision(model, processor), "window": tokens}

"""The two halves of a dual encoder as graphs to export: pixels to features, token ids to features."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from rsccli.models.dual.loading import LoadedDual
from rsccli.models.large.family import EncoderExport, GraphInput
from rsccli.models.large.graphs import DTYPES

#: Rows and, for CLIP's texts, tokens of the example: no two are equal, none is 0 or 1.
ROWS, LENGTH = 2, 5


class ImageHalf(nn.Module):
    """Pixels (N, 3, S, S) to features (N, D), as ``get_image_features``."""

    def __init__(self, model: Any) -> None:  # noqa: ANN401 - transformers is not typed
        super().__init__()
        self.vision = model.vision_model
        self.projection = getattr(model, "visual_projection", nn.Identity())

    def forward(self, pixels: Tensor) -> Tensor:
        """Features; SigLIP has its projection in the pooling."""
        found: Tensor = self.projection(self.vision(pixel_values=pixels).pooler_output)
        return found


class TextHalf(nn.Module):
    """Token ids (N, L) to features (N, D), as ``get_text_features`` without a mask.

    CLIP looks back only, and takes the state at the end of the text: what stands behind it changes nothing. SigLIP was
    trained with its padding in sight.
    """

    def __init__(self, model: Any) -> None:  # noqa: ANN401 - as above
        super().__init__()
        self.text = model.text_model
        self.projection = getattr(model, "text_projection", nn.Identity())

    def forward(self, ids: Tensor) -> Tensor:
        """Features."""
        found: Tensor = self.projection(self.text(input_ids=ids).pooler_output)
        return found


def image_graph(loaded: LoadedDual, dtype: str, given: str, made: str) -> EncoderExport:
    """The image half; rows are free in number."""
    spec = loaded.picture
    example = torch.rand(ROWS, 3, spec.height, spec.width)
    return EncoderExport(_in(dtype, ImageHalf(loaded.model)), {given: GraphInput(example, (0,))}, (made,))


def text_graph(loaded: LoadedDual, dtype: str, given: str, made: str) -> EncoderExport:
    """The text half; rows are free in number, and tokens where texts are not filled up."""
    spec = loaded.text
    example = torch.full((ROWS, spec.length if spec.padded else min(LENGTH, spec.length)), spec.pad)
    free = (0,) if spec.padded else (0, 1)
    return EncoderExport(_in(dtype, TextHalf(loaded.model)), {given: GraphInput(example, free)}, (made,))


def _in(dtype: str, half: nn.Module) -> nn.Module:
    """In another precision a copy: the checkpoint itself is what the bundle is compared with."""
    return half if dtype == "fp32" else copy.deepcopy(half).to(DTYPES[dtype])

"""LLaVA-OneVision's vision: crops through one encoder, image tokens picked and mixed as the host says."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from rsccli.models.families.modules.clip import ClipVision


class OneVision(nn.Module):
    """Encoder and connector over crops; unpadding, interpolation and new lines are the host's indices and weights.

    Args:
        model: LLaVA-OneVision's inner model of transformers.
    """

    def __init__(self, model: Any) -> None:  # noqa: ANN401 - transformers is not typed
        super().__init__()
        self.vision = ClipVision(model)
        self.newline = model.image_newline

    def forward(self, pixel_values: Tensor, picks: Tensor, weights: Tensor) -> Tensor:
        """Crops (B, P, 3, S, S), places (T, 4) among P * M features and the new line, weights (T, 4) to (B, T, D)."""
        batch = pixel_values.shape[0]
        features = self.vision(pixel_values.flatten(0, 1))
        features = features.reshape(batch, -1, features.shape[-1])
        newline = self.newline.expand(batch, 1, -1)
        features = torch.cat((features, newline), 1)
        mixed = features.index_select(1, picks[:, 0]) * weights[:, :1]
        for corner in range(1, 4):
            mixed = mixed + features.index_select(1, picks[:, corner]) * weights[:, corner : corner + 1]
        return mixed

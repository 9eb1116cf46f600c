"""InternVL's vision encoder and connector over the tiles of a batch of images."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class InternVision(nn.Module):
    """The vision encoder to its last layer, 2 x 2 patches as one (pixel shuffle), and the connector.

    Args:
        model: InternVL's inner model of transformers.
    """

    def __init__(self, model: Any) -> None:  # noqa: ANN401 - transformers is not typed
        super().__init__()
        config = model.config
        self.vision: Any = model.vision_tower
        self.projector = model.multi_modal_projector
        self.skip = int(config.vision_feature_select_strategy == "default")
        size, patch = config.vision_config.image_size, config.vision_config.patch_size
        self.side = size[0] // patch[0]
        self.merge = round(1 / config.downsample_ratio)

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Tiles (B, P, 3, S, S) to image tokens (B, P * T, D)."""
        batch, vision = pixel_values.shape[0], self.vision
        states, _ = vision.embeddings(pixel_values.flatten(0, 1))
        for layer in vision.encoder.layer:
            states = layer(states)
        states = vision.layernorm(states)[:, self.skip :]
        tokens = self.projector(self._shuffled(states))
        whole: Tensor = tokens.reshape(batch, -1, tokens.shape[-1])
        return whole

    def _shuffled(self, states: Tensor) -> Tensor:
        """(N, side^2, C) to (N, (side / merge)^2, C * merge^2)."""
        side, half = self.side, self.side // self.merge
        states = states.reshape(-1, side, half, states.shape[-1] * self.merge).transpose(1, 2)
        states = states.reshape(-1, half, half, states.shape[-1] * self.merge).transpose(1, 2)
        return states.flatten(1, 2)

"""Pixtral's vision encoder over a batch of images of one grid, positions from the host."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from rsccli.models.large.graphs import attention, rotate, split_heads


class PixtralVision(nn.Module):
    """The layers whose features are read, and the connector.

    The library puts all images into one sequence, with a mask that keeps them apart; a batch needs none.

    Args:
        model: LLaVA's inner model of transformers.
    """

    def __init__(self, model: Any) -> None:  # noqa: ANN401 - transformers is not typed
        super().__init__()
        vision = model.vision_tower
        self.patch_conv, self.ln_pre = vision.patch_conv, vision.ln_pre
        self.layers: Any = vision.transformer.layers
        self.projector = model.multi_modal_projector
        asked = model.config.vision_feature_layer
        depths = len(self.layers) + 1
        self.read = [place % depths for place in ([asked] if isinstance(asked, int) else asked)]
        self.skip = int(model.config.vision_feature_select_strategy == "default")
        dim, theta = vision.config.head_dim, vision.config.rope_theta
        frequencies = 1.0 / (theta ** (torch.arange(0, dim, 2, dtype=torch.float32) / dim))
        # Rows turn by every other frequency, columns by those between.
        self.row_turns, self.col_turns = frequencies[::2], frequencies[1::2]

    def forward(self, pixel_values: Tensor, patch_positions: Tensor) -> Tensor:
        """Pixels (B, M, patch) and (row, column) of each patch (M, 2) to image tokens (B, M, D)."""
        states = self.ln_pre(functional.linear(pixel_values, self.patch_conv.weight.flatten(1)))
        at = patch_positions.float()
        angles = torch.cat((at[:, :1] * self.row_turns, at[:, 1:] * self.col_turns), -1)
        seen = [states]
        for layer in self.layers[: max(self.read)]:
            states = states + self._attend(layer.attention, layer.attention_norm(states), angles)
            states = states + layer.feed_forward(layer.ffn_norm(states))
            seen.append(states)
        tokens: Tensor = self.projector(torch.cat([seen[place][:, self.skip :] for place in self.read], dim=-1))
        return tokens

    def _attend(self, layer: Any, states: Tensor, angles: Tensor) -> Tensor:  # noqa: ANN401
        query, key, value = (
            split_heads(project(states), layer.num_heads) for project in (layer.q_proj, layer.k_proj, layer.v_proj)
        )
        out: Tensor = layer.o_proj(attention(rotate(query, angles), rotate(key, angles), value))
        return out

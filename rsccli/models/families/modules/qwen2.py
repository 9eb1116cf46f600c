"""The vision encoders of the Qwen families, over a batch of images of one grid, indices from the host."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from rsccli.models.large.graphs import attention, rotate, split_heads


class Qwen2Vision(nn.Module):
    """Qwen2-VL's vision encoder and merger; with windows that of Qwen2.5-VL.

    Windows need no reordering of patches here: a mask that lets a patch see its own window says the same.

    Args:
        visual: of transformers.
    """

    def __init__(self, visual: nn.Module) -> None:
        super().__init__()
        self.visual: Any = visual
        self.whole = getattr(visual, "fullatt_block_indexes", None)

    def forward(self, pixel_values: Tensor, patch_positions: Tensor, windows: Tensor | None = None) -> Tensor:
        """Pixels (B, M, patch) and (row, column) of each patch (M, 2) to image tokens (B, M / merge^2, D).

        ``windows`` (M) numbers the window of each patch.
        """
        visual = self.visual
        weight = visual.patch_embed.proj
        states = functional.linear(pixel_values, weight.weight.flatten(1), weight.bias)
        angles = (patch_positions[:, :, None].float() * visual.rotary_pos_emb.inv_freq.float()).flatten(1)
        mask = None if windows is None else windows[:, None] == windows[None, :]
        for index, block in enumerate(visual.blocks):
            own = mask if self.whole is None or index not in self.whole else None
            states = states + self._attend(block.attn, block.norm1(states), angles, own)
            states = states + block.mlp(block.norm2(states))
        batch = states.shape[0]
        merged: Tensor = visual.merger(states.flatten(0, 1))
        return merged.reshape(batch, -1, merged.shape[-1])

    def _attend(self, layer: Any, states: Tensor, angles: Tensor, mask: Tensor | None) -> Tensor:  # noqa: ANN401
        query, key, value = (split_heads(each, layer.num_heads) for each in layer.qkv(states).chunk(3, dim=-1))
        seen = attention(rotate(query, angles), rotate(key, angles), value, mask)
        out: Tensor = layer.proj(seen)
        return out

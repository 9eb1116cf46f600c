"""Modules of Qwen3-VL behind the contracts of the encoder and decoder, indices and weights from the host."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from rsccli.models.large.graphs import attention, cache_of, flat, rotate, split_heads


class Qwen3Vision(nn.Module):
    """Qwen3-VL's vision encoder with its mergers, over a batch of images of one grid.

    Args:
        visual: of transformers.
    """

    def __init__(self, visual: nn.Module) -> None:
        super().__init__()
        self.visual: Any = visual

    def forward(
        self, pixel_values: Tensor, patch_positions: Tensor, corners: Tensor, shares: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Pixels (B, M, patch) to image tokens (B, T, D) and features of K inner layers (B, K, T, D); T = M / merge^2.

        Args:
            pixel_values: see above. patch_positions: (row, column) of each patch, (M, 2).
            corners: the four learned positions around each patch, (4, M). shares: how much each counts, (4, M).
        """
        visual = self.visual
        weight = visual.patch_embed.proj
        states = functional.linear(pixel_values, weight.weight.flatten(1), weight.bias)
        first, second, third, fourth = visual.pos_embed(corners) * shares[:, :, None]
        states = states + (first + second + third + fourth)
        angles = (patch_positions[:, :, None].float() * visual.rotary_pos_emb.inv_freq.float()).flatten(1)
        inner = []
        for index, block in enumerate(visual.blocks):
            states = states + self._attend(block.attn, block.norm1(states), angles)
            states = states + block.mlp(block.norm2(states))
            if index in visual.deepstack_visual_indexes:
                merger = visual.deepstack_merger_list[visual.deepstack_visual_indexes.index(index)]
                inner.append(_merged(merger, states))
        return _merged(visual.merger, states), torch.stack(inner, 1)

    def _attend(self, layer: Any, states: Tensor, angles: Tensor) -> Tensor:  # noqa: ANN401
        query, key, value = (split_heads(each, layer.num_heads) for each in layer.qkv(states).chunk(3, dim=-1))
        out: Tensor = layer.proj(attention(rotate(query, angles), rotate(key, angles), value))
        return out


def _merged(merger: Any, states: Tensor) -> Tensor:  # noqa: ANN401
    """(B, M, C) to (B, T, D)."""
    merged: Tensor = merger(states.flatten(0, 1))
    return merged.reshape(states.shape[0], -1, merged.shape[1])


class Qwen3Language(nn.Module):
    """Qwen3-VL's language model with image features added behind its first layers.

    Args:
        model: of transformers. head: hidden states to logits. layers: K, how many of them take features.
    """

    def __init__(self, model: nn.Module, head: nn.Module, layers: int) -> None:
        super().__init__()
        self.model: Any = model
        self.head, self.layers = head, layers
        self.axes: Tensor
        rotary: Any = self.model.rotary_emb
        # Frequencies go by time, height, width, time and so on; those that are left over go by time.
        axes = torch.zeros(len(rotary.inv_freq), dtype=torch.int64)
        for axis in (1, 2):
            axes[axis : rotary.mrope_section[axis] * 3 : 3] = axis
        self.register_buffer("axes", axes, persistent=False)

    def forward(
        self, inputs_embeds: Tensor, mask: Tensor, position_ids: Tensor, past: list[Tensor], further: list[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """Logits of the last position, and the present keys and values.

        Args:
            inputs_embeds: (N, L, D). mask: 4D. position_ids: (N, 3, L). past: keys and values.
            further: the features (N, L, K, D), zeros where there is no image.
        """
        cache = cache_of(past)
        rotary = self.model.rotary_emb
        angles = position_ids[:, self.axes].float().transpose(1, 2) * rotary.inv_freq.float()
        whole = torch.cat((angles, angles), -1)
        scale, dtype = rotary.attention_scaling, inputs_embeds.dtype
        embeddings = (whole.cos() * scale).to(dtype), (whole.sin() * scale).to(dtype)
        states = inputs_embeds
        for index, layer in enumerate(self.model.layers):
            states = layer(
                states, attention_mask=mask, position_embeddings=embeddings, past_key_values=cache, use_cache=True
            )
            if index < self.layers:
                states = states + further[0][:, :, index]
        return self.head(self.model.norm(states[:, -1:])), flat(cache)

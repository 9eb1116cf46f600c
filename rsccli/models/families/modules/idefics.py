"""Modules of Idefics behind the contracts of the encoder and decoder."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from rsccli.models.large.graphs import attention, split_heads


class IdeficsVision(nn.Module):
    """The vision encoder and, where there is one, the resampler.

    Args:
        model: IdeficsModel of transformers.
    """

    def __init__(self, model: Any) -> None:  # noqa: ANN401
        super().__init__()
        self.vision: Any = model.vision_model
        self.resampler: Any = model.perceiver_resampler if model.config.use_resampler else nn.Identity()

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Pixels (B, 3, S, S) to what words look at, (B, T, C) in the vision encoder's width."""
        seen: Tensor = self.resampler(self.vision(pixel_values=pixel_values).last_hidden_state)
        return seen


class IdeficsLanguage(nn.Module):
    """The language model with its gated layers, in which each word looks at one picture.

    Args:
        model: IdeficsModel of transformers. head: hidden states to logits.
    """

    def __init__(self, model: Any, head: nn.Module) -> None:  # noqa: ANN401
        super().__init__()
        self.layers, self.gated, self.norm, self.head = model.layers, model.gated_cross_attn_layers, model.norm, head
        self.interval = model.cross_layer_interval

    def forward(
        self, inputs_embeds: Tensor, mask: Tensor, position_ids: Tensor, past: list[Tensor], further: list[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """Logits of the last position, and the present keys and values.

        Args:
            inputs_embeds: (N, L, D). mask: 4D. position_ids: (N, L). past: keys and values.
            further: which pictures each word looks at, (N, L, K), 0 or 1; the pictures, (N, K, T, C).
        """
        looks, pictures = further
        looks = looks > 0
        tokens = looks[..., None].expand(-1, -1, -1, pictures.shape[2]).flatten(2)
        hidden = torch.where(tokens, 0.0, torch.finfo(mask.dtype).min).to(mask.dtype)[:, None]
        # What comes of words that look at nothing is thrown away.
        looking = looks.any(-1, keepdim=True)
        states, context, present = inputs_embeds, pictures.flatten(1, 2), []
        angles = position_ids[..., None].float() * self.layers[0].self_attn.rotary_emb.inv_freq.float()
        whole = torch.cat((angles, angles), -1)[:, None]
        cos, sin = whole.cos().to(states.dtype), whole.sin().to(states.dtype)
        for index, layer in enumerate(self.layers):
            if index % self.interval == 0:
                states = _look(self.gated[index // self.interval], states, context, hidden, looking)
            inner = layer.self_attn
            query, key, value = _projected(inner, layer.input_layernorm(states))
            query, key = _rotated(query, cos, sin), _rotated(key, cos, sin)
            key, value = torch.cat((past[2 * index], key), 2), torch.cat((past[2 * index + 1], value), 2)
            present += [key, value]
            states = states + inner.o_proj(attention(query, key, value, mask))
            states = states + layer.mlp(layer.post_attention_layernorm(states))
        return self.head(self.norm(states[:, -1:])), present


def _look(layer: Any, states: Tensor, context: Tensor, hidden: Tensor, looking: Tensor) -> Tensor:  # noqa: ANN401
    """One gated layer: words (N, L, D) look at pictures (N, K * T, C)."""
    inner = layer.cross_attn
    query, key, value = _projected(inner, layer.input_layernorm(states), context)
    if inner.qk_layer_norms:
        query, key = inner.q_layer_norm(query), inner.k_layer_norm(key)
    seen = torch.where(looking, inner.o_proj(attention(query, key, value, hidden)), 0.0)
    states = states + layer.act_cross_attn(layer.alpha_cross_attn) * seen
    out: Tensor = states + layer.act_dense(layer.alpha_dense) * layer.mlp(layer.post_attention_layernorm(states))
    return out


def _projected(layer: Any, states: Tensor, context: Tensor | None = None) -> list[Tensor]:  # noqa: ANN401
    """Queries of the states, keys and values of the context (or of the states themselves), by head."""
    from_where = states if context is None else context
    made = layer.q_proj(states), layer.k_proj(from_where), layer.v_proj(from_where)
    return [split_heads(each, layer.num_heads) for each in made]


def _rotated(states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = states.chunk(2, dim=-1)
    return states * cos + torch.cat((-second, first), -1) * sin

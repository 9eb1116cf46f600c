"""Phi-4-multimodal's vision encoder over all crops of a picture, and its language model with two kinds of positions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from rsccli.models.large.graphs import cache_of, flat


class Phi4Vision(nn.Module):
    """Crops to image tokens.

    Args:
        embedding: ``Phi4MultimodalImageEmbedding`` of transformers.
    """

    def __init__(self, embedding: Any) -> None:  # noqa: ANN401
        super().__init__()
        vision = embedding.img_processor
        self.patches, self.places = vision.embeddings.patch_embedding, vision.embeddings.position_embedding
        # Features are those before the last layer or layers.
        self.layers = vision.encoder.layers[: range(len(vision.encoder.layers) + 1)[embedding.layer_idx]]
        self.widen, self.pool = getattr(embedding, "img_processor_padding", None), embedding.image_token_compression
        self.up, self.down = embedding.img_projection_up, embedding.img_projection_down
        self.line, self.between = embedding.sub_img_feature_extensor, embedding.global_img_feature_extensor

    def forward(self, pixel_values: Tensor, patch_positions: Tensor, visible: Tensor, gathered: Tensor) -> Tensor:
        """Pixels (B, C, 3, S, S) to image tokens (B, T, D).

        ``patch_positions`` and ``visible`` (C, M) are of all crops, ``gathered`` (T) picks from their pooled features
        and the two separators behind them.
        """
        batch, count = pixel_values.shape[:2]
        states = self.patches(pixel_values.flatten(0, 1)).flatten(2).transpose(1, 2)
        places = self.places(patch_positions)
        states = (states.unflatten(0, (batch, count)) + places).flatten(0, 1)
        mask = torch.where(visible > 0, 0.0, torch.finfo(states.dtype).min).to(states.dtype)
        mask = mask[:, None, None].expand(batch, -1, -1, -1, -1).flatten(0, 1)
        for layer in self.layers:
            states = layer(states, mask)
        side = int(self.places.num_embeddings**0.5)
        square = states.transpose(1, 2).unflatten(2, (side, side))
        pooled = self.pool(square if self.widen is None else self.widen(square))
        features = pooled.flatten(2).transpose(1, 2).unflatten(0, (batch, count)).flatten(1, 2)
        ends = [each.reshape(1, 1, -1).expand(batch, -1, -1) for each in (self.line, self.between)]
        found = torch.cat([features, *ends], dim=1).index_select(1, gathered)
        out: Tensor = self.down(nn.functional.gelu(self.up(found)))
        return out


class Phi4Language(nn.Module):
    """The language model behind the contract of `rsccli.models.large.family.DecoderExport.module`.

    Long prompts turn by other angles than short ones. Which it is, the host says: transformers decides on values.

    Args:
        model: ``Phi4MultimodalModel``. head: hidden states to logits.
    """

    short: Tensor
    long: Tensor

    def __init__(self, model: Any, head: nn.Module) -> None:  # noqa: ANN401
        super().__init__()
        self.layers, self.norm, self.head = model.layers, model.norm, head
        rotary = model.rotary_emb
        self.scaling = rotary.attention_scaling
        long = rotary.original_inv_freq
        if rotary.rope_type == "longrope":
            long, _ = rotary.rope_init_fn(model.config, None, seq_len=model.config.original_max_position_embeddings + 1)
        self.register_buffer("short", rotary.original_inv_freq.float(), persistent=False)
        self.register_buffer("long", long.float(), persistent=False)

    def forward(
        self, inputs_embeds: Tensor, mask: Tensor, position_ids: Tensor, past: list[Tensor], further: list[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """Logits of the last position, and present keys and values; ``further``: 1 for rows that are long, (N)."""
        cache = cache_of(past)
        speeds = torch.where(further[0][:, None] > 0, self.long, self.short)
        angles = position_ids[:, :, None].float() * speeds[:, None]
        whole = torch.cat((angles, angles), dim=-1)
        turned = tuple((each * self.scaling).to(inputs_embeds.dtype) for each in (whole.cos(), whole.sin()))
        states = inputs_embeds
        for layer in self.layers:
            states = layer(
                states, attention_mask=mask, past_key_values=cache, use_cache=True, position_embeddings=turned
            )
        return self.head(self.norm(states[:, -1:])), flat(cache)

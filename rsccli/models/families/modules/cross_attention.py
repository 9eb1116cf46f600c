"""A vision encoder and a language model that looks at its states in every layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers.cache_utils import DynamicCache, EncoderDecoderCache

from rsccli.models.large.graphs import cache_of, flat


class ProjectedEncoder(nn.Module):
    """Encoder of a vision encoder-decoder, in the decoder's width where both differ.

    Args:
        model: of transformers.
    """

    def __init__(self, model: Any) -> None:  # noqa: ANN401
        super().__init__()
        self.encoder = model.encoder
        self.projection = getattr(model, "enc_to_dec_proj", None)

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Pixels (B, 3, H, W) to states (B, T, D)."""
        states: Tensor = self.encoder(pixel_values=pixel_values).last_hidden_state
        return states if self.projection is None else self.projection(states)


class CrossLanguageModel(nn.Module):
    """GPT-2 or BERT behind the contract of `rsccli.models.large.family.DecoderExport.module`.

    Keys and values of the encoder's states are computed in every step: a step has one token, they are few.

    Args:
        decoder: of transformers.
    """

    def __init__(self, decoder: Any) -> None:  # noqa: ANN401
        super().__init__()
        self.bert, self.gpt2 = getattr(decoder, "bert", None), getattr(decoder, "transformer", None)
        self.head: Any = decoder.cls if self.bert is not None else decoder.lm_head

    def forward(
        self, inputs_embeds: Tensor, mask: Tensor, position_ids: Tensor, past: list[Tensor], further: list[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """Logits of the last position, and the present keys and values; ``further`` is the encoder's states."""
        cache = cache_of(past)
        seen = {"encoder_hidden_states": further[0], "past_key_values": EncoderDecoderCache(cache, DynamicCache())}
        if self.bert is not None:
            states = self.bert.embeddings(
                inputs_embeds=inputs_embeds, position_ids=position_ids, token_type_ids=torch.zeros_like(position_ids)
            )
            # Its own forward takes no mask of four dimensions.
            out = self.bert.encoder(states, attention_mask=mask, use_cache=True, **seen)
        else:
            assert self.gpt2 is not None
            out = self.gpt2(
                inputs_embeds=inputs_embeds, attention_mask=mask, position_ids=position_ids, use_cache=True, **seen
            )
        return self.head(out.last_hidden_state[:, -1:]), flat(cache)

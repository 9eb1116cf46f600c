"""The vision encoder, Q-Former and projection of both BLIPs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Blip2Vision(nn.Module):
    """BLIP-2's pixels to query tokens in the language model's width.

    Args:
        model: of transformers.
    """

    def __init__(self, model: Any) -> None:  # noqa: ANN401
        super().__init__()
        self.vision, self.qformer, self.projection = model.vision_model, model.qformer, model.language_projection
        self.queries = model.query_tokens

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Pixels (B, 3, H, W) to image tokens (B, Q, D)."""
        seen = self.vision(pixel_values=pixel_values).last_hidden_state
        found = self.qformer(
            query_embeds=self.queries.expand(seen.shape[0], -1, -1), encoder_hidden_states=seen
        ).last_hidden_state
        # The Q-Former stays in float32 where the rest does not.
        out: Tensor = self.projection(found.to(seen.dtype))
        return out


class InstructBlipVision(Blip2Vision):
    """InstructBLIP's: the Q-Former reads the instruction, too."""

    def forward(self, pixel_values: Tensor, question_ids: Tensor, question_mask: Tensor) -> Tensor:  # type: ignore[override]
        """Pixels (B, 3, H, W) and the instruction's ids and mask (B, M) to image tokens (B, Q, D)."""
        seen = self.vision(pixel_values=pixel_values).last_hidden_state
        queries = self.queries.expand(seen.shape[0], -1, -1)
        mask = torch.cat([torch.ones(queries.shape[:2], dtype=question_mask.dtype), question_mask], dim=1)
        found = self.qformer(
            input_ids=question_ids, attention_mask=mask, query_embeds=queries, encoder_hidden_states=seen
        ).last_hidden_state
        out: Tensor = self.projection(found[:, : queries.shape[1]].to(seen.dtype))
        return out

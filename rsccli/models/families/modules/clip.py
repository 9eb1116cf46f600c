"""CLIP and SigLIP vision encoders with the connector of the LLaVA families, for images of one fixed size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

#: Vision encoders that `ClipVision` knows, by ``model_type``; LLaVA's configuration may leave CLIP's name out.
KINDS = ("clip_vision_model", "siglip_vision_model")


class ClipVision(nn.Module):
    """The layers whose features are read, and the connector.

    Args:
        model: LLaVA's inner model of transformers, with ``vision_tower`` and ``multi_modal_projector``.
    """

    def __init__(self, model: Any) -> None:  # noqa: ANN401 - transformers is not typed
        super().__init__()
        config = model.config
        self.vision: Any = model.vision_tower.vision_model
        self.projector = model.multi_modal_projector
        asked = config.vision_feature_layer
        depths = len(self.vision.encoder.layers) + 1
        # 0 is what goes into the first layer.
        self.read = [place % depths for place in ([asked] if isinstance(asked, int) else asked)]
        self.skip = int(config.vision_feature_select_strategy == "default")

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Pixels (B, 3, S, S) to image tokens (B, T, D)."""
        vision = self.vision
        states = vision.embeddings(pixel_values)
        clip = hasattr(vision, "pre_layrnorm")
        if clip:
            states = vision.pre_layrnorm(states)
        seen = [states]
        for layer in vision.encoder.layers[: max(self.read)]:
            # CLIP's layers have a second mask, for text, and give a tuple.
            states = layer(states, None, None)[0] if clip else layer(states, None)
            seen.append(states)
        parts = [seen[place][:, self.skip :] for place in self.read]
        # The features of several layers lie side by side.
        tokens: Tensor = self.projector(torch.cat(parts, dim=-1))
        return tokens


def kind_of(config: Mapping[str, Any]) -> str:
    """What sees in a checkpoint of LLaVA's class, by its ``config.json``."""
    vision = config.get("vision_config")
    return str(vision.get("model_type", KINDS[0])) if isinstance(vision, Mapping) else KINDS[0]


def tokens_per_image(config: Any) -> int:  # noqa: ANN401 - as above
    """Image tokens of one image of the encoder's size."""
    vision = config.vision_config
    patches = (vision.image_size // vision.patch_size) ** 2
    first = int(vision.model_type == "clip_vision_model")
    return int(patches + first - int(config.vision_feature_select_strategy == "default"))

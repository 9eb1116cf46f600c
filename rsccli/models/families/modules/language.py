"""Language models of transformers that need nothing special."""

from __future__ import annotations

from typing import Any

from rsccli.models.large.family import DecoderExport
from rsccli.models.large.graphs import LanguageModel


def language_decoder(language: Any, head: Any, axes: int = 1) -> DecoderExport:  # noqa: ANN401
    """A language model of transformers with the usual names in its configuration."""
    config = language.config
    heads = config.num_attention_heads
    return DecoderExport(
        LanguageModel(language, head, axes),
        layers=config.num_hidden_layers,
        heads=getattr(config, "num_key_value_heads", None) or heads,
        head_dim=getattr(config, "head_dim", None) or config.hidden_size // heads,
        width=config.hidden_size,
        vocab=head.weight.shape[0],
        axes=axes,
    )

"""Prompts of a pair in the three regimes of RSCC, in the words that ``rsccli caption`` asks with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from rsccli.datasets.collection.pair import LabelledPair
from rsccli.models.prompts import REGIMES, PromptFields, Regime, load_template, render

#: What RSCC's records call the regimes.
INFERENCE_TYPES: Mapping[Regime, str] = MappingProxyType(
    {"naive": "zero-shot", "textual": "textual_prompt", "visual": "visual_prompt"}
)


@dataclass(frozen=True)
class PairPrompt:
    """One question about one pair.

    Attributes:
        id: of the pair. inference_type: regime, as RSCC calls it.
        pre_image, post_image: what is shown, relative to the data set's folder; in the visual regime the later one has
            outlines on it.
        prompt: the words. counts_from: where its counts come from; None where it tells none.
    """

    id: str
    inference_type: str
    pre_image: str
    post_image: str
    prompt: str
    counts_from: str | None


def prompt_of(pair: LabelledPair, regime: Regime) -> PairPrompt:
    """The question about a pair in one regime."""
    context = pair.context
    template = load_template(regime)
    words = render(template, PromptFields(disaster=context.disaster, counts=context.counts))
    return PairPrompt(
        id=pair.id,
        inference_type=INFERENCE_TYPES[regime],
        pre_image=pair.pre,
        post_image=pair.annotated if regime == "visual" else pair.post,
        prompt=words,
        counts_from=pair.counts_from if template.needs_counts else None,
    )


def prompts_of(pair: LabelledPair) -> list[PairPrompt]:
    """The questions in all three regimes."""
    return [prompt_of(pair, regime) for regime in REGIMES]

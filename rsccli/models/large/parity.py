"""A bundle against PyTorch on the same pairs: image tokens, logits, and tokens against ``generate()``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rsccli.models.large.checkpoint import quiet_transformers
from rsccli.models.large.family import Family
from rsccli.models.large.pictures import pair_pictures
from rsccli.models.large.question import question_of, shown
from rsccli.types import TilePair

if TYPE_CHECKING:
    from rsccli.models.large.captioner import LargeCaptioner

#: Tokens that are generated for the comparison.
STEPS = 24
#: Largest difference of logits that rounding makes, by precision, relative to the largest logit.
TOLERANCE = {"fp32": 2e-4, "fp16": 2e-2, "bf16": 1e-1}


@dataclass(frozen=True)
class Parity:
    """What was compared.

    Attributes:
        pairs: how many. same_prompts: of them with the same token ids as the checkpoint's processor makes.
        same_captions: of them with the same tokens as ``generate()``. tokens: compared altogether.
        logits: largest difference of the first step's logits over the largest of them. device: of the bundle.
    """

    pairs: int
    same_prompts: int
    same_captions: int
    tokens: int
    logits: float
    device: str

    def good(self, dtype: str) -> bool:
        """Whether the bundle says what PyTorch says.

        In half precision equal tokens are not asked for: PyTorch and ONNX Runtime round differently.
        """
        whole = self.same_prompts == self.pairs and self.logits <= TOLERANCE[dtype]
        return whole and (dtype != "fp32" or self.same_captions == self.pairs)

    def as_dict(self) -> dict[str, Any]:
        """As it stands in the manifest."""
        return {
            "compared_with": "transformers generate(), greedy",
            "pairs": self.pairs,
            "same_prompts": self.same_prompts,
            "same_captions": self.same_captions,
            "tokens": self.tokens,
            "logits_relative": float(f"{self.logits:.3g}"),
            "device": self.device,
        }


def reference_captions(
    family: Family,
    model: Any,  # noqa: ANN401 - transformers is not typed
    processor: Any,  # noqa: ANN401
    images: Sequence[Sequence[Any]],
    texts: Sequence[str],
    **options: Any,  # noqa: ANN401
) -> tuple[list[tuple[int, ...]], Mapping[str, Any], Any]:
    """Tokens that ``generate()`` gives, the inputs that it got, and its first logits (N, V)."""
    import torch

    inputs = family.reference(processor, images, texts)
    kind = next(model.parameters()).dtype
    given = {name: value.to(kind) if value.is_floating_point() else value for name, value in inputs.items()}
    with torch.no_grad(), quiet_transformers():
        out = model.generate(**given, return_dict_in_generate=True, output_logits=True, **options)
    rows = family.generated(out.sequences, inputs).tolist()
    first = out.logits[0].float().numpy()
    return [tuple(row) for row in rows], inputs, first


def measure_parity(
    captioner: LargeCaptioner,
    family: Family,
    model: Any,  # noqa: ANN401
    processor: Any,  # noqa: ANN401
    pairs: Sequence[TilePair],
    ends: Sequence[int],
    steps: int = STEPS,
) -> Parity:
    """Compare a bundle with the model that it was made from.

    Args:
        captioner: of the bundle, greedy, without the guard against repetition. pairs: what both look at.
        ends: tokens that end a caption.
    """
    reader, chat = captioner.reader, captioner.manifest.chat
    images = [pair_pictures(shown(captioner.template, pair), reader.mosaic) for pair in pairs]
    texts = [question_of(captioner.template, pair, chat, reader.mosaic).text for pair in pairs]
    theirs, inputs, their_logits = reference_captions(
        family, model, processor, images, texts, do_sample=False, max_new_tokens=steps, num_beams=1
    )
    seen = captioner.see(pairs)
    ids = [captioner.ids(each.question, [one.picture for one in each.features]) for each in seen]
    prompts = _prompts(inputs)
    same_prompts = (
        len(pairs)
        if prompts is None
        else sum(tuple(own.tolist()) == other for own, other in zip(ids, prompts, strict=True))
    )
    logits = captioner.forced_logits(seen, np.zeros((len(seen), 0), np.int64))[:, 0]
    decoded = captioner.decode(seen, steps)
    ours = [each.tokens for each in decoded]
    cut = [_until(row, ends) for row in theirs]
    return Parity(
        pairs=len(pairs),
        same_prompts=same_prompts,
        same_captions=sum(own == other for own, other in zip(ours, cut, strict=True)),
        tokens=sum(map(len, cut)),
        logits=float(np.abs(logits - their_logits).max() / np.abs(their_logits).max()),
        device=captioner.info.provider or "",
    )


def _prompts(inputs: Mapping[str, Any]) -> list[tuple[int, ...]] | None:
    """Token ids of each prompt without padding; None where a family has no prompt."""
    if "input_ids" not in inputs or "attention_mask" not in inputs:
        return None
    both = zip(inputs["input_ids"], inputs["attention_mask"], strict=True)
    return [tuple(ids[mask.bool()].tolist()) for ids, mask in both]


def _until(row: tuple[int, ...], ends: Sequence[int]) -> tuple[int, ...]:
    place = next((i for i, token in enumerate(row) if token in ends), len(row))
    return row[:place]

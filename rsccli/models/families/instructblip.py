"""InstructBLIP (Dai et al. 2023): as BLIP-2, but the query tokens of a picture depend on what is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rsccli.models.families.blip2 import Blip2, BlipReader
from rsccli.models.large.chat import POST, PRE
from rsccli.models.large.family import U8, Array, DecoderExport, EncoderExport, GraphInput, Published, Reader

if TYPE_CHECKING:
    import torch

QFORMER_TOKENIZER = "qformer_tokenizer.json"
_RESEARCH = "Its language model is Vicuna, on LLaMA: research only, no commercial use."


class InstructBlipReader(BlipReader):
    """Reader of InstructBLIP.

    Args:
        vision: as for BLIP-2, and ``longest`` instruction in tokens with the side that is ``cut``.
        folder: of the bundle.
    """

    inputs: tuple[str, ...] = ("pixel_values", "question_ids", "question_mask")

    def __init__(self, vision: Mapping[str, Any], folder: Path) -> None:
        from rsccli.models.tokenizer import open_tokenizer

        super().__init__(vision, folder)
        self._tokenizer = open_tokenizer(folder / QFORMER_TOKENIZER)
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(int(vision["longest"]), direction=str(vision["cut"]))

    def question(self, text: str) -> Mapping[str, Array]:
        """See `Reader.question`."""
        ids = np.array(self._tokenizer.encode(text.replace(PRE, "").replace(POST, "")).ids, np.int64)
        return {"question_ids": ids, "question_mask": np.ones_like(ids)}


class InstructBlip(Blip2):
    """InstructBLIP with Vicuna."""

    name: ClassVar[str] = "instructblip"
    title: ClassVar[str] = "InstructBLIP"
    model_class: ClassVar[str] = "InstructBlipForConditionalGeneration"
    published: ClassVar[tuple[Published, ...]] = (
        Published("Salesforce/instructblip-vicuna-7b", "see its card", _RESEARCH),
        Published("Salesforce/instructblip-vicuna-13b", "see its card", _RESEARCH),
    )
    language: ClassVar[str] = "llama"
    around: ClassVar[tuple[str, str]] = ("", "")

    def reads(self, config: Mapping[str, Any]) -> bool:
        """See `Family.reads`."""
        return config.get("model_type") == "instructblip"

    def encoder(self, model: Any) -> EncoderExport:  # noqa: ANN401
        """See `Family.encoder`."""
        import torch

        from rsccli.models.families.modules.blip import InstructBlipVision

        names = ("question_ids", "question_mask")
        inputs = {name: GraphInput(torch.ones(2, 7, dtype=torch.int64), (0, 1)) for name in names}
        return EncoderExport(InstructBlipVision(model), {**super().encoder(model).inputs, **inputs})

    def decoder(self, model: Any) -> DecoderExport:  # noqa: ANN401
        """See `Family.decoder`."""
        from rsccli.models.families.modules.language import language_decoder

        return language_decoder(model.language_model.model, model.language_model.lm_head)

    def vision(self, model: Any, processor: Any) -> dict[str, Any]:  # noqa: ANN401
        """See `Family.vision`."""
        longest, cut = model.config.qformer_config.max_position_embeddings, processor.qformer_tokenizer.truncation_side
        return {**super().vision(model, processor), "longest": longest, "cut": cut}

    def files(self, processor: Any, folder: Path) -> None:  # noqa: ANN401
        """See `Family.files`."""
        super().files(processor, folder)
        processor.qformer_tokenizer.backend_tokenizer.save(str(folder / QFORMER_TOKENIZER))

    def reader(self, vision: Mapping[str, Any], folder: Path) -> Reader:
        """See `Family.reader`."""
        return InstructBlipReader(vision, folder)

    def reference(
        self,
        processor: Any,  # noqa: ANN401
        images: Sequence[Sequence[U8]],
        texts: Sequence[str],
    ) -> Mapping[str, torch.Tensor]:
        """See `Family.reference`."""
        chat = self.chat(processor)
        words = [text.replace(chat.image, "").removeprefix(chat.lead) for text in texts]
        # Positions of the Q-Former count padding, which has to stand behind.
        read = processor.qformer_tokenizer(words, padding=True, padding_side="right", return_tensors="pt")
        rows = [row for row, own in enumerate(images) for _ in own]
        asked = {f"qformer_{name}": read[name][rows] for name in ("input_ids", "attention_mask")}
        return {**super().reference(processor, images, texts), **asked}
